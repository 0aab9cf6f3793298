"""Identifiers: UUIDv7 (RFC 9562), which sort by the time they were made; trace ids where no SDK makes them.

Never goes back within a process, whatever the clock does.
"""

import os
import threading
import time

from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

POOL = 4096
"""Bytes of the system's randomness that are fetched at once: each fetch is a way to the kernel and back."""

_lock = threading.Lock()
_last = 0
_pool = bytearray()
os.register_at_fork(after_in_child=_pool.clear)  # two processes would make the same ids


def uuid7() -> str:
    """Make the next id: 48 bits of milliseconds, 12 of the fraction, 62 random."""
    global _last  # noqa: PLW0603 - one clock reading is shared by the whole process
    nanoseconds = time.time_ns()
    ticks = (nanoseconds // 1_000_000 << 12) | (nanoseconds % 1_000_000 << 12) // 1_000_000
    with _lock:
        _last = ticks = max(ticks, _last + 1)
        random = _random(8) & ((1 << 62) - 1)
    whole = f"{(ticks >> 12) << 80 | 7 << 76 | (ticks & 0xFFF) << 64 | 2 << 62 | random:032x}"
    return f"{whole[:8]}-{whole[8:12]}-{whole[12:16]}-{whole[16:20]}-{whole[20:]}"


def _random(size: int) -> int:
    """So many bytes of the pool as a number; each is given once. Call it under the lock."""
    if len(_pool) < size:
        _pool.extend(os.urandom(POOL))
    taken = bytes(_pool[-size:])
    del _pool[-size:]
    return int.from_bytes(taken)


def mint_span() -> NonRecordingSpan:
    """Make a span that records nothing but has ids: for a process whose SDK is switched off."""
    with _lock:
        trace_id, span_id = _random(16) or 1, _random(8) or 1
    return NonRecordingSpan(SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(0)))

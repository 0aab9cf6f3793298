"""Identifiers: UUIDv7 (RFC 9562), which sort by the time they were made; trace ids where no SDK makes them.

Never goes back within a process, whatever the clock does.
"""

import os
import threading
import time
from uuid import UUID

from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

_lock = threading.Lock()
_last = 0


def uuid7() -> str:
    """Make the next id: 48 bits of milliseconds, 12 of the fraction, 62 random."""
    global _last  # noqa: PLW0603 - one clock reading is shared by the whole process
    nanoseconds = time.time_ns()
    ticks = (nanoseconds // 1_000_000 << 12) | (nanoseconds % 1_000_000 << 12) // 1_000_000
    with _lock:
        _last = ticks = max(ticks, _last + 1)
    random = int.from_bytes(os.urandom(8)) & ((1 << 62) - 1)
    return str(UUID(int=(ticks >> 12) << 80 | 7 << 76 | (ticks & 0xFFF) << 64 | 2 << 62 | random))


def mint_span() -> NonRecordingSpan:
    """Make a span that records nothing but has ids: for a process whose SDK is switched off."""
    trace_id, span_id = int.from_bytes(os.urandom(16)) or 1, int.from_bytes(os.urandom(8)) or 1
    return NonRecordingSpan(SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(0)))

"""A row of the audit log -> its leaf hash, and the chain that ties each leaf to all before it.

Refuses to know where rows come from: it is given the values of `COLUMNS`, in that order. The place in the log
is no column: it is what chain and tree prove.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256

from msgspec.msgpack import Encoder

COLUMNS: tuple[str, ...] = (
    "id",
    "entity_type",
    "entity_id",
    "action",
    "subject_id",
    "role",
    "outcome",
    "category",
    "code",
    "model",
    "trace_id",
    "request_id",
    "input_tokens",
    "output_tokens",
    "cost_micros",
    "response_time_ms",
    "count",
    "metadata",
    "created_at",
    "commitment",
    "writer",
    "writer_seq",
    "writer_low",
)
"""The columns a hash covers: `created_at` is microseconds since 1970 (UTC), `commitment` 32 bytes or None."""

GENESIS = bytes(32)
"""The chain hash of a log without rows."""

LEAF = b"\x00"
"""What a leaf's bytes are hashed behind (RFC 6962, 2.1), so that no leaf passes for a node."""

Value = str | int | bytes | None

_encode = Encoder().encode


def canonical(values: Sequence[Value]) -> bytes:
    """The one way to write the values of `COLUMNS` as bytes: a MessagePack array, shortest forms.

    Raises:
        UnicodeEncodeError: a text holds a lone surrogate, which no database takes either.
        OverflowError: a number needs more than 64 bits.
    """
    return _encode(values)


def leaf_hash(data: bytes) -> bytes:
    """The leaf of canonical bytes: 32 bytes."""
    return sha256(LEAF + data).digest()


def chain_hash(previous: bytes, leaf: bytes) -> bytes:
    """The chain after this leaf; `previous` is the chain before it, `GENESIS` for the first."""
    return sha256(previous + leaf).digest()


def leaves_of(rows: Iterable[Sequence[Value]]) -> list[bytes]:
    """The leaves of many rows' values; raises what `canonical` raises."""
    return [sha256(LEAF + _encode(values)).digest() for values in rows]  # a call less for each of a million


def chained(previous: bytes, leaves: Iterable[bytes]) -> list[bytes]:
    """The chain after each of these leaves."""
    chains: list[bytes] = []
    for leaf in leaves:
        previous = sha256(previous + leaf).digest()
        chains.append(previous)
    return chains

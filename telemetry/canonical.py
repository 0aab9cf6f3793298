"""JSON that is the same every time, and what is kept of it where it may not be kept itself.

Refuses to fail over odd text: half of a surrogate pair is written out as an escape that shows.
"""

import hmac

import msgspec

from telemetry import log


def canonical(value: object) -> str:
    """Keys in order, no blanks, UTF-8; what a model or a client named oddly costs nothing."""
    try:
        return msgspec.json.encode(value, order="deterministic").decode()
    except UnicodeEncodeError:
        return msgspec.json.encode(log.printable(value), order="deterministic").decode()


def commitment(salt: str, text: str) -> str:
    """HMAC-SHA256 of a text under a salt, both it and the salt as hex: as the audit commits to a query."""
    return hmac.digest(bytes.fromhex(salt), text.encode(), "sha256").hex()

"""Where a page ends, as text that the client carries to the next request, signed.

Refuses a cursor that was altered, made up, or given out for another question.
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence

import msgspec

from service.errors import InvalidRequest
from telemetry.failure import FieldError

SIGNATURE_BYTES = 16
FOREIGN = "Not a cursor of this question; ask for the first page again"

Position = tuple[int, str]
"""The last row of a page: microseconds since 1970 (UTC), and its id, or its place as text."""


class Cursors:
    """Writes and reads cursors; every process with the same root secret reads the same ones.

    Of the keys, which may change meanwhile, the first signs; what any of them signed holds.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = keys

    def write(self, position: Position, question: bytes) -> str:
        """Sign a position; `question` is the route, its filters and whatever else must not change."""
        return _written(self._keys[0], position, question)

    def read(self, cursor: str, question: bytes) -> Position:
        """Give the position that was signed for this question.

        Raises:
            InvalidRequest: naming `cursor`.
        """
        try:
            signed = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            position = msgspec.json.decode(signed[SIGNATURE_BYTES:], type=Position)
        except (ValueError, msgspec.MsgspecError) as error:
            raise _foreign() from error
        # Written again and compared as text: base64 has several spellings of the same bytes.
        ours = (_written(key, position, question).encode() for key in self._keys)
        if not sum(hmac.compare_digest(each, cursor.encode()) for each in ours):  # all, whichever it is
            raise _foreign()
        return position


def _written(key: bytes, position: Position, question: bytes) -> str:
    told = msgspec.json.encode(position)
    return urlsafe_b64encode(_signature(key, told, question) + told).decode().rstrip("=")


def _signature(key: bytes, told: bytes, question: bytes) -> bytes:
    signed = len(question).to_bytes(8) + question + told
    return hmac.new(key, signed, hashlib.sha256).digest()[:SIGNATURE_BYTES]


def _foreign() -> InvalidRequest:
    return InvalidRequest("The cursor does not hold.", fields=(FieldError("cursor", FOREIGN),))

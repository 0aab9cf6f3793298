"""Where a page ends, as text that the client carries to the next request, signed.

Refuses a cursor that was altered, made up, or given out for another question.
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec

from service.errors import InvalidRequest
from telemetry.failure import FieldError

SIGNATURE_BYTES = 16
FOREIGN = "Not a cursor of this question; ask for the first page again"

Position = tuple[int, str]
"""The last row of a page: microseconds since 1970 (UTC), and its id, or its place as text."""


class Cursors:
    """Writes and reads cursors; every process with the same root secret reads the same ones."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def write(self, position: Position, question: bytes) -> str:
        """Sign a position; `question` is the route, its filters and whatever else must not change."""
        told = msgspec.json.encode(position)
        return urlsafe_b64encode(self._sign(told, question) + told).decode().rstrip("=")

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
        if not hmac.compare_digest(self.write(position, question).encode(), cursor.encode()):
            raise _foreign()
        return position

    def _sign(self, told: bytes, question: bytes) -> bytes:
        signed = len(question).to_bytes(8) + question + told
        return hmac.new(self._key, signed, hashlib.sha256).digest()[:SIGNATURE_BYTES]


def _foreign() -> InvalidRequest:
    return InvalidRequest("The cursor does not hold.", fields=(FieldError("cursor", FOREIGN),))

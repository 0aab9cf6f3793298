"""A checkpoint: what the log was at a moment, signed (C2SP tlog-checkpoint in a signed note, Ed25519).

Refuses a note in which one byte differs from what was signed, also where base64 would let it pass. A note may
carry further signatures, as of witnesses; those of keys it was not given are not looked at.

    <origin>
    <size>
    <base64 of the root>
    time <ISO 8601, UTC, milliseconds>
    chain <base64 of the chain>

    — <origin> <base64 of key id and signature>
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from service.errors import ServiceError
from service.seal.keys import KEY_ID_BYTES, PublicKey, key_id, public_of

MOST_CHARACTERS = 1 << 16
"""A longer text is no checkpoint, whoever signed it."""

MOST_SIZE = 1 << 63
NOTE = re.compile(r"(?P<text>(?:[^\n]+\n)+)\n(?P<signatures>(?:\u2014 [^\n]+\n)+)")
SIGNATURE = re.compile(r"\u2014 (?P<name>[^\s+]+) (?P<signed>[A-Za-z0-9+/]+={0,2})")
HASH = r"[A-Za-z0-9+/]{43}="
BODY = re.compile(
    rf"(?P<origin>[^\n]+)\n(?P<size>0|[1-9][0-9]{{0,18}})\n(?P<root>{HASH})\n"
    rf"time (?P<time>\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z)\nchain (?P<chain>{HASH})\n(?:[^\n]+\n)*"
)
ORIGIN = re.compile(r"[^\s+\x00-\x1f\x7f]+")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SIGNED_BYTES = KEY_ID_BYTES + 64


class NotGenuine(ServiceError):
    """A text is no checkpoint, or was not signed by any key it was read with; `detail` says which."""


class Checkpoint(Struct, frozen=True):
    """The log at a moment: how many rows, the root of their tree, the chain after the last.

    `time` is microseconds since 1970 (UTC), of which a note keeps the milliseconds.
    """

    origin: str
    size: int
    root: bytes
    time: int
    chain: bytes

    @property
    def text(self) -> str:
        """What is signed."""
        return (
            f"{self.origin}\n{self.size}\n{_base64(self.root)}\n"
            f"time {_moment(self.time)}\nchain {_base64(self.chain)}\n"
        )


class Signer:
    """Signs checkpoints."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private, self.public = private, public_of(private)

    def note(self, checkpoint: Checkpoint) -> str:
        """The checkpoint as a signed note; the key's name in it is the origin.

        Raises:
            ValueError: the origin has a space, a plus or a control character, or is empty.
        """
        if not ORIGIN.fullmatch(checkpoint.origin):
            raise ValueError("an origin is one word without a plus")
        said = checkpoint.text
        key = key_id(checkpoint.origin, self.public.raw)
        return f"{said}\n\u2014 {checkpoint.origin} {_base64(key + self._private.sign(said.encode()))}\n"


class Verifier:
    """Knows one key. Where the key's text names a log, it speaks for no other."""

    def __init__(self, public: PublicKey) -> None:
        self.public = public
        self._key = Ed25519PublicKey.from_public_bytes(public.raw)

    def knows(self, name: str, key: bytes) -> bool:
        """Whether a signature under this name and key id is for it to judge."""
        return self.public.name in {None, name} and key_id(name, self.public.raw) == key

    def holds(self, signature: bytes, said: bytes) -> bool:
        """Whether its key signed this."""
        try:
            self._key.verify(signature, said)
        except InvalidSignature:
            return False
        return True


def read(note: str, verifiers: Sequence[Verifier]) -> Checkpoint:
    """The checkpoint of a note that one of these signed under the checkpoint's own origin.

    Raises:
        NotGenuine: it is none.
    """
    found = NOTE.fullmatch(note) if len(note) <= MOST_CHARACTERS else None
    if not found or not _is_utf8(note):
        raise NotGenuine("The text is no signed note.")
    checkpoint = unsigned(found["text"])
    if not _signed(found, checkpoint.origin, verifiers):
        raise NotGenuine("The checkpoint bears no signature of a known key.")
    return checkpoint


def unsigned(text: str) -> Checkpoint:
    """What a note's text says, whoever wrote it: the part above the signatures.

    Raises:
        NotGenuine: it does not say what a checkpoint of ours does.
    """
    body = BODY.fullmatch(text)
    if not body:
        raise NotGenuine("The note is no checkpoint of an audit log.")
    size = int(body["size"])
    if size >= MOST_SIZE:
        raise NotGenuine("The checkpoint's size is beyond all logs.")
    root, chain = _bytes(body["root"]), _bytes(body["chain"])
    return Checkpoint(body["origin"], size, root, _microseconds(body["time"]), chain)


def _signed(found: re.Match[str], origin: str, verifiers: Sequence[Verifier]) -> bool:
    """Whether a known key signed; one that is known and does not hold spoils the note (C2SP signed-note)."""
    said, good = found["text"].encode(), False
    for line in found["signatures"].splitlines():
        name, signed = _signature(line)
        for verifier in verifiers:
            if verifier.knows(name, signed[:KEY_ID_BYTES]):
                good = _holding(verifier, signed, said) and (good or name == origin)
    return good


def _holding(verifier: Verifier, signed: bytes, said: bytes) -> bool:
    if len(signed) == SIGNED_BYTES and verifier.holds(signed[KEY_ID_BYTES:], said):
        return True
    raise NotGenuine("The checkpoint's signature does not hold.")


def _signature(line: str) -> tuple[str, bytes]:
    found = SIGNATURE.fullmatch(line)
    if not found:
        raise NotGenuine("A line of the note is no signature.")
    return found["name"], _bytes(found["signed"])


def _bytes(said: str) -> bytes:
    """Base64 in its one right form: the unused bits of a last character are zero."""
    try:
        raw = b64decode(said, validate=True)
    except ValueError:
        raise NotGenuine("The note's base64 is broken.") from None
    if _base64(raw) != said:
        raise NotGenuine("The note's base64 has another form than its one right one.")
    return raw


def _microseconds(said: str) -> int:
    try:
        at = datetime.fromisoformat(said)
    except ValueError:
        raise NotGenuine("The checkpoint's time is none.") from None
    since = at - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _moment(microseconds: int) -> str:
    at = EPOCH + timedelta(microseconds=microseconds)  # exact, where a float of seconds is not
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"


def _base64(raw: bytes) -> str:
    return b64encode(raw).decode()


def _is_utf8(said: str) -> bool:
    try:
        said.encode()
    except UnicodeEncodeError:
        return False
    return True

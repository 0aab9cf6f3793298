"""A signed checkpoint as people read it: how much it covers, of when it is, and which key it names.

Refuses to take a note's word: whether a known key signed it is said beside.
"""

from msgspec import Struct

from service.audit.signing import LogKey
from service.audit.verify import Keys, Verifier
from service.seal.checkpoint import NotGenuine
from service.seal.keys import key_id
from telemetry.timestamp import timestamp

ALGORITHM = "Ed25519"


class KeyTold(Struct, frozen=True, rename="camel"):
    """The public key of the log's checkpoints: as PEM, and as a C2SP verifier key for `origin`."""

    algorithm: str
    public_key: str
    vkey: str
    origin: str


class Signed(Struct, frozen=True, kw_only=True, rename="camel"):
    """A checkpoint; `time` is ISO 8601 (UTC), `root` hex, `key_id` that of this installation's key (hex).

    Where no known key signed the note, `genuine` is False, and size, time and root are not there.
    """

    genuine: bool
    note: str
    origin: str
    key_id: str
    size: int | None = None
    time: str | None = None
    root: str | None = None


def keys_of(key: LogKey) -> Keys:
    """The keys of an installation that may have signed its log."""
    return Keys([Verifier(each) for each in (key.public, *key.earlier)], key.origin)


def key_told(key: LogKey) -> KeyTold:
    """A key as it is told, to routes and commands alike."""
    return KeyTold(ALGORITHM, key.pem, key.vkey, key.origin)


def signed(note: str, key: LogKey) -> Signed:
    """A note as it is told."""
    named = key_id(key.origin, key.public.raw).hex()
    try:
        said = keys_of(key).read(note)
    except NotGenuine:
        return Signed(genuine=False, note=note, origin=key.origin, key_id=named)
    return Signed(
        genuine=True,
        note=note,
        origin=said.origin,
        key_id=named,
        size=said.size,
        time=timestamp(said.time),
        root=said.root.hex(),
    )

"""The key of this log: what signs its checkpoints, and the name it signs under.

Refuses a configured key that is none of Ed25519, by the name of its variable and without a word of its text.
"""

from msgspec import Struct

from config import Secret, SettingsError
from service.seal import keys
from service.seal.checkpoint import Checkpoint, Signer

VARIABLE = "AGENT_AUDIT_SIGNING_KEY"
PREFIX = "parley/"
"""What the name of every log of ours begins with; its id follows."""


class LogKey(Struct, frozen=True):
    """Signs for one log, which `origin` names."""

    origin: str
    signer: Signer

    @property
    def public(self) -> keys.PublicKey:
        """The public half, which speaks for this log alone."""
        return keys.PublicKey(self.signer.public.raw, self.origin)

    @property
    def pem(self) -> str:
        """The public half as PEM (SubjectPublicKeyInfo)."""
        return keys.pem_of(self.public)

    @property
    def vkey(self) -> str:
        """The public half as a C2SP verifier key: `name+id+base64`."""
        return keys.vkey_of(self.public, self.origin)

    def note(self, size: int, root: bytes, chain: bytes, at: int) -> str:
        """A signed checkpoint of the log's first `size` events; `at` is microseconds since 1970 (UTC)."""
        return self.signer.note(Checkpoint(self.origin, size, root, at, chain))


def signer(configured: Secret | None, seed: bytes) -> Signer:
    """The signer of AGENT_AUDIT_SIGNING_KEY, or of the derived seed (32 bytes) where that is unset.

    Raises:
        SettingsError: the configured key is none.
    """
    if configured is None:
        return Signer(keys.derived(seed))
    try:
        return Signer(keys.private_key(configured.reveal()))
    except keys.KeyUnreadable as error:
        raise SettingsError((f"{VARIABLE}: {error.detail}",)) from None


def log_key(configured: Secret | None, seed: bytes, log_id: str) -> LogKey:
    """The key of a log; its arguments are those of `signer`, and the log's id (32 hex characters).

    Raises:
        SettingsError: the configured key is none.
    """
    return LogKey(PREFIX + log_id, signer(configured, seed))

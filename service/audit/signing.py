"""The key of this log: what signs its checkpoints, and the name it signs under.

Refuses a configured key that is none of Ed25519, by the name of its variable and without a word of its text.
"""

from collections.abc import Sequence

from msgspec import Struct

from config import Secret, SettingsError
from service.seal import keys
from service.seal.checkpoint import Checkpoint, Signer

VARIABLE = "AGENT_AUDIT_SIGNING_KEY"
PREFIX = "parley/"
"""What the name of every log of ours begins with; its id follows."""


class LogKey(Struct):
    """Signs for one log, which `origin` names; `earlier` keys of the installation may have signed before.

    Whoever holds it has the keys that hold now: see `become`.
    """

    origin: str
    signer: Signer
    earlier: tuple[keys.PublicKey, ...] = ()

    def become(self, other: "LogKey") -> None:
        """Sign as another key of this log does from now on, and know what it knows."""
        self.earlier, self.signer = other.earlier, other.signer

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


def configured_signer(configured: Secret | None) -> Signer | None:
    """The signer of AGENT_AUDIT_SIGNING_KEY; None where that is unset.

    Raises:
        SettingsError: it is no key.
    """
    if configured is None:
        return None
    try:
        return Signer(keys.private_key(configured.reveal()))
    except keys.KeyUnreadable as error:
        raise SettingsError((f"{VARIABLE}: {error.detail}",)) from None


def log_key(configured: Secret | None, seeds: Sequence[bytes], log_id: str) -> LogKey:
    """The key of a log by its id (32 hex characters): the configured one, else that of the first seed.

    Raises:
        SettingsError: the configured key is none.
    """
    derived = [Signer(keys.derived(seed)) for seed in seeds]
    signer = configured_signer(configured) or derived[0]
    origin = PREFIX + log_id
    earlier = [keys.PublicKey(each.public.raw, origin) for each in derived if each.public != signer.public]
    return LogKey(origin, signer, tuple(earlier))

"""Keys derived from AGENT_SECRET_KEY by HKDF (RFC 5869), one for each purpose.

Refuses to use the root itself for anything: whoever learns one derived key learns no other.
"""

import hmac
from collections.abc import Sequence

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from config.secret import Secret
from service.seal.ring import Ring
from service.seal.vault import Vault

KEY_BYTES = 32
NAME_DIGITS = 32


class Derived:
    """The keys of this installation, each purpose's in a ring; `previous` is another root that holds as well.

    Whoever is given a ring has the keys of the roots that hold now, also after `rotate`. `masters` wrap the
    audit's data keys, `journals` seal journals, and of `signing_seeds` the first signs its checkpoints.
    """

    def __init__(self, root: Secret, previous: Secret | None = None) -> None:
        roots = _roots(root, previous)
        self.peppers = _ring(roots, "api-key pepper")
        self.sessions = _ring(roots, "session cookie")
        self.cursors = _ring(roots, "page cursor")
        self.sign_ins = _ring(roots, "sign-in state")
        self.masters = _ring(roots, "audit master key")
        self.journals = _ring(roots, "audit journal")
        self.signing_seeds = _ring(roots, "audit signing key")
        self._subjects = _ring(roots, "revoked subject")
        self._pseudonyms = _ring(roots, "user pseudonym")

    def rotate(self, root: Secret, previous: Secret | None) -> None:
        """From now on make everything under this root, and take what the other made."""
        new = Derived(root, previous)
        for name, ring in vars(self).items():
            ring.turn(getattr(new, name)[:])

    @property
    def pepper(self) -> bytes:
        """What new API keys are kept under."""
        return self.peppers.newest

    def vault(self, *, sealed: bool) -> Vault:
        """How the audit's content is kept, and the keys to it."""
        return Vault(masters=self.masters, sealed=sealed)

    def pseudonym(self, user_id: str) -> str:
        """A stable name for a user that says nothing about them: 32 hex characters."""
        return _name(self._pseudonyms.newest, user_id)

    def subjects(self, user_id: str) -> Sequence[str]:
        """Under what the end of all of a user's tokens is kept, the newest first; says nothing about them."""
        return [_name(key, user_id) for key in self._subjects]


def _roots(root: Secret, previous: Secret | None) -> tuple[Secret, ...]:
    return (root, previous) if previous and previous != root else (root,)


def _ring(roots: Sequence[Secret], purpose: str) -> Ring:
    return Ring(*(_expand(each, purpose) for each in roots))


def _expand(root: Secret, purpose: str) -> bytes:
    derivation = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=f"parley/{purpose}".encode())
    return derivation.derive(root.reveal().encode())


def _name(key: bytes, user_id: str) -> str:
    said = user_id.encode("utf-8", "surrogatepass")
    return hmac.digest(key, said, "sha256").hex()[:NAME_DIGITS]

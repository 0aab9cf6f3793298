"""Keys derived from AGENT_SECRET_KEY by HKDF (RFC 5869), one for each purpose.

Refuses to use the root itself for anything: whoever learns one derived key learns no other.
"""

import hashlib
import hmac

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from config.secret import Secret
from service.seal.vault import Vault

KEY_BYTES = 32


class Derived:
    """The keys of this installation; `previous` is the root before the last rotation.

    `masters` wrap the audit's data keys, `journals` seal journals, and of `signing_seeds` the first signs its
    checkpoints: each has the newest first.
    """

    def __init__(self, root: Secret, previous: Secret | None = None) -> None:
        self.pepper = _expand(root, "api-key pepper")
        self.cursor = _expand(root, "page cursor")
        self.session = _expand(root, "session cookie")
        self.sign_in = _expand(root, "sign-in state")
        roots = (root, previous) if previous else (root,)
        self.masters = tuple(_expand(each, "audit master key") for each in roots)
        self.journals = tuple(_expand(each, "audit journal") for each in roots)
        self.signing_seeds = tuple(_expand(each, "audit signing key") for each in roots)
        self._pseudonym = _expand(root, "user pseudonym")

    def vault(self, *, sealed: bool) -> Vault:
        """How the audit's content is kept, and the keys to it."""
        return Vault(masters=self.masters, sealed=sealed)

    def pseudonym(self, user_id: str) -> str:
        """A stable name for a user that says nothing about them: 32 hex characters."""
        said = user_id.encode("utf-8", "surrogatepass")
        return hmac.new(self._pseudonym, said, hashlib.sha256).hexdigest()[:32]


def _expand(root: Secret, purpose: str) -> bytes:
    derivation = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=f"parley/{purpose}".encode())
    return derivation.derive(root.reveal().encode())

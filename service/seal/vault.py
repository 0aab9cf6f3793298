"""The keys that content is sealed under: one for each subject, each wrapped by a master key.

Refuses to seal without a master key, and to say which of several texts a digest is of.
"""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from contextlib import suppress

from msgspec import Struct

from service.seal import content

NO_KEY = "There is no master key for sealed content."
DIGEST = b"parley/erased user"


class Vault(Struct, frozen=True, kw_only=True):
    """The master keys, the newest first; earlier ones open what was wrapped before a rotation.

    `sealed` says how new content is kept: sealed, or in clear beside its commitment.
    """

    masters: Sequence[bytes] = ()
    sealed: bool = False

    @property
    def key_id(self) -> str | None:
        """Which master key wraps new data keys; None where there is none."""
        return content.key_id(self.masters[0]) if self.masters else None

    def new_key(self, subject_id: str) -> bytes | None:
        """A wrapped data key for a new subject; None where nothing can be sealed."""
        if not self.masters:
            return None
        return content.wrap(self.masters[0], content.new_data_key(), subject_id)

    def open_key(self, wrapped: bytes, subject_id: str) -> bytes:
        """A subject's data key.

        Raises:
            ContentUnreadable: none of the master keys wrapped it.
        """
        return self._tried(lambda master: content.unwrap(master, wrapped, subject_id))

    def _tried(self, work: Callable[[bytes], bytes]) -> bytes:
        """The first that works; what the oldest key says where none does."""
        for master in self.masters[:-1]:
            with suppress(content.ContentUnreadable):
                return work(master)
        if not self.masters:
            raise content.ContentUnreadable(NO_KEY)
        return work(self.masters[-1])

    def seal(self, data: bytes, name: str) -> bytes:
        """Seal bytes that are no subject's, under their name.

        Raises:
            ContentUnreadable: there is no master key.
        """
        if not self.masters:
            raise content.ContentUnreadable(NO_KEY)
        return content.wrap(self.masters[0], data, name)

    def open(self, sealed: bytes, name: str) -> bytes:
        """Open what `seal` made; raises ContentUnreadable."""
        return self._tried(lambda master: content.unwrap(master, sealed, name))

    def digests(self, user: str) -> Sequence[bytes]:
        """Keyed digests of a user's name, one for each master key: the newest first."""
        said = user.encode("utf-8", "surrogatepass")
        return tuple(hmac.digest(key + DIGEST, said, hashlib.sha256) for key in self.masters or (b"",))

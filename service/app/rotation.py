"""Another root secret while the service runs: what is derived from it is handed to whoever works with it.

Refuses to forget the one before: that is the settings' part, and takes what was made under it.
"""

from msgspec import Struct

from config.secret import Secret
from config.settings import Settings
from service.audit.signing import PREFIX, LogKey, log_key
from service.audit.sink import AuditSink
from service.auth.authenticator import Authenticator
from service.auth.derive import Derived


class Rotation(Struct, frozen=True):
    """Peppers, session keys, cursors and master keys are looked up in `derived`; the others are told."""

    settings: Settings
    derived: Derived
    door: Authenticator
    log_key: LogKey
    audited: AuditSink | None

    def __call__(self, root: Secret, previous: Secret | None) -> None:
        """Make everything under this root from now on, and take what was made under the other."""
        self.derived.rotate(root, previous)
        self.door.rotated()
        origin = self.log_key.origin.removeprefix(PREFIX)
        self.log_key.become(log_key(self.settings.audit.signing_key, self.derived.signing_seeds, origin))
        if self.audited:
            self.audited.rotate()

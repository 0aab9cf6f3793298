"""The audit as the web shows it: one set of rooms, which routes for programs and pages for people share.

Refuses to answer anything itself.
"""

from litestar.handlers import HTTPRouteHandler
from msgspec import Struct

from service.web import audit, erasures, verification
from service.web.audit import Auditing
from service.web.desk import Desk
from service.web.erasures import Erasing
from service.web.verification import Verifying


class Archive(Struct, frozen=True):
    """What answers questions about the audit, verifies it, and forgets people in it."""

    auditing: Auditing
    verifying: Verifying
    erasing: Erasing

    def routes(self, desk: Desk) -> list[HTTPRouteHandler]:
        """The routes for programs."""
        return [
            *audit.routes(self.auditing),
            *verification.routes(self.verifying, desk),
            *erasures.routes(self.erasing, desk),
        ]

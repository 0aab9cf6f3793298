"""The log as it lies in the database, verified while the service runs.

Refuses to be asked too much: one verification runs at a time, and its verdict stands for ten seconds.
"""

import time
from collections.abc import Callable

from litestar import get
from litestar.handlers import HTTPRouteHandler

from service.audit import verdict
from service.audit.signing import LogKey
from service.audit.verify import Report
from service.auth.permissions import Action
from service.errors import Conflict
from service.store.database import Database
from service.web.checkpoints import KeyTold, key_told, keys_of
from service.web.desk import Asking, Desk
from service.web.parameters import Nothing, read
from service.web.scanning import Scanning
from service.web.whole_log import verify_log

VERIFY, KEY = "/api/v1/audit/verify", "/api/v1/audit/key"
FRESH = 10.0
"""Seconds that a verdict stands."""


class Verifying:
    """Verifies on demand. `clock` gives seconds that never go back."""

    def __init__(
        self,
        database: Database,
        key: LogKey,
        scanning: Scanning | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.key = key
        self._database, self._scanning, self._clock = database, scanning, clock
        self._running, self._at = False, float("-inf")
        self._report: Report | None = None

    async def report(self) -> Report:
        """The verdict on the log of now, or of up to ten seconds ago.

        Raises:
            Conflict: a verification runs already.
            DatabaseError: the database did not answer.
        """
        if self._report and self._clock() - self._at < FRESH:
            return self._report
        if self._running:
            raise Conflict("The log is being verified already; ask again in a moment.", retry_after_ms=1_000)
        self._running = True
        try:
            self._report = await verify_log(self._database, keys_of(self.key), scanning=self._scanning)
        finally:
            self._running = False
        verdict.tell(self._report)
        self._at = self._clock()
        return self._report


def routes(verifying: Verifying, desk: Desk) -> list[HTTPRouteHandler]:
    """The routes of the log as a whole."""

    @get(VERIFY)
    async def verified(request: Asking) -> Report:
        await desk.admit(request, Action.VERIFY)
        read(Nothing, request.scope["query_string"])
        return await verifying.report()

    @get(KEY)
    async def key(request: Asking) -> KeyTold:
        await desk.admit(request, Action.AUDIT)
        read(Nothing, request.scope["query_string"])
        return key_told(verifying.key)

    return [verified, key]

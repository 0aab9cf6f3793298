"""The log as it lies in the database, verified while the service runs.

Refuses to be asked too much: one verification runs at a time, and its verdict stands for ten seconds.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from functools import partial
from itertools import takewhile

from litestar import get
from litestar.handlers import HTTPRouteHandler
from msgspec import Struct

from service.audit import verdict
from service.audit.signing import LogKey
from service.audit.verification.digest import Digest
from service.audit.verify import Buried, Keys, Kind, Report, Verification
from service.auth.permissions import Action
from service.errors import Conflict
from service.store.database import Database
from service.store.proofs import BEFORE_ALL, Left, Proofs
from service.web.checkpoints import keys_of
from service.web.desk import Asking, Desk
from service.web.parameters import Nothing, read
from service.web.scanning import Scanned, Scanning, scanned

VERIFY, KEY = "/api/v1/audit/verify", "/api/v1/audit/key"
ALGORITHM = "Ed25519"
FRESH = 10.0
"""Seconds that a verdict stands."""


class KeyTold(Struct, frozen=True, rename="camel"):
    """The public key of the log's checkpoints: as PEM, and as a C2SP verifier key for `origin`."""

    algorithm: str
    public_key: str
    vkey: str
    origin: str


def key_told(key: LogKey) -> KeyTold:
    """A key as it is told, to routes and commands alike."""
    return KeyTold(ALGORITHM, key.pem, key.vkey, key.origin)


async def verify_log(
    database: Database, keys: Keys, outside: Sequence[str] = (), scanning: Scanning | None = None
) -> Report:
    """Verify the whole log by these keys, and by checkpoints kept elsewhere; rows that come meanwhile too.

    A long log is read by the processes of `scanning`, where there are any.

    Raises:
        DatabaseError: the database did not answer.
    """
    # What is known of the log is of an earlier moment than its rows, which are read to their very end.
    quarantined = await database.proofs.quarantined()
    notes = [kept.note async for page in database.checkpoints.pages() for kept in page]
    known = await database.proofs.known_size()
    begun = partial(Verification, keys, notes, outside, quarantined=quarantined, known_size=known)
    verification = await asyncio.to_thread(begun)
    await _take_rest(database.proofs, verification, await _take_scanned(database, verification, scanning))
    report = await asyncio.to_thread(verification.report)
    gap = any(each.kind is Kind.GAP for each in report.findings)
    if gap and await database.proofs.quarantined() != quarantined:
        return await verify_log(database, keys, outside, scanning)  # what is missing may have been put aside
    return report


async def _take_scanned(database: Database, verification: Verification, scanning: Scanning | None) -> int:
    """Take what other processes read, as far as windows are full; where to go on by oneself."""
    size, first = await database.checkpoints.size(), await database.proofs.following(BEFORE_ALL)
    if scanning is None or first is None or first < 0 or size < scanning.many:
        return BEFORE_ALL
    end = BEFORE_ALL
    async with aclosing(scanned(database.proofs, scanning, size, verification.cuts())) as shares:
        async for until, pieces in shares:
            await _take_all(database.proofs, verification, pieces)
            end = until
    return end


async def _take_all(proofs: Proofs, verification: Verification, pieces: Sequence[Scanned]) -> None:
    """Take what holds together at one go, and what does not as it is."""
    while pieces:
        done = await asyncio.to_thread(_accepted, verification, pieces)
        for piece in pieces[done : done + 1]:
            await _take(proofs, verification, piece)
        pieces = pieces[done + 1 :]


def _accepted(verification: Verification, pieces: Sequence[Scanned]) -> int:
    """How many of these, from the first on, were digests that join."""
    taken = takewhile(lambda piece: isinstance(piece, Digest) and verification.accept(piece), pieces)
    return sum(1 for _ in taken)


async def _take_rest(proofs: Proofs, verification: Verification, start: int) -> None:
    async for piece in proofs.pieces(start):
        await _take(proofs, verification, piece)


async def _take(proofs: Proofs, verification: Verification, piece: Scanned) -> None:
    """Take a piece; the rows themselves where a digest of them does not join."""
    if not isinstance(piece, Digest):
        taken = Buried(piece.first, [*piece.leaves]) if isinstance(piece, Left) else piece
        await asyncio.to_thread(verification.take, taken)
        return
    for rows in await proofs.window(piece.first.index, piece.end):
        await _take(proofs, verification, rows)


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

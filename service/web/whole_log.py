"""The log as it lies in the database, read to its end and verified, by other processes too where it is long.

Refuses to know who asks: routes and commands get the same report.
"""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from functools import partial
from itertools import takewhile

from service.audit.verification.digest import Digest
from service.audit.verify import Buried, Keys, Kind, Report, Verification
from service.store.database import Database
from service.store.proofs import BEFORE_ALL, Left, Proofs
from service.web.scanning import Scanned, Scanning, scanned


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

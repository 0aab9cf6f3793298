"""Events with the proof that they are what was sealed: what an export's lines and a proof carry.

Refuses a salt to callers who may not see content: a salt and a commitment let one try out short texts.
"""

from base64 import b64encode
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing

import msgspec
from msgspec import UNSET, Struct, UnsetType, structs

from service.audit.checkpoints import Kept, Sealing
from service.audit.export_proof import verify_export
from service.errors import DatabaseError
from service.seal.leaf import leaf_hash
from service.store.database import Database
from service.store.event import Event
from service.store.filters import Filters
from service.store.proofs import Seal
from service.store.questions import EXPORT_PAGE, Questions
from service.store.shown import shown
from service.store.tenancy import Whose
from service.web.checkpoints import Signed, keys_of, signed

EVERYTHING = Filters()
VANISHED = "An event was removed while it was exported."
BROKEN = "The audit log does not fit together; `parley audit verify` says where."


class SealMark(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What proves one event: its sealed columns (MessagePack, base64), the chain after it, its salt (hex).

    `path` leads to the root of the checkpoint, which the first line of an export has; where that says
    `complete`, all events under the checkpoint are there and need no paths.
    """

    log_index: int
    columns: str
    chain: str
    salt: str | UnsetType = UNSET
    path: tuple[str, ...] | UnsetType = UNSET
    checkpoint: str | UnsetType = UNSET
    complete: bool | UnsetType = UNSET


class SealedEvent(Event, frozen=True, kw_only=True, rename="camel"):
    """An event and its proof."""

    seal: SealMark


class Standing(Struct, frozen=True, kw_only=True):
    """Where an event stands in the log: its leaf and the chain after it (hex), and what proves it.

    `under` is the newest checkpoint where that covers the event, None until one does; `holds` says whether
    the one leads to the other, None without it; `wrong` says why not, a sentence each.
    """

    log_index: int
    leaf: str
    chain: str
    under: Signed | None
    holds: bool | None
    wrong: tuple[str, ...] = ()


class Prover:
    """Proves events by the log they are in."""

    def __init__(self, database: Database, sealing: Sealing, page: int = EXPORT_PAGE) -> None:
        self.key = sealing.key
        self._database, self._sealing, self._page = database, sealing, page

    async def prove(self, event: Event, *, salted: bool) -> SealedEvent | None:
        """One event with all that proves it; None where it was removed meanwhile.

        Raises:
            DatabaseError: the database did not answer, or the log does not fit together.
        """
        under = await self._over(event.log_index)
        for each in await self._sealed([event], under.size, salted=salted, paths=True):
            return structs.replace(each, seal=structs.replace(each.seal, checkpoint=under.note))
        return None

    async def newest(self) -> Signed | None:
        """The log's newest checkpoint; None where there is none. Raises DatabaseError."""
        latest = await self._database.checkpoints.latest()
        return signed(latest.note, self.key) if latest else None

    async def standing(self, event: Event) -> Standing | None:
        """Where an event stands, verified here; None where it was removed meanwhile. Makes no checkpoint.

        Raises:
            DatabaseError: the database did not answer.
        """
        seal = (await self._database.proofs.seals([event.id])).get(event.id)
        if seal is None:
            return None
        latest = await self._database.checkpoints.latest()
        under = latest if latest and latest.size > seal.log_index else None
        wrong = await self._wrong(event, seal, under) if under else ()
        return Standing(
            log_index=seal.log_index,
            leaf=leaf_hash(seal.columns).hex(),
            chain=seal.chain.hex(),
            under=signed(under.note, self.key) if under else None,
            holds=not wrong if under else None,
            wrong=wrong,
        )

    async def _wrong(self, event: Event, seal: Seal, under: Kept) -> tuple[str, ...]:
        """What an auditor with the proof alone would find wrong with it."""
        try:
            paths = await self._database.proofs.paths([seal.log_index], under.size)
        except KeyError:
            return (BROKEN,)
        proven = _with_seal(event, seal, paths, salted=True)
        whole = structs.replace(proven, seal=structs.replace(proven.seal, checkpoint=under.note))
        line = msgspec.json.encode(whole).decode()
        found = verify_export([line], keys_of(self.key), shown).findings
        return tuple(each.detail for each in found)

    async def export(
        self, filters: Filters, *, salted: bool, whose: Whose
    ) -> AsyncGenerator[Sequence[SealedEvent]]:
        """All that is meant of somebody's and under a checkpoint of now, newest first, a page at a time.

        There is a page even where there is no event; the first event carries the checkpoint.

        Raises:
            DatabaseError: as `prove`.
        """
        under, asked = await self._sealing.covering(), self._database.questions_of(whose)
        complete = filters == EVERYTHING and await self._whole(asked, under.size)
        async with aclosing(self._pages(asked, filters, under.size, complete=complete)) as pages:
            first = True
            async for page in pages:
                sealed = await self._sealed(page, under.size, salted=salted, paths=not complete)
                if complete and len(sealed) < len(page):
                    raise DatabaseError(VANISHED)
                if sealed:
                    yield _opened(sealed, under, complete=complete) if first else sealed
                    first = False
        if first:
            yield ()

    async def _over(self, log_index: int) -> Kept:
        """A checkpoint that covers a place; a new one only where none does."""
        latest = await self._database.checkpoints.latest()
        return latest if latest and latest.size > log_index else await self._sealing.covering()

    async def _whole(self, asked: Questions, size: int) -> bool:
        """Whether all that was sealed under a checkpoint is there, and may be shown."""
        return not await self._database.proofs.buried() and await asked.alone(size)

    def _pages(
        self, asked: Questions, filters: Filters, size: int, *, complete: bool
    ) -> AsyncGenerator[Sequence[Event]]:
        if complete:
            return self._database.proofs.whole(size, self._page)
        return _below(size, asked.pages(filters, self._page))

    async def _sealed(
        self, events: Sequence[Event], size: int, *, salted: bool, paths: bool
    ) -> Sequence[SealedEvent]:
        """The events that are still there, sealed."""
        seals = await self._database.proofs.seals(each.id for each in events)
        found = await self._paths([each.log_index for each in seals.values()], size) if paths else None
        kept = (each for each in events if each.id in seals)
        return [_with_seal(each, seals[each.id], found, salted=salted) for each in kept]

    async def _paths(self, indexes: Sequence[int], size: int) -> Mapping[int, Sequence[bytes]]:
        try:
            return await self._database.proofs.paths(indexes, size)
        except KeyError as error:
            raise DatabaseError(BROKEN) from error


async def _below(size: int, pages: AsyncGenerator[Sequence[Event]]) -> AsyncGenerator[Sequence[Event]]:
    """Pages without the events that came after a checkpoint."""
    async with aclosing(pages):
        async for page in pages:
            yield [each for each in page if each.log_index < size]


def _opened(sealed: Sequence[SealedEvent], under: Kept, *, complete: bool) -> Sequence[SealedEvent]:
    """The first events of an export: the very first carries the checkpoint."""
    first, *others = sealed
    mark = structs.replace(first.seal, checkpoint=under.note, complete=complete)
    return [structs.replace(first, seal=mark), *others]


def _with_seal(
    event: Event, seal: Seal, paths: Mapping[int, Sequence[bytes]] | None, *, salted: bool
) -> SealedEvent:
    mark = SealMark(
        log_index=seal.log_index,
        columns=b64encode(seal.columns).decode(),
        chain=seal.chain.hex(),
        salt=seal.salt.hex() if salted and seal.salt else UNSET,
        path=tuple(b64encode(each).decode() for each in paths[seal.log_index])
        if paths is not None
        else UNSET,
    )
    return SealedEvent(**structs.asdict(event), seal=mark)

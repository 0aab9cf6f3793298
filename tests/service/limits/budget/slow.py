"""A ledger that counts its transactions, and is away, frozen or forgetful when a test says so."""

import asyncio

from service.errors import DatabaseError


class Faulty:
    """Stands before a real ledger."""

    def __init__(self, ledger) -> None:
        self.ledger = ledger
        self.open = asyncio.Event()
        self.open.set()
        self.away = self.unsaid = False
        self.transactions: list[int] = []

    async def work(self, writer, now, wants, returns, charges):
        self.transactions.append(len(wants))
        await self.open.wait()
        if self.away:
            raise DatabaseError("The database is away.")
        answers = await self.ledger.work(writer, now, wants, returns, charges)
        if self.unsaid:
            raise DatabaseError("The connection was lost.")
        return answers

    async def standings(self, user_id, role, at, limits):
        await self.open.wait()
        return await self.ledger.standings(user_id, role, at, limits)

    async def differences(self, now, since=0):
        return await self.ledger.differences(now, since)


async def wait_for(condition) -> None:
    """Wait until something is so, for half a minute: far above what anything here takes."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what is asked has no event
            await asyncio.sleep(0.01)

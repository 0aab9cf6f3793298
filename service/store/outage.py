"""Whether the database is away, as far as this process has met it: whoever asks meanwhile is told so at once.

Refuses to let callers wait for a database that is known to be away: one task of ours asks until it is back.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import Context
from functools import partial

from service.errors import DatabaseAway, DatabaseError, RowRefused
from service.store.silence import Silence

SILENT = "The database did not answer in time."
PROMPT_SECONDS = 2.0
"""What somebody who waits for an answer waits for a look at the database."""
LONGEST_SECONDS = 10.0
"""The same, where the database answers others meanwhile."""
SLOW_SECONDS = 1.0
"""Writes of which none is done for longer hold up no further ones: they come later."""
PAUSE_SECONDS = 0.5
"""Between two questions whether it is back."""

Sign = Callable[[], Awaitable[object]]
"""Asks for a sign of life; raises DatabaseError."""


@asynccontextmanager
async def promptly(seconds: float | None = None) -> AsyncGenerator[asyncio.Timeout]:
    """Give up on a question after two seconds, or so many, with a DatabaseError."""
    try:
        async with asyncio.timeout(seconds or PROMPT_SECONDS) as limit:
            yield limit
    except TimeoutError as error:
        raise DatabaseError(SILENT) from error


class Outage:
    """One thing that a database may not do for a while: be read, or be written to.

    Args:
        sign: asks whether it does; the outage is over when this raises nothing.
        patience: seconds that a sign may take; None where it has a bound of its own.
        beneath: another one without which this does not work either.
    """

    def __init__(self, sign: Sign, patience: float | None = None, beneath: "Outage | None" = None) -> None:
        self._sign, self._patience, self._beneath = sign, patience, beneath
        self._reason: str | None = None
        self._task: asyncio.Task[None] | None = None
        self._looks: set[asyncio.Timeout] = set()
        self._unread = Silence(lambda: PROMPT_SECONDS, partial(self._begin, SILENT))
        self._unwritten = Silence(lambda: SLOW_SECONDS, partial(self._begin, SILENT))
        self._closed = False

    @property
    def reason(self) -> str | None:
        """Why it is known to be away, in one sentence that is safe for a client; None while it is there."""
        return self._reason or (self._beneath.reason if self._beneath else None)

    @asynccontextmanager
    async def looking(self) -> AsyncGenerator[None]:
        """Look at the database for somebody who waits: until it has been silent for two seconds.

        Raises:
            DatabaseAway: it is known to be; nothing was asked.
            DatabaseError: it did not answer, or not in time.
        """
        self._refuse()
        try:
            async with promptly(LONGEST_SECONDS) as limit:
                self._looks.add(limit)
                try:
                    with self._unread.waiting():
                        yield
                finally:
                    self._looks.discard(limit)
        except RowRefused:
            raise
        except DatabaseError:
            self._watch()  # one error may be about one question: ask before nobody may ask
            raise

    @asynccontextmanager
    async def keeping(self) -> AsyncGenerator[None]:
        """Write something that can be written later as well.

        Raises:
            DatabaseAway: it is known to be; nothing was written.
            DatabaseError: it is not written, or nobody knows.
        """
        self._refuse()
        try:
            with self._unwritten.waiting():
                yield
        except RowRefused:
            raise
        except DatabaseError as error:
            self._begin(error.detail)
            raise

    async def close(self) -> None:
        """Ask no more."""
        self._closed = True
        if self._task:
            self._task.cancel()
            await asyncio.wait((self._task,))
        self._reason = None  # a task that never ran has not said so

    def _refuse(self) -> None:
        if self.reason:
            raise DatabaseAway(self.reason)

    def _begin(self, reason: str) -> None:
        """It is away. Those who wait for it need not any longer."""
        if self._watch():
            self._reason = reason
            now = asyncio.get_running_loop().time()
            for limit in [each for each in self._looks if not each.expired()]:
                limit.reschedule(now)

    def _watch(self) -> bool:
        """Have somebody ask until it is there; False where nobody may ask any more."""
        if self._closed:
            return False
        if self._task is None or self._task.done():
            # Not in the context of whoever met it: that may be inside a transaction, or a turn's span.
            self._task = asyncio.create_task(self._until_back(), name="outage", context=Context())
        return True

    async def _until_back(self) -> None:
        try:
            while wrong := await self._wrong():
                self._begin(wrong)
                await asyncio.sleep(PAUSE_SECONDS)
        finally:
            self._reason = None

    async def _wrong(self) -> str | None:
        """What is wrong now; None where it is there."""
        try:
            async with asyncio.timeout(self._patience):
                await self._sign()
        except TimeoutError:
            return SILENT
        except DatabaseError as error:
            return error.detail
        return None

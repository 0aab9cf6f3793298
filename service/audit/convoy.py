"""Pieces of work under way, oldest first: what follows on one is done once it and all before it are done.

Refuses to leave work behind: when one fails, or the wait for it ends, those after it are called off.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Self


class Convoy:
    """At most `ahead` pieces are under way while another is made ready; an asynchronous context manager."""

    def __init__(self, ahead: int) -> None:
        self._ahead = ahead
        self._under_way: deque[tuple[asyncio.Task[Any], Callable[[], Awaitable[None]]]] = deque()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            while self._under_way and kind is None:
                await self._arrive()
        finally:
            await self._call_off()

    async def send(self, work: Coroutine[Any, Any, Any], then: Callable[[], Awaitable[None]]) -> None:
        """Begin work; raises what an earlier piece raises, or what follows on it."""
        self._under_way.append((asyncio.create_task(work), then))
        while len(self._under_way) > self._ahead:
            await self._arrive()

    async def _arrive(self) -> None:
        task, then = self._under_way[0]
        await task
        self._under_way.popleft()
        await then()

    async def _call_off(self) -> None:
        tasks = [task for task, _ in self._under_way]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError, Exception):
                await task

"""An issuer's keys as it publishes them: fetched off the loop, kept, and fetched again when they rotate.

Refuses to be driven by callers: whatever ids they name, one fetch runs at a time and a next one waits.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from http.client import HTTPException
from logging import WARNING
from typing import Any

from service.auth.outside import PATIENCE
from service.errors import UpstreamUnreachable
from telemetry import log, names
from telemetry.failure import words_of

FRESH = 300.0
"""Seconds that a set is used without a further look."""
KEPT = 86_400.0
"""Seconds that the last good set is used while no other can be had."""
PAUSE = 10.0
"""Seconds between two fetches."""
FIRST_PAUSE = 1.0
"""The same while there is no set at all."""
ISSUERS = "The keys of the tokens' issuer cannot be had."

Load = Callable[[], Mapping[str | None, Any]]
"""Fetches the keys by their ids; runs on a thread; raises OSError, HTTPException or ValueError."""


class PublishedKeys:
    """The keys of one issuer. `clock` gives seconds that never go back.

    `missing` is what callers are told where there are none, `line` the type of the line that says why.
    """

    def __init__(
        self,
        load: Load,
        clock: Callable[[], float] = time.monotonic,
        *,
        missing: str = ISSUERS,
        line: str = names.KEYS_UNFETCHED,
    ) -> None:
        self._load, self._clock, self._missing, self._line = load, clock, missing, line
        self._keys: Mapping[str | None, Any] = {}
        self._fetched = self._tried = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, kid: str | None) -> Any:
        """The key of this id; without one the only key there is. None where there is none.

        Raises:
            UpstreamUnreachable: there is no set that may still be used.
        """
        age = self._clock() - self._fetched
        if age >= FRESH:
            self._fetch(FIRST_PAUSE if age >= KEPT else PAUSE)
        if age >= KEPT:
            await self._settle()
        found = self._known(kid)
        if found is None:
            self._fetch(PAUSE)
            await self._settle()
        return found or self._known(kid)

    def _known(self, kid: str | None) -> Any:
        if self._clock() - self._fetched >= KEPT:
            raise UpstreamUnreachable(self._missing, retry_after_ms=1_000)
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(kid) if kid is not None else None

    def _fetch(self, pause: float) -> None:
        """Begin to fetch, unless somebody does, or has a moment ago."""
        if self._fetching is None and self._clock() - self._tried >= pause:
            self._tried = self._clock()
            self._fetching = asyncio.create_task(self._take(), name="issuer's keys")

    async def _settle(self) -> None:
        """Wait for the fetch that runs; a name that resolves slowly is not waited for."""
        if self._fetching:
            await asyncio.wait((self._fetching,), timeout=PATIENCE)

    async def _take(self) -> None:
        try:
            self._keys = await asyncio.to_thread(self._load)
            self._fetched = self._clock()
        except (OSError, HTTPException, ValueError) as error:
            log.say(self._line, WARNING, error=words_of(error))
        finally:
            self._fetching = None

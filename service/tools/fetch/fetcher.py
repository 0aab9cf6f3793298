"""Fetches a page: checks, asks, follows redirects and checks each as if it were the first.

Refuses a page that is too slow, redirects too often, or is no text.
"""

import asyncio

from msgspec import Struct

from service.errors import ToolFailed
from service.tools.fetch import body, kind, page, target
from service.tools.fetch.addresses import literal
from service.tools.fetch.pin import Answered, Wire
from service.tools.fetch.policy import Policy
from service.tools.fetch.resolver import Resolve
from service.tools.fetch.target import Target

MOST_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
NOTHING = frozenset({204, 205, 304})
SECONDS = 15.0
"""For the whole of it, redirects included."""


class Fetched(Struct, frozen=True, kw_only=True):
    """What came: `url` is where it was found; `whole` whether all of it was read."""

    url: str
    status: int
    type: str
    title: str
    text: str
    whole: bool


class Fetcher:
    """Fetches pages of the public internet, within a policy."""

    def __init__(self, policy: Policy, resolve: Resolve, wire: Wire, seconds: float = SECONDS) -> None:
        self._policy, self._resolve, self._wire, self._seconds = policy, resolve, wire, seconds

    async def fetch(self, url: str) -> Fetched:
        """Fetch one page.

        Raises:
            ToolFailed: it may not be fetched, is not there, or is no text.
        """
        deadline = asyncio.timeout(self._seconds)
        try:
            async with deadline:
                return await self._followed(target.read(url))
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise ToolFailed(f"The page took longer than {self._seconds:g} seconds.") from error

    async def _followed(self, here: Target) -> Fetched:
        for _ in range(MOST_REDIRECTS + 1):
            found = await self._asked(here)
            if isinstance(found, Fetched):
                return found
            here = target.follow(here, found)
        raise ToolFailed(f"The page redirects more than {MOST_REDIRECTS} times.")

    async def _asked(self, here: Target) -> Fetched | str:
        """The page, or where it says to look for it."""
        self._policy.check(here)
        known = literal(here.host)
        addresses = (known,) if known else await self._resolve(here.host, here.port)
        self._policy.check_addresses(here.host, addresses)
        async with self._wire.get(here, addresses) as answered:
            location = answered.headers.get("location")
            if answered.status in REDIRECTS and location:
                return location
            return await _read(here, answered)


async def _read(here: Target, answered: Answered) -> Fetched:
    if answered.status in NOTHING:
        return Fetched(url=here.url, status=answered.status, type="", title="", text="", whole=True)
    told = kind.read(answered.headers.get("content-type", ""))
    encoding = answered.headers.get("content-encoding", "").lower()
    read, whole = await body.read(answered.pieces, encoding)
    text, title = kind.decode(read, told), ""
    if told.marked_up:
        title, text, told_all = await asyncio.to_thread(page.read, text, here.url)
        whole = whole and told_all
    return Fetched(url=here.url, status=answered.status, type=told.media, title=title, text=text, whole=whole)

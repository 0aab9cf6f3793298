"""The Messages API as an ASGI application that any server on the loopback can run.

Refuses other paths, other methods and requests without a key, in the API's own words.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic

import msgspec

from service.errors import ClientGone
from service.simulator import markers
from service.simulator.answers import question_text
from service.simulator.cache import Cache, Clock
from service.simulator.delivery import deliver
from service.simulator.error import ApiError
from service.simulator.exchange import Exchange, Receive, Scope, Send, Served
from service.simulator.messages import Count, Question, decode
from service.simulator.review import review
from service.simulator.usage import measure

KEPT = 1_000
"""How many finished requests are remembered."""


class Simulator:
    """A protocol-accurate Messages API; an ASGI application. `clock` tells how old cached prompts are.

    `active` counts the requests under way.
    """

    def __init__(self, clock: Clock = monotonic) -> None:
        self._served: deque[Served] = deque(maxlen=KEPT)
        self._cache = Cache(clock)
        self.active = 0

    @property
    def requests(self) -> list[Served]:
        """The last `KEPT` requests that are over, oldest first."""
        return list(self._served)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request, or the server's lifespan; a WebSocket is closed."""
        match scope["type"]:
            case "http":
                await self._serve(Exchange(scope, receive, send))
            case "lifespan":
                await _live(receive, send)
            case _:
                await send({"type": "websocket.close"})

    async def _serve(self, exchange: Exchange) -> None:
        self.active += 1
        try:
            await self._answer(exchange)
        except ClientGone:
            exchange.note(disconnected=True)
        finally:
            self.active -= 1
            self._served.append(exchange.served)

    async def _answer(self, exchange: Exchange) -> None:
        try:
            await _route(exchange)(exchange, self._cache)
        except ApiError as error:
            await exchange.refuse(error)


def build(clock: Clock = monotonic) -> Simulator:
    """Make a simulator with no past."""
    return Simulator(clock)


async def _live(receive: Receive, send: Send) -> None:
    kind = ""
    while kind != "lifespan.shutdown":
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})


async def _greet(exchange: Exchange, cache: Cache) -> None:
    del cache
    await exchange.answer(200, msgspec.json.encode({"service": "simulator", "api": "/v1/messages"}))


async def _create(exchange: Exchange, cache: Cache) -> None:
    exchange.require_key()
    request = decode(await exchange.body(), Question)
    exchange.note(model=request.model, stream=request.stream)
    review(request)
    script = markers.read(question_text(request))
    exchange.note(markers=script.markers)
    await deliver(exchange, request, script, cache)


async def _count(exchange: Exchange, cache: Cache) -> None:
    del cache
    exchange.require_key()
    request = decode(await exchange.body(), Count)
    exchange.note(model=request.model)
    review(request)
    await exchange.answer(200, msgspec.json.encode({"input_tokens": measure(request).input}))


Handler = Callable[[Exchange, Cache], Awaitable[None]]
ROUTES: Mapping[str, Mapping[str, Handler]] = {
    "/": {"GET": _greet, "HEAD": _greet},
    "/v1/messages": {"POST": _create},
    "/v1/messages/count_tokens": {"POST": _count},
}


def _route(exchange: Exchange) -> Handler:
    served = exchange.served
    methods = ROUTES.get(served.path)
    if methods is None:
        raise ApiError(404, "Not found")
    if served.method not in methods:
        raise ApiError(405, "Method Not Allowed", {"allow": ", ".join(methods)})
    return methods[served.method]

"""The response to a chat request: listens to the turn, says what it hears, and leaves with the client.

Holds its headers until the model's first content, so that a failure before it has a real status.
"""

import asyncio

import msgspec
from litestar.types import Receive, Scope, Send

from service.agent.events import Event
from service.agent.running import RunningTurn
from service.web import answer, sse
from service.web.identity import Identity
from service.web.problems import Problem, problem_of
from service.web.reply import JSON, STREAM, Reply
from telemetry.record import TurnRecord

SILENCE = 15.0
"""Seconds after which a comment says that the stream is alive."""


class Listening:
    """An ASGI application for one turn."""

    def __init__(self, running: RunningTurn, identity: Identity) -> None:
        self._running, self._identity = running, identity

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; whatever happens here, the turn is over when this returns, and the span knows it."""
        del scope
        watch = asyncio.create_task(_leave_with_client(receive, self._running), name="disconnect")
        try:
            await self._answer(Reply(send))
        finally:
            watch.cancel()
            self._running.leave()
            await self._running.ended()

    async def _answer(self, reply: Reply) -> None:
        first = await self._running.hear()
        if first is None:
            await self._answer_without_content(reply)
        elif self._running.streamed:
            await self._stream(reply, first)
        else:
            await self._whole(reply)

    async def _answer_without_content(self, reply: Reply) -> None:
        record = await self._running.ended()
        if problem := self._problem(record):
            await reply.whole(problem.status, {**self._limits(), **problem.headers}, problem.encoded())

    async def _whole(self, reply: Reply) -> None:
        while await self._running.hear() is not None:
            pass
        record = await self._running.ended()
        if problem := self._problem(record):
            await reply.whole(problem.status, {**self._limits(), **problem.headers}, problem.encoded())
        else:
            told = msgspec.json.encode(answer.whole(record, self._running.channel.text))
            await reply.whole(200, {**self._limits(), **JSON}, told)

    async def _stream(self, reply: Reply, first: Event) -> None:
        frames = sse.Frames()
        await reply.begin(200, {**self._limits(), **STREAM})
        event: Event | None = first
        while event is not None:
            await reply.more(frames.of(event))
            event = await self._next(reply)
        record = await self._running.ended()
        problem = self._problem(record)
        last = frames.frame("error", problem.body) if problem else frames.frame("done", answer.done(record))
        await reply.end(last)

    async def _next(self, reply: Reply) -> Event | None:
        """The next event, with a comment for each silence before it."""
        hearing = asyncio.ensure_future(self._running.hear())
        try:
            while not (await asyncio.wait((hearing,), timeout=SILENCE))[0]:
                await reply.more(sse.COMMENT)
            return await hearing
        finally:
            hearing.cancel()

    def _problem(self, record: TurnRecord) -> Problem | None:
        """What went wrong; None for an answer, and for a client who is not there to read it."""
        if record.failure is None:
            return None
        return problem_of(record.failure, self._identity, record.opening.rate_limit)

    def _limits(self) -> dict[str, str]:
        return answer.limit_headers(self._running.standing)


async def _leave_with_client(receive: Receive, running: RunningTurn) -> None:
    """See the disconnect where it reliably shows: in `receive`."""
    while (await receive())["type"] != "http.disconnect":
        pass
    running.leave()

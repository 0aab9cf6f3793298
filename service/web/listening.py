"""The response to whoever listens to a turn: says what it hears, and leaves with the client.

Holds its headers until the model's first content, so that a failure before it has a real status.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec
from litestar.types import Receive, Scope, Send

from service.agent.channel import Ear
from service.agent.events import Event
from service.agent.running import RunningTurn
from service.web import answer, sse
from service.web.heartbeat import Heartbeat
from service.web.identity import Identity
from service.web.problems import Problem, problem_of
from service.web.reply import JSON, STREAM, Reply
from telemetry.record import Outcome, TurnRecord

LEAVING = "parley.leaving"
"""Where a request's scope takes what is called when its client leaves; nowhere under a foreign server."""
SILENCE = 15.0
"""Seconds after which a comment says that the stream is alive."""


class Listening:
    """An ASGI application for one turn: for whoever began it, or with `ear` for who takes it up again.

    `headers` are the answer's own beside those of its form; None: how the caller stands with the limits.
    `silence` is the seconds between two comments.
    """

    def __init__(
        self,
        running: RunningTurn,
        identity: Identity,
        silence: float = SILENCE,
        ear: Ear | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._running, self._identity, self._silence = running, identity, silence
        self._ear, self._headers = ear or running.first, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; whatever happens here, the turn is over when this returns, and the span knows it."""
        unwatched = self._watch(scope, receive)
        try:
            await self._answer(Reply(send))
        finally:
            unwatched()
            self._running.leave(self._ear)
            await self._running.ended()

    def _watch(self, scope: Any, receive: Receive) -> Callable[[], object]:
        """Leave with the client; what is given back ends that."""
        if on_leaving := scope.get(LEAVING):
            on_leaving(partial(self._running.leave, self._ear))
            return partial(on_leaving, None)
        return asyncio.create_task(self._leave_with_client(receive), name="disconnect").cancel

    async def _answer(self, reply: Reply) -> None:
        if self._ear.place:
            await self._stream(reply)
        elif (first := await self._ear.hear()) is None:
            await self._answer_without_content(reply)
        elif self._running.streamed:
            await self._stream(reply, first)
        else:
            await self._whole(reply)

    async def _answer_without_content(self, reply: Reply) -> None:
        record = await self._running.ended()
        if problem := self._problem(record):
            await reply.whole(problem.status, {**self._own(), **problem.headers}, problem.encoded())

    async def _whole(self, reply: Reply) -> None:
        self._ear.leave()  # what is said is kept as a whole
        record = await self._running.ended()
        if problem := self._problem(record):
            await reply.whole(problem.status, {**self._own(), **problem.headers}, problem.encoded())
        else:
            text, structured = self._running.channel.text, self._running.structured
            told = msgspec.json.encode(answer.whole(record, text, structured, self._running.thinking))
            await reply.whole(200, {**self._own(), **JSON}, told)

    async def _stream(self, reply: Reply, event: Event | None = None) -> None:
        """Begin with an event that was heard, or at once where the head is not waited for any more."""
        frames = sse.Frames(self._ear.place - (1 if event else 0))
        await reply.begin(200, {**self._own(), **STREAM})
        with Heartbeat(reply, self._silence) as heart:
            event = event or await self._ear.hear()
            while event:
                await reply.more(frames.of(event))
                heart.said()
                event = await self._ear.hear()
        await reply.end(await self._last(frames))

    async def _last(self, frames: sse.Frames) -> bytes:
        """The terminal event; nothing for a listener who was left behind, and did not hear all before it.

        Whoever began the turn is not let go before it is over: with the last byte ends the request's span.
        """
        behind = self._ear.place < self._running.channel.said
        if behind and self._ear is not self._running.first:
            return b""
        record = await self._running.ended()
        if behind or record.outcome is Outcome.CLIENT_GONE:
            return b""
        if problem := self._problem(record):
            return frames.frame("error", problem.body)
        return frames.frame("done", answer.done(record, self._running.structured))

    def _problem(self, record: TurnRecord) -> Problem | None:
        """What went wrong; None for an answer, and for a client who is not there to read it."""
        if record.failure is None:
            return None
        return problem_of(record.failure, self._identity, record.opening.rate_limit)

    def _own(self) -> Mapping[str, str]:
        return answer.limit_headers(self._running.standing) if self._headers is None else self._headers

    async def _leave_with_client(self, receive: Receive) -> None:
        """See the disconnect where it reliably shows: in `receive`."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self._running.leave(self._ear)

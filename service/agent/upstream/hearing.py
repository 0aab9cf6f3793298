"""What is heard of an answer of the Messages API: its events as pieces, as many together as came together.

Refuses a body that is no stream of events, and to take pings for progress.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol

from service.agent.model import Hear, Piece, Reply
from service.agent.upstream.draft import Draft
from service.agent.upstream.silence import Silence
from service.agent.upstream.translation import translating
from service.errors import UpstreamFailed
from service.shares import Shares

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EVENTS = "text/event-stream"
LINGER = 0.25
"""Seconds that the end of a body may take after its last event, for the sake of the connection."""
KNOWN = {
    *("message_start", "message_delta", "message_stop"),
    *("content_block_start", "content_block_delta", "content_block_stop"),
}
"""Events that are progress; pings are none, nor is what nobody knows."""
GROWN = "content_block_delta"
TEXTS = {"text_delta": "text", "thinking_delta": "thinking"}
"""Deltas that are text, and where they have it."""


class Answer(Protocol):
    """An answer under way."""

    status: int
    over: bool
    """Whether its body is known to have ended, so that nobody need wait for that."""

    def header(self, name: str) -> str | None:
        """A header of it, by its name in lower case."""
        ...

    async def events(self) -> list[Any]:
        """The data of the next events as JSON, as many as came together; none at the end."""
        ...

    async def aclose(self) -> None:
        """Let go of the connection."""
        ...


class Asking(Protocol):
    """One of the ways to ask."""

    async def ask(self, given: Mapping[str, Any], further: Mapping[str, str]) -> Answer:
        """Ask once, with these arguments of the Messages API and further headers."""
        ...


def check(answer: Answer, draft: Draft) -> None:
    """Refuse a body that is no stream of events before anybody waits for one."""
    if (answer.header("content-type") or "").partition(";")[0].strip().lower() != EVENTS:
        raise draft.failed(UpstreamFailed, "The model's API answered with something else than events.")
    if (answer.header("content-encoding") or "identity").lower() != "identity":
        raise draft.failed(UpstreamFailed, "The model's API compressed its answer unasked.")


async def listen(answer: Answer, draft: Draft, hear: Hear, silence: Silence, shares: Shares) -> Reply:
    """Fold the stream's events into a Reply, telling the pieces on the way."""
    while events := await _next(answer, draft):
        pieces, error = _folded(draft, events, silence)
        with silence.ours():
            await shares.turn()
            for piece in pieces:  # what a listener raises is its own, and not translated
                await hear(piece)
        if error:
            with translating(draft):
                raise error
        if draft.whole:
            await _drain(answer)
            break
    return draft.reply()


async def _next(answer: Answer, draft: Draft) -> list[Any]:
    try:
        return await answer.events()
    except Exception:  # cheaper than a context for each piece
        with translating(draft):
            raise


def _folded(draft: Draft, events: Sequence[Any], silence: Silence) -> tuple[list[Piece], Exception | None]:
    """What events tell that came together, and what is wrong with one of them: those before it are told.

    Text that came together is one piece, so that who is late has less to tell.
    """
    pieces: list[Piece] = []
    progress, error = False, None
    try:
        for event in joined(events):
            if draft.whole:
                break
            progress = progress or event["type"] in KNOWN
            pieces += draft.take(event)
    except Exception as wrong:  # noqa: BLE001 - it is raised once those are told
        error = wrong
    if progress:
        silence.broken()
    return pieces, error


def joined(events: Sequence[Any]) -> Sequence[Any]:
    """The same events, with texts that follow each other in a block as one; the rest is not judged here."""
    if len(events) == 1:
        return events
    found: list[Any] = []
    for place, run in groupby(events, _place_of_text):
        if place is None:
            found += run
        else:
            index, kind = place
            name = TEXTS[kind]
            text = "".join([event["delta"][name] for event in run])
            found.append({"type": GROWN, "index": index, "delta": {"type": kind, name: text}})
    return found


def _place_of_text(event: Any) -> tuple[Any, str] | None:
    """The block that an event adds text to, and which kind of it; None where it does something else."""
    try:
        kind = event["delta"]["type"] if event["type"] == GROWN else ""
        return (event["index"], kind) if isinstance(event["delta"][TEXTS[kind]], str) else None
    except (LookupError, TypeError):
        return None


async def _drain(answer: Answer) -> None:
    """Read to the end of a body whose answer is whole: what comes now changes nothing of it."""
    if answer.over:
        return
    with suppress(Exception):
        async with asyncio.timeout(LINGER):
            while await answer.events():
                pass

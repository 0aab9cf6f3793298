"""GET and DELETE /api/v1/conversations: a caller's own, a page at a time; one with its messages; its end.

Refuses everybody else's: what is not the caller's own is not found, whoever asks.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Annotated, Any, Protocol

from litestar import delete, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import PathParameter
from msgspec import Meta, Struct

from service.agent import history
from service.auth.permissions import Action
from service.store.conversations import LAST, KeptConversation, KeptTurn
from service.web.cursor import Cursors
from service.web.desk import Asking, Desk
from service.web.parameters import Nothing, Words, read
from telemetry.timestamp import timestamp

PATH = "/api/v1/conversations"
ONE = "/api/v1/conversations/{conversation_id:str}"
SHOWN_TURNS = 500
"""Turns of one conversation that are shown: the latest."""

Id = Annotated[str, PathParameter(max_length=256)]
Hide = Callable[[str, str], Awaitable[None]]
"""Conversation id and user id -> nothing; raises NotFound or DatabaseError."""


class Conversations(Protocol):
    """Where conversations are kept; every method raises DatabaseError."""

    async def list(
        self, user_id: str, limit: int, after: tuple[int, str] = LAST
    ) -> Sequence[KeptConversation]:
        """A user's own, latest first, from after a place."""
        ...

    async def find(self, conversation_id: str, user_id: str) -> KeptConversation:
        """One of a user's own; raises NotFound."""
        ...

    async def recall(self, conversation_id: str, user_id: str, turns: int) -> Sequence[KeptTurn]:
        """Its last so many turns, oldest first; raises NotFound."""
        ...


class PageQuery(Struct, frozen=True, kw_only=True):
    """Which page is meant."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: Words | None = None


class Summary(Struct, frozen=True, kw_only=True, rename="camel"):
    """A conversation; `title` begins its first message, `updated_at` is the end of its last turn."""

    id: str
    title: str
    created_at: str
    updated_at: str


class Page(Struct, frozen=True, kw_only=True, rename="camel"):
    """Some conversations, latest first; `next_cursor` is null on the last page."""

    conversations: tuple[Summary, ...]
    next_cursor: str | None


class Said(Struct, frozen=True, kw_only=True, rename="camel"):
    """What one side said in a turn; `role` is user or assistant."""

    role: str
    text: str
    created_at: str
    turn_id: str


class Conversation(Summary, frozen=True, kw_only=True, rename="camel"):
    """A conversation with what was said in it, oldest first."""

    messages: tuple[Said, ...]


def routes(conversations: Conversations, hide: Hide, cursors: Cursors, desk: Desk) -> list[HTTPRouteHandler]:
    """The conversations' routes."""

    @get(PATH)
    async def listed(request: Asking) -> Page:
        caller = await desk.admit(request, Action.OWN)
        query = read(PageQuery, request.scope["query_string"])
        question = f"{PATH} {caller.user_id}".encode("utf-8", "surrogatepass")
        after = cursors.read(query.cursor, question) if query.cursor else LAST
        found = await conversations.list(caller.user_id, query.limit + 1, after)
        page, last = found[: query.limit], found[query.limit - 1] if len(found) > query.limit else None
        cursor = cursors.write((last.updated_at, last.id), question) if last else None
        return Page(conversations=tuple(Summary(**_told(each)) for each in page), next_cursor=cursor)

    @get(ONE)
    async def shown(request: Asking, conversation_id: Id) -> Conversation:
        caller = await desk.admit(request, Action.OWN)
        read(Nothing, request.scope["query_string"])
        found = await conversations.find(conversation_id.lower(), caller.user_id)
        turns = await conversations.recall(found.id, caller.user_id, SHOWN_TURNS)
        return Conversation(**_told(found), messages=tuple(each for turn in turns for each in said(turn)))

    @delete(ONE)
    async def hidden(request: Asking, conversation_id: Id) -> None:
        caller = await desk.admit(request, Action.OWN)
        read(Nothing, request.scope["query_string"])
        await hide(conversation_id.lower(), caller.user_id)

    return [listed, shown, hidden]


def said(turn: KeptTurn) -> Iterator[Said]:
    """What a turn shows of itself: the question, and the words of all that was answered."""
    question, *answers = history.decode(turn)
    for role, messages, at in (("user", [question], turn.asked_at), ("assistant", answers, turn.answered_at)):
        words = (history.text_of(each) for each in messages if each["role"] == role)
        yield Said(role=role, text="".join(words), created_at=timestamp(at), turn_id=turn.turn_id)


def _told(found: KeptConversation) -> dict[str, Any]:
    return {
        "id": found.id,
        "title": found.title,
        "created_at": timestamp(found.created_at),
        "updated_at": timestamp(found.updated_at),
    }

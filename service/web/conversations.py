"""/api/v1/conversations: a caller's own, a page at a time; one with its messages; its title; its end.

Refuses everybody else's: what is not the caller's own is not found, whoever asks.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Annotated, Any, Protocol

from litestar import delete, get, patch
from litestar.handlers import HTTPRouteHandler
from litestar.params import PathParameter
from msgspec import Meta, Struct

from service.agent.conversation import history
from service.auth.permissions import Action
from service.errors import InvalidRequest, UnsupportedMediaType
from service.store.conversations import LAST, KeptConversation, KeptTurn
from service.web import fields
from service.web.ask import NOT_BLANK, is_json
from service.web.cursor import Cursors
from service.web.desk import Asking, Desk
from service.web.parameters import Nothing, Words, read
from telemetry.timestamp import timestamp

PATH = "/api/v1/conversations"
ONE = "/api/v1/conversations/{conversation_id:str}"
SHOWN_TURNS = 500
"""Turns of one conversation that are shown: the latest."""

MOST_TITLE = 200
"""Characters."""
MAX_BODY = 1 << 14
"""Bytes of a change."""
WRONG = "Some fields are not what this route takes."

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

    async def rename(self, conversation_id: str, user_id: str, title: str) -> KeptConversation:
        """Give it another title; raises NotFound."""
        ...


class PageQuery(Struct, frozen=True, kw_only=True):
    """Which page is meant."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: Words | None = None


class Change(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be changed of a conversation."""

    title: Annotated[str, Meta(min_length=1, max_length=MOST_TITLE, pattern=NOT_BLANK)]


class Summary(Struct, frozen=True, kw_only=True, rename="camel"):
    """A conversation; `title` begins its first message unless the caller gave it another.

    It is null where it does not open any more, its key being gone. `updated_at` is the end of the last turn,
    `turns` how many there are.
    """

    id: str
    title: str | None
    created_at: str
    updated_at: str
    turns: int


class Page(Struct, frozen=True, kw_only=True, rename="camel"):
    """Some conversations, latest first; `next_cursor` is null on the last page."""

    conversations: tuple[Summary, ...]
    next_cursor: str | None


class Said(Struct, frozen=True, kw_only=True, rename="camel"):
    """What one side said in a turn; `role` is user or assistant, `tools` are those it called, by name."""

    role: str
    text: str
    created_at: str
    turn_id: str
    tools: tuple[str, ...] = ()


class Conversation(Summary, frozen=True, kw_only=True, rename="camel"):
    """A conversation with what was said in it, oldest first."""

    messages: tuple[Said, ...]


def routes(conversations: Conversations, hide: Hide, cursors: Cursors, desk: Desk) -> list[HTTPRouteHandler]:
    """The conversations' routes."""
    return [*_looking(conversations, cursors, desk), *_changing(conversations, hide, desk)]


def _looking(conversations: Conversations, cursors: Cursors, desk: Desk) -> list[HTTPRouteHandler]:
    @get(PATH)
    async def listed(request: Asking) -> Page:
        caller = await desk.admit(request, Action.OWN)
        query = read(PageQuery, request.scope["query_string"])
        question = f"{PATH} {caller.person}".encode("utf-8", "surrogatepass")
        after = cursors.read(query.cursor, question) if query.cursor else LAST
        found = await conversations.list(caller.person, query.limit + 1, after)
        page, last = found[: query.limit], found[query.limit - 1] if len(found) > query.limit else None
        cursor = cursors.write((last.updated_at, last.id), question) if last else None
        return Page(conversations=tuple(Summary(**_told(each)) for each in page), next_cursor=cursor)

    @get(ONE)
    async def shown(request: Asking, conversation_id: Id) -> Conversation:
        caller = await desk.admit(request, Action.OWN)
        read(Nothing, request.scope["query_string"])
        found = await conversations.find(conversation_id.lower(), caller.person)
        turns = await conversations.recall(found.id, caller.person, SHOWN_TURNS)
        return Conversation(**_told(found), messages=tuple(each for turn in turns for each in said(turn)))

    return [listed, shown]


def _changing(conversations: Conversations, hide: Hide, desk: Desk) -> list[HTTPRouteHandler]:
    @patch(ONE, request_max_body_size=MAX_BODY)
    async def renamed(request: Asking, conversation_id: Id) -> Summary:
        caller = await desk.admit(request, Action.OWN)
        read(Nothing, request.scope["query_string"])
        change = await _change(request)
        found = await conversations.rename(conversation_id.lower(), caller.person, change.title)
        return Summary(**_told(found))

    @delete(ONE)
    async def hidden(request: Asking, conversation_id: Id) -> None:
        caller = await desk.admit(request, Action.OWN)
        read(Nothing, request.scope["query_string"])
        await hide(conversation_id.lower(), caller.person)

    return [renamed, hidden]


def said(turn: KeptTurn) -> Iterator[Said]:
    """What a turn shows of itself: the question, and the words of all that was answered."""
    question, *answers = history.decode(turn)
    for role, messages, at in (("user", [question], turn.asked_at), ("assistant", answers, turn.answered_at)):
        own = [each for each in messages if each["role"] == role]
        yield Said(
            role=role,
            text="".join(map(history.text_of, own)),
            created_at=timestamp(at),
            turn_id=turn.turn_id,
            tools=tuple(dict.fromkeys(name for each in own for name in history.tools_of(each))),
        )


def _told(found: KeptConversation) -> dict[str, Any]:
    return {
        "id": found.id,
        "title": found.title,
        "created_at": timestamp(found.created_at),
        "updated_at": timestamp(found.updated_at),
        "turns": found.turns,
    }


async def _change(request: Asking) -> Change:
    """What is to be changed; raises InvalidRequest or UnsupportedMediaType."""
    if not is_json(request.headers.get("content-type", "")):
        raise UnsupportedMediaType("The body must be application/json.")
    values, errors = fields.decode(Change, await request.body())
    if errors:
        raise InvalidRequest(WRONG, fields=errors)
    return Change(**values)

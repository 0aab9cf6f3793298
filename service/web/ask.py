"""A chat request as a turn takes it: who asks, and what, each looked at when the turn comes to it.

Refuses a body with all its wrong fields at once, and to look into one that is no JSON by its own word.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta, Struct

from config.settings import Settings
from service.agent import structure
from service.agent.asked import Question
from service.agent.conversation.attached import Attached
from service.agent.model import Thinking
from service.agent.structure import Unfit
from service.agent.upstream.abilities import LEAST_BUDGET
from service.auth.credentials import Credentials
from service.errors import InvalidRequest, ServiceError, Unauthenticated, UnsupportedMediaType
from service.web import attachments, fields
from service.web.attachments import AttachmentBody
from service.web.idempotency import KeyClaim, Keys, sent
from service.web.identity import Identity
from telemetry import ids
from telemetry.failure import FieldError
from telemetry.record import Caller

MAX_MESSAGE = 32_000
LIGHT = 8 << 10
"""Bytes of a body that is looked at at once, whatever is in it."""
NOT_BLANK = r"\S"
"""No model takes a message of blanks only."""
EVENT_STREAM = "text/event-stream"
NOT_WANTED = re.compile(r"q\s*=\s*0(\.0*)?")
"""A weight of nothing in an Accept header."""

Identify = Callable[[Credentials], Awaitable[Caller]]
"""What came with a request -> Caller."""


class ResponseFormat(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The form that the answer's text has to have: JSON by a schema of an object, at most 64 KiB."""

    type: Literal["json_schema"]
    schema: dict[str, Any]


class ChatBody(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The body of a chat request."""

    message: Annotated[str, Meta(min_length=1, max_length=MAX_MESSAGE, pattern=NOT_BLANK)]
    conversation_id: UUID | None = None
    stream: bool | None = None
    model: str | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    thinking: bool = False
    thinking_budget_tokens: Annotated[int, Meta(ge=LEAST_BUDGET)] | None = None
    response_format: ResponseFormat | None = None
    attachments: tuple[AttachmentBody, ...] = ()


class Before(Struct, frozen=True):
    """An answer that is given again: its JSON, to whom, and how."""

    told: Mapping[str, Any]
    caller: Caller
    streamed: bool


class Headers(Struct, frozen=True, kw_only=True):
    """The headers a turn looks at, and the address they came from."""

    credentials: Credentials
    content_type: str
    accept: str
    idempotency_keys: tuple[str, ...] = ()
    address: str = ""
    whom: str = ""


class HttpAsk:
    """An Ask made of a request; `body` is what was read, or the error that reading it ended with."""

    route = "POST /api/v1/agent/chat"

    def __init__(
        self,
        identity: Identity,
        headers: Headers,
        body: bytes | ServiceError,
        settings: Settings,
        identify: Identify,
        keys: Keys,
    ) -> None:
        self.address, self.whom = headers.address, headers.whom
        self.turn_id, self.client_request_id = identity.request_id, identity.client_request_id
        self._headers, self._body, self._settings, self._identify = headers, body, settings, identify
        self._keys, self._sent = keys, sent(headers.idempotency_keys, body)
        self._caller: Caller | None = None
        self._refused: Unauthenticated | None = None
        self.heavy = isinstance(body, bytes) and len(body) > LIGHT

    async def caller(self) -> Caller:
        """Who asks, by the credentials; looked at once, and refused once."""
        if self._refused:
            raise self._refused
        try:
            self._caller = self._caller or await self._identify(self._headers.credentials)
        except Unauthenticated as error:
            self._refused = error
            raise
        return self._caller

    def question(self) -> Question:
        """What is asked.

        Raises:
            InvalidRequest: naming every field that is wrong.
            TooLarge, UnsupportedMediaType: before anything of the body is read.
        """
        if isinstance(self._body, ServiceError):
            raise self._body
        if not is_json(self._headers.content_type):
            raise UnsupportedMediaType("The body must be application/json.")
        values, errors = fields.decode(ChatBody, self._body)
        errors += tuple(self._beyond_bounds(values.get("model"), values.get("max_tokens")))
        errors += _unfit(values.get("response_format"))
        files, wrong = attachments.read(values.get("attachments") or (), self._settings.attachments)
        errors += tuple(wrong)
        errors += tuple(self._unthinkable(values))
        errors += self._sent.errors if self._sent else ()
        if errors:
            raise InvalidRequest("Some fields are not what this route takes.", fields=errors)
        return self._question(ChatBody(**values), tuple(files))

    def _question(self, body: ChatBody, files: tuple[Attached, ...]) -> Question:
        return Question(
            message=body.message,
            conversation_id=str(body.conversation_id or ids.uuid7()),
            model=body.model or "",
            max_tokens=body.max_tokens or self._settings.model.max_tokens,
            streamed=self.streamed(body.stream),
            thinking=Thinking(budget_tokens=body.thinking_budget_tokens) if body.thinking else None,
            continues=body.conversation_id is not None,
            schema=body.response_format.schema if body.response_format else None,
            attachments=files,
        )

    def claim(self, caller: Caller) -> KeyClaim | None:
        """The turn's hold on the request's key; None where it has none."""
        return KeyClaim(self._keys, caller, self._sent, self.turn_id) if self._sent else None

    async def given_before(self) -> Before | None:
        """The answer that this request was given before; None where it needs a turn."""
        if self._sent is None:
            return None
        try:
            caller = await self.caller()
            question = await asyncio.to_thread(self.question) if self.heavy else self.question()
            told = await self._keys.find(caller, self._sent)
        except Exception:  # noqa: BLE001 - whatever it is, the turn meets it again and records it
            return None
        return Before(told, caller, question.streamed) if told else None

    def streamed(self, wanted: bool | None) -> bool:  # noqa: FBT001 - the body's own word
        """Whether the answer is a stream: the body says, else Accept; never where streaming is off."""
        accepted = accepts_stream(self._headers.accept)
        return self._settings.streaming_enabled and (accepted if wanted is None else wanted)

    def _unthinkable(self, values: Mapping[str, Any]) -> Iterator[FieldError]:
        """What is wrong with the wish to see the model think, whichever model it is."""
        budget = values.get("thinking_budget_tokens")
        if values.get("thinking") and self._settings.model.thinking == "off":
            yield FieldError("thinking", "Expected `false`: what models think is not shown here")
        if budget is not None and not values.get("thinking"):
            yield FieldError("thinkingBudgetTokens", "Expected none without `thinking`")
        if budget is not None and budget >= (values.get("max_tokens") or self._settings.model.max_tokens):
            yield FieldError("thinkingBudgetTokens", "Expected `int` < `maxTokens`")

    def _beyond_bounds(self, model: str | None, max_tokens: int | None) -> Sequence[FieldError]:
        found: list[FieldError] = []
        names, ceiling = self._settings.model.names, self._settings.model.max_tokens
        if model is not None and model not in names:
            found.append(FieldError("model", f"Expected one of {', '.join(names)}"))
        if max_tokens is not None and max_tokens > ceiling:
            found.append(FieldError("maxTokens", f"Expected `int` <= {ceiling}"))
        return found


def _unfit(wanted: ResponseFormat | None) -> tuple[FieldError, ...]:
    """What is wrong with a schema, where one came."""
    try:
        if wanted:
            structure.look_through(wanted.schema)
    except Unfit as error:
        return (FieldError("responseFormat.schema", str(error)),)
    return ()


def accepts_stream(accept: str) -> bool:
    """Whether an Accept header names the event stream itself; a wildcard does not ask for one."""
    ranges = ([part.strip() for part in each.split(";")] for each in accept.lower().split(","))
    return any(
        kind == EVENT_STREAM and not any(map(NOT_WANTED.fullmatch, parameters))
        for kind, *parameters in ranges
    )


def is_json(content_type: str) -> bool:
    """Whether a Content-Type says JSON, in the only encoding that JSON has."""
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    pairs = (each.partition("=") for each in parameters)
    charsets = [value.strip('" ') for name, _, value in pairs if name.strip() == "charset"]
    return (kind == "application/json") and all(each in {"utf-8", "utf8"} for each in charsets)

"""Opens a turn, collects its steps, closes it once. The only writer of records.

Refuses a second ending: a record is built when the turn's frame is left, and never again.
"""

import asyncio
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from secrets import token_hex
from typing import Any

from msgspec import structs
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, format_span_id, format_trace_id

from telemetry import ids, names, spans
from telemetry.canonical import canonical, commitment
from telemetry.failure import Failure
from telemetry.record import (
    Approval,
    Attachment,
    Attempt,
    Caller,
    Ending,
    History,
    ModelCall,
    Outcome,
    RateLimit,
    Reserved,
    TokenCount,
    ToolCall,
    ToolOutcome,
    TurnOpening,
    TurnRecord,
    Usage,
    UsageSource,
)
from telemetry.sink import Guarded, attempt

Judge = Callable[[BaseException], Ending]
"""Says how a turn ended that an exception ended; telemetry knows no exceptions of the service."""

Clock = Callable[[], float]

SALT_BYTES = 32
ARGUMENTS, ARGUMENTS_OF_TURN = 65_536, 262_144
"""Characters of arguments that are kept, of a call and of a turn: an entry of the journal has an end."""

SPANS = "spans"
"""What a span that cannot be written is counted under, as if it were a sink."""


def microseconds() -> int:
    """Now, in microseconds since 1970 (UTC)."""
    return time.time_ns() // 1_000


class OpenModelCall:
    """The draft of a ModelCall: what the model said so far."""

    def __init__(self, model: str, provider: str, clock: Clock) -> None:
        self._clock, self._began, self.model = clock, clock(), model
        self._attempts: list[Attempt] = []
        self._attempt_began = self._began
        self._facts: dict[str, Any] = {"model": model, "provider": provider, "started_at": microseconds()}

    @property
    def heard(self) -> bool:
        """Whether content came, after which nothing may be asked again."""
        return "first_chunk_seconds" in self._facts

    @property
    def answers(self) -> bool:
        """Whether the model began to answer."""
        return "response_id" in self._facts

    def content(self) -> None:
        """Content begins: text, thinking or a tool call. Only the first counts."""
        if not self.heard:
            self._facts["first_chunk_seconds"] = self._clock() - self._began

    def answering(self, response_id: str, response_model: str) -> None:
        """The model began to answer."""
        self._facts |= {"response_id": response_id, "response_model": response_model}

    def counted(
        self,
        usage: Usage,
        cost_micros: int,
        priced_as: str,
        source: UsageSource = UsageSource.REPORTED,
        uncached_micros: int | None = None,
    ) -> None:
        """Tokens so far, and how they are known; a later count replaces an earlier one."""
        costs = {"cost_micros": cost_micros, "uncached_micros": uncached_micros, "priced_as": priced_as}
        self._facts |= {"usage": usage, "usage_source": source, **costs}

    def attempted(self, attempt: Attempt) -> None:
        """One request to the API is over; the next one, where there is any, begins after its wait."""
        now = self._clock()
        after, seconds = self._attempt_began - self._began, now - self._attempt_began
        self._attempts.append(structs.replace(attempt, after_seconds=after, seconds=max(0.0, seconds)))
        self._attempt_began = now + attempt.waited_seconds

    def stopped(self, reason: str) -> None:
        """The model is done, for this reason."""
        self._facts["stop_reason"] = reason

    def close(self, failure: Failure | None) -> ModelCall:
        """Freeze it."""
        seconds, attempts = self._clock() - self._began, tuple(self._attempts)
        return ModelCall(seconds=seconds, attempts=attempts, failure=failure, **self._facts)


class OpenTokenCount:
    """The draft of a TokenCount."""

    def __init__(self, model: str, clock: Clock) -> None:
        self._clock, self._began = clock, clock()
        self.count = TokenCount(model=model, started_at=microseconds(), seconds=0.0)

    def counted(self, tokens: int) -> None:
        """The API counted so many."""
        self.count = structs.replace(self.count, tokens=tokens)

    def failed(self, failure: Failure | None) -> None:
        """It did not count."""
        self.count = structs.replace(self.count, failure=failure)

    def close(self) -> TokenCount:
        """Freeze it."""
        self.count = structs.replace(self.count, seconds=self._clock() - self._began)
        return self.count


class OpenToolCall:
    """The draft of a ToolCall; `room` is how many characters of its arguments may be kept."""

    def __init__(self, name: str, call_id: str, clock: Clock, room: int = ARGUMENTS) -> None:
        self._clock, self._began, self._room = clock, clock(), room
        self.call = ToolCall(
            name=name, call_id=call_id, started_at=microseconds(), seconds=0.0, outcome=ToolOutcome.FINISHED
        )

    def wanted(self, name: str, arguments: Mapping[str, Any] | None) -> None:
        """What the model wrote; of arguments that are too long the commitment alone is kept."""
        self._learn(name=name)
        if arguments is None:
            return
        text, salt = canonical(arguments), token_hex(SALT_BYTES)
        self._learn(arguments_salt=salt, arguments_commitment=commitment(salt, text))
        if len(text) <= self._room:
            self._learn(arguments=text)

    def found(self, source: str, effects: bool) -> None:  # noqa: FBT001 - as the tool has them
        """There is such a tool."""
        self._learn(source=source, effects=effects)

    def told(self, content: str) -> None:
        """The model is told this."""
        self._learn(result_length=len(content))

    def failed(self, failure: Failure | None) -> None:
        """It gave no result; `failure` is None where it was cut short through nobody's fault."""
        self._learn(outcome=ToolOutcome.FAILED, failure=failure)

    def approved(self, approval: Approval) -> None:
        """Somebody said yes or no, or nobody did."""
        self._learn(approval=approval)

    def denied(self, failure: Failure) -> None:
        """It was not run, by a policy's word."""
        self._learn(outcome=ToolOutcome.DENIED, failure=failure)

    def close(self) -> ToolCall:
        """Freeze it."""
        self._learn(seconds=self._clock() - self._began)
        return self.call

    def _learn(self, **facts: object) -> None:
        self.call = structs.replace(self.call, **facts)


class OpenTurn:
    """The draft of a record: the one mutable thing, alive only while the turn is."""

    def __init__(self, opening: TurnOpening, sinks: Sequence[Guarded], judge: Judge, clock: Clock) -> None:
        self._opening, self._sinks, self._judge, self._clock = opening, sinks, judge, clock
        self._learned: dict[str, Any] = {}
        self._began = clock()
        self._model_calls: list[ModelCall] = []
        self._tool_calls: list[OpenToolCall] = []
        self._response_length = 0
        self._token_count: TokenCount | None = None
        self.reason: BaseException | None = None
        self.record: TurnRecord | None = None

    @property
    def opening(self) -> TurnOpening:
        """What is known so far."""
        if self._learned:
            self._opening, self._learned = structs.replace(self._opening, **self._learned), {}
        return self._opening

    def identified(self, caller: Caller) -> None:
        """The credential holds."""
        self._learn(caller=caller)

    def asked(
        self,
        *,
        conversation_id: str,
        model: str,
        query: str,
        streamed: bool,
        attachments: tuple[Attachment, ...] = (),
    ) -> None:
        """The request is well-formed."""
        self._learn(conversation_id=conversation_id, model=model, query=query, streamed=streamed)
        if attachments:
            self._learn(attachments=attachments)

    def remembered(self, history: History | None) -> None:
        """The model is going to be told so much of the conversation."""
        self._learn(history=history)

    def decided(self, limit: RateLimit | None) -> None:
        """The limiter spoke."""
        self._learn(rate_limit=limit)

    def reserved(self, reserved: Reserved | None) -> None:
        """Money is put aside for it."""
        self._learn(reserved=reserved)

    def admitted(self) -> None:
        """The model is about to be asked: tell the sinks what is known."""
        for sink in self._sinks:
            sink.opened(self.opening)

    def answered(self, text: str) -> None:
        """Count text that goes to the client."""
        self._response_length += len(text)

    @property
    def tools_ran(self) -> bool:
        """Whether a tool began to run, after which the model may not be asked the same again."""
        return bool(self._tool_calls)

    @property
    def tools_begun(self) -> int:
        """How many calls of tools began so far, denied ones too."""
        return len(self._tool_calls)

    @property
    def heard(self) -> bool:
        """Whether content of any call came, after which nothing may be asked again."""
        return any(call.first_chunk_seconds is not None for call in self._model_calls)

    @property
    def stop_reason(self) -> str | None:
        """Why the last model call stopped."""
        return self._model_calls[-1].stop_reason if self._model_calls else None

    @property
    def seconds(self) -> float:
        """How long it has been under way."""
        return self._clock() - self._began

    @property
    def cost_micros(self) -> int:
        """What the turn has cost so far, in millionths of a US dollar."""
        return sum(call.cost_micros for call in self._model_calls)

    @contextmanager
    def model_call(self, model: str, attributes: spans.Attributes) -> Generator[OpenModelCall]:
        """Ask the model in a span of its own; the attributes may say whose it is."""
        known = {names.OPERATION: "chat", names.PROVIDER_NAME: names.PROVIDER, names.REQUEST_MODEL: model}
        known |= dict(attributes)
        draft = OpenModelCall(model, str(known[names.PROVIDER_NAME]), self._clock)
        with spans.frame(names.MODEL_SPAN.format(model=model), known, SpanKind.CLIENT) as span:
            failure = None
            try:
                yield draft
            except BaseException as error:
                failure = self._ending(error).failure
                raise
            finally:
                call = draft.close(failure)
                self._model_calls.append(call)
                spans.tell_attempts(span, call)
                spans.finish(span, spans.of_model_call, call, failure)

    @contextmanager
    def token_count(self, model: str, attributes: spans.Attributes) -> Generator[OpenTokenCount]:
        """Have a prompt counted in a span of its own."""
        known = {names.OPERATION: "count_tokens", names.REQUEST_MODEL: model, **attributes}
        draft = OpenTokenCount(model, self._clock)
        with spans.frame(names.COUNT_SPAN.format(model=model), known, SpanKind.CLIENT) as span:
            try:
                yield draft
            except BaseException as error:
                draft.failed(self._ending(error).failure)
                raise
            finally:
                count = self._token_count = draft.close()
                spans.finish(span, spans.of_token_count, count, count.failure)

    @contextmanager
    def tool_call(self, name: str, call_id: str) -> Generator[OpenToolCall]:
        """Run a tool in a span of its own; the record has them in the order in which they begin."""
        known = {
            names.OPERATION: "execute_tool",
            names.TOOL_NAME: name,
            names.TOOL_CALL_ID: call_id,
            names.TOOL_TYPE: "function",
        }
        kept = sum(len(each.call.arguments or "") for each in self._tool_calls)
        draft = OpenToolCall(name, call_id, self._clock, min(ARGUMENTS, ARGUMENTS_OF_TURN - kept))
        self._tool_calls.append(draft)
        with spans.frame(names.TOOL_SPAN.format(tool=name), known) as span:
            try:
                yield draft
            except BaseException as error:
                draft.failed(self._cut_short(error))
                raise
            finally:
                call = draft.close()
                spans.finish(span, spans.of_tool_call, call, call.failure)

    def close(self, error: BaseException | None) -> TurnRecord:
        """Build the record; from here on nothing changes."""
        self.record = TurnRecord(
            opening=self.opening,
            seconds=self.seconds,
            ending=self._ending(error) if error else Ending(Outcome.ANSWERED),
            model_calls=tuple(self._model_calls),
            tool_calls=tuple(draft.call for draft in self._tool_calls),
            response_length=self._response_length,
            token_count=self._token_count,
        )
        return self.record

    def _cut_short(self, error: BaseException) -> Failure | None:
        """Why a tool gave no result; one that was ended because another beside it broke did nothing wrong."""
        alone = not isinstance(error, asyncio.CancelledError) or self.reason
        return self._ending(error).failure if alone else None

    def _ending(self, error: BaseException) -> Ending:
        """A cancelled turn ends for the reason it was cancelled for, not because it was cancelled."""
        cancelled = isinstance(error, asyncio.CancelledError)
        return self._judge(self.reason if cancelled and self.reason else error)

    def _learn(self, **facts: object) -> None:
        self._learned |= facts


class Recorder:
    """Makes turns; holds the sinks they are told to."""

    def __init__(
        self,
        sinks: Sequence[Guarded],
        judge: Judge,
        clock: Clock = time.perf_counter,
        *,
        content: bool = False,
    ) -> None:
        self._sinks, self._judge, self._clock, self._content = sinks, judge, clock, content

    @contextmanager
    def turn(self, turn_id: str, route: str, client_request_id: str | None = None) -> Generator[OpenTurn]:
        """Run a turn in its frame; leaving it, in any way, builds the record and tells every sink, once.

        Everything at the end is plain calls: nothing there can be cancelled.
        """
        server = trace.get_current_span()
        known = {names.OPERATION: "invoke_agent", names.AGENT_NAME: names.AGENT, names.TURN_ID: turn_id}
        with spans.frame(names.TURN_SPAN, known) as span:
            opening = _opening(span, server, turn_id, route, client_request_id)
            turn = OpenTurn(opening, self._sinks, self._judge, self._clock)
            ended_by: BaseException | None = None
            try:
                yield turn
            except BaseException as error:
                ended_by = error
                raise
            finally:
                self._tell(turn.close(ended_by), span, server)

    def _tell(self, record: TurnRecord, span: Span, server: Span) -> None:
        if self._content:
            attempt(SPANS, "closed", spans.finish, span, spans.of_content, record, None)
        attempt(SPANS, "closed", spans.finish, span, spans.of_turn, record, record.failure)
        attempt(SPANS, "closed", spans.finish, server, spans.of_server, record, _failed(record))
        for sink in self._sinks:
            sink.closed(record)


def _failed(record: TurnRecord) -> Failure | None:
    """What failed once the turn was let in; how a refusal marks the SERVER span is HTTP's to say."""
    return None if record.outcome is Outcome.REFUSED else record.failure


def _opening(
    span: Span, server: Span, turn_id: str, route: str, client_request_id: str | None
) -> TurnOpening:
    """Take the ids of our span; of the server's where the SDK is off; of nobody's where there is none."""
    candidates = (each.get_span_context() for each in (span, server))
    context = next((each for each in candidates if each.is_valid), None) or ids.mint_span().get_span_context()
    return TurnOpening(
        turn_id=turn_id,
        trace_id=format_trace_id(context.trace_id),
        span_id=format_span_id(context.span_id),
        opened_at=microseconds(),
        route=route,
        client_request_id=client_request_id,
    )

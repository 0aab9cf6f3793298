"""The truth about one turn, frozen. Every sink projects from it and from nothing else.

Totals are properties, never fields, so that they cannot drift from what they sum; they are added up once.
"""

from collections.abc import Iterator
from enum import StrEnum
from functools import cached_property

from msgspec import Struct

from telemetry import names
from telemetry.failure import Failure
from telemetry.person import person_of


class Outcome(StrEnum):
    """How a turn ended; closed."""

    ANSWERED = "answered"
    REFUSED = "refused"
    FAILED = "failed"
    CLIENT_GONE = "client_gone"
    TIMED_OUT = "timed_out"
    INTERRUPTED = "interrupted"
    SHUTDOWN = "shutdown"


class ToolOutcome(StrEnum):
    """How a tool call ended; the `status` of the stream's `tool` event."""

    FINISHED = "finished"
    FAILED = "failed"
    DENIED = "denied"


class ApprovalDecision(StrEnum):
    """What became of a call that needed somebody's yes; `unasked` where nobody could be asked."""

    APPROVE = "approve"
    DENY = "deny"
    EXPIRED = "expired"
    UNASKED = "unasked"


class UsageSource(StrEnum):
    """How tokens are known: all reported; estimated after what was heard before it broke off; not at all."""

    REPORTED = "reported"
    ESTIMATED = "estimated"
    NONE = "none"


class Decision(StrEnum):
    """What the limiter said; `observed` is a refusal that was not carried out."""

    ALLOWED = "allowed"
    DENIED = "denied"
    OBSERVED = "observed"


class Ending(Struct, frozen=True):
    """How a turn ended, and why where it did not end well."""

    outcome: Outcome
    failure: Failure | None = None


class Usage(Struct, frozen=True, kw_only=True):
    """Tokens of one or more model calls.

    `input_tokens` includes cached ones (OpenTelemetry's GenAI conventions): uncached + read + written.
    `cache_write_1h_tokens` is the part of `cache_write_tokens` that was written for an hour.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def told(self) -> dict[str, int]:
        """The tokens under the contract's names, for whoever tells them as JSON."""
        return {
            "inputTokens": self.input_tokens,
            "outputTokens": self.output_tokens,
            "totalTokens": self.total_tokens,
            "cacheReadTokens": self.cache_read_tokens,
            "cacheWriteTokens": self.cache_write_tokens,
        }

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cache_read_tokens=self.cache_read_tokens + other.cache_read_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            cache_write_1h_tokens=self.cache_write_1h_tokens + other.cache_write_1h_tokens,
        )


class Caller(Struct, frozen=True, kw_only=True):
    """Who asks: named by the credential, never by the request.

    `pseudonym` stands for the person wherever a signal leaves the house. `stale` where nobody could look
    whether the credential still holds, and it did lately.
    """

    user_id: str
    role: str
    method: str
    credential_id: str
    pseudonym: str
    scopes: tuple[str, ...] = ()
    tenant: str | None = None
    stale: bool = False

    @property
    def person(self) -> str:
        """The user within the tenant, by which everything of theirs is kept."""
        return person_of(self.user_id, self.tenant)


class Allowance(Struct, frozen=True, kw_only=True):
    """How one policy stands for a caller, in requests, tokens or turns."""

    policy: str
    limit: int
    window_ms: int
    remaining: int
    reset_ms: int


class RateLimit(Struct, frozen=True, kw_only=True):
    """One decision of the limiter over all its policies; the fields are those of the one that counts.

    That is the policy that refused, else the role's. `reset_ms` is the time until `remaining` rises, 0 where
    nothing is used; `retry_after_ms` the exact wait until the same request would be admitted, 0 where it was.
    `allowances` has every policy that was asked, `decided_at` is microseconds since 1970 (UTC). Of money the
    numbers are micro-dollars.
    """

    decision: Decision
    policy: str
    limit: int
    window_ms: int
    remaining: int
    reset_ms: int = 0
    retry_after_ms: int = 0
    store: str = "memory"
    degraded: bool = False
    """Whether a shared store was away, so that only a share was admitted."""
    decided_at: int = 0
    allowances: tuple[Allowance, ...] = ()


class Reserved(Struct, frozen=True, kw_only=True):
    """Money put aside for a turn before the model is asked: its worst case, in micro-dollars.

    `lease` names the reservation in the ledger: the turn's own, or a chunk leased beforehand.
    """

    lease: str
    micros: int


class Attempt(Struct, frozen=True, kw_only=True):
    """One request to the model's API within a call; `status` and `request_id` are None where none came.

    `after_seconds` is when it began after the call did, `seconds` how long it took, and `waited_seconds` the
    wait after it, before the next one.
    """

    status: int | None = None
    request_id: str | None = None
    after_seconds: float = 0.0
    seconds: float = 0.0
    waited_seconds: float = 0.0
    failure: Failure | None = None

    def told(self, model: str) -> dict[str, str | int | None]:
        """The attempt as JSON has it, for whoever tells of it."""
        return {
            "model": model,
            "status": self.status,
            "requestId": self.request_id,
            "code": self.failure.code.value if self.failure else None,
            "waitMs": round(self.waited_seconds * 1000),
        }


class ModelCall(Struct, frozen=True, kw_only=True):
    """One question to the model over all its attempts.

    `priced_as` names the model whose price was used; `uncached_micros` is what the same tokens would have
    cost without the provider's cache, None where nobody said. `first_chunk_seconds` is None where no
    content came. Without attempts the model was not asked: it had failed too often just before.
    """

    model: str
    started_at: int
    seconds: float
    provider: str = names.PROVIDER
    response_model: str | None = None
    response_id: str | None = None
    first_chunk_seconds: float | None = None
    usage: Usage = Usage()
    usage_source: UsageSource = UsageSource.NONE
    cost_micros: int = 0
    uncached_micros: int | None = None
    priced_as: str = ""
    stop_reason: str | None = None
    attempts: tuple[Attempt, ...] = ()
    failure: Failure | None = None

    @property
    def saved_micros(self) -> int:
        """What the provider's cache spared; below zero where it was written, and not yet read as often."""
        return 0 if self.uncached_micros is None else self.uncached_micros - self.cost_micros


class Approval(Struct, frozen=True, kw_only=True):
    """Somebody's word on a call before it was run, and how long it was waited for.

    `decided_by` is a pseudonym; it and `role` are None where nobody decided.
    """

    decision: ApprovalDecision
    decided_by: str | None
    role: str | None
    milliseconds: int

    def told(self) -> dict[str, str | int | None]:
        """The approval as JSON has it."""
        return {
            "decision": self.decision.value,
            "decidedBy": self.decided_by,
            "role": self.role,
            "milliseconds": self.milliseconds,
        }


class ToolCall(Struct, frozen=True, kw_only=True):
    """One tool run on the model's behalf.

    `source` and `effects` are the tool's, None for one that is not there. `arguments` is canonical JSON of
    what the model wrote: content, as a query is, which goes nowhere but sealed. `arguments_commitment` is
    its HMAC under `arguments_salt` (hex both), None where the model wrote no JSON object. `result_length`
    counts characters of what the model was told, None where it was told nothing.
    """

    name: str
    call_id: str
    started_at: int
    seconds: float
    outcome: ToolOutcome
    failure: Failure | None = None
    approval: Approval | None = None
    source: str | None = None
    effects: bool | None = None
    arguments: str | None = None
    arguments_salt: str | None = None
    arguments_commitment: str | None = None
    result_length: int | None = None

    @property
    def own_seconds(self) -> float:
        """How long it took, without the time for which somebody's word on it was waited for."""
        waited = self.approval.milliseconds / 1000 if self.approval else 0.0
        return max(0.0, self.seconds - waited)


class History(Struct, frozen=True, kw_only=True):
    """What the model is told of earlier turns: how many, of how many tokens; `dropped` had no room."""

    turns: int
    dropped: int
    tokens: int

    def told(self) -> dict[str, int]:
        """The same as JSON has it."""
        return {"turns": self.turns, "dropped": self.dropped, "tokens": self.tokens}


class TokenCount(Struct, frozen=True, kw_only=True):
    """A large prompt that the model's API was asked to count before the turn was weighed.

    `tokens` is None where it did not; `failure` then says why. That is no failure of the turn.
    """

    model: str
    started_at: int
    seconds: float
    tokens: int | None = None
    failure: Failure | None = None


class Attachment(Struct, frozen=True, kw_only=True):
    """A file that came with a question: its media type, how many bytes, and their SHA-256 in hex."""

    type: str
    bytes: int
    sha256: str

    def told(self) -> dict[str, str | int]:
        """The same as JSON has it."""
        return {"type": self.type, "bytes": self.bytes, "sha256": self.sha256}


class TurnOpening(Struct, frozen=True, kw_only=True):
    """What is known before the model is asked: enough to audit a turn that never closes.

    Times are microseconds since 1970 (UTC). Whatever was not yet known when a turn was refused is None.
    `history` is that of a conversation that the caller named.
    """

    turn_id: str
    trace_id: str
    span_id: str
    opened_at: int
    route: str
    client_request_id: str | None = None
    caller: Caller | None = None
    conversation_id: str | None = None
    model: str | None = None
    query: str | None = None
    attachments: tuple[Attachment, ...] = ()
    streamed: bool = False
    history: History | None = None
    rate_limit: RateLimit | None = None
    reserved: Reserved | None = None


class TurnRecord(Struct, frozen=True, kw_only=True, dict=True):
    """What is known once the turn is over. `response_length` counts characters of the answer's text."""

    opening: TurnOpening
    seconds: float
    ending: Ending
    model_calls: tuple[ModelCall, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    response_length: int = 0
    token_count: TokenCount | None = None

    @property
    def outcome(self) -> Outcome:
        """How it ended."""
        return self.ending.outcome

    @property
    def failure(self) -> Failure | None:
        """Why, where it did not end well."""
        return self.ending.failure

    @cached_property
    def usage(self) -> Usage:
        """Tokens of all model calls."""
        calls = self.model_calls
        return calls[0].usage if len(calls) == 1 else sum((call.usage for call in calls), Usage())

    @property
    def usage_source(self) -> UsageSource:
        """How they are known: an estimate of one call is one of the whole."""
        sources = {call.usage_source for call in self.model_calls}
        known = (UsageSource.ESTIMATED, UsageSource.REPORTED)
        return next((each for each in known if each in sources), UsageSource.NONE)

    @cached_property
    def model(self) -> str | None:
        """The model that answered, as far as one did; else the one that was asked for."""
        heard = (call.model for call in reversed(self.model_calls) if _heard(call))
        return next(heard, self.opening.model)

    @cached_property
    def cost_micros(self) -> int:
        """Cost of all model calls in millionths of a US dollar."""
        return sum(call.cost_micros for call in self.model_calls)

    @cached_property
    def saved_micros(self) -> int:
        """What the provider's cache spared in all; below zero where it cost more than it spared."""
        return sum(call.saved_micros for call in self.model_calls)

    @property
    def charged_micros(self) -> int:
        """What budgets are charged: the cost; of a turn whose end nobody saw all that was reserved."""
        reserved = self.opening.reserved
        return reserved.micros if reserved and self.outcome is Outcome.INTERRUPTED else self.cost_micros

    @property
    def tools_called(self) -> tuple[str, ...]:
        """Distinct tool names in the order of their first call."""
        return tuple(dict.fromkeys(call.name for call in self.tool_calls))

    @property
    def stop_reason(self) -> str | None:
        """Why the last model call stopped."""
        return self.model_calls[-1].stop_reason if self.model_calls else None

    @property
    def milliseconds(self) -> int:
        """The turn's whole time, rounded."""
        return round(self.seconds * 1000)

    @property
    def errors(self) -> tuple[Failure, ...]:
        """Each error met, in order, also those that a retry or a tool recovered from; no refusals."""
        counted = (self.token_count,) if self.token_count else ()
        steps = sorted((*counted, *self.model_calls, *self.tool_calls), key=lambda step: step.started_at)
        met = tuple(failure for step in steps for failure in _failures_of(step))
        last = self.failure if self.outcome is not Outcome.REFUSED else None
        if last is None or any(last.same_error(each) for each in met):
            return met
        return (*met, last)


def _heard(call: ModelCall) -> bool:
    return call.failure is None or call.first_chunk_seconds is not None


def _failures_of(step: ModelCall | ToolCall | TokenCount) -> Iterator[Failure]:
    """What went wrong within a step; a model call's own failure is its last attempt's or the turn's."""
    parts = step.attempts if isinstance(step, ModelCall) else (step,)
    return (part.failure for part in parts if part.failure)

"""The exceptions we raise on purpose, and the one place that says what any exception means.

    ServiceError
    |- Refusal                      the model was never asked
    |  |- Unauthenticated 401 · Forbidden 403 · CrossSite 403
    |  |- InvalidRequest 400 · NotFound 404 · MethodNotAllowed 405 · Conflict 409 · TooLarge 413
    |  |- UnsupportedMediaType 415
    |  |- IdempotencyMismatch 422 · RequestTimeout 408
    |  |- RateLimited 429 · TokensLimited 429 · ConcurrencyLimited 429
    |  |- OverBudget 402 · BudgetUnavailable 503
    |  '- Overloaded 503 · ShuttingDown 503 · AuditUnwritable 503
    |- JournalError 503             the journal cannot be opened or read
    |- DatabaseError 500
    |  |- DatabaseAway              it is known to be: nobody asked it
    |  '- RowRefused                it will never take this row
    |- UpstreamError                something about the model's API
    |  |- UpstreamFailed 500 · UpstreamOverloaded 500 · UpstreamRateLimited 429
    |  '- UpstreamUnreachable 503 · UpstreamTimeout 503
    |- TurnTimeout 504 · ShutDown 503 · BudgetSpent 402 · TokensSpent 429   end a turn that runs
    '- ToolFailed                   told to the model, never to the client
       |- ToolUnknown               there is none of that name
       |- ToolDenied                it was not run, by a policy's or a person's word
       |  |- ToolForbidden          it is not for the caller's role
       |  |- ToolLimited            it was run as often as the caller may
       |  '- ToolRefused            nobody approved of it
       '- ToolBroken                the same, where the arguments were good
    ClientGone                      nobody listens any more; no error of anybody

Foreign libraries' errors are translated at their door; what slips through is classified by its words.
"""

import traceback
from collections.abc import Mapping
from typing import ClassVar

from telemetry.failure import RULES, Category, Code, Failure, FieldError, words_of
from telemetry.record import Allowance, Ending, Outcome, RateLimit

SERVER_ERROR = 500
TRANSIENT = {408, 409}
"""Statuses of the model's API that another attempt may mend, besides its own errors."""


class ServiceError(Exception):
    """An error with a code.

    `detail` is one sentence safe for the client; `retry_after_ms` the wait before a retry makes sense.
    """

    code: ClassVar[Code] = Code.INTERNAL
    outcome: ClassVar[Outcome] = Outcome.FAILED

    def __init__(
        self, detail: str = "", *, retry_after_ms: int | None = None, fields: tuple[FieldError, ...] = ()
    ) -> None:
        super().__init__(detail)
        self.detail, self.retry_after_ms, self.fields = detail, retry_after_ms, fields


class Refusal(ServiceError):
    """The turn was turned away before the model was asked; it costs nothing."""

    outcome = Outcome.REFUSED


class Unauthenticated(Refusal):
    """No credential, or one that does not hold."""

    code = Code.UNAUTHENTICATED


class Forbidden(Refusal):
    """The caller is known and may not."""

    code = Code.FORBIDDEN


class CrossSite(Refusal):
    """A cookie came with a request that another site started."""

    code = Code.CROSS_SITE


class InvalidRequest(Refusal):
    """The request does not have the contract's form; `fields` names each part that is wrong."""

    code = Code.INVALID_REQUEST


class NotFound(Refusal):
    """There is nothing of that name, or not for this caller."""

    code = Code.NOT_FOUND


class MethodNotAllowed(Refusal):
    """The path exists and does not take this method."""

    code = Code.METHOD_NOT_ALLOWED


class Conflict(Refusal):
    """The same thing is already under way."""

    code = Code.CONFLICT


class TooLarge(Refusal):
    """The body is larger than the route takes."""

    code = Code.TOO_LARGE


class UnsupportedMediaType(Refusal):
    """The body is not JSON by its own word."""

    code = Code.UNSUPPORTED_MEDIA_TYPE


class IdempotencyMismatch(Refusal):
    """The Idempotency-Key came before, with another body."""

    code = Code.IDEMPOTENCY_MISMATCH


class RequestTimeout(Refusal):
    """The body came too slowly."""

    code = Code.REQUEST_TIMEOUT


class RateLimited(Refusal):
    """Our own limiter refused; `limit` is its decision."""

    code = Code.RATE_LIMITED

    def __init__(self, limit: RateLimit, detail: str = "") -> None:
        said = detail or f"The policy {limit.policy!r} is used up."
        super().__init__(said, retry_after_ms=limit.retry_after_ms)
        self.limit = limit


class TokensLimited(RateLimited):
    """The tokens that the request may use are not left."""

    code = Code.TOKENS_LIMITED


class ConcurrencyLimited(RateLimited):
    """The caller has as many turns under way as may be."""

    code = Code.CONCURRENCY_LIMITED


class OverBudget(RateLimited):
    """The money that the request may cost is not left."""

    code = Code.OVER_BUDGET


class BudgetUnavailable(Refusal):
    """The caller has a budget, and nobody can say now what is left of it."""

    code = Code.BUDGET_UNAVAILABLE


class Overloaded(Refusal):
    """The process has as much under way as it takes."""

    code = Code.OVERLOADED


class ShuttingDown(Refusal):
    """The process is about to end and takes no new turns."""

    code = Code.SHUTTING_DOWN


class AuditUnwritable(Refusal):
    """The turn cannot be recorded."""

    code = Code.AUDIT_UNWRITABLE


class JournalError(ServiceError):
    """The journal's folder cannot be used; `detail` is one sentence that names what is wrong."""

    code = Code.AUDIT_UNWRITABLE


class DatabaseError(ServiceError):
    """The database did not do what it was asked."""

    code = Code.DATABASE_ERROR


class DatabaseAway(DatabaseError):
    """The database is known to be away: it was not asked, so that nobody waits for it."""


class RowRefused(DatabaseError):
    """The database works and does not take what a row holds; another attempt changes nothing."""


class UpstreamError(ServiceError):
    """Something about the model's API; `status` and `request_id` are its own, where it answered.

    `passing` says of an error without a status of its own, an event, that it is one that passes.
    """

    def __init__(
        self,
        detail: str = "",
        *,
        status: int | None = None,
        request_id: str | None = None,
        retry_after_ms: int | None = None,
        passing: bool = False,
    ) -> None:
        super().__init__(detail, retry_after_ms=retry_after_ms)
        self.status, self.request_id, self._passing = status, request_id, passing

    @property
    def transient(self) -> bool:
        """Whether the very same request is worth another attempt."""
        status = self.status or 0
        return self._passing or RULES[self.code].retryable or status in TRANSIENT or status >= SERVER_ERROR


class UpstreamFailed(UpstreamError):
    """The model's API answered with an error, or with something that is no answer."""

    code = Code.UPSTREAM_ERROR


class UpstreamOverloaded(UpstreamError):
    """The model's API is overloaded (529, or an `overloaded_error` in mid-stream)."""

    code = Code.UPSTREAM_OVERLOADED


class UpstreamRateLimited(UpstreamError):
    """The model's API says that we ask too often (429)."""

    code = Code.UPSTREAM_RATE_LIMITED


class UpstreamUnreachable(UpstreamError):
    """No connection to the model's API, or it broke."""

    code = Code.UPSTREAM_UNREACHABLE


class UpstreamTimeout(UpstreamError):
    """The model's API was silent for too long."""

    code = Code.UPSTREAM_TIMEOUT


class TurnTimeout(ServiceError):
    """The turn as a whole took longer than its deadline."""

    code = Code.TURN_TIMEOUT
    outcome = Outcome.TIMED_OUT


class BudgetSpent(ServiceError):
    """A turn that runs has used the money put aside for it."""

    code = Code.OVER_BUDGET


class TokensSpent(ServiceError):
    """A turn that runs gets no more tokens."""

    code = Code.TOKENS_LIMITED


class ShutDown(ServiceError):
    """The process ended before the turn did."""

    code = Code.SHUTTING_DOWN
    outcome = Outcome.SHUTDOWN


class ToolFailed(ServiceError):
    """A tool did not give a result; its `detail` is the one safe sentence the model is told."""

    code = Code.INVALID_REQUEST


class ToolUnknown(ToolFailed):
    """The model made up a tool; its name is no label anywhere."""

    code = Code.NOT_FOUND


class ToolDenied(ToolFailed):
    """The tool was not run, by a policy's or a person's word."""

    code = Code.FORBIDDEN


class ToolForbidden(ToolDenied):
    """The tool is not for the caller's role."""


class ToolLimited(ToolDenied):
    """The tool was run as often as the caller may."""

    code = Code.RATE_LIMITED


class ToolRefused(ToolDenied):
    """Somebody would have had to approve of this call, and did not."""


class ToolBroken(ToolFailed):
    """A tool failed through no fault of its arguments."""

    code = Code.INTERNAL


class ClientGone(Exception):
    """The client left before the answer was complete."""


TEXTS: Mapping[Category, str] = {
    Category.AUTHENTICATION: "Your session has expired. Please refresh the page and log in again.",
    Category.AUTHORIZATION: (
        "You don't have permission to perform this action. "
        "Contact your administrator if you believe this is an error."
    ),
    Category.VALIDATION: "Invalid request. Please check your input and try again.",
    Category.RATE_LIMIT: "You're sending requests too quickly. Please wait a moment and try again.",
    Category.DATABASE: "A database error occurred. Please try again in a moment.",
    Category.AGENT_SERVICE: ("AI service error. Please try rephrasing your question or try again later."),
    Category.NETWORK: "Network error. Please check your connection and try again.",
    Category.UNKNOWN: "An unexpected error occurred. Please try again.",
}
"""What a person is told, by category (contract, section 3)."""

OVER_BUDGET_TEXT = "Your budget is used up. Please contact your administrator."

ALLOWANCES: Mapping[Code, str] = {
    Code.RATE_LIMITED: "send up to {limit} requests {window}",
    Code.TOKENS_LIMITED: "use up to {limit} tokens {window}",
    Code.CONCURRENCY_LIMITED: "have up to {limit} requests under way at the same time",
}
"""What a caller may, by what our own limiter refused for."""

WORDS: tuple[tuple[Code, tuple[str, ...]], ...] = (
    (Code.UNAUTHENTICATED, ("session", "authentication")),
    (Code.FORBIDDEN, ("permission", "unauthorized", "forbidden")),
    (Code.INVALID_REQUEST, ("validation", "invalid")),
    (Code.UPSTREAM_RATE_LIMITED, ("rate limit", "too many requests")),
    (Code.DATABASE_ERROR, ("database", "prisma", "query")),
    (Code.UPSTREAM_ERROR, ("agent", "claude", "anthropic")),
    (Code.UPSTREAM_UNREACHABLE, ("fetch", "network", "econnrefused")),
)
"""Words of a foreign exception's message, in the order in which they decide; any case."""

WINDOWS: Mapping[int, str] = {1_000: "per second", 60_000: "per minute", 3_600_000: "per hour"}


def window_in_words(window_ms: int) -> str:
    """Say a window as the contract does: `per minute`, else `per N seconds`."""
    seconds = f"{window_ms // 1000}.{window_ms % 1000:03}".rstrip("0").rstrip(".")
    return WINDOWS.get(window_ms) or f"per {seconds} seconds"


def text_of(failure: Failure, limit: RateLimit | None = None) -> str:
    """Say to a person what went wrong; `limit` is the decision that refused, where one did."""
    if failure.code is Code.OVER_BUDGET:
        return OVER_BUDGET_TEXT
    if failure.code in ALLOWANCES and limit:
        by = _refusing(failure.code, limit)
        allowed = ALLOWANCES[failure.code].format(limit=by.limit, window=window_in_words(by.window_ms))
        return f"Rate limit exceeded. You can {allowed}. Please wait a moment and try again."
    return TEXTS[failure.category]


def _refusing(code: Code, limit: RateLimit) -> RateLimit | Allowance:
    """The policy that a code speaks of: a turn that was let in may still run out of tokens."""
    tokens = (each for each in limit.allowances if each.policy == "tokens")
    return next(tokens, limit) if code is Code.TOKENS_LIMITED else limit


def classify(error: BaseException) -> Failure:
    """Name what an exception means: ours by type, connection errors by type, all others by their words.

    What is not ours nobody foresaw, whatever its words make of it.
    """
    if isinstance(error, ServiceError):
        return _failure(error.code, error)
    if isinstance(error, ConnectionError):
        return _failure(Code.UPSTREAM_UNREACHABLE, error)
    return _failure(_code_by_words(error), error)


def ending_of(error: BaseException) -> Ending:
    """Say how a turn ended that this exception ended."""
    if isinstance(error, ClientGone):
        return Ending(Outcome.CLIENT_GONE)
    outcome = error.outcome if isinstance(error, ServiceError) else Outcome.FAILED
    return Ending(outcome, classify(error))


def _code_by_words(error: BaseException) -> Code:
    said = words_of(error).partition(": ")[2].lower()  # the message alone: a type's name is no word of it
    return next((code for code, words in WORDS if any(word in said for word in words)), Code.INTERNAL)


def _failure(code: Code, error: BaseException) -> Failure:
    ours = error if isinstance(error, ServiceError) else None
    return Failure(
        code=code,
        detail=ours.detail if ours else "",
        error=words_of(error),
        stack=_stack(error),
        retry_after_ms=ours.retry_after_ms if ours else None,
        fields=ours.fields if ours else (),
        unforeseen=ours is None,
    )


def _stack(error: BaseException) -> str:
    """Where it was raised; not of what comes in floods and from one place, when time is dear."""
    return "" if isinstance(error, Overloaded) else "".join(traceback.format_exception(error))

"""Why something went wrong: a closed list of categories and codes, so that every sink can count it.

Refuses free words: a failure without a code cannot be built.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from msgspec import Struct


class Category(StrEnum):
    """The eight kinds of error; the same word in status, body, log, span, metric, row and alert."""

    AUTHENTICATION = "authentication"
    AUTHORIZATION = "authorization"
    VALIDATION = "validation"
    RATE_LIMIT = "rate_limit"
    DATABASE = "database"
    AGENT_SERVICE = "agent_service"
    NETWORK = "network"
    UNKNOWN = "unknown"


class Fault(StrEnum):
    """Who would have to change something for the error not to happen."""

    CALLER = "caller"
    POLICY = "policy"
    PROVIDER = "provider"
    SERVICE = "service"


class Code(StrEnum):
    """The one precise word for what happened, below its category."""

    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    CROSS_SITE = "cross_site"
    INVALID_REQUEST = "invalid_request"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    CONFLICT = "conflict"
    TOO_LARGE = "too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    IDEMPOTENCY_MISMATCH = "idempotency_mismatch"
    REQUEST_TIMEOUT = "request_timeout"
    RATE_LIMITED = "rate_limited"
    TOKENS_LIMITED = "tokens_limited"
    CONCURRENCY_LIMITED = "concurrency_limited"
    UPSTREAM_RATE_LIMITED = "upstream_rate_limited"
    OVER_BUDGET = "over_budget"
    BUDGET_UNAVAILABLE = "budget_unavailable"
    OVERLOADED = "overloaded"
    DATABASE_ERROR = "database_error"
    AUDIT_UNWRITABLE = "audit_unwritable"
    UPSTREAM_ERROR = "upstream_error"
    UPSTREAM_OVERLOADED = "upstream_overloaded"
    TURN_TIMEOUT = "turn_timeout"
    UPSTREAM_UNREACHABLE = "upstream_unreachable"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    SHUTTING_DOWN = "shutting_down"
    INTERNAL = "internal"


class Rule(Struct, frozen=True):
    """What follows from a code, wherever it is told."""

    category: Category
    fault: Fault
    retryable: bool = False


RULES: Mapping[Code, Rule] = MappingProxyType(
    {
        Code.UNAUTHENTICATED: Rule(Category.AUTHENTICATION, Fault.CALLER),
        Code.FORBIDDEN: Rule(Category.AUTHORIZATION, Fault.CALLER),
        Code.CROSS_SITE: Rule(Category.AUTHORIZATION, Fault.CALLER),
        Code.INVALID_REQUEST: Rule(Category.VALIDATION, Fault.CALLER),
        Code.NOT_FOUND: Rule(Category.VALIDATION, Fault.CALLER),
        Code.METHOD_NOT_ALLOWED: Rule(Category.VALIDATION, Fault.CALLER),
        Code.CONFLICT: Rule(Category.VALIDATION, Fault.CALLER, retryable=True),
        Code.TOO_LARGE: Rule(Category.VALIDATION, Fault.CALLER),
        Code.UNSUPPORTED_MEDIA_TYPE: Rule(Category.VALIDATION, Fault.CALLER),
        Code.IDEMPOTENCY_MISMATCH: Rule(Category.VALIDATION, Fault.CALLER),
        Code.REQUEST_TIMEOUT: Rule(Category.VALIDATION, Fault.CALLER, retryable=True),
        Code.RATE_LIMITED: Rule(Category.RATE_LIMIT, Fault.POLICY, retryable=True),
        Code.TOKENS_LIMITED: Rule(Category.RATE_LIMIT, Fault.POLICY, retryable=True),
        Code.CONCURRENCY_LIMITED: Rule(Category.RATE_LIMIT, Fault.POLICY, retryable=True),
        Code.UPSTREAM_RATE_LIMITED: Rule(Category.RATE_LIMIT, Fault.PROVIDER, retryable=True),
        Code.OVER_BUDGET: Rule(Category.RATE_LIMIT, Fault.POLICY),
        Code.BUDGET_UNAVAILABLE: Rule(Category.RATE_LIMIT, Fault.SERVICE, retryable=True),
        Code.OVERLOADED: Rule(Category.RATE_LIMIT, Fault.SERVICE, retryable=True),
        Code.DATABASE_ERROR: Rule(Category.DATABASE, Fault.SERVICE, retryable=True),
        Code.AUDIT_UNWRITABLE: Rule(Category.DATABASE, Fault.SERVICE, retryable=True),
        Code.UPSTREAM_ERROR: Rule(Category.AGENT_SERVICE, Fault.PROVIDER),
        Code.UPSTREAM_OVERLOADED: Rule(Category.AGENT_SERVICE, Fault.PROVIDER, retryable=True),
        Code.TURN_TIMEOUT: Rule(Category.AGENT_SERVICE, Fault.SERVICE, retryable=True),
        Code.UPSTREAM_UNREACHABLE: Rule(Category.NETWORK, Fault.PROVIDER, retryable=True),
        Code.UPSTREAM_TIMEOUT: Rule(Category.NETWORK, Fault.PROVIDER, retryable=True),
        Code.SHUTTING_DOWN: Rule(Category.NETWORK, Fault.SERVICE, retryable=True),
        Code.INTERNAL: Rule(Category.UNKNOWN, Fault.SERVICE),
    }
)


class FieldError(Struct, frozen=True):
    """One invalid field of a request: its name as the client wrote it, and what is wrong with it."""

    field: str
    message: str


def words_of(error: BaseException) -> str:
    """Say an exception's type and message; the type alone where the message cannot be had."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - a foreign __str__ may raise anything, and its error is still an error
        return type(error).__name__


class Failure(Struct, frozen=True, kw_only=True):
    """One thing that went wrong, said once.

    `detail` is safe for the client. `error` and `stack` are for the operator's log and never leave it:
    they may name an upstream body, a path or a statement. `unforeseen` says that nobody raised it on purpose:
    its code is a guess, and the stack is what there is to find it by.
    """

    code: Code
    detail: str = ""
    error: str = ""
    stack: str = ""
    retry_after_ms: int | None = None
    fields: tuple[FieldError, ...] = ()
    unforeseen: bool = False

    @property
    def category(self) -> Category:
        """The category the code belongs to."""
        return RULES[self.code].category

    @property
    def fault(self) -> Fault:
        """Who would have to change something."""
        return RULES[self.code].fault

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed when it is sent again."""
        return RULES[self.code].retryable

    def same_error(self, other: "Failure") -> bool:
        """Whether both tell of one error; `stack` does not count, it grows while the exception travels."""
        return (self.code, self.error) == (other.code, other.error)

"""Failure -> HTTP: status, headers and an `application/problem+json` body (RFC 9457).

Never a stack, SQL, path, key or upstream body: only a failure's safe words leave.
"""

from collections.abc import Mapping
from logging import ERROR, WARNING
from types import MappingProxyType
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException
from msgspec import Struct
from opentelemetry import trace
from opentelemetry.trace import Status, StatusCode, format_trace_id

from service.errors import (
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    ServiceError,
    TooLarge,
    UnsupportedMediaType,
    classify,
    text_of,
)
from service.web.identity import Identity, identity_of
from telemetry import ids, log, names, spans
from telemetry.failure import Category, Code, Failure
from telemetry.log import Line
from telemetry.record import Caller, RateLimit

MEDIA_TYPE = "application/problem+json"

STATUS: Mapping[Code, int] = MappingProxyType(
    {
        Code.UNAUTHENTICATED: 401,
        Code.FORBIDDEN: 403,
        Code.CROSS_SITE: 403,
        Code.INVALID_REQUEST: 400,
        Code.NOT_FOUND: 404,
        Code.METHOD_NOT_ALLOWED: 405,
        Code.CONFLICT: 409,
        Code.TOO_LARGE: 413,
        Code.UNSUPPORTED_MEDIA_TYPE: 415,
        Code.IDEMPOTENCY_MISMATCH: 422,
        Code.REQUEST_TIMEOUT: 408,
        Code.RATE_LIMITED: 429,
        Code.TOKENS_LIMITED: 429,
        Code.CONCURRENCY_LIMITED: 429,
        Code.UPSTREAM_RATE_LIMITED: 429,
        Code.OVER_BUDGET: 402,
        Code.BUDGET_UNAVAILABLE: 503,
        Code.OVERLOADED: 503,
        Code.DATABASE_ERROR: 500,
        Code.AUDIT_UNWRITABLE: 503,
        Code.UPSTREAM_ERROR: 500,
        Code.UPSTREAM_OVERLOADED: 500,
        Code.TURN_TIMEOUT: 504,
        Code.UPSTREAM_UNREACHABLE: 503,
        Code.UPSTREAM_TIMEOUT: 503,
        Code.SHUTTING_DOWN: 503,
        Code.INTERNAL: 500,
    }
)

TITLES: Mapping[Category, str] = MappingProxyType(
    {
        Category.AUTHENTICATION: "Authentication required",
        Category.AUTHORIZATION: "Not permitted",
        Category.VALIDATION: "Invalid request",
        Category.RATE_LIMIT: "Limit reached",
        Category.DATABASE: "Database error",
        Category.AGENT_SERVICE: "AI service error",
        Category.NETWORK: "Network error",
        Category.UNKNOWN: "Unexpected error",
    }
)

RETRY_STATUSES = {409, 429, 503}
"""Answers that always say when to come back."""

SERVER_FAULT = 500
DENIALS = {Category.AUTHENTICATION, Category.AUTHORIZATION}
NO_ROUTE = "(no route)"
CALLER = "parley.caller"
"""Where a request's scope says who was let in, for the line of a refusal that follows."""


class Problem(Struct, frozen=True):
    """An answer that says what went wrong."""

    status: int
    headers: Mapping[str, str]
    body: Mapping[str, Any]

    def encoded(self) -> bytes:
        """The body as JSON."""
        return msgspec.json.encode(self.body)


def problem_of(failure: Failure, identity: Identity, limit: RateLimit | None = None) -> Problem:
    """Project a failure; `limit` is the decision that refused, where one did."""
    status, text = STATUS[failure.code], text_of(failure, limit)
    body = {
        "type": f"urn:parley:error:{failure.category.value}",
        "title": TITLES[failure.category],
        "status": status,
        "detail": failure.detail or text,
        "error": text,
        "category": failure.category.value,
        "code": failure.code.value,
        "requestId": identity.request_id,
        "traceId": identity.trace_id,
        "retryable": failure.retryable,
        "fault": failure.fault.value,
        "errors": [{"field": each.field, "message": each.message} for each in failure.fields],
    }
    return Problem(status, {"content-type": MEDIA_TYPE} | _headers(failure, status), body)


def alone(error: ServiceError) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and body of an answer to what never became a request: it has an identity of its own."""
    trace_id = format_trace_id(ids.mint_span().get_span_context().trace_id)
    identity = Identity(request_id=ids.uuid7(), trace_id=trace_id)
    problem = problem_of(classify(error), identity)
    body = problem.encoded()
    headers = {
        **problem.headers,
        "content-length": str(len(body)),
        "x-request-id": identity.request_id,
        "x-trace-id": trace_id,
        "cache-control": "no-store",
    }
    return problem.status, [(name.encode(), value.encode()) for name, value in headers.items()], body


def _headers(failure: Failure, status: int) -> dict[str, str]:
    headers: dict[str, str] = {}
    if status in RETRY_STATUSES or (failure.retryable and failure.retry_after_ms is not None):
        headers["retry-after"] = str(max(1, -(-(failure.retry_after_ms or 0) // 1000)))
    if failure.category is Category.AUTHENTICATION:
        headers["www-authenticate"] = "Bearer"
    return headers


def answer(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Litestar's handler for everything raised outside a turn, its own refusals included."""
    problem = failed(request.scope, error)
    kept = _allow(error)
    return Response(
        problem.encoded(),
        status_code=problem.status,
        headers={**problem.headers, **kept},
        media_type=MEDIA_TYPE,
    )


def failed(scope: Any, error: Exception) -> Problem:
    """Tell span and log of a failure outside a turn, and how it is told the client."""
    failure = classify(_translated(error))
    problem = problem_of(failure, identity_of(scope))
    trace.get_current_span().set_attributes(spans.of_failure(failure))
    if failure.unforeseen or problem.status >= SERVER_FAULT:
        trace.get_current_span().set_status(Status(StatusCode.ERROR, failure.code))
        log.say(names.REQUEST_FAILED, ERROR, **_told(failure, scope))
    if failure.category in DENIALS:
        log.tell(_denial(failure, scope))
    return problem


def _denial(failure: Failure, scope: Mapping[str, Any]) -> Line:
    """The same line that a turn leaves that was denied."""
    caller = caller_of(scope)
    fields = {
        "reason": failure.detail,
        "route": _route(scope),
        "userId": caller.user_id if caller else None,
        "category": failure.category.value,
        "code": failure.code.value,
    }
    return Line(names.DENIED, WARNING, fields, caller.pseudonym if caller else None)


def _route(scope: Mapping[str, Any]) -> str:
    """The method and the route's template: the path itself may hold a user's name."""
    return f"{scope['method']} {scope.get('path_template', NO_ROUTE)}"


def caller_of(scope: Mapping[str, Any]) -> Caller | None:
    """Who was let in with this request, as far as anybody was."""
    return scope.get(CALLER)


def _told(failure: Failure, scope: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "route": _route(scope),
        "category": failure.category.value,
        "code": failure.code.value,
        "error": failure.error,
        "stack": failure.stack,
    }


def _allow(error: Exception) -> dict[str, str]:
    headers = (error.headers or {}) if isinstance(error, HTTPException) else {}
    return {name: value for name, value in headers.items() if name.lower() == "allow"}


def _translated(error: Exception) -> Exception:
    """Litestar's own refusals in our words; anything else as it is."""
    if not isinstance(error, HTTPException) or error.status_code >= SERVER_FAULT:
        return error
    refusals: Mapping[int, ServiceError] = {
        404: NotFound("There is nothing at this address."),
        405: MethodNotAllowed("This address does not take that method."),
        413: TooLarge("The body is too large."),
        415: UnsupportedMediaType("The body must be application/json."),
    }
    return refusals.get(error.status_code) or InvalidRequest("The request could not be read.")

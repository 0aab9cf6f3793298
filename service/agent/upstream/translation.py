"""What the vendor's SDK and its transport raise, in our words.

Refuses to repeat what the API said: its words may hold anything, and stay in the chain, for the log.
"""

from __future__ import annotations

from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from importlib import import_module
from time import time
from typing import TYPE_CHECKING, Any, cast

from service.errors import (
    UpstreamError,
    UpstreamFailed,
    UpstreamOverloaded,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnreachable,
)

if TYPE_CHECKING:
    from collections.abc import Generator

    from anthropic import APIStatusError

    from service.agent.upstream.draft import Draft

OK = 200
TOO_MANY_REQUESTS = 429
OVERLOADED = 529
NO_ANSWER = ValueError | LookupError | AttributeError | TypeError | RecursionError
"""What the SDK raises over bad JSON, and what reading events that lack their parts does."""
PASSING = {"api_error", "timeout_error"}
"""Types of an `error` event that say what the statuses 500 and 504 do: another attempt may do."""


@contextmanager
def translating(draft: Draft) -> Generator[None]:
    """Turn whatever the SDK or its transport raises into one of our errors."""
    try:
        yield
    except UpstreamError:
        raise
    except Exception as error:
        translated = _translate(error, draft)
        if translated is None:
            raise
        raise translated from error


def _translate(error: Exception, draft: Draft) -> UpstreamError | None:
    """Our word for the SDK's error; None for what is neither its nor its transport's."""
    sdk: Any = import_module("anthropic")
    transport: Any = import_module("httpx2")
    if isinstance(error, sdk.APIStatusError):
        return _of_status(cast("APIStatusError", error))
    if isinstance(error, sdk.APITimeoutError | transport.TimeoutException):
        return draft.failed(UpstreamTimeout, "The model's API did not answer in time.")
    if isinstance(error, sdk.APIConnectionError | transport.TransportError):
        return draft.failed(UpstreamUnreachable, "The connection to the model's API failed.")
    if isinstance(error, sdk.APIError | NO_ANSWER):
        return draft.failed(UpstreamFailed, "The model's API sent something that is no answer.")
    return None


def _of_status(error: APIStatusError) -> UpstreamError:
    """An `error` event in mid-stream has status 200; its type says what it is."""
    kinds = {"overloaded_error": UpstreamOverloaded, "rate_limit_error": UpstreamRateLimited}
    codes = {OVERLOADED: UpstreamOverloaded, TOO_MANY_REQUESTS: UpstreamRateLimited}
    kind = codes.get(error.status_code) or kinds.get(error.type or "") or UpstreamFailed
    return kind(
        _said(error.status_code),
        status=error.status_code,
        request_id=error.request_id,
        retry_after_ms=_retry_after_ms(error.response.headers.get("retry-after")),
        passing=error.status_code == OK and error.type in PASSING,
    )


def _said(status: int) -> str:
    if status == OK:
        return "The model's API reported an error in the middle of its answer."
    return f"The model's API answered with status {status}."


def _retry_after_ms(header: str | None) -> int | None:
    """Read seconds or an HTTP date; None where it is neither."""
    if header is None:
        return None
    try:
        return max(0, round(float(header) * 1000))
    except (ValueError, OverflowError):  # `inf` is a float
        pass
    try:
        return max(0, round((parsedate_to_datetime(header).timestamp() - time()) * 1000))
    except (ValueError, OverflowError):
        return None

"""The shape of a problem body (contract, section 3), written down once for all tests.

Refuses to take it from the code: that is what is tested.
"""

from typing import Any

import httpx

FIELDS = [
    "type",
    "title",
    "status",
    "detail",
    "error",
    "category",
    "code",
    "requestId",
    "traceId",
    "retryable",
    "fault",
    "errors",
]


def problem(response: httpx.Response, status: int, code: str) -> Any:
    """Check that an answer is this problem, whole and nothing more, and give its body."""
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert list(body) == FIELDS
    assert (body["status"], body["code"]) == (status, code)
    assert body["requestId"] == response.headers["x-request-id"]
    assert body["traceId"] == response.headers["x-trace-id"]
    return body

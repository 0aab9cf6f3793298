"""The errors of the Messages API: status, type and body.

Refuses a status the API has no word for.
"""

from collections.abc import Mapping
from types import MappingProxyType

TYPES: Mapping[int, str] = MappingProxyType(
    {
        400: "invalid_request_error",
        401: "authentication_error",
        402: "billing_error",
        403: "permission_error",
        404: "not_found_error",
        405: "invalid_request_error",
        413: "request_too_large",
        429: "rate_limit_error",
        500: "api_error",
        503: "api_error",
        529: "overloaded_error",
    }
)
"""The error type by HTTP status; the API also uses `invalid_request_error` for further 4xx."""


class ApiError(Exception):
    """An error answer of the API.

    Args:
        status: an HTTP status of `TYPES`.
        message: what the API says about it; it reaches the client.
        headers: further response headers by lower-case name.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.type, self.message = status, TYPES[status], message
        self.headers = headers or {}

    def body(self, request_id: str) -> dict[str, object]:
        """The error in the API's envelope, for an HTTP body or an `error` event."""
        return {
            "type": "error",
            "error": {"type": self.type, "message": self.message},
            "request_id": request_id,
        }

"""A request's JSON body -> Struct, for the routes whose body is small.

Refuses one that is no JSON by its own word before anything of it is read.
"""

from typing import TypeVar

from msgspec import Struct

from service.errors import InvalidRequest, UnsupportedMediaType
from service.web import fields
from service.web.ask import is_json
from service.web.desk import Asking

Body = TypeVar("Body", bound=Struct)

MAX_BODY = 1 << 14
"""Bytes: 2,000 characters of any alphabet, escaped."""
WRONG = "Some fields are not what this route takes."


async def read_body(kind: type[Body], request: Asking) -> Body:
    """Read it.

    Raises:
        InvalidRequest: naming every field that is wrong.
        UnsupportedMediaType: it is not JSON.
    """
    if not is_json(request.headers.get("content-type", "")):
        raise UnsupportedMediaType("The body must be application/json.")
    values, errors = fields.decode(kind, await request.body())
    if errors:
        raise InvalidRequest(WRONG, fields=errors)
    return kind(**values)

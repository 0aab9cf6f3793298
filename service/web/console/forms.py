"""A form's body -> names and values, as a browser sends them.

Refuses a body that says it is no form, and bytes that are none.
"""

from collections.abc import Sequence
from typing import TypeVar
from urllib.parse import parse_qsl

from msgspec import Struct

from service.errors import InvalidRequest, UnsupportedMediaType
from service.web.desk import Asking
from service.web.parameters import take
from telemetry.failure import FieldError

Form = TypeVar("Form", bound=Struct)

FORM = "application/x-www-form-urlencoded"
MOST = 100
"""Fields."""
WHOLE = "form"
"""The field's name where the form as a whole is wrong."""


async def pairs_of(request: Asking) -> Sequence[tuple[str, str]]:
    """What was filled in, in the order of the form; fields that were left empty are "".

    Raises:
        UnsupportedMediaType: it is no form by its own word.
        InvalidRequest: it cannot be read as one.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise UnsupportedMediaType(f"The body must be {FORM}.")
    try:
        text = (await request.body()).decode("ascii")
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MOST)
    except ValueError as error:  # UnicodeDecodeError is one
        fault = FieldError(WHOLE, "Not a form of UTF-8 text")
        raise InvalidRequest("The form could not be read.", fields=(fault,)) from error


async def read_form(kind: type[Form], request: Asking) -> Form:
    """Read a form as a Struct of texts.

    Raises:
        UnsupportedMediaType, InvalidRequest: naming every field that is wrong.
    """
    return take(kind, await pairs_of(request))

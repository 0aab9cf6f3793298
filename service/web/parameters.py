"""Query string -> Struct, with every invalid parameter named at once; what each asking route takes.

Refuses unknown parameters, ones given twice, and bytes that are no UTF-8.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import parse_qsl

import msgspec
from msgspec import Meta, Struct, ValidationError, field, structs

from service.errors import InvalidRequest
from service.store.filters import Filters
from service.store.questions import TURN, Grouping
from service.web.fields import words_of
from telemetry.failure import Category, Code, FieldError
from telemetry.record import Outcome

Query = TypeVar("Query", bound=Struct)

ALL = "all"
"""As `entityType`: whatever the event is about."""
WHOLE = "query"
"""The field's name where the query string as a whole is wrong."""
WRONG = "Some parameters are not what this route takes."
DIGITS = 9
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
WHEN = "Expected a date or a time of ISO 8601, such as 2025-01-31 or 2025-01-31T12:00:00Z (write + as %2B)"

Word = Annotated[str, Meta(min_length=1, max_length=256)]
Words = Annotated[str, Meta(min_length=1, max_length=1_000)]
TraceId = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]


class Moment(int):
    """Microseconds since 1970 (UTC), read from a date or a time of ISO 8601; without an offset it is UTC."""

    __slots__ = ()


class Nothing(Struct, frozen=True):
    """A route that takes no parameters."""


class Period(Struct, frozen=True, kw_only=True):
    """A span of time: `from` belongs to it, `to` does not."""

    since: Moment | None = field(default=None, name="from")
    until: Moment | None = field(default=None, name="to")

    def span(self) -> dict[str, Any]:
        """The same as plain numbers."""
        return {
            "since": None if self.since is None else int(self.since),
            "until": None if self.until is None else int(self.until),
        }


class EventQuery(Period, frozen=True, kw_only=True, rename="camel"):
    """Which audit events are meant; what is not given does not matter.

    Without `entityType` only turns are: whoever looks for them would else find his own looks first.
    """

    actor: Word | None = None
    outcome: Outcome | None = None
    category: Category | None = None
    code: Code | None = None
    tool: Word | None = None
    model: Word | None = None
    role: Word | None = None
    trace_id: TraceId | None = None
    entity_type: Word = TURN
    q: Words | None = None

    def filters(self) -> Filters:
        """The same for the store, in types that have no rules of their own."""
        given: dict[str, Any] = {name: getattr(self, name) for name in Filters.__struct_fields__}
        given["entity_type"] = None if self.entity_type == ALL else self.entity_type
        return Filters(**{**given, **self.span()})


class StatsQuery(EventQuery, frozen=True, kw_only=True, rename="camel"):
    """What is counted: without `entityType`, events of every kind."""

    entity_type: Word = ALL


class PageQuery(EventQuery, frozen=True, kw_only=True, rename="camel"):
    """One page of them."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: Words | None = None


class ExportQuery(EventQuery, frozen=True, kw_only=True, rename="camel"):
    """All of them."""

    format: Literal["jsonl", "csv"] = "jsonl"


class UsageQuery(Period, frozen=True, kw_only=True, rename="camel"):
    """What is added up."""

    group_by: Grouping = Grouping.USER


def read(kind: type[Query], query: bytes) -> Query:
    """Read a query string.

    Raises:
        InvalidRequest: naming every parameter that is wrong.
    """
    return take(kind, pairs_of(query))


def pairs_of(query: bytes) -> Sequence[tuple[str, str]]:
    """The names and values of a query string, in its order.

    Raises:
        InvalidRequest: it is none.
    """
    try:
        return parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError as error:  # UnicodeDecodeError is one
        fault = FieldError(WHOLE, "Not a query string of UTF-8 text")
        raise InvalidRequest(WRONG, fields=(fault,)) from error


def take(kind: type[Query], pairs: Sequence[tuple[str, str]]) -> Query:
    """The same, from names and values.

    Raises:
        InvalidRequest: naming every parameter that is wrong.
    """
    given, known = dict(pairs), {each.encode_name: each for each in structs.fields(kind)}
    twice = dict.fromkeys(name for index, (name, _) in enumerate(pairs) if name in dict(pairs[:index]))
    errors = [FieldError(name, "Unknown parameter") for name in given if name not in known]
    errors += [FieldError(name, "Given twice") for name in twice if name in known]
    values: dict[str, Any] = {}
    for name, each in known.items():
        if name in given:
            try:
                values[each.name] = _convert(given[name], each.type)
            except ValidationError as error:
                errors.append(FieldError(name, words_of(error)))
    errors += _backwards(values)
    if errors:
        raise InvalidRequest(WRONG, fields=tuple(errors))
    return kind(**values)


def _convert(text: str, kind: Any) -> Any:
    """Convert strictly: a lax conversion takes the word `null` for nothing and 5e1 for 50."""
    try:
        return msgspec.convert(text, kind, dec_hook=_moment)
    except ValidationError:
        if not (text.isascii() and text.isdigit() and len(text) <= DIGITS):
            raise
        return msgspec.convert(int(text), kind, dec_hook=_moment)


def _moment(kind: type, text: Any) -> Moment:
    if kind is not Moment or not isinstance(text, str):
        raise ValueError(WHEN)
    return moment_of(text)


def moment_of(text: str) -> Moment:
    """A date or a time of ISO 8601; raises ValueError."""
    try:
        time = datetime.fromisoformat(text)
        aware = time if time.tzinfo else time.replace(tzinfo=UTC)
        return Moment((aware - EPOCH) // MICROSECOND)
    except (ValueError, OverflowError) as error:
        raise ValueError(WHEN) from error


def _backwards(values: dict[str, Any]) -> list[FieldError]:
    since, until = values.get("since"), values.get("until")
    if since is None or until is None or since <= until:
        return []
    return [FieldError("to", "Expected a time that is not before `from`")]

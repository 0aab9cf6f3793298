"""Traces out of Jaeger, by its API (v3, OTLP as JSON).

Refuses to take a trace that is not there for an error: it may be left out of the sample, or on its way.
"""

import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPException
from itertools import groupby
from typing import Any
from urllib.error import HTTPError, URLError

import msgspec
from msgspec import Struct

from service.cli.waterfall import Step
from service.errors import ServiceError
from telemetry import names
from telemetry.post import addressed

SECONDS = 10.0
MOST_BYTES = 32 << 20
NOT_FOUND = 404
NANOSECONDS = 1_000_000
"""In a millisecond."""
NOTED = ((names.TURN_OUTCOME,), (names.TOOL_OUTCOME,), (names.ERROR_CODE, names.ERROR_TYPE))
"""Attributes whose values stand beside a span; of several the first that it has."""


class Unasked(ServiceError):
    """Jaeger did not answer; `detail` says why, in one sentence."""


class Attribute(Struct, frozen=True):
    """Key and value; the value is OTLP's, such as `{"stringValue": "x"}`."""

    key: str
    value: Mapping[str, Any] = {}


class Span(Struct, frozen=True, rename="camel"):
    """As OTLP has it; times are nanoseconds since 1970, as text."""

    span_id: str
    name: str
    start_time_unix_nano: str
    end_time_unix_nano: str
    parent_span_id: str = ""
    attributes: tuple[Attribute, ...] = ()

    @property
    def start(self) -> int:
        """Nanoseconds since 1970."""
        return int(self.start_time_unix_nano)


class _Scope(Struct, frozen=True):
    spans: tuple[Span, ...] = ()


class _Resource(Struct, frozen=True, rename="camel"):
    scope_spans: tuple[_Scope, ...] = ()


class _Result(Struct, frozen=True, rename="camel"):
    resource_spans: tuple[_Resource, ...] = ()


class _Answer(Struct, frozen=True):
    result: _Result


def trace(address: str, trace_id: str) -> Sequence[Step]:
    """The steps of a trace; none where Jaeger does not have it.

    Raises:
        Unasked: it did not answer, or not as Jaeger does.
    """
    try:
        body = _asked(f"{address.rstrip('/')}/api/v3/traces/{trace_id}")
        return steps(_spans(msgspec.json.decode(body, type=_Answer))) if body else ()
    except URLError as error:
        raise Unasked(f"Jaeger does not answer: {error.reason}.") from error
    except (OSError, HTTPException, ValueError) as error:
        raise Unasked(f"Jaeger does not answer as it should: {error}.") from error


def steps(spans: Sequence[Span]) -> Sequence[Step]:
    """Spans below their parents, in the order they began; one whose parent is not there is a root."""
    ordered = sorted(spans, key=lambda span: span.start)
    known = {span.span_id for span in ordered}
    parents = [span.parent_span_id if span.parent_span_id in known else "" for span in ordered]
    paired = sorted(zip(parents, range(len(ordered)), strict=True))
    below = {
        parent: [ordered[at] for _, at in group] for parent, group in groupby(paired, lambda pair: pair[0])
    }
    return tuple(_step(span, below, ordered[0].start) for span in below.get("", ()))


def _step(span: Span, below: Mapping[str, Sequence[Span]], begin: int) -> Step:
    return Step(
        name=span.name,
        started_after_ms=(span.start - begin) / NANOSECONDS,
        milliseconds=(int(span.end_time_unix_nano) - span.start) / NANOSECONDS,
        note=", ".join(_notes(span)),
        steps=tuple(_step(each, below, begin) for each in below.get(span.span_id, ())),
    )


def _notes(span: Span) -> Iterator[str]:
    told = {each.key: next(iter(each.value.values()), None) for each in span.attributes}
    for keys in NOTED:
        yield from [str(told[key]) for key in keys if told.get(key)][:1]
    if str(told.get(names.ATTEMPTS, 1)) != "1":
        yield f"attempts {told[names.ATTEMPTS]}"


def _spans(answer: _Answer) -> Sequence[Span]:
    scopes = (scope for resource in answer.result.resource_spans for scope in resource.scope_spans)
    return [span for scope in scopes for span in scope.spans]


def _asked(url: str) -> bytes:
    """What is there; empty where nothing is."""
    where, headers = addressed(url)
    request = urllib.request.Request(where, headers=headers)  # noqa: S310 - settings and option take http and https only
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310 - as above
            return answer.read(MOST_BYTES)
    except HTTPError as refused:
        refused.close()
        if refused.code == NOT_FOUND:
            return b""
        raise

"""The parts of the document that its operations share: schemas, headers, ways to sign in.

Refuses a schema that no operation uses: a client would generate it for nothing.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from service.web.parameters import Moment
from service.web.schema.operations import OPERATIONS
from service.web.schema.shapes import STREAM_EVENTS, EventMetadata

Json = dict[str, Any]

REF = "#/components/schemas/{name}"

NAMES = {"Page": "ConversationPage", "Summary": "ConversationSummary", "Said": "Message"} | {
    "Standing": "Limits",
    "ChatBody": "Question",
    "AttachmentBody": "Attachment",
}
"""Names that say enough outside of their module."""

SECURITY: Json = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key of `parley keys create`, or a JWT of the configured issuer.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "session",
        "description": "The console's cookie, or a JWT in its place. Refused where another site sends it.",
    },
}

HEADERS: Json = {
    "X-Request-Id": {
        "description": "The request's id; on the chat route the turn's.",
        "schema": {"type": "string"},
    },
    "X-Trace-Id": {
        "description": "Leads to the trace, the log lines and the audit row.",
        "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    },
    "Retry-After": {
        "description": "Seconds, never too early.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {"description": "How to sign in.", "schema": {"type": "string"}},
    "RateLimit": {
        "description": 'How the caller stands, such as `"role";r=7;t=12`; none where limits are off.',
        "schema": {"type": "string"},
    },
    "RateLimit-Policy": {
        "description": 'The limit, such as `"role";q=20;w=60`.',
        "schema": {"type": "string"},
    },
    "Idempotency-Replayed": {
        "description": "`true` where the answer was given before.",
        "schema": {"type": "string", "const": "true"},
    },
    "Content-Disposition": {"description": "The file's name.", "schema": {"type": "string"}},
}


def components() -> Json:
    """All of them."""
    return {"schemas": _schemas(), "securitySchemes": SECURITY, "headers": HEADERS}


def type_of(kind: Any) -> Json:
    """The schema of a type; a struct's is a reference."""
    return _described([kind])[0][0]


def properties_of(kind: type[Struct]) -> Json:
    """The schemas of a struct's fields."""
    return _described([kind])[1][kind.__name__]["properties"]


def _schemas() -> Json:
    bodies = [each.body for each in OPERATIONS if each.body]
    answers = [kind for each in OPERATIONS for kind in each.media.values() if _is_struct(kind)]
    _, found = _described([*dict.fromkeys([*bodies, *answers, *STREAM_EVENTS.values(), EventMetadata])])
    for name in ("Event", "SealedEvent"):
        found[name]["properties"]["metadata"] = type_of(EventMetadata)
    return _of_queries() | found


def _of_queries() -> Json:
    """What the fields of queries refer to; they themselves stand where they are used."""
    kinds = dict.fromkeys(each.query for each in OPERATIONS)
    found = [(kind, _described([kind])[1]) for kind in kinds]
    return {name: told for kind, each in found for name, told in each.items() if name != kind.__name__}


def _described(kinds: Sequence[Any]) -> tuple[tuple[Json, ...], Json]:
    return msgspec.json.schema_components(kinds, schema_hook=_moment, ref_template=REF)


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)


def _moment(kind: type) -> Json:
    if kind is not Moment:
        raise NotImplementedError
    return {"type": "string", "examples": ["2025-01-31", "2025-01-31T12:00:00Z"]}


def portable(text: str) -> str:
    """Patterns as JSON Schema has them: `$` is the end; halves of a pair, which no text has, are left out.

    Five characters that are blank here are none there (ECMAScript).
    """
    text = text.replace('\\\\Z"', '$"').replace("\\\\ud800-\\\\udfff", "")
    return text.replace('"\\\\S"', '"[^\\\\s\\\\x1c-\\\\x1f\\\\x85]"')


def renamed(text: str) -> str:
    """Schemas under names that say enough outside of their module."""
    for name, better in NAMES.items():
        text = text.replace(f'"{REF.format(name=name)}"', f'"{REF.format(name=better)}"')
        text = text.replace(f'"{name}": {{"title": "{name}"', f'"{better}": {{"title": "{better}"')
    return text

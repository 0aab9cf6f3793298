"""Every place in which a caller can put a word, and where the contract puts that word.

Refuses what is nobody's word: methods, versions and lengths carry none.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from tests.hostile.console_places import CONSOLE
from tests.hostile.place import Asked, Place, get, place

CHAT = "/api/v1/agent/chat"
EVENTS = "/api/v1/audit/events"
NOBODY = "00000000-0000-7000-8000-000000000000"


def _chat(message: str = "hello", **more: Any) -> Asked:
    return {"method": "POST", "url": CHAT, "json": {"message": message}, **more}


def _said(**fields: Any) -> Asked:
    return {"method": "POST", "url": CHAT, "json": {"message": "hello", **fields}}


def _header(name: str, form: str = "{}", *, may: str = "") -> dict[str, Place]:
    """One on the chat route, and one on a route that asks."""
    return {
        f"{name} {form}, chat": place(may, lambda word: _chat(headers={name: form.format(word)})),
        f"{name} {form}, usage": place(
            may, lambda word: get("/api/v1/usage", headers={name: form.format(word)})
        ),
    }


def _query(name: str, may: str = "") -> Place:
    return place(may, lambda word: get(EVENTS, params={name: word}))


HEADERS = (
    _header("authorization", "Bearer {}")
    | _header("authorization", "Basic {}")
    | _header("proxy-authorization", "Bearer {}")
    | _header("cookie", "session={}")
    | _header("x-api-key")
    | _header("user-agent", may="spans")
    | _header("referer", "https://{}.example/")
    | _header("origin", "https://{}.example")
    | _header("host", "{}.example")
    | _header("forwarded", "for={}")
    | _header("x-forwarded-for")
    | _header("x-forwarded-host")
    | _header("accept-language")
    | _header("traceparent")
    | _header("baggage", "key={}")
    | {"a header's name": place("", lambda word: _chat(headers={f"x-{word}": "1"}))}
    | _header("last-event-id")
    | _header("x-request-id", may="rows lines spans logs files own html others")
    | {"idempotency-key": place("", lambda word: _chat(headers={"idempotency-key": word}))}
)
"""The id that a client gives its request is kept; what it calls itself is on the span, by the conventions."""

PATHS = {
    "a path that is none": place("", lambda word: get(f"/nowhere/{word}")),
    "a conversation's id": place("", lambda word: get(f"/api/v1/conversations/{word}")),
    "an event's id": place("", lambda word: get(f"{EVENTS}/{word}")),
    "a turn's id": place("", lambda word: get(f"{CHAT}/{word}/events")),
    "a user's name": place("", lambda word: get(f"/api/v1/limits/{quote(word)}")),
    "a page's code": place("", lambda word: get("/console/sign-in", params={"code": word})),
}

QUERIES = {
    "an unknown parameter": place("answers", lambda word: get(EVENTS, params={word: "1"})),
    "the value of an unknown parameter": place("", lambda word: get(EVENTS, params={"what": word})),
    "actor": _query("actor", "rows files others"),
    "tool": _query("tool", "rows files others"),
    "model": _query("model", "rows files others"),
    "role": _query("role", "rows files others"),
    "entityType": _query("entityType", "rows files others"),
    "traceId": _query("traceId"),
    "outcome": _query("outcome"),
    "from": _query("from"),
    "cursor": _query("cursor"),
    "limit": _query("limit"),
    "q": _query("q"),
}
"""What an auditor looked for is in the record of the look, but for the words, which are content."""

BODIES = {
    "message": place("answers lines own", lambda word: _chat(f"Say {word}.")),
    "message, streamed": place("answers lines own", lambda word: _said(message=word, stream=True)),
    "message, failing": place("lines own", lambda word: _chat(f"[sim:500] {word}")),
    "an unknown field": place("answers", lambda word: _said(**{word: 1})),
    "the value of an unknown field": place("", lambda word: _said(what=word)),
    "conversationId": place("", lambda word: _said(conversationId=word)),
    "model of a question": place("", lambda word: _said(model=word)),
    "maxTokens": place("", lambda word: _said(maxTokens=word)),
    "a schema's words": place(
        "",
        lambda word: _said(
            responseFormat={"type": "json_schema", "schema": {"type": "object", "description": word}}
        ),
    ),
    "a file's name": place(
        "", lambda word: _said(attachments=[{"type": "image/png", "data": "iVBORw0KGgo=", "name": word}])
    ),
    "a file's bytes": place("", lambda word: _said(attachments=[{"type": "image/png", "data": word}])),
    "no JSON": place(
        "",
        lambda word: {
            "method": "POST",
            "url": CHAT,
            "content": f'{{"message": "{word}',
            "headers": {"content-type": "application/json"},
        },
    ),
    "another type": place("", lambda word: _chat(headers={"content-type": f"text/{word}"})),
    "a comment": place(
        "",
        lambda word: {
            "method": "PUT",
            "url": f"/api/v1/agent/turns/{NOBODY}/feedback",
            "json": {"rating": "up", "comment": word},
        },
    ),
    "a reason": place(
        "",
        lambda word: {
            "method": "POST",
            "url": f"/api/v1/agent/turns/{NOBODY}/approvals/{word}",
            "json": {"decision": "deny", "reason": word},
        },
    ),
    "a title": place(
        "",
        lambda word: {"method": "PATCH", "url": f"/api/v1/conversations/{NOBODY}", "json": {"title": word}},
    ),
    "whom to erase": place(
        "",
        lambda word: {
            "method": "POST",
            "url": "/api/v1/audit/erasures",
            "json": {"subject": word, "confirm": word},
        },
    ),
}
"""Content is sealed where it is kept: what is asked is in the answer, on its turn's line, and on the pages of
the asker's own queries."""

PLACES: Mapping[str, Place] = HEADERS | PATHS | QUERIES | BODIES | CONSOLE

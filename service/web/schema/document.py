"""Operations -> one OpenAPI 3.1 document, complete in itself.

Refuses examples of its own for problems: they are what a failure of that code is really told as.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from service.web import problems
from service.web.identity import Identity
from service.web.schema.components import Json, components, portable, properties_of, renamed, type_of
from service.web.schema.operations import JSON, OPERATIONS, WORDS, Operation
from service.web.schema.shapes import STREAM_EVENTS, Problem
from telemetry.failure import Code, Failure, FieldError

EXAMPLES: Mapping[str, Any] = json.loads(
    Path(__file__).with_name("examples.json").read_text(encoding="utf-8")
)
"""By operation, what a 200 says; with `request` behind it what is asked."""

EXAMPLE = Identity(
    request_id="01a2096f-1b4e-715e-add0-dcab3d122338", trace_id="c9ae82206725007b6a50c7add839d044"
)
RETRY_MS = 12_000

DESCRIPTION = """\
A self-hosted chat service for AI agents that leaves a record. Every answer has `X-Request-Id`, `X-Trace-Id`
and `Cache-Control: no-store`. Everything that goes wrong is an `application/problem+json` with a `code` of a
closed list; clients should expect further fields and codes. Where credentials name tenants, everybody is told
of their own tenant alone, whatever their role: what is another's is not found."""

ALWAYS = ("X-Request-Id", "X-Trace-Id")
OF_SUCCESS = {
    "chat": ("RateLimit", "RateLimit-Policy", "Idempotency-Replayed"),
    "exportAuditEvents": ("Content-Disposition",),
}
CHAT = "chat"
"""The one operation that an Idempotency-Key makes safe to repeat."""
RESUME = "resumeChat"
"""The one that goes on from an event."""
IDEMPOTENCY_KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Any text of the client's own; the same for repetitions of one request.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
}


LAST_EVENT_ID: Json = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "The id of the event that was heard last; none: from the first.",
    "schema": {"type": "string", "pattern": "^[0-9]{1,9}$"},
}
LINKS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    CHAT: {
        "resumeChat": ("turnId", "id"),
        "giveFeedback": ("turnId", "id"),
        "getFeedback": ("turnId", "id"),
        "withdrawFeedback": ("turnId", "id"),
        "getConversation": ("conversationId", "conversationId"),
        "renameConversation": ("conversationId", "conversationId"),
        "deleteConversation": ("conversationId", "conversationId"),
        "getAuditEvent": ("eventId", "id"),
        "proveAuditEvent": ("eventId", "id"),
    },
    "listConversations": {"getConversation": ("conversationId", "conversations/0/id")},
    "listAuditEvents": {
        "getAuditEvent": ("eventId", "events/0/id"),
        "listAuditEvents": ("cursor", "nextCursor"),
    },
    "makeKey": {"revokeKey": ("keyId", "id")},
}
"""By operation, where its answer leads: the parameter there, and what of the answer it is."""
HEARD = "There is nothing more to come."
"""What a 204 of a stream says."""


def document() -> Json:
    """The whole document."""
    told: Json = {
        "openapi": "3.1.0",
        "info": {
            "title": "Parley",
            "version": version("parley"),
            "description": DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(each.tag for each in OPERATIONS)],
        "paths": _paths(),
        "components": components(),
    }
    return json.loads(portable(renamed(json.dumps(told))))


def _paths() -> Json:
    paths: Json = {}
    for each in OPERATIONS:
        paths.setdefault(each.path, {})[each.method] = _operation(each)
    return paths


def _operation(each: Operation) -> Json:
    told: Json = {
        "operationId": each.id,
        "tags": [each.tag],
        "summary": each.summary,
        "security": [] if each.open else [{"bearer": []}, {"session": []}],
        "parameters": [*_path_parameters(each.path), *_query_parameters(each.query), *_headers_of(each)],
        "responses": {str(each.gives): _success(each), **_besides(each), **_problems(each)},
    }
    if each.description:
        told["description"] = each.description
    if each.body:
        content = {"schema": type_of(each.body), "example": EXAMPLES[f"{each.id} request"]}
        told["requestBody"] = {"required": True, "content": {JSON: content}}
    return told


def _headers_of(each: Operation) -> list[Json]:
    """Headers that a client may send."""
    return {CHAT: [IDEMPOTENCY_KEY], RESUME: [LAST_EVENT_ID]}.get(each.id, [])


def _path_parameters(path: str) -> Iterator[Json]:
    for part in path.split("/"):
        if part.startswith("{"):
            name = part.strip("{}")
            schema = {"type": "string", "minLength": 1, "maxLength": 256}
            told = {"name": name, "in": "path", "required": True, "description": WORDS[name]}
            yield told | {"schema": schema}


def _query_parameters(kind: type[Struct]) -> Iterator[Json]:
    properties = properties_of(kind)
    for field in structs.fields(kind):
        name = field.encode_name
        schema = _without_null(properties[name])
        yield {"name": name, "in": "query", "description": WORDS[name], "schema": schema}


def _without_null(schema: Json) -> Json:
    """A parameter is there or it is not; it is never null."""
    kept = {name: value for name, value in schema.items() if name != "default" or value is not None}
    options = [each for each in kept.pop("anyOf", []) if each != {"type": "null"}]
    return kept | (options[0] if options else {})


def _success(each: Operation) -> Json:
    told: Json = {
        "description": each.summary if each.media else "Done; there is nothing to say.",
        "headers": _headers(*ALWAYS, *OF_SUCCESS.get(each.id, ())),
    }
    if each.media:
        told["content"] = {media: _content(each, media) for media in each.media}
    if each.id in LINKS:
        told["links"] = {to: _link(to, *how) for to, how in LINKS[each.id].items()}
    return told


def _link(operation: str, parameter: str, value: str) -> Json:
    return {"operationId": operation, "parameters": {parameter: f"$response.body#/{value}"}}


def _content(each: Operation, media: str) -> Json:
    example = EXAMPLES.get(f"{each.id} {media}" if media != JSON else each.id)
    told: Json = {"schema": type_of(each.media[media])}
    if media == "text/event-stream":
        told["schema"] = {"type": "string", "description": "Server-sent events; `x-events` has their data."}
        told["x-events"] = {name: type_of(kind) for name, kind in STREAM_EVENTS.items()}
    return told if example is None else told | {"example": example}


def _besides(each: Operation) -> Json:
    """Answers besides 200 that are no problems."""
    if each.id == RESUME:
        return {"204": {"description": HEARD, "headers": _headers(*ALWAYS)}}
    if each.id != "getReadiness":
        return {}
    told = _success(each) | {"description": "The service is about to end, or cannot serve."}
    told["content"] = {JSON: {"schema": type_of(each.media[JSON])}}
    return {"503": told}


def _problems(each: Operation) -> Json:
    statuses = dict.fromkeys(sorted(problems.STATUS[code] for code in each.refuses))
    by_status = {at: [code for code in each.refuses if problems.STATUS[code] == at] for at in statuses}
    return {str(status): _problem(codes) for status, codes in by_status.items()}


def _problem(codes: Sequence[Code]) -> Json:
    told = {code: problems.problem_of(_failure(code), EXAMPLE) for code in codes}
    first = told[codes[0]]
    headers = [name for name in ("Retry-After", "WWW-Authenticate") if name.lower() in first.headers]
    titles = ", ".join(dict.fromkeys(problem.body["title"] for problem in told.values()))
    examples = {code.value: {"value": dict(problem.body)} for code, problem in told.items()}
    return {
        "description": f"{titles}: {', '.join(f'`{code.value}`' for code in codes)}",
        "headers": _headers(*ALWAYS, *headers),
        "content": {problems.MEDIA_TYPE: {"schema": type_of(Problem), "examples": examples}},
    }


def _failure(code: Code) -> Failure:
    fields = (FieldError("message", "Required"),) if code is Code.INVALID_REQUEST else ()
    return Failure(code=code, retry_after_ms=RETRY_MS, fields=fields)


def _headers(*names: str) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}

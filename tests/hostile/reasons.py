"""What schemathesis loads beside its own checks: whether what the document allows is refused for a reason,
and what the events of a stream are.

Refuses to excuse a refusal by its status: each rule that no schema can state is here, by its field and words.
"""

import re
from typing import Any

import schemathesis
from schemathesis.specs.openapi.checks import RejectedPositiveData, positive_data_acceptance

from service.web.schema.shapes import STREAM_EVENTS
from tests.hostile.fuzzing import ASKER

RULES = (
    (r"to", r"Expected a time that is not before `from`"),
    (r"from|to", r"Expected a date or a time of ISO 8601\b.*"),
    (r"cursor", r"Not a cursor of this question; ask for the first page again"),
    (r"token", r"Expected either `token` or `user`"),
    (r"token", r"Expected what it is called, not the token or key itself"),
    (r"before|keys", r"Expected only with `user`"),
    (r"before", r"Expected a date or a time of ISO 8601\b.*"),
    (r"confirm", r"Expected the subject's name once more"),
    (r"attachments", r"Expected (at most \d+|none: .*)"),
    (r"attachments\[\d+\]\.data", r"Expected .*"),
    (r"responseFormat\.schema.*|responseFormat", r".+"),
    (r"model", r"Expected one of .*"),
    (r"maxTokens|thinkingBudgetTokens|thinking", r"Expected .*"),
    (r"thinkingBudgetTokens", r"\S+ decides itself how long it thinks"),
)
"""Field and message: both whole."""
ENDING, NAME = "/api/v1/tokens/revoke", re.compile("[0-9a-f]{32}")
"""The operation that ends tokens, and what a token is called."""
CODES = {"idempotency_mismatch", "method_not_allowed", "over_budget", "too_large"}
"""Refusals that are no matter of one field."""


EVENT = {
    "type": "object",
    "required": ["id", "event", "data"],
    "properties": {
        "id": {"type": "string", "pattern": "^[1-9][0-9]*$"},
        "event": {"enum": list(STREAM_EVENTS)},
        "data": {"type": "string", "minLength": 2},
    },
}
"""One of a stream: the checker holds each event against the schema that the document has for the whole."""


@schemathesis.hook
def before_load_schema(context: Any, raw_schema: dict[str, Any]) -> None:
    """Describe streams event by event."""
    del context
    operations = [each for path in raw_schema["paths"].values() for each in path.values()]
    for answer in (answer for each in operations for answer in each["responses"].values()):
        if stream := answer.get("content", {}).get("text/event-stream"):
            stream["schema"] = EVENT


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Have somebody else's tokens ended where it would be the asker's: what comes after would try nothing."""
    del context, kwargs
    if case.operation.path == ENDING and isinstance(case.body, dict):
        case.body = spared(case.body)


def spared(body: dict[str, Any]) -> dict[str, Any]:
    """The same wish, of somebody who asks for nothing; a name of a real token may be the asker's."""
    others = {"user": body.get("user") == ASKER, "token": bool(NAME.fullmatch(str(body.get("token"))))}
    return {field: "somebody.else" if others.get(field) else value for field, value in body.items()}


@schemathesis.check
def refused_for_a_reason(ctx: Any, response: Any, case: Any) -> None:
    """Fail where it was refused otherwise."""
    try:
        positive_data_acceptance(ctx, response, case)
    except RejectedPositiveData:
        if not _excused(response.json()):
            raise


def _excused(problem: dict[str, Any]) -> bool:
    errors = problem["errors"]
    if problem["code"] != "invalid_request" or not errors:
        return problem["code"] in CODES
    return all(_ruled(each["field"], each["message"]) for each in errors)


def _ruled(field: str, message: str) -> bool:
    return any(re.fullmatch(name, field) and re.fullmatch(words, message) for name, words in RULES)

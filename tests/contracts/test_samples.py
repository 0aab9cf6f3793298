"""A sample of everything that is said, held against what a running service says: the same keys and types.

With PARLEY_WRITE_SAMPLES=1 the samples, and the examples of the OpenAPI document, are written anew.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from service.errors import ALLOWANCES
from service.web import problems
from service.web.identity import Identity
from service.web.schema import document
from service.web.schema.operations import OPERATIONS
from service.web.schema.shapes import STREAM_EVENTS
from telemetry import names
from telemetry.failure import Code, Failure, FieldError
from tests.contracts.collected import collect

FOLDER = Path(__file__).parent / "samples"
EXAMPLES = Path(document.__file__).with_name("examples.json")
SAMPLES = {path.relative_to(FOLDER).with_suffix("").as_posix(): path for path in FOLDER.rglob("*.json")}
WRITE = os.environ.get("PARLEY_WRITE_SAMPLES") == "1"

NOT_ASKED_FOR = {
    "budget_unavailable": "takes a database that stands still",
    "overloaded": "takes more turns than there are places",
    "request_timeout": "takes a body of 30 s",
    "upstream_timeout": "takes 30 s of silence",
    "upstream_unreachable": "is the stream's error event",
    "shutting_down": "takes a service that is about to end",
    "internal": "there is no known way",
}
"""Codes whose samples are held against the projection alone, and why no service is brought to say them."""

STREAM = """\
id: 1
event: turn
data: {turn}

id: 2
event: text
data: {text}

id: 3
event: done
data: {done}

"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What a running service says, and the problems that only the projection says."""
    folder = tmp_path_factory.mktemp("collected")
    collected = collect(folder) | {f"problems/{code}": projected(Code(code)) for code in NOT_ASKED_FOR}
    if WRITE:
        write(collected, str(folder / "cwd"))
    return collected


def test_everything_that_is_said_has_a_sample_and_nothing_else_has(found):
    if not WRITE:
        assert set(found) == set(SAMPLES)


def test_there_is_a_sample_of_every_code_line_event_and_operation():
    kinds = {kind: {name.partition("/")[2] for name in SAMPLES if name.startswith(kind)} for kind in KINDS}
    assert kinds["problems"] == {code.value for code in Code}
    assert kinds["lines"] == set(names.LOG_TYPES)
    assert {name.partition("_")[0] for name in kinds["events"]} == set(STREAM_EVENTS)
    assert kinds["routes"] == {each.id for each in OPERATIONS} - {"getSchema"}


KINDS = ("routes", "events", "lines", "cli", "problems")


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_has_the_keys_and_types_of_what_is_said(found, name):
    assert shape(sample(name)) == shape(found[name])


@pytest.mark.parametrize("code", Code)
def test_a_problems_fixed_words_are_those_of_its_sample(code):
    told, expected = projected(code), sample(f"problems/{code.value}")
    fixed = ("type", "title", "status", "category", "code", "retryable", "fault")
    assert {name: expected[name] for name in fixed} == {name: told[name] for name in fixed}
    own = code in ALLOWANCES
    assert own or expected["error"] == told["error"]
    assert not own or expected["error"].startswith("Rate limit exceeded. You can ")


@pytest.mark.parametrize(
    "each", [each for each in OPERATIONS if each.id != "getSchema"], ids=lambda each: each.id
)
def test_the_documents_examples_are_the_samples_and_fit_its_schemas(each):
    told = document.document()
    content = told["paths"][each.path][each.method]["responses"][str(each.gives)].get("content", {})
    expected = sample(f"routes/{each.id}")
    if "application/json" in content:
        assert content["application/json"]["example"] == expected
    for media in content.values():
        fits(told, media["schema"], media["example"])


@pytest.mark.parametrize("name", [name for name in SAMPLES if name.startswith(("events", "problems"))])
def test_events_and_problems_fit_the_documents_schemas(name):
    told, (kind, _, rest) = document.document(), name.partition("/")
    content = told["paths"]["/api/v1/agent/chat"]["post"]["responses"]["200"]["content"]
    by_event = content["text/event-stream"]["x-events"]
    fits(told, by_event[rest.partition("_")[0] if kind == "events" else "error"], sample(name))


def test_a_schema_refuses_what_is_not_said():
    told, problem = document.document(), sample("problems/internal")
    with pytest.raises(AssertionError):
        fits(told, {"$ref": "#/components/schemas/Problem"}, problem | {"code": "made_up"})
    with pytest.raises(AssertionError):
        fits(told, {"$ref": "#/components/schemas/Answer"}, problem)


def test_no_sample_tells_of_the_machine_it_was_made_on():
    for path in (*SAMPLES.values(), EXAMPLES):
        assert not re.search(r"/(tmp|work|home|root)/", path.read_text()), path.name


def sample(name: str) -> Any:
    return json.loads(SAMPLES[name].read_text())


def fits(told: Any, schema: Any, value: Any) -> None:
    """Check a value against a schema of the document."""
    errors = list(Draft202012Validator({**schema, "components": told["components"]}).iter_errors(value))
    assert not errors, errors


def shape(value: Any) -> Any:
    """What a value is made of: keys and types; of a list the different shapes in it."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return sorted({json.dumps(shape(each), sort_keys=True) for each in value})
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return type(value).__name__
    return "number"


def projected(code: Code) -> dict[str, Any]:
    """The problem of a failure of this code."""
    fields = (FieldError("message", "Required"),) if code is Code.INVALID_REQUEST else ()
    identity = Identity(request_id=document.EXAMPLE.request_id, trace_id=document.EXAMPLE.trace_id)
    return dict(problems.problem_of(Failure(code=code, fields=fields), identity).body)


def write(collected: dict[str, Any], machine: str) -> None:
    """Write what was collected as the new samples, without what is of one machine or secret."""
    for path in SAMPLES.values():
        path.unlink()
    for name, value in collected.items():
        path = SAMPLES[name] = FOLDER / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(cleaned(value, machine), indent=2, ensure_ascii=False) + "\n")
    examples = {each.id: sample(f"routes/{each.id}") for each in OPERATIONS if each.id != "getSchema"}
    examples |= {"chat request": {"message": "What is 12*7?"}, "getSchema": {"openapi": "3.1.0"}}
    examples["decideApproval request"] = {"decision": "approve", "reason": "The invoice is right."}
    examples["giveFeedback request"] = {"rating": "up", "comment": "Exactly what I needed."}
    examples["makeKey request"] = {"user": "kim", "role": "AUDITOR", "expires": "90d"}
    examples |= {
        "renameConversation request": {"title": "Sums"},
        "rotateKey request": {"overlap": "24h"},
        "revokeTokens request": {"user": "kim"},
    }
    examples["eraseSubject request"] = {"subject": "auditee", "confirm": "auditee"}
    event = examples.pop("exportAuditEvents")[0]
    del examples["resumeChat"]
    examples["exportAuditEvents application/x-ndjson"] = json.dumps(event) + "\n"
    examples["exportAuditEvents text/csv"] = csv_of(event)
    data = {name: json.dumps(sample(f"events/{name}")) for name in ("turn", "text", "done")}
    examples["chat text/event-stream"] = STREAM.format(**data)
    examples["resumeChat text/event-stream"] = STREAM.format(**data).partition("\n\n")[2]
    EXAMPLES.write_text(json.dumps(examples, indent=1, ensure_ascii=False) + "\n")


def csv_of(event: dict[str, Any]) -> str:
    names = (*(name for name in event if name != "seal"), "query", "seal")
    return "\r\n".join([",".join(f'"{name}"' for name in names), ""])


def cleaned(value: Any, machine: str, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: cleaned(each, machine, key) for key, each in value.items()}
    if isinstance(value, list):
        return [cleaned(each, machine) for each in value]
    if name == "stack" and value:
        return "Traceback (most recent call last): ..."
    if name == "key" and str(value).startswith("parley_"):
        return "parley_0123456789abcdef_..."
    return value.replace(machine, ".") if isinstance(value, str) else value

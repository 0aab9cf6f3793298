"""Every fault of a model's API once, through the real service, as JSON and as a stream; and the verdict.

Refuses a fault whose turn is not accounted for: one row, one root span, nothing left open.
"""

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from tests.faults.upstream import Asked, Upstream
from tests.faults.upstream_table import CATEGORIES, FAULTS, SAID, Fault
from tests.harness.chat import ask, stream
from tests.harness.otlp import Receiver
from tests.harness.service import Service

MODES = ("json", "stream")
TIMES = {
    "AGENT_MODEL_FIRST_EVENT_TIMEOUT_MS": "2500",  # an error's body alone may take a second
    "AGENT_MODEL_EVENT_TIMEOUT_MS": "1200",
    "AGENT_MODEL_BREAKER": "false",
    "AGENT_RATE_LIMIT_ROLES": "AUDITEE=1000",
    "AGENT_RATE_LIMIT_WINDOW_MS": "1000",
    "AGENT_RATE_LIMIT_CONCURRENCY": "1000",
}
ROOT = "POST /api/v1/agent/chat"


class Heard(Struct, frozen=True, kw_only=True):
    """What a client was told of one fault: the body or the terminal event's data, and when."""

    name: str
    mode: str
    status: int
    told: dict[str, Any]
    text: str
    terminals: int
    turn: str
    trace: str
    ended: float


class Case(Struct, frozen=True, kw_only=True):
    """All the evidence of one fault in one mode."""

    heard: Heard
    asked: Sequence[Asked]
    rows: Sequence[dict[str, Any]]
    roots: int
    line: dict[str, Any]


Cases = dict[tuple[str, str], Case]


def play(cwd: Path, names: Iterable[str], *, at_once: int = 16) -> tuple[Cases, list[str]]:
    """Play faults in both modes; give the evidence of each, and what was found wrong with the whole."""
    plan = [(name, mode) for name in names for mode in MODES]
    scripts = {name: fault.scripts for name, fault in FAULTS.items()}
    soon = {"OTEL_BSP_SCHEDULE_DELAY": "100"}
    with ExitStack() as rooms:
        receiver, upstream = rooms.enter_context(Receiver()), rooms.enter_context(Upstream(scripts))
        settings = receiver.settings() | soon | TIMES | upstream.settings
        service = rooms.enter_context(Service(cwd, settings))
        with ThreadPoolExecutor(at_once) as threads:
            heard = list(threads.map(partial(_ask, service), *zip(*plan, strict=True)))
        service.wait_for_rows(len(plan))
        cases = {(each.name, each.mode): _case(service, receiver, upstream, each) for each in heard}
        wrong = list(_leftovers(service, upstream, len(plan)))
        assert service.stop() == 0
    return cases, wrong


def _ask(service: Service, name: str, mode: str) -> Heard:
    question = f"fault:{name}#{name}.{mode}"
    if mode == "json":
        response = ask(service, question)
        body = response.json()
        said = {"text": body.get("response", ""), "terminals": 1}
        return _heard(name, mode, response, body, said)
    with stream(service, question) as answer:
        if answer.response.status_code != 200:
            return _heard(name, mode, answer.response, answer.problem(), {"text": "", "terminals": 1})
        events = answer.rest()
        text = "".join(event.data["text"] for event in events if event.event == "text")
        last = [event for event in events if event.event in {"done", "error"}]
        return _heard(name, mode, answer.response, last[-1].data, {"text": text, "terminals": len(last)})


def _heard(name: str, mode: str, response: Any, told: dict[str, Any], said: dict[str, Any]) -> Heard:
    return Heard(
        name=name,
        mode=mode,
        status=response.status_code,
        told=told,
        turn=response.headers["x-request-id"],
        trace=response.headers["x-trace-id"],
        ended=time.monotonic(),
        **said,
    )


def _case(service: Service, receiver: Receiver, upstream: Upstream, heard: Heard) -> Case:
    asked = upstream.asked[f"{heard.name}.{heard.mode}"]
    spans = receiver.wait_for_trace(heard.trace)
    return Case(
        heard=heard,
        asked=asked,
        rows=service.rows(entityId=heard.turn),
        roots=sum(span.name == ROOT for span in spans),
        line=next(iter(service.lines(requestId=heard.turn, type=_ending(heard))), {}),
    )


def _ending(heard: Heard) -> str:
    return "agent_query_failed" if "code" in heard.told else "agent_query_completed"


def judge(case: Case) -> Iterator[str]:
    """What is wrong with a fault's turn."""
    fault, heard = _expected(case.heard), case.heard
    code = heard.told.get("code", "")
    if code != fault.code:
        yield f"code {code!r}, not {fault.code!r}"
    yield from _judge_answer(fault, heard)
    if len(case.asked) != fault.asks:
        yield f"asked {len(case.asked)} times, not {fault.asks}"
    if case.roots != 1:
        yield f"{case.roots} root spans"
    if len(case.rows) != 1:
        yield f"{len(case.rows)} rows"
    else:
        yield from _judge_row(case, case.rows[0])


def _expected(heard: Heard) -> Fault:
    fault = FAULTS[heard.name]
    silent = fault.slow and heard.told.get("code") == "upstream_timeout"
    return structs.replace(fault, code="upstream_timeout") if silent else fault


def _judge_answer(fault: Fault, heard: Heard) -> Iterator[str]:
    status, category = CATEGORIES.get(fault.code, (200, None))
    shown = 200 if heard.mode == "stream" and (fault.heard or not fault.code) else status
    if heard.status != shown or heard.told.get("status", 200) != status:
        yield f"status {heard.status} with {heard.told.get('status')}, not {shown} with {status}"
    if heard.told.get("category") != category:
        yield f"category {heard.told.get('category')}, not {category}"
    if heard.terminals != 1:
        yield f"{heard.terminals} terminal events"
    if "canary" in json.dumps(heard.told):
        yield "the provider's words were told"
    if not fault.code and heard.text != SAID:
        yield f"said {heard.text!r}"


def _judge_row(case: Case, row: dict[str, Any]) -> Iterator[str]:
    fault, known = _expected(case.heard), row["metadata"]
    outcome = "failed" if fault.code else "answered"
    if (row["outcome"], row["code"] or "") != (outcome, fault.code):
        yield f"the row says {row['outcome']}, {row['code']}"
    if known["usageSource"] != fault.source:
        yield f"tokens are {known['usageSource']}, not {fault.source}"
    if (known["usage"]["inputTokens"] > 0) != (fault.source != "none"):
        yield f"tokens {known['usage']} are {fault.source}"
    if case.line.get("outcome") != outcome:
        yield f"the line says {case.line.get('outcome')}"
    yield from _judge_requests(fault, known)


def _judge_requests(fault: Fault, known: dict[str, Any]) -> Iterator[str]:
    requests = [each for call in known["modelCalls"] for each in call["requests"]]
    if len(requests) != fault.asks:
        yield f"the row tells of {len(requests)} requests"
    if fault.code and requests[-1]["code"] != fault.code:
        yield f"the last request failed with {requests[-1]['code']}"


def _leftovers(service: Service, upstream: Upstream, turns: int) -> Iterator[str]:
    if upstream.strangers:
        yield f"asked something else: {upstream.strangers[:3]}"
    rows = service.rows()
    if len(rows) != turns:
        yield f"{len(rows)} rows of {turns} turns"
    doubled = [turn for turn, count in Counter(row["entityId"] for row in rows).items() if count > 1]
    if doubled:
        yield f"twice there: {doubled}"


def closing(cases: Iterable[Case]) -> list[float]:
    """Milliseconds from each turn's end to that of its connections that did not end well, in order."""
    waits = [
        1000 * ((asked.closed or float("inf")) - case.heard.ended)
        for case in cases
        for asked in case.asked
        if asked.said is None or asked.closed
    ]
    return sorted(max(0.0, each) for each in waits)

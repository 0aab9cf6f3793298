"""What a model's API can do wrong, by name: what it says, and what has to come of it.

Refuses to know the service: bytes on one side, the contract's words on the other.
"""

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from tests.faults.upstream import END, Act, Drip, Endless, Script, Step, Wait, chunk, head
from tests.harness.messages_api import TEXT, block, end, frame, start

CATEGORIES = {
    "upstream_error": (500, "agent_service"),
    "upstream_overloaded": (500, "agent_service"),
    "upstream_rate_limited": (429, "rate_limit"),
    "upstream_unreachable": (503, "network"),
    "upstream_timeout": (503, "network"),
}
"""The contract's status and category of each code."""
ATTEMPTS = 3


class Fault(Struct, frozen=True, kw_only=True):
    """What is said to each question, and what has to come of it.

    `code` is empty where the turn is answered all the same; `heard` says whether content was told before;
    `asks` counts questions; `source` is how its tokens are known.
    """

    scripts: Sequence[Script]
    code: str = ""
    asks: int = 1
    heard: bool = False
    source: str = "none"
    slow: bool = False
    """Whether it may take so long that its silence is believed before its size is."""


def words(text: str) -> dict[str, Any]:
    return {"type": "text_delta", "text": text}


ANSWER = [start(), *block(0, TEXT, words("Once "), words("upon a time")), *end()]
"""Seven events: content begins with the second."""
SAID = "Once upon a time"
CONTENT = 2
"""Events after which content was told."""
WHOLE = len(ANSWER)


def body(*events: Mapping[str, Any]) -> list[bytes]:
    return [chunk(frame(each)) for each in events]


def plays(*steps: Step) -> Script:
    return (head(), *steps)


def told(place: int) -> dict[str, Any]:
    """What is known of an answer that broke off before the event at this place."""
    return {"heard": place >= CONTENT, "source": "none" if place == 0 else _source(place)}


def _source(place: int) -> str:
    return "reported" if place > WHOLE - CONTENT else "estimated"


def error(kind: str) -> bytes:
    return chunk(frame({"type": "error", "error": {"type": kind, "message": "canary"}}))


def at_places() -> Iterator[tuple[str, Fault]]:
    """The same faults before each event of an answer."""
    for place in range(WHOLE):
        said = body(*ANSWER[:place])
        tries = 1 if place >= CONTENT else ATTEMPTS
        known = told(place)
        gone = {"code": "upstream_unreachable", "asks": tries, **known}
        yield f"reset-{place}", Fault(scripts=[plays(*said, Wait(0.05), Act.RESET)], **gone)
        yield f"closed-{place}", Fault(scripts=[plays(*said, Act.CLOSE)], **gone)
        yield f"truncated-{place}", Fault(scripts=[plays(*said, END)], code="upstream_error", **known)
        late = {"code": "upstream_timeout", "asks": tries, **known}
        yield f"stall-{place}", Fault(scripts=[plays(*said, Act.HOLD)], **late)
        busy = {"code": "upstream_overloaded", "asks": tries, **known}
        yield f"overloaded-event-{place}", Fault(scripts=[plays(*said, error("overloaded_error"))], **busy)
        half = chunk(frame(ANSWER[place])[:30])
        yield (
            f"half-an-event-{place}",
            Fault(scripts=[plays(*said, half, END)], code="upstream_error", **known),
        )
        bad = chunk(b"event: %s\ndata: {'no': json\n\n" % ANSWER[place]["type"].encode())
        yield f"no-json-{place}", Fault(scripts=[plays(*said, bad)], code="upstream_error", **known)
    for place in (0, 1, 3, 6):
        pings = plays(*body(*ANSWER[:place]), Act.PING)
        tries = 1 if place >= CONTENT else ATTEMPTS
        yield f"pings-{place}", Fault(scripts=[pings], code="upstream_timeout", asks=tries, **told(place))


def statuses() -> Iterator[tuple[str, Fault]]:
    """What is answered in place of an answer."""
    lasting = (400, 401, 402, 403, 404, 405, 413, 422)
    passing = (408, 409, 500, 502, 503, 504)
    plain = json.dumps({"type": "error", "error": {"type": "x", "message": "canary"}}).encode()
    for status in (*lasting, *passing, 429, 529):
        named = {429: "upstream_rate_limited", 529: "upstream_overloaded"}.get(status, "upstream_error")
        asks = 1 if status in lasting else ATTEMPTS
        answer = (head(f"{status} X", content_type="application/json"), chunk(plain), END)
        yield f"status-{status}", Fault(scripts=[answer], code=named, asks=asks)
    for status, wait, asks in (
        (429, "0", 3),
        (529, "0", 3),
        (503, "0", 3),
        (429, "9999", 1),
        (529, "9999", 1),
    ):
        named = {429: "upstream_rate_limited", 529: "upstream_overloaded"}.get(status, "upstream_error")
        answer = (head(f"{status} X", retry_after=wait, content_length="0"),)
        yield f"status-{status}-after-{wait}", Fault(scripts=[answer], code=named, asks=asks)


def strange_statuses() -> Iterator[tuple[str, Fault]]:
    """Redirects, empty answers, and bodies of errors that have no end."""
    for status in (301, 302, 307, 308):
        answer = (head(f"{status} X", location="/elsewhere", content_length="0"),)
        yield f"redirect-{status}", Fault(scripts=[answer], code="upstream_error")
    big, packed = b"x" * 65_536, gzip.compress(bytes(1 << 24))
    failed = {"code": "upstream_error", "asks": ATTEMPTS}
    endless = (head("500 X", content_type="application/json"), Endless(chunk(big)))
    yield "error-body-endless", Fault(scripts=[endless], **failed)
    yield "error-body-stalls", Fault(scripts=[(head("500 X"), chunk(b"{"), Act.HOLD)], **failed)
    yield "error-body-cut", Fault(scripts=[(head("500 X"), chunk(b"{"), Act.RESET)], **failed)
    swollen = (head("500 X", content_encoding="gzip"), chunk(packed), END)
    yield "error-body-bomb", Fault(scripts=[swollen], **failed)
    whole = [*body(*ANSWER), END]
    yield "recovers", Fault(scripts=[endless, plays(*whole)], asks=2, source="reported")
    yield "status-204", Fault(scripts=[(head("204 X", content_length="0"),)], code="upstream_error")
    yield "status-201", Fault(scripts=[(head("201 X"), *whole)], source="reported")


def error_events() -> Iterator[tuple[str, Fault]]:
    """Error events by type, before and after content."""
    kinds = {
        "api_error": ("upstream_error", True),
        "timeout_error": ("upstream_error", True),
        "rate_limit_error": ("upstream_rate_limited", True),
        "invalid_request_error": ("upstream_error", False),
        "authentication_error": ("upstream_error", False),
        "from_the_future": ("upstream_error", False),
    }
    for kind, (code, passes) in kinds.items():
        for place in (1, 4):
            asks = ATTEMPTS if passes and place < CONTENT else 1
            said = plays(*body(*ANSWER[:place]), error(kind))
            yield f"event-{kind}-{place}", Fault(scripts=[said], code=code, asks=asks, **told(place))
    bare = plays(*body(*ANSWER[:1]), chunk(b"event: error\ndata: down\n\n"))
    yield "event-without-json", Fault(scripts=[bare], code="upstream_error", **told(1))


def orders() -> Iterator[tuple[str, Fault]]:
    """Events that contradict each other, and some that only look strange."""
    begin, stop = ANSWER[1], ANSWER[4]
    said = ANSWER[2]
    wrong = {
        "no-start": (0, [begin, said, stop, *end()]),
        "two-starts": (1, [ANSWER[0], ANSWER[0]]),
        "delta-without-block": (1, [ANSWER[0], said]),
        "delta-of-another-block": (2, [ANSWER[0], begin, said | {"index": 7}]),
        "block-twice": (2, [ANSWER[0], begin, begin]),
        "block-again": (5, [*ANSWER[:5], begin]),
        "delta-after-stop": (5, [*ANSWER[:5], said]),
        "stop-twice": (5, [*ANSWER[:5], stop]),
        "stop-before-start": (1, [ANSWER[0], stop]),
        "no-block-stop": (6, [*ANSWER[:4], *end()]),
        "content-after-end": (6, [*ANSWER[:6], said]),
        "end-before-start": (0, [end()[0]]),
        "only-an-end": (0, [end()[1]]),
        "no-reason": (5, [*ANSWER[:5], end()[1]]),
        "no-message": (0, [{"type": "message_start"}]),
        "tokens-in-words": (0, [start(input_tokens="many")]),
        "tokens-below-zero": (0, [start(input_tokens=-5)]),
        "tokens-without-end": (0, [start(input_tokens=10**30)]),
        "text-is-a-number": (2, [ANSWER[0], begin, said | {"delta": {"type": "text_delta", "text": 5}}]),
        "nested": (1, [ANSWER[0]]),
    }
    for name, (place, events) in wrong.items():
        more = [chunk(b"event: ping2\ndata: " + b"[" * 100_000 + b"\n\n")] if name == "nested" else []
        known = told(place)
        yield (
            f"order-{name}",
            Fault(scripts=[plays(*body(*events), *more, END)], code="upstream_error", **known),
        )
    future = {"type": "from_the_future", "x": [{}]}
    delta = ANSWER[2] | {"delta": {"type": "future_delta", "x": 1}}
    fine = {
        "unknown-events": [chunk(frame(each)) for event in ANSWER for each in (future, event)],
        "unknown-delta": [*body(*ANSWER[:3], delta, *ANSWER[3:])],
        "two-stops": [*body(*ANSWER, ANSWER[-1])],
        "comments-and-pings": [
            chunk(b": hello\n\n" + frame({"type": "ping"}) + frame(each)) for each in ANSWER
        ],
        "crlf": [chunk(frame(each).replace(b"\n", b"\r\n")) for each in ANSWER],
        "all-at-once": [chunk(b"".join(map(frame, ANSWER)))],
    }
    for name, steps in fine.items():
        yield f"fine-{name}", Fault(scripts=[plays(*steps, END)], source="reported")
    yield "fine-drip", Fault(scripts=[plays(Drip(b"".join(body(*ANSWER)) + END))], source="reported")
    for name, last in (("reset", Act.RESET), ("close", Act.CLOSE), ("stall", Act.HOLD), ("pings", Act.PING)):
        late = plays(*body(*ANSWER), last)
        yield f"fine-{name}-after-all", Fault(scripts=[late], source="reported")


def tools() -> Iterator[tuple[str, Fault]]:
    """Tool calls whose arguments are broken: the model is told, and answers."""
    again = plays(*body(*ANSWER), END)
    for name, text in (("broken", '{"expression": '), ("a-list", "[1]"), ("unknown-field", '{"x": 1}')):
        wanted = {"type": "tool_use", "id": "c1", "name": "calculate", "input": {}}
        pieces = {"type": "input_json_delta", "partial_json": text}
        use = plays(*body(start(), *block(0, wanted, pieces), *end("tool_use")), END)
        yield f"tool-{name}", Fault(scripts=[use, again], asks=2, source="reported")
    cut = plays(
        *body(start(), *block(0, TEXT | {"type": "tool_use", "id": "c", "name": "n", "input": {}})[:1])
    )
    half = {"code": "upstream_unreachable", "heard": True, "source": "estimated"}
    yield "tool-cut", Fault(scripts=[(*cut, Act.CLOSE)], **half)
    use = plays(
        *body(
            start(),
            *block(0, {"type": "tool_use", "id": "c1", "name": "current_time", "input": {}}),
            *end("tool_use"),
        ),
        END,
    )
    busy = (head("529 X", retry_after="0", content_length="0"),)
    yield (
        "after-a-tool-529",
        Fault(scripts=[use, busy], code="upstream_overloaded", asks=2, heard=True, source="reported"),
    )


def bytes_on_the_wire() -> Iterator[tuple[str, Fault]]:
    """What is no HTTP, or nothing at all."""
    gone = {"code": "upstream_unreachable", "asks": ATTEMPTS}
    yield "empty", Fault(scripts=[(Act.CLOSE,)], **gone)
    yield "reset-at-once", Fault(scripts=[(Act.RESET,)], **gone)
    yield "no-http", Fault(scripts=[(b"220 mail ready\r\n\r\n", Act.CLOSE)], **gone)
    yield "half-a-head", Fault(scripts=[(head()[:40], Act.CLOSE)], **gone)
    yield "endless-head", Fault(scripts=[(head()[:-2], Endless(b"x: " + b"y" * 4096 + b"\r\n"))], **gone)
    late = {"code": "upstream_timeout", "asks": ATTEMPTS}
    yield "silent", Fault(scripts=[(Act.HOLD,)], **late)
    yield "silent-in-its-head", Fault(scripts=[(head()[:40], Act.HOLD)], **late)
    yield "comments-only", Fault(scripts=[(head(), Endless(chunk(b": x\n\n"), 0.05))], **late)


def broken_bodies() -> Iterator[tuple[str, Fault]]:
    """Bodies that are shorter or longer than was said, or packed in something that is broken."""
    wrong, events = {"code": "upstream_error"}, body(*ANSWER[:3])
    cut = {"code": "upstream_unreachable", **told(3)}
    yield "chunks-are-garbage", Fault(scripts=[plays(*events, b"zz\r\nnonsense\r\n")], **cut)
    long = sum(map(len, map(frame, ANSWER)))
    raw = [frame(each) for each in ANSWER]
    yield "too-short", Fault(scripts=[(head(content_length=str(long)), *raw[:3], Act.CLOSE)], **cut)
    yield "fine-with-a-length", Fault(scripts=[(head(content_length=str(long)), *raw)], source="reported")
    less = (head(content_length=str(sum(map(len, raw[:3])))), *raw, Act.CLOSE)
    yield "too-long", Fault(scripts=[less], **wrong, **told(3))
    old = b"HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
    yield "fine-without-a-length", Fault(scripts=[(old, *raw, Act.CLOSE)], source="reported")
    yield "cut-without-a-length", Fault(scripts=[(old, *raw[:3], Act.CLOSE)], **wrong, **told(3))


def strange_bodies() -> Iterator[tuple[str, Fault]]:
    """Bodies that are no text, no events, packed, or without an end."""
    whole, events = [*body(*ANSWER), END], body(*ANSWER[:3])
    wrong = {"code": "upstream_error"}
    latin = chunk(frame(ANSWER[3]).replace(b"upon", b"\xff\xfe"))
    yield "no-utf-8", Fault(scripts=[plays(*events, latin)], **wrong, **told(3))
    for kind in ("application/json", "text/html; charset=utf-8", "text/event-streams", ""):
        name = kind.partition(";")[0].replace("/", "-") or "none"
        yield f"type-{name}", Fault(scripts=[(head(content_type=kind), *whole)], **wrong)
    stalled = (head(content_type="text/html"), Act.HOLD)
    yield "type-html-that-stalls", Fault(scripts=[stalled], **wrong)
    bomb = gzip.compress(b"".join(map(frame, ANSWER[:3])) + b"data: " + bytes(1 << 26))
    yield "gzip-bomb", Fault(scripts=[(head(content_encoding="gzip"), chunk(bomb), END)], **wrong)
    yield "brotli", Fault(scripts=[(head(content_encoding="br"), *whole)], **wrong)
    huge = chunk(b"data: " + b"x" * (1 << 20) + b"\n")
    yield "endless-event", Fault(scripts=[plays(*events, Endless(huge))], slow=True, **wrong, **told(3))
    line = chunk(b"x" * (1 << 20))
    yield "endless-line", Fault(scripts=[plays(*events, Endless(line))], slow=True, **wrong, **told(3))
    lines = chunk(b"\r" + b"x\n" * 30_000)
    yield "endless-lines", Fault(scripts=[plays(*events, Endless(lines))], slow=True, **wrong, **told(3))


FAULTS: Mapping[str, Fault] = {
    name: fault
    for table in (
        *(at_places, statuses, strange_statuses, error_events, orders, tools),
        *(bytes_on_the_wire, broken_bodies, strange_bodies),
    )
    for name, fault in table()
}

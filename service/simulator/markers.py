"""The markers: words in a message that choose what the simulator does.

Refuses a marker it does not know, a number it cannot read, and two markers that contradict each other.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

from service.simulator.error import ApiError

MARKERS: Mapping[str, str] = MappingProxyType(
    {
        "text": "a plain text answer; no tool is called",
        "tool": "one round with one tool call, then an answer; without tools, a plain text answer",
        "tools3": "one round with three tool calls in parallel, then an answer",
        "400": "HTTP 400 invalid_request_error",
        "401": "HTTP 401 authentication_error",
        "402": "HTTP 402 billing_error",
        "403": "HTTP 403 permission_error",
        "404": "HTTP 404 not_found_error",
        "413": "HTTP 413 request_too_large",
        "429": "HTTP 429 rate_limit_error, without Retry-After",
        "500": "HTTP 500 api_error",
        "503": "HTTP 503 api_error",
        "529": "HTTP 529 overloaded_error",
        "429-after:N": "HTTP 429 rate_limit_error with Retry-After: N (seconds)",
        "slow:MS": "MS milliseconds between two events of a stream, and before any other answer",
        "stall": "stream: silence after message_start; JSON: no answer at all; until the client leaves",
        "cut": "the connection is closed in the middle of the text; JSON: half-way through the body",
        "error-event": "stream: an overloaded_error event in the middle of the text; JSON: HTTP 529",
        "truncate": "stream: ends without message_delta and message_stop; "
        "JSON: half the text, stop_reason max_tokens",
        "bad-json": "stream: a data line that is not JSON in the middle of the text; "
        "JSON: HTTP 200 with a body that is not JSON",
        "refuse": "half the text, then stop_reason refusal",
        "bad-schema": "JSON that does not fit the schema that the answer has to fit",
        "rounds:N": "N rounds with one tool call each, then an answer",
    }
)
"""What each `[sim:NAME]` does; N and MS stand for a whole number of at most seven digits."""

COMBINING = """\
Markers are read from the latest user message that has text, also in the later rounds of its turn.
One of text, tool, tools3, rounds:N may stand together with slow:MS and one of the others (the faults).
With tool, tools3 or rounds:N a fault waits for the round after the tools' results; otherwise it strikes at
once, and no tool is called. slow:MS holds in every round. Two of a kind are refused with HTTP 400."""
"""How markers combine, for `--help`."""

MARKER = re.compile(r"\[sim:([^\]]*)\]")
_NUMBERED: Mapping[str, str] = {key.partition(":")[0]: key for key in MARKERS if ":" in key}
_NUMBER = re.compile(r"[0-9]{1,7}")
_ROUNDS = frozenset({"text", "tool", "tools3", "rounds"})


class Script(Struct, frozen=True, kw_only=True):
    """What a message asks the simulator to do; as built, an ordinary answer.

    `rounds` is "", text, tool, tools3 or rounds, `times` how many there are that call tools; `fault` is "" or
    the name of a marker that breaks something.
    `markers` are the words as written, in order, each once.
    """

    rounds: str = ""
    times: int = 1
    fault: str = ""
    retry_after_seconds: int | None = None
    slow_ms: int = 0
    markers: tuple[str, ...] = ()

    @property
    def status(self) -> int | None:
        """The HTTP status the fault asks for, where it asks for one."""
        digits = self.fault.removesuffix("-after")
        return int(digits) if digits.isdecimal() else None


def read(text: str) -> Script:
    """Read the markers of a message.

    Raises:
        ApiError: 400, naming the marker that is unknown, unreadable or contradicts another.
    """
    words = tuple(dict.fromkeys(MARKER.findall(text)))
    chosen: dict[str, tuple[str, int | None]] = {}
    for word in words:
        name, number = _parse(word)
        if (kind := _kind(name)) in chosen:
            raise ApiError(400, f"messages: [sim:{word}] cannot stand with [sim:{chosen[kind][0]}]")
        chosen[kind] = (name, number)
    rounds, times = chosen.get("rounds", ("", None))
    fault, retry_after = chosen.get("fault", ("", None))
    return Script(
        rounds=rounds,
        times=1 if times is None else times,
        fault=fault,
        retry_after_seconds=retry_after,
        slow_ms=chosen.get("slow", ("", None))[1] or 0,
        markers=words,
    )


def _parse(word: str) -> tuple[str, int | None]:
    name, _, number = word.partition(":")
    if name in _NUMBERED and _NUMBER.fullmatch(number):
        return name, int(number)
    if name not in _NUMBERED and word in MARKERS:
        return word, None
    known = ", ".join(MARKERS)
    raise ApiError(400, f"messages: [sim:{word[:40]}] is no marker of the simulator; known are {known}")


def _kind(name: str) -> str:
    if name in _ROUNDS:
        return "rounds"
    return "slow" if name == "slow" else "fault"

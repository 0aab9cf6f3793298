"""Whatever text a line is made of, it stays one line that harms no reader."""

import logging
import sys
from io import StringIO

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from telemetry import log, names
from telemetry.log import Line, encode

CODES = (
    *range(32),
    *range(0x7F, 0xA0),
    0x61C,
    0x200E,
    0x200F,
    *range(0x2028, 0x202F),
    *range(0x2066, 0x206A),
)
RAW = [chr(code) for code in CODES]
NEVER = {*RAW, *(chr(code) for code in range(0xD800, 0xE000))}
ANY_TEXT = st.text(st.characters(codec=None) | st.sampled_from(RAW) | st.sampled_from(("\ud800", "\udfff")))


def is_one_plain_line(line: str) -> None:
    assert len(line.splitlines()) == 1
    assert not NEVER & set(line)


@settings(deadline=None)
@given(ANY_TEXT)
@example("\x00\n\r\x1b[31m\u2028\u202e\u2066\x85\ud800\udc00\ud800")
@example('"}\n{"level":"ERROR"}')
@example("x\x1b" * (1 << 19))
def test_any_text_in_any_field_is_one_plain_line(text):
    line = encode({"query": text, "tokens": {text: [text, (text, {text})]}})
    is_one_plain_line(line)
    told = msgspec.json.decode(line)
    if not any("\ud800" <= character <= "\udfff" for character in set(text)):
        assert told["query"] == text
        assert told["tokens"] == {text: [text, [text, [text]]]}


@settings(deadline=None)
@given(st.integers(0xD800, 0xDFFF))
def test_a_lone_surrogate_is_told_by_its_number(code):
    assert msgspec.json.decode(encode({"query": f"a{chr(code)}b"})) == {"query": f"a\\u{code:04x}b"}


def test_values_json_does_not_know_are_told_as_text():
    told = msgspec.json.decode(encode({"path": ValueError("\ud800"), "none": None, "nan": float("nan")}))
    assert told == {"path": "\\ud800", "none": None, "nan": None}


@settings(deadline=None)
@given(text=ANY_TEXT)
def test_any_text_through_the_whole_way_is_one_line(text):
    out = StringIO()
    handler = log.StdoutHandler(out, structured=True)
    record = logging.makeLogRecord({"name": text, "msg": text, "levelno": logging.ERROR, "created": 1.7e9})
    try:
        {}[text]
    except KeyError:
        record.exc_info = sys.exc_info()
    handler.emit(record)
    written = out.getvalue()
    assert written.endswith("}\n")
    is_one_plain_line(written[:-1])
    assert msgspec.json.decode(written)["stack"].startswith("Traceback")


@settings(deadline=None)
@given(text=ANY_TEXT)
def test_plain_words_are_one_line_too(text):
    out = StringIO()
    handler = log.StdoutHandler(out, structured=False)
    line = Line(names.COMPLETED, logging.INFO, {"query": text})
    handler.emit(logging.makeLogRecord({"levelno": logging.INFO, "line": line, "created": 1.7e9}))
    assert out.getvalue().startswith("2023-11-14T22:13:20.000Z INFO  agent_query_completed query=")
    is_one_plain_line(out.getvalue()[:-1])


class Mute:
    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


def told_of(message: object, *arguments: object, error: BaseException | None = None) -> dict:
    """What our handler alone writes of a library's record: pytest's own handlers would raise."""
    out = StringIO()
    record = logging.makeLogRecord({"msg": message, "args": arguments, "levelno": logging.ERROR})
    record.exc_info = (type(error), error, None) if error else None
    log.StdoutHandler(out, structured=True).emit(record)
    return msgspec.json.decode(out.getvalue())


@pytest.mark.parametrize(
    "arguments", [("%d", "x"), ("%s %s", 1), ("plain", 1), ("%(a)s", {"b": 1}), ("%s", Mute()), ("%s %(", 1)]
)
def test_a_librarys_own_mistake_in_a_line_does_not_raise_in_it(arguments):
    message = told_of(*arguments)["message"]
    assert message.startswith(f"{arguments[0]} (")
    assert message.endswith(")")


def test_a_message_that_is_no_text_is_told():
    assert told_of(ValueError("as a message"))["message"] == "as a message"
    assert told_of(Mute())["message"] == " (RuntimeError: no words)"


def test_an_exception_without_words_is_told_by_its_type():
    class MuteError(Exception):
        __str__ = Mute.__str__

    assert told_of("broke", error=MuteError())["error"] == "MuteError"

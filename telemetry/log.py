"""The one way onto stdout: every line is one JSON object, whoever wrote it.

Refuses content on OTLP: `query`, `error` and `stack` stay here unless AGENT_TELEMETRY_CONTENT says otherwise.
"""

import logging
import sys
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from io import TextIOWrapper
from typing import Any, TextIO

import msgspec
from msgspec import Struct
from opentelemetry import trace
from opentelemetry._logs import SeverityNumber, get_logger
from opentelemetry.trace import format_span_id, format_trace_id

from config.settings import Settings
from telemetry import names
from telemetry.counts import Count
from telemetry.failure import words_of
from telemetry.text import escaped
from telemetry.timestamp import timestamp

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The request that the running code works for; None outside any."""

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
CONTENT = frozenset({"query", "error", "stack"})

_logger = logging.getLogger(names.SCOPE)
_lines = Count(names.LOG_LINES, "{line}", "Lines written to stdout")


class Line(Struct, frozen=True):
    """One typed log line; `pseudonym` stands for `userId` where the line leaves the house."""

    type: str
    level: int
    fields: Mapping[str, Any]
    pseudonym: str | None = None


def tell(line: Line) -> None:
    """Write one typed line, to stdout and to OTLP, under the span and request that are current."""
    if _logger.isEnabledFor(line.level):  # as Logger.log, which would look up who calls it
        known = (_logger.name, line.level, "", 0, line.type, (), None)
        _logger.handle(_logger.makeRecord(*known, extra={"line": line}))


def say(kind: str, level: int = logging.INFO, **fields: Any) -> None:
    """Write one typed line from its parts."""
    tell(Line(kind, level, fields))


def start(settings: Settings, stream: TextIO | None = None) -> None:
    """Take over the root logger: our handlers, nobody else's. Also creates the line counters at 0."""
    root, lines = logging.getLogger(), stream or sys.stdout
    _speak_utf8(lines)
    stdout = StdoutHandler(lines, structured=settings.logs.structured)
    root.handlers[:] = [stdout, OtlpHandler(content=settings.telemetry_content)]
    root.setLevel(max(logging.WARNING, LEVELS[settings.logs.level]))
    _logger.setLevel(LEVELS[settings.logs.level])
    logging.captureWarnings(capture=True)
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # no line tells them
    for kind in names.LOG_TYPES:
        _lines.add(0, {"type": kind})


def _speak_utf8(stream: TextIO) -> None:
    """JSON is UTF-8 whatever the locale says; a line the locale cannot write would be lost."""
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def level_name(level: int) -> str:
    """DEBUG, INFO, WARN or ERROR."""
    if level >= logging.ERROR:
        return "ERROR"
    if level >= logging.WARNING:
        return "WARN"
    return "INFO" if level >= logging.INFO else "DEBUG"


def encode(fields: Any) -> str:
    """One line of JSON in which no character moves a cursor or ends a line; lone surrogates are escaped."""
    try:
        text = msgspec.json.encode(fields, enc_hook=str).decode()
    except UnicodeEncodeError:
        text = msgspec.json.encode(printable(fields), enc_hook=str).decode()
    return escaped(text)


def printable(value: Any) -> Any:
    """The same value without lone surrogates, which no encoder takes: each is told by its number."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {printable(key): printable(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType] - values of any shape
    if isinstance(value, list | tuple | set | frozenset):
        return [printable(item) for item in value]  # pyright: ignore[reportUnknownVariableType] - values of any shape
    return value if value is None or isinstance(value, bool | int | float) else printable(str(value))


def frame_of(record: logging.LogRecord, line: Line) -> dict[str, Any]:
    """The fields that every line has."""
    context = trace.get_current_span().get_span_context()
    return {
        "level": level_name(record.levelno),
        "type": line.type,
        "timestamp": timestamp(round(record.created * 1_000_000)),
        "traceId": format_trace_id(context.trace_id) if context.is_valid else None,
        "spanId": format_span_id(context.span_id) if context.is_valid else None,
        "requestId": request_id.get(),
    }


def line_of(record: logging.LogRecord) -> Line:
    """The typed line of a record; a library's own record becomes one of type `log`."""
    line = getattr(record, "line", None)
    if isinstance(line, Line):
        return line
    fields: dict[str, Any] = {"logger": record.name, "message": _message(record)}
    if record.exc_info and record.exc_info[1]:
        fields["error"] = words_of(record.exc_info[1])
        fields["stack"] = logging.Formatter().formatException(record.exc_info)
    return Line(names.FOREIGN, record.levelno, fields)


def _message(record: logging.LogRecord) -> str:
    """A library's words; the bare format where its arguments do not fit, which is no reason to raise."""
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - an argument's own __str__ may raise anything
        return f"{record.msg if isinstance(record.msg, str) else ''} ({words_of(error)})"


class StdoutHandler(logging.Handler):
    """Writes each record as one line; never raises, whatever became of the stream."""

    def __init__(self, stream: TextIO, *, structured: bool) -> None:
        super().__init__()
        self.stream, self.structured = stream, structured

    def emit(self, record: logging.LogRecord) -> None:
        """Write and flush one line, then count it."""
        # Nobody reads stdout any more, or a field cannot be put in words: the answer matters more.
        with suppress(Exception):
            line = line_of(record)
            self.stream.write(self.text(record, line) + "\n")
            self.stream.flush()
            _lines.add(1, {"type": line.type})

    def text(self, record: logging.LogRecord, line: Line) -> str:
        """The line: JSON, or words for a terminal."""
        common = frame_of(record, line)
        if self.structured:
            return encode(common | dict(line.fields))
        words = " ".join(f"{key}={encode({'': value})[4:-1]}" for key, value in line.fields.items())
        return f"{common['timestamp']} {common['level']:5} {line.type} {words}"


class OtlpHandler(logging.Handler):
    """Emits our own lines as OpenTelemetry events; a library's words may hold content and stay here.

    Never raises either.
    """

    def __init__(self, *, content: bool) -> None:
        super().__init__()
        self.content, self.logger = content, get_logger(names.SCOPE)

    def emit(self, record: logging.LogRecord) -> None:
        """Hand one line to the SDK, which sends it in its own time; nothing is made that nobody takes."""
        line = getattr(record, "line", None)
        if isinstance(line, Line) and self.logger.enabled(severity_number=severity(line.level)):
            with suppress(Exception):  # as on stdout
                self._emit(record, line)

    def _emit(self, record: logging.LogRecord, line: Line) -> None:
        self.logger.emit(
            timestamp=round(record.created * 1e9),
            event_name=line.type,
            severity_number=severity(line.level),
            severity_text=level_name(line.level),
            attributes=self.attributes(line),
        )

    def attributes(self, line: Line) -> dict[str, Any]:
        """The fields that may leave the house, under names that may."""
        left_out = frozenset[str]() if self.content else CONTENT
        fields = {
            key: value for key, value in line.fields.items() if key not in left_out and value is not None
        }
        if fields.pop("userId", None) and line.pseudonym:
            fields[names.USER_PSEUDONYM] = line.pseudonym
        if current := request_id.get():
            fields["requestId"] = current
        return fields


def severity(level: int) -> SeverityNumber:
    """OpenTelemetry's number of a level."""
    return SeverityNumber[level_name(level)]

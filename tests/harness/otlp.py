"""An OTLP receiver inside the test: takes traces, metrics and logs and keeps them as plain values.

Refuses on demand: it can answer, turn every export away, or take it and never answer.
"""

import threading
from collections.abc import Callable
from enum import Enum
from typing import Any, Self

from tests.harness.matching import matches
from tests.harness.otlp_servers import HOST, Grpc, Http
from tests.harness.signals import LogRecord, Point, Span, decode_logs, decode_points, decode_spans
from tests.harness.tree import tree
from tests.harness.waiting import PATIENCE, T, wait


class Mode(Enum):
    """What the receiver does with an export: take it, say 503 (UNAVAILABLE), or never answer."""

    ANSWER = "answer"
    REFUSE = "refuse"
    BLACK_HOLE = "black_hole"


class Receiver:
    """Takes exports over gRPC and HTTP/protobuf (plain or gzip) on loopback ports of its own.

    Safe to read from any thread while exports arrive. A context manager; `close()` ends both servers and
    turns away every export that is held in the black hole. `mode` may be set at any time; what is already in
    the black hole stays there until `close()`.
    """

    def __init__(self, mode: Mode = Mode.ANSWER) -> None:
        self.mode = mode
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._attempts = 0
        self._spans: list[Span] = []
        self._points: dict[Any, Point] = {}
        self._logs: list[LogRecord] = []
        self._http = Http(self._take)
        self._grpc = Grpc(self._take)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End both servers and their threads; a second call does nothing."""
        if not self._closed.is_set():
            self._closed.set()
            self._grpc.close()
            self._http.close()

    @property
    def http_port(self) -> int:
        """The port of HTTP/protobuf."""
        return self._http.server_port

    @property
    def grpc_port(self) -> int:
        """The port of gRPC."""
        return self._grpc.port

    def settings(self, protocol: str = "http/protobuf") -> dict[str, str]:
        """The environment that makes a service export here; `protocol` is http/protobuf or grpc."""
        port = {"http/protobuf": self.http_port, "grpc": self.grpc_port}[protocol]
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{HOST}:{port}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        }

    @property
    def attempts(self) -> int:
        """How many exports came, of all signals, whatever was done with them."""
        with self._lock:
            return self._attempts

    def spans(self, trace_id: str | None = None) -> list[Span]:
        """Spans of one trace or of all, in the order they arrived."""
        with self._lock:
            return [span for span in self._spans if trace_id in {None, span.trace_id}]

    def points(self, name: str, attributes: dict[str, Any] | None = None) -> list[Point]:
        """Points of a metric whose attributes include these.

        Of cumulative sums, histograms and gauges the newest of each series, where another process (another
        `service.instance.id`) is another series; of deltas every one.
        """
        with self._lock:
            named = [point for point in self._points.values() if point.name == name]
        return [point for point in named if matches(point.attributes, attributes or {})]

    def metric_names(self) -> set[str]:
        """Every metric that a point came for."""
        with self._lock:
            return {point.name for point in self._points.values()}

    def logs(self, trace_id: str | None = None, event_name: str | None = None) -> list[LogRecord]:
        """Log records of one trace or of all, of one event name or of all, in the order they arrived."""
        with self._lock:
            chosen = [log for log in self._logs if trace_id in {None, log.trace_id}]
        return [log for log in chosen if event_name in {None, log.event_name}]

    def clear(self) -> None:
        """Forget all that came."""
        with self._lock:
            self._attempts = 0
            for kept in (self._spans, self._points, self._logs):
                kept.clear()

    def wait(self, condition: Callable[[], T], seconds: float = PATIENCE) -> T:
        """Wait until a condition over what came holds; return its answer, or fail with what came."""
        return wait(condition, seconds, seen=self.seen)

    def wait_for_spans(
        self,
        count: int = 1,
        *,
        trace_id: str | None = None,
        predicate: Callable[[Span], bool] = lambda _: True,
        seconds: float = PATIENCE,
    ) -> list[Span]:
        """Wait for at least `count` spans that fit, and return all that do."""
        found: list[Span] = []

        def enough() -> bool:
            found[:] = filter(predicate, self.spans(trace_id))
            return len(found) >= count

        self.wait(enough, seconds)
        return found

    def wait_for_trace(self, trace_id: str, seconds: float = PATIENCE) -> list[Span]:
        """Wait until a trace has its SERVER span and no other span lacks its parent; return its spans.

        A child that ends after the SERVER span may come later still: wait for a count where one can.
        """
        return self.wait(lambda: _whole(self.spans(trace_id)), seconds)

    def seen(self) -> str:
        """All that came, in words, for an error's text."""
        spans = self.spans()
        traces = (f"trace {key}\n{tree(spans, key)}" for key in dict.fromkeys(s.trace_id for s in spans))
        logs = (f"log {log.event_name or log.body!r} {log.severity} {log.trace_id}" for log in self.logs())
        names = f"metrics {sorted(self.metric_names())}"
        return "\n".join([f"mode {self.mode.value}, {self.attempts} exports", *traces, *logs, names])

    def _take(self, path: str, request: Any) -> bool:
        mode = self.mode
        with self._lock:
            self._attempts += 1
            if mode is Mode.ANSWER:
                self._keep(path, request)
        if mode is Mode.BLACK_HOLE:
            self._closed.wait()
        return mode is Mode.ANSWER

    def _keep(self, path: str, request: Any) -> None:
        match path:
            case "/v1/traces":
                self._spans.extend(decode_spans(request))
            case "/v1/metrics":
                self._points.update((_series(point), point) for point in decode_points(request))
            case _:
                self._logs.extend(decode_logs(request))


def _whole(spans: list[Span]) -> list[Span]:
    known = {span.span_id for span in spans}
    served = any(span.kind == "SERVER" for span in spans)
    lost = any(span.kind != "SERVER" and span.parent_id not in known for span in spans)
    return spans if served and not lost else []


def _series(point: Point) -> tuple[object, ...]:
    # A cumulative point says again what the one before it said; a delta is said once.
    moment = point.time if point.temporality == "DELTA" else 0
    return point.name, point.scope, _key(point.resource), _key(point.attributes), moment


def _key(attributes: dict[str, Any]) -> str:
    return repr(sorted(attributes.items()))

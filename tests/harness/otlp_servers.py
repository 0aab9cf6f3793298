"""The two servers of the OTLP receiver: HTTP/protobuf and gRPC, each on a loopback port of its own.

Refuses to know what an export means: it reads the message, hands it on, and answers what it is told.
"""

import contextlib
import gzip
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from msgspec import Struct
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

HOST = "127.0.0.1"

Take = Callable[[str, Any], bool]
"""Given a path of `DOORS` and its request: whether it was taken; may block."""


class Door(Struct, frozen=True):
    """One signal's way in: its two messages, its gRPC service and the function that registers that."""

    request: Any
    response: Any
    servicer: Any
    register: Any


DOORS = {
    "/v1/traces": Door(
        trace_service_pb2.ExportTraceServiceRequest,
        trace_service_pb2.ExportTraceServiceResponse,
        trace_service_pb2_grpc.TraceServiceServicer,
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server,
    ),
    "/v1/metrics": Door(
        metrics_service_pb2.ExportMetricsServiceRequest,
        metrics_service_pb2.ExportMetricsServiceResponse,
        metrics_service_pb2_grpc.MetricsServiceServicer,
        metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server,
    ),
    "/v1/logs": Door(
        logs_service_pb2.ExportLogsServiceRequest,
        logs_service_pb2.ExportLogsServiceResponse,
        logs_service_pb2_grpc.LogsServiceServicer,
        logs_service_pb2_grpc.add_LogsServiceServicer_to_server,
    ),
}


class Http(ThreadingHTTPServer):
    """OTLP over HTTP, one connection per export so that none is left open at the end."""

    daemon_threads = False  # so that server_close() waits for them
    request_queue_size = 128  # of 5, one that finds no room is tried again a second later

    def __init__(self, take: Take) -> None:
        super().__init__((HOST, 0), HttpExport)
        self.take = take
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="otlp-http")
        self._thread.start()

    def close(self) -> None:
        """End the thread, the listening socket and the connections."""
        self.shutdown()
        self._thread.join()
        self.server_close()


class HttpExport(BaseHTTPRequestHandler):
    """One export over HTTP: 200, 400 for what cannot be read, 404 elsewhere, 503 where turned away."""

    server: Http
    timeout = 5  # seconds a half-sent export may hold its thread

    def do_POST(self) -> None:
        """Read one export and answer it."""
        self._answer(*self._exported(DOORS.get(self.path)))

    def _exported(self, door: Door | None) -> tuple[int, bytes]:
        if door is None:
            return 404, b""
        try:
            request = door.request.FromString(self._body())
        except (ValueError, LookupError, OSError, EOFError, zlib.error, DecodeError):
            return 400, b""
        taken = self.server.take(self.path, request)
        return (200, door.response().SerializeToString()) if taken else (503, b"")

    def _body(self) -> bytes:
        if self.headers["Content-Type"] != "application/x-protobuf":
            raise ValueError("OTLP over HTTP is read as protobuf only")
        body = self.rfile.read(int(self.headers["Content-Length"] or ""))
        coding = self.headers["Content-Encoding"] or "identity"
        return {"gzip": gzip.decompress, "identity": bytes}[coding](body)

    def _answer(self, status: int, body: bytes) -> None:
        # An exporter that gave up waiting has closed its end: nobody is there to be told.
        with contextlib.suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: the receiver's `seen()` tells what came."""


class Grpc:
    """OTLP over gRPC; at most 32 exports at once, so that a black hole may hold a few services' retries."""

    def __init__(self, take: Take) -> None:
        self._pool = ThreadPoolExecutor(32, "otlp-grpc")
        self._server = grpc.server(self._pool)
        for path, door in DOORS.items():
            door.register(_servicer(take, path, door), self._server)
        self.port = self._server.add_insecure_port(f"{HOST}:0")
        self._server.start()

    def close(self) -> None:
        """End the server and its threads."""
        self._server.stop(None).wait()
        self._pool.shutdown()


def _servicer(take: Take, path: str, door: Door) -> Any:
    def export(_: Any, request: Any, context: grpc.ServicerContext) -> Any:
        if not take(path, request):
            context.abort(grpc.StatusCode.UNAVAILABLE, "turned away")
        return door.response()

    return type("Export", (door.servicer,), {"Export": export})()

"""A Messages API in the test's own hands: it begins to stream, holds its breath, and sees the client leave.

Refuses to be clever: every question gets the same events; the simulator is there for everything else.
"""

import contextlib
import json
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.harness.waiting import wait

HOST = "127.0.0.1"

BEGIN: dict[str, Any] = {
    "type": "message_start",
    "message": {
        "id": "msg_held",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5-5",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 1},
    },
}
BLOCK: dict[str, Any] = {
    "type": "content_block_start",
    "index": 0,
    "content_block": {"type": "text", "text": ""},
}
WORDS: dict[str, Any] = {
    "type": "content_block_delta",
    "index": 0,
    "delta": {"type": "text_delta", "text": "Once upon a time"},
}
LOST: dict[str, Any] = WORDS | {"index": 7}
"""A delta of a block that never began: no real API sends it."""

SILENT = (BEGIN,)
"""No content at all, until the client leaves."""
SPEAKING = (BEGIN, BLOCK, WORDS)
"""Content, and then silence until the client leaves."""


class ModelApi(ThreadingHTTPServer):
    """Answers every POST with `events` as server-sent ones, then holds the connection until it is closed.

    `asked` counts the questions, `left` those whose client has closed the connection. A context manager.
    """

    daemon_threads = False  # so that server_close() waits for them

    def __init__(self, events: Sequence[dict[str, Any]] = SPEAKING) -> None:
        super().__init__((HOST, 0), _Answer)
        self.events = tuple(events)
        self.asked = self.left = 0
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="model-api")
        self._thread.start()

    @property
    def settings(self) -> dict[str, str]:
        """What makes a service ask here."""
        return {
            "ANTHROPIC_API_KEY": "held",
            "ANTHROPIC_BASE_URL": f"http://{HOST}:{self.server_port}",
        }

    def wait_until_left(self, count: int) -> None:
        """Wait until so many clients have closed their connections."""
        wait(lambda: self.left >= count, seen=lambda: f"asked {self.asked}, left {self.left}")

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def __enter__(self) -> Self:
        return self


class _Answer(BaseHTTPRequestHandler):
    server: ModelApi

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._count("asked")
        try:
            self._begin()
            self._hold()
        except ConnectionError:
            self._count("left")

    def _begin(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for event in self.server.events:
            self.wfile.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())

    def _hold(self) -> None:
        self.connection.settimeout(0.05)
        while not self.server.closing.is_set():
            with contextlib.suppress(TimeoutError):
                if not self.connection.recv(1):
                    raise ConnectionResetError

    def _count(self, what: str) -> None:
        with self.server.lock:
            setattr(self.server, what, getattr(self.server, what) + 1)

    def log_message(self, *_: object) -> None:
        """Say nothing: `asked` and `left` tell what came."""

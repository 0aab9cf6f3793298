"""Hears of alerts from Alertmanager and says each in a line.

Refuses to answer anybody but the loopback, and to believe more than a name and a summary.
"""

import json
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from telemetry.stack.parts import BELL_PORT, HOST

LONGEST: Final = 1 << 20
"""Bytes of one notification."""


@contextmanager
def bell(say: Callable[[str], None], kept: Path, port: int = BELL_PORT) -> Generator[int]:
    """Listen until the block is left, in a thread of its own; each notification is appended to `kept`.

    Gives the port: 0 takes any free one.
    """

    class Heard(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), LONGEST))
            self.send_response(200)
            self.end_headers()
            with kept.open("ab") as file:
                file.write(body.strip() + b"\n")
            for line in lines(body):
                say(line)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            """Nothing: what is heard is said by `say`."""

    with ThreadingHTTPServer((HOST, port), Heard) as server:
        thread = threading.Thread(target=server.serve_forever, name="bell", daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def lines(body: bytes) -> Iterator[str]:
    """What a notification says, alert by alert; nothing where it is none."""
    try:
        told = json.loads(body)
        for alert in told["alerts"]:
            name, status = alert["labels"]["alertname"], alert["status"]
            yield f"alert {status}: {name}: {alert.get('annotations', {}).get('summary', '')}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return

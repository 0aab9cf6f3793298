"""An issuer's server of keys, in the test's own hands: what it says, how slowly, and who asked.

Refuses nothing; where `document` is not set it says an empty set.
"""

import json
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.service.auth.mint import Mint


class KeyServer(ThreadingHTTPServer):
    """Answers every GET with `status` and `body`, once `gate` is open; `asked` are the headers that came."""

    daemon_threads = False  # so that server_close() waits for them

    def __init__(self, *mints: Mint) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.asked: list[dict[str, str]] = []
        self.status, self.headers, self.body = 200, {}, b""
        self.gate = threading.Event()
        self.gate.set()
        self.publish(*mints)

    def publish(self, *mints: Mint, more: Iterable[Any] = ()) -> None:
        """Say these keys from now on."""
        self.status, self.body = 200, json.dumps({"keys": [*(mint.jwk for mint in mints), *more]}).encode()

    @property
    def url(self) -> str:
        """Where the keys are."""
        return f"http://127.0.0.1:{self.server_address[1]}/keys"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Answer(BaseHTTPRequestHandler):
    server: KeyServer

    def do_GET(self) -> None:
        self.server.asked.append(dict(self.headers))
        self.server.gate.wait(30)
        self.send_response(self.server.status)
        for name, value in {"Content-Length": str(len(self.server.body)), **self.server.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

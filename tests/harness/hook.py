"""A receiver of webhooks as others write one: it keeps what it gets, and verifies signatures.

Refuses to know anything of ours: a signature is reckoned here from the words of Standard Webhooks.
"""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from msgspec import Struct

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes....").decode()


class Got(Struct, frozen=True):
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def said(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    @property
    def id(self) -> str:
        """The message's."""
        return self.headers["webhook-id"]

    def signed(self, secret: str = SECRET) -> bool:
        """Whether one of its signatures is by this secret."""
        content = f"{self.id}.{self.headers['webhook-timestamp']}.".encode() + self.body
        key = base64.b64decode(secret.removeprefix("whsec_"))
        made = "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
        return made in self.headers.get("webhook-signature", "").split(" ")


class Hook:
    """A receiver on a free port. `statuses` are answered first, then 204. A context manager."""

    def __init__(self, statuses: Iterable[int] = ()) -> None:
        self.statuses = list(statuses)
        self.got: list[Got] = []
        self.silent = threading.Event()
        """While it is set nothing is answered."""
        self.resting = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}/hook"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.resting.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(hook: Hook) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            hook.got.append(Got(self.path, headers, body))
            if hook.silent.is_set():
                hook.resting.wait()
                return
            self.send_response(hook.statuses.pop(0) if hook.statuses else 204)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def do_GET(self) -> None:
            hook.got.append(Got(self.path, {}, b""))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            """Nothing: what came is kept."""

    return Handler

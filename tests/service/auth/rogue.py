"""A provider of OpenID Connect in the test's own hands: it says whatever it is told to say.

Refuses nothing: not a code that was spent, nor one that another client asked for.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs

from tests.service.auth.mint import Mint


class Rogue(ThreadingHTTPServer):
    """Serves discovery, keys and tokens.

    `discovery` is laid over what it says of itself, `keys` are those of the JWK Set, `token` is what a code
    gives, `reply` a whole answer in its place, which `leads` elsewhere; `posted` are the forms, `asked` the
    paths.
    """

    daemon_threads = False  # so that server_close() waits for them

    def __init__(self, *mints: Mint) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.issuer = f"http://127.0.0.1:{self.server_address[1]}"
        self.discovery: dict[str, Any] = {}
        self.keys: list[Any] = [mint.jwk for mint in mints]
        self.token, self.reply, self.leads = "", None, ""
        self.posted: list[dict[str, str]] = []
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []

    @property
    def described(self) -> dict[str, Any]:
        """What it says of itself."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "id_token_signing_alg_values_supported": ["RS256", "ES256", "EdDSA", "HS256", "none"],
        } | self.discovery

    def answer(self, path: str) -> tuple[int, Any]:
        """Status and body of a GET."""
        if path == "/.well-known/openid-configuration":
            return 200, self.described
        if path == self.leads:
            return 200, {"access_token": "opaque", "token_type": "Bearer", "id_token": self.token}
        return (200, {"keys": self.keys}) if path == "/keys" else (404, {})

    def tokens(self) -> tuple[int, Any]:
        """Status and body of the token endpoint."""
        if self.reply is not None:
            return self.reply
        return 200, {"access_token": "opaque", "token_type": "Bearer", "id_token": self.token}

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Answer(BaseHTTPRequestHandler):
    server: Rogue

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self._send(*self.server.answer(self.path))

    def do_POST(self) -> None:
        self.server.asked.append(self.path)
        form = self.rfile.read(int(self.headers["content-length"])).decode()
        self.server.posted.append({name: values[0] for name, values in parse_qs(form).items()})
        self.server.headers.append(dict(self.headers))
        self._send(*self.server.tokens())

    def _send(self, status: int, body: Any) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        if isinstance(body, bytes):
            self.send_header("Content-Type", "text/html")
        if isinstance(body, str):
            self.send_header("Location", body)
        self.send_header("Content-Length", str(len(data)))
        if self.server.leads and self.path == "/token":
            self.send_header("Location", self.server.issuer + self.server.leads)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

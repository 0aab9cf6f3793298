"""A stand-in for the service: prints its lines and answers the chat route, to try the harness on.

Refuses to be more: it knows no model, no limits and no audit. `STAND_IN` chooses how it misbehaves.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

KEY = "pk-stand-in"
SCHEMA = 'CREATE TABLE "AuditEvent" ("id", "entityType", "entityId", "metadata", "createdAt")'
INSERT = """INSERT INTO "AuditEvent" VALUES (?, 'AGENT_QUERY', ?, ?, ?)"""
DATABASE = Path("var") / "parley.db"

WAY = os.environ.get("STAND_IN", "")


def say(word: str) -> None:
    """Print one line for people."""
    sys.stderr.write(f"{word}\n")
    sys.stderr.flush()


def tell(**line: object) -> None:
    """Print one line for machines."""
    write(json.dumps(line))


def write(line: str) -> None:
    """Print one line as it is."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Answer(BaseHTTPRequestHandler):
    """Answers a question with what it received, as JSON or as a stream of three events."""

    def do_POST(self) -> None:
        """Answer, or refuse a wrong key."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["Authorization"] != f"Bearer {KEY}":
            return self._send(401, {"category": "authentication"})
        if body.get("stream"):
            return self._stream(body["message"])
        record(body["message"])
        return self._send(200, {"body": body, "headers": dict(self.headers)})

    def _stream(self, message: str) -> None:
        self._head(200, "text/event-stream")
        try:
            self._events(message)
        except OSError as error:
            tell(type="gone", error=type(error).__name__)

    def _events(self, message: str) -> None:
        self.wfile.write(b': hello\n\nid: 1\nevent: turn\ndata: {"id": "t1"}\n\n')
        number = 2
        while message == "for ever" or number == 2:
            self.wfile.write(f'id: {number}\nevent: text\ndata: {{"text": "{message}"}}\n\n'.encode())
            number += 1
            time.sleep(0.01)
        self.wfile.write(f"id: {number}\nevent: done\ndata: {{}}\n\n".encode())

    def _send(self, status: int, body: object) -> None:
        self._head(status, "application/json")
        self.wfile.write(json.dumps(body).encode())

    def _head(self, status: int, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("X-Request-Id", "t1")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def record(message: str) -> None:
    """Write one audit row and one log line, the row a little late."""
    tell(type="agent_query_completed", query=message)

    def insert() -> None:
        time.sleep(0.05)
        with closing(sqlite3.connect(DATABASE)) as connection, connection:
            number = connection.execute('SELECT count(*) FROM "AuditEvent"').fetchone()[0]
            connection.execute(INSERT, (number, message, json.dumps({"query": message}), number))

    threading.Thread(target=insert).start()


def create() -> None:
    """Make the database, as the service does at its first start."""
    DATABASE.parent.mkdir()
    with closing(sqlite3.connect(DATABASE)) as connection:
        connection.execute("PRAGMA journal_mode=wal")
        connection.execute(SCHEMA)


def serve() -> None:
    """Start, say so, and answer until told to stop."""
    if WAY == "crash":
        say("cannot start: AGENT_PORT")
        sys.exit(2)
    if not DATABASE.exists():
        create()
        say(f"API key: {KEY}")
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["AGENT_PORT"])), Answer)
    server.daemon_threads = True
    signal.signal(signal.SIGTERM, signal.SIG_IGN if WAY == "stubborn" else lambda *_: sys.exit(0))
    if WAY == "child":
        child = subprocess.Popen(["sleep", "600"])
        tell(type="child", pid=child.pid)
    if WAY == "stray":
        write("plain words")
    tell(type="started", environment=dict(os.environ))
    say(f"Ready: http://127.0.0.1:{server.server_port}")
    server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve()
    tell(arguments=sys.argv[1:], stdin=sys.stdin.read(), cwd=str(Path.cwd()))
    sys.exit(len(sys.argv) - 2)

"""A real server on the loopback for an ASGI application, in a thread of its own.

Refuses to outlive its block: connections that still stand at its end are closed.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from tests.harness.waiting import wait

GRACE = 1
"""Seconds a request may still run once the server is asked to stop."""


@contextmanager
def serve(app: Any) -> Iterator[str]:
    """Run an ASGI application on a free port of the loopback, and give its base URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(
            uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=GRACE)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            wait(lambda: server.started)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()

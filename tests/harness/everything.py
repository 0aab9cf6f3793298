"""An MCP server that others wrote: `@modelcontextprotocol/server-everything`, pinned, over stdio and HTTP.

Refuses to install it twice: it is kept in the cache by the hash of its lock, whoever of several is first.
"""

from pathlib import Path
from typing import Self

import httpx

from tests.harness.npm import installed
from tests.harness.ports import claim
from tests.harness.process import Process
from tests.harness.waiting import wait

RECIPE = Path(__file__).parents[1] / "walk" / "everything"
ENTRY = "node_modules/@modelcontextprotocol/server-everything/dist/index.js"


def everything() -> str:
    """The path of its program, for `node`; ends the test where it cannot be had."""
    return str(installed("mcp-everything", RECIPE, why="the MCP server of a registry") / ENTRY)


class OverHttp:
    """The same as a service of its own, on a free port. A context manager."""

    def __init__(self, program: str, cwd: Path) -> None:
        self.port = claim()
        self.url = f"http://127.0.0.1:{self.port}/mcp"
        self._process = Process(["node", program, "streamableHttp"], cwd, {"PORT": str(self.port)})

    def __enter__(self) -> Self:
        wait(self._answers, seen=self._process.said)
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()

    def _answers(self) -> bool:
        try:
            return bool(httpx.get(self.url, trust_env=False).status_code)
        except httpx.HTTPError:
            return False

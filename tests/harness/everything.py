"""An MCP server that others wrote: `@modelcontextprotocol/server-everything`, pinned, over stdio and HTTP.

Refuses to install it twice: it is kept in the cache by the hash of its lock, whoever of several is first.
"""

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Self

import httpx

from telemetry.stack.build import cache
from tests.harness.need import missing, need
from tests.harness.ports import claim
from tests.harness.process import Process
from tests.harness.waiting import wait

RECIPE = Path(__file__).parents[1] / "walk" / "everything"
ENTRY = "node_modules/@modelcontextprotocol/server-everything/dist/index.js"
NODE = 20
"""The oldest Node that what it needs takes."""


def everything() -> str:
    """The path of its program, for `node`; ends the test where it cannot be had."""
    need("node", why="runs the MCP server of a registry")
    need("npm", why="installs the MCP server of a registry")
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    if int(said.removeprefix("v").partition(".")[0]) < NODE:
        missing(f"node is {said.strip()}, older than {NODE}")
    lock = (RECIPE / "package-lock.json").read_bytes()
    folder = cache() / f"mcp-everything-{hashlib.sha256(lock).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            _install(folder)
    return str(folder / ENTRY)


def _install(folder: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(RECIPE / name, folder / name)
    words = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        missing(f"npm ci failed: {done.stderr.strip()[-500:]}")
    (folder / "done").touch()


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

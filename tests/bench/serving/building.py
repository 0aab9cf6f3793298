"""What the bench runs that is not ours: two programs in C, and peers in environments of their own.

Made once and kept in the cache by recipe. Refuses to take what cannot be made for a zero: it is `Missing`.
"""

import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from telemetry.stack.build import cache

HERE = Path(__file__).parent
LITESTAR, ANTHROPIC, UVICORN = "litestar==2.25.0", "2.12.0", "uvicorn==0.54.0"
PLAIN = (LITESTAR, f"anthropic[aiohttp]=={ANTHROPIC}", UVICORN, "aiohttp==3.14.5", "uvloop==0.23.0")
PLAIN_FURTHER = ("httptools==0.9.0", "msgspec==0.22.0")
# 1.82.7 and 1.82.8 were backdoored
LITELLM = (
    "litellm[proxy]==1.106.2",
    "opentelemetry-sdk==1.45.2",
    "opentelemetry-exporter-otlp-proto-http==1.45.2",
)
# with the server that npm takes by itself every stream is a 500
PORTKEY = {
    "dependencies": {"@portkey-ai/gateway": "1.15.2"},
    "overrides": {"@hono/node-server": "1.13.7", "hono": "4.9.7"},
}
SECONDS = 900


class Missing(Exception):
    """It cannot be had here; the message says why."""


def programs() -> Path:
    """The folder with `load` and `upstream`."""
    sources = [HERE / "load.c", HERE / "upstream.c"]
    return kept("bench", [each.read_text() for each in sources], lambda folder: _compile(sources, folder))


def plain() -> Path:
    """The environment of the plain route."""
    packages = (*PLAIN, *PLAIN_FURTHER)
    return kept("bench-plain", packages, lambda folder: _install(packages, folder))


def litellm() -> Path:
    """The environment of LiteLLM's proxy."""
    return kept("bench-litellm", LITELLM, lambda folder: _install(LITELLM, folder))


def portkey() -> Path:
    """Where Portkey's gateway is."""
    return kept("bench-portkey", [json.dumps(PORTKEY)], _install_portkey)


def kept(name: str, recipe: Sequence[str], make: Callable[[Path], None]) -> Path:
    """The folder made by this recipe; made now where there is none.

    Raises:
        Missing: it cannot be made.
    """
    folder = cache() / f"{name}-{hashlib.sha256(repr((recipe, sys.version)).encode()).hexdigest()[:12]}"
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "whole").exists():
            sys.stderr.write(f"bench: making {folder.name}\n")
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            (folder / "whole").touch()
    return folder


def _compile(sources: Sequence[Path], folder: Path) -> None:
    for source in sources:
        _ran(["cc", "-O2", "-Wall", "-Wextra", "-o", str(folder / source.stem), str(source)], folder)


def _install(packages: Sequence[str], folder: Path) -> None:
    uv = str(Path(sys.executable).parent / "uv")
    _ran([uv, "venv", "-q", "--python", sys.executable, str(folder / "venv")], folder)
    _ran([uv, "pip", "install", "-q", "--python", str(folder / "venv/bin/python"), *packages], folder)


def _install_portkey(folder: Path) -> None:
    (folder / "package.json").write_text(json.dumps(PORTKEY))
    _ran(["npm", "install", "--silent", "--no-audit", "--no-fund"], folder)
    if not (folder / "node_modules/@portkey-ai/gateway/build/start-server.js").exists():
        raise Missing("npm did not install Portkey's gateway")


def _ran(command: Sequence[str], folder: Path) -> None:
    with tempfile.TemporaryFile() as said:
        try:
            done = subprocess.run(command, cwd=folder, stdout=said, stderr=said, timeout=SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Missing(f"{Path(command[0]).name}: {error}") from error
        said.seek(0)
        if done.returncode:
            words = said.read().decode(errors="replace").strip().splitlines()[-1:]
            raise Missing(f"{Path(command[0]).name} failed: {' '.join(words)}")

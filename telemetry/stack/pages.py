"""Jaeger's pages, built from their source: its Go module has none, and no package carries them.

Refuses to be needed: without them the stack runs, and its API, `parley trace` and the console tell the same.
"""

import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from telemetry.stack import versions
from telemetry.stack.build import Say, cache, ran, workshop
from telemetry.stack.failure import CannotRun

SOURCE: Final = "https://github.com/jaegertracing/jaeger-ui"
BUILT: Final = "packages/jaeger-ui/build"


def pages() -> Path:
    """Where they are once they are built."""
    return cache() / f"jaeger-ui-{versions.JAEGER_UI}"


def folder() -> str:
    """The folder that Jaeger shall serve; empty where they have not been built."""
    return str(pages()) if pages().is_dir() else ""


def build(source: str | None, say: Say) -> None:
    """Build them into the cache, from a repository (whatever git can clone), or from their own.

    Raises:
        CannotRun: git, Node or npm is missing or too old, the source cannot be had, or the build failed.
    """
    for program in ("git", "node", "npm"):
        if not shutil.which(program):
            raise CannotRun(
                f"{program} is missing: Jaeger's pages are built with it; the stack runs without them"
            )
    cache().mkdir(parents=True, exist_ok=True)
    environ = {**os.environ, "CI": "true", "NODE_ENV": ""}
    with workshop() as bench:
        made = _made(_cloned(source or SOURCE, bench, environ), environ, say)
        shutil.rmtree(pages(), ignore_errors=True)
        made.replace(pages())
    say(f"built {pages()}; `make stack` serves it")


def _cloned(source: str, bench: Path, environ: Mapping[str, str]) -> Path:
    """The tag that fits, alone."""
    target = bench / "source"
    flags = ["-c", "advice.detachedHead=false", "clone", "--quiet", "--depth", "1"]
    ran(["git", *flags, "--branch", f"v{versions.JAEGER_UI}", source, str(target)], bench, environ)
    return target


def _made(source: Path, environ: Mapping[str, str], say: Say) -> Path:
    """Install what they are made of, by the lock that came with them, and build."""
    _check_node(json.loads((source / "package.json").read_text()), source, environ)
    say(f"jaeger-ui {versions.JAEGER_UI}: fetching its packages")
    ran(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], source, environ)
    say(f"jaeger-ui {versions.JAEGER_UI}: building")
    ran(["npm", "run", "build"], source, environ)
    made = source / BUILT
    if not (made / "index.html").is_file():
        raise CannotRun(f"jaeger-ui was built, but there is no {BUILT}/index.html")
    return made


def _check_node(package: Mapping[str, Any], source: Path, environ: Mapping[str, str]) -> None:
    """See that Node is as new as the source says it must be."""
    least = re.search(r"\d+", package.get("engines", {}).get("node", ""))
    said = ran(["node", "--version"], source, environ).strip()
    found = re.search(r"\d+", said)
    if least and found and int(found.group()) < int(least.group()):
        raise CannotRun(
            f"Node {least.group()} or newer is needed for Jaeger's pages, this one is {said}; "
            f"`npm install node@{least.group()}` brings one, to be put on the PATH"
        )

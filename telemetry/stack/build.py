"""Collector and Jaeger, built from their Go modules once, kept in a cache by version and recipe.

Refuses to leave half a program behind: a binary gets its name when it is whole.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from telemetry.stack import versions
from telemetry.stack.failure import CannotRun

Say = Callable[[str], None]

HERE: Final = Path(__file__).parent
MANIFEST: Final = HERE / "builder.yaml"
JAEGER_MODULE: Final = "github.com/jaegertracing/jaeger"
BUILDER: Final = f"go.opentelemetry.io/collector/cmd/builder@v{versions.COLLECTOR}"
FLAGS: Final = ("-mod=mod", "-trimpath", "-ldflags=-s -w", "-gcflags=all=-dwarf=false", "-v")
"""What debuggers would read is not made, which saves a tenth of the time."""
SAID_EVERY: Final = 100
"""Packages between two words on how far a build is."""


def cache() -> Path:
    """Where binaries are kept: XDG_CACHE_HOME/parley, else ~/.cache/parley."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "parley"


def collector() -> Path:
    """Where the collector is once it is built; another manifest is another binary."""
    recipe = hashlib.sha256(MANIFEST.read_bytes()).hexdigest()[:8]
    return cache() / f"otelcol-parley-{versions.COLLECTOR}-{recipe}"


def jaeger() -> Path:
    """Where Jaeger is once it is built."""
    return cache() / f"jaeger-{versions.JAEGER_MODULE}"


def build(say: Say) -> None:
    """Build what the cache does not have; where another process does already, wait until it is done.

    Raises:
        CannotRun: Go is missing or too old, or a build failed.
    """
    if not lacking():
        return
    environ = go_environment()
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "building.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # let go with the process, whatever becomes of it
        _build(lacking(), environ, say)


def lacking() -> Sequence[Path]:
    """What the cache does not have."""
    return [path for path in (collector(), jaeger()) if not path.exists()]


def _build(missing: Sequence[Path], environ: Mapping[str, str], say: Say) -> None:
    if not missing:
        return
    say(f"building {len(missing)} of 2 programs into {cache()}; the first time this takes some ten minutes")
    for path, make in ((collector(), make_collector), (jaeger(), make_jaeger)):
        if path in missing:
            with workshop() as folder:
                make(folder, environ, say).replace(path)
            say(f"built {path.name}, {path.stat().st_size / 1e6:.0f} MB")


def go_environment() -> Mapping[str, str]:
    """The environment Go is run in.

    Raises:
        CannotRun: it is missing or too old.
    """
    if not shutil.which("go"):
        raise CannotRun(f"Go is missing: collector and Jaeger are built with Go {least()} or newer. {HELP}")
    environ = {**os.environ, "GOFLAGS": "", "GOWORK": "off"}
    said = ran(["go", "env", "GOVERSION"], Path.cwd(), environ)
    found = re.match(r"go(\d+)\.(\d+)", said)
    if found and tuple(map(int, found.groups())) < versions.GO:
        raise CannotRun(f"Go {least()} or newer is needed, this one is {said.strip()}. {HELP}")
    return environ


HELP: Final = "It is at https://go.dev/dl, or a recent Debian's package golang-go."


def least() -> str:
    """The least version of Go, in words."""
    return ".".join(map(str, versions.GO))


@contextmanager
def workshop() -> Generator[Path]:
    """A folder beside the binaries, so that moving one to its place is one step; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="building-", dir=cache()) as folder:
        yield Path(folder)


def make_collector(folder: Path, environ: Mapping[str, str], say: Say) -> Path:
    """Let the builder write the collector's source, and compile it."""
    say(f"collector {versions.COLLECTOR}: writing its source, fetching its modules")
    shutil.copy(MANIFEST, folder)
    ran(["go", "run", BUILDER, "--config", MANIFEST.name, "--skip-compilation"], folder, environ)
    # grpcnotrace keeps golang.org/x/net/trace out, whose templates forbid the linker to drop dead code
    return compiled("collector", [*FLAGS, "-tags=grpcnotrace"], ".", folder / "source", environ, say)


def make_jaeger(folder: Path, environ: Mapping[str, str], say: Say) -> Path:
    """Compile Jaeger's own command with Jaeger's own requirements."""
    say(f"jaeger {versions.JAEGER_MODULE}: fetching its modules")
    module = f"{JAEGER_MODULE}@v{versions.JAEGER_MODULE}"
    ran(["go", "mod", "download", module], folder, environ)
    found = ran(["go", "env", "GOMODCACHE"], folder, environ).strip()
    source = Path(found) / module
    # a replace counts in the main module only: so Jaeger's requirements and replacements become ours
    own = re.sub(r"(?m)^(module|go|toolchain) .*\n", "", (source / "go.mod").read_text())
    head = f"module parley/jaeger\n\ngo {least()}\n\nrequire {JAEGER_MODULE} v{versions.JAEGER_MODULE}\n\n"
    tool = f"tool {JAEGER_MODULE}/cmd/jaeger\n\n"
    (folder / "go.mod").write_text(head + tool + own)
    (folder / "go.sum").write_bytes((source / "go.sum").read_bytes())
    return compiled("jaeger", [*FLAGS], f"{JAEGER_MODULE}/cmd/jaeger", folder, environ, say)


def compiled(
    name: str, flags: list[str], package: str, folder: Path, environ: Mapping[str, str], say: Say
) -> Path:
    """Compile a package, saying how far it is; the binary that came out."""
    say(f"{name}: compiling")
    target = folder / f"{name}.out"
    command = ["go", "build", *flags, "-o", str(target), package]
    last: list[str] = []
    with subprocess.Popen(  # noqa: S603 - Go, with words of our own
        command, cwd=folder, env=environ, stderr=subprocess.PIPE, text=True
    ) as process:
        for number, line in enumerate(process.stderr or (), 1):
            last = [*last[-9:], line]
            if number % SAID_EVERY == 0:
                say(f"{name}: {number} packages compiled or fetched")
    if process.returncode:
        raise CannotRun(f"{name} could not be built:\n{''.join(last)}")
    return target


def ran(command: list[str], folder: Path, environ: Mapping[str, str]) -> str:
    """What a command wrote.

    Raises:
        CannotRun: it failed; its last words are in the message.
    """
    done = subprocess.run(  # noqa: S603 - Go, with words of our own
        command, cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CannotRun(f"`{' '.join(command)}` failed:\n{done.stderr[-2000:]}")
    return done.stdout

"""`make bench`: Parley with all features on beside plain routes and gateways, in the same rounds.

`python -m tests.bench.serving [--rounds N] [--seconds S] [--callers 1,32] [--only PART,…]
[--without "SYSTEM;…"] [--keep]`. A table on stdout, all of it in var/bench.json. Ends with 1 where a ratio is
worse than what is kept, or one of ours did not start or gave bad answers; such a run is not kept either.
Refuses to tell what is missing as what did nothing.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import to_builtins

from tests.bench.serving import building, crowd, features, ratios, starting, systems, workers
from tests.bench.serving.rounds import Plan, Row, measure
from tests.bench.serving.systems import OFF, System, Upstreams, exporting

EXPORTING = "parley, OTLP"
PARTS = ("json", "stream", "crowd", "start", "workers")
TOLD = Path("var/bench.json")
Starts = dict[str, Callable[[Path], AbstractContextManager[System]]]


def starts(upstream: int, collector: int) -> Starts:
    """Every system, by how it is called in the table."""
    exported = exporting(collector)
    return {
        "parley": lambda folder: systems.parley(folder, upstream),
        EXPORTING: lambda folder: systems.parley(folder, upstream, **exported),
        "parley, off": lambda folder: systems.parley(folder, upstream, **OFF),
        "plain, SDK default": lambda folder: systems.plain(folder, upstream, "default"),
        "plain, SDK aiohttp": lambda folder: systems.plain(folder, upstream, "aiohttp"),
        "Portkey": lambda folder: systems.portkey(folder, upstream),
        "LiteLLM": lambda folder: systems.litellm(folder, upstream, False, collector),
        "LiteLLM, callbacks": lambda folder: systems.litellm(folder, upstream, True, collector),
    }


def compared(kind: str, folder: Path, given: argparse.Namespace) -> tuple[list[Row], dict[str, str]]:
    """Rows of all systems that can be had, and why the others cannot."""
    missing: dict[str, str] = {}
    with ExitStack() as running:
        ports: Upstreams = running.enter_context(systems.upstreams(folder / kind))
        up: dict[str, System] = {}
        for name, start in starts(getattr(ports, PORTS[kind]), ports.instant).items():
            if name in given.without:
                continue
            try:
                up[name] = running.enter_context(start(folder / kind / name.replace(" ", "-")))
            except (building.Missing, AssertionError) as error:
                missing[name] = str(error)
        plan = Plan(given.rounds, given.seconds, given.callers)
        return measure(up, kind, plan), missing


PORTS = {"json": "instant", "stream": "paced"}


def run(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All parts that are wanted."""
    rows: list[Row] = []
    told: dict[str, Any] = {"conditions": conditions(given), "missing": {}}
    for kind in PORTS.keys() & set(given.only):
        more, missing = compared(kind, folder, given)
        rows += more
        told["missing"] |= missing
    rows.sort(key=lambda row: (row.kind, row.callers))
    told |= {"rows": rows, "ratios": ratios.ratios(rows), "cpu_ms_more": features.costs(rows)}
    told["ratios_exporting"] = ratios.ratios(rows, EXPORTING)
    if "crowd" in given.only:
        told["crowd"] = crowd.measure(folder / "crowd")
    if "workers" in given.only:
        told["workers"] = workers.measure(folder / "workers", Plan(given.rounds, given.seconds, (32, 128)))
    if "start" in given.only:
        told["start"] = started(folder / "start", given)
    return told


def started(folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Starts of those that can be had."""
    with systems.upstreams(folder) as ports:
        wanted = ("parley", "plain, SDK default", "Portkey", "LiteLLM")
        known = starts(ports.instant, ports.instant)
        return starting.measure(folder, {each: known[each] for each in wanted if each not in given.without})


def conditions(given: argparse.Namespace) -> Mapping[str, Any]:
    """Where and how this was measured."""
    return {
        "python": platform.python_version(),
        "system": platform.release(),
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "rounds": given.rounds,
        "seconds": given.seconds,
    }


def table(told: Mapping[str, Any]) -> str:
    """What a reader wants to see of it."""
    cells = [("callers", 8), ("per s", 9), ("+-", 6), ("p50 ms", 9), ("p99 ms", 9), ("first p50", 10)]
    head = f"{'':22}" + "".join(f"{name:>{width}}" for name, width in [*cells, ("CPU ms", 8), ("bad", 5)])
    lines = []
    for kind in ("json", "stream"):
        rows = [row for row in told["rows"] if row.kind == kind]
        lines += ["", kind, head, *map(_line, rows)] if rows else []
    for name in ("ratios", "ratios_exporting", "cpu_ms_more", "crowd", "start", "workers", "missing"):
        if found := told.get(name):
            lines += ["", name, *(f"  {key}: {_figure(value)}" for key, value in found.items())]
    return "\n".join(lines) + "\n"


def _line(row: Row) -> str:
    times = (row.p50, row.p99, row.first_p50)
    shown = "".join(f"{time / 1000:{width}.2f}" for time, width in zip(times, (9, 9, 10), strict=True))
    spread = f"{row.spread * 100:5.0f}%"
    return f"{row.system:22}{row.callers:8}{row.rate:9.1f}{spread}{shown}{row.cpu_ms:8.2f}{row.bad:5}"


def _figure(value: Any) -> Any:
    return f"{value:.2f}" if isinstance(value, float) else value


def arguments(words: Sequence[str]) -> argparse.Namespace:
    """What is wanted."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    names = partial(str.split, sep=",")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--callers", type=lambda text: tuple(map(int, text.split(","))), default=(1, 32, 128))
    parser.add_argument("--only", type=names, default=PARTS)
    parser.add_argument("--without", type=lambda text: text.split(";"), default=())
    parser.add_argument("--keep", action="store_true")
    return parser.parse_args(words)


def main() -> int:
    """Measure, tell, compare."""
    given = arguments(sys.argv[1:])
    try:
        building.programs()
    except building.Missing as error:
        sys.stderr.write(f"bench: {error}; on Debian: apt-get install gcc libc6-dev util-linux\n")
        return 2
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder:
        told = run(given, Path(folder))
    TOLD.parent.mkdir(exist_ok=True)
    TOLD.write_text(json.dumps(to_builtins(told), indent=1) + "\n")
    sys.stdout.write(table(told))
    if not ratios.kept():
        sys.stderr.write("bench: no ratios are kept, so none was compared\n")
    wrong = faults(told, ratios.kept())
    for each in wrong:
        sys.stderr.write(f"bench: {each}\n")
    if given.keep and not told_wrong(told):
        ratios.keep(told["ratios"], told["conditions"])
        return 0
    return int(bool(wrong))


def faults(told: Mapping[str, Any], kept: Mapping[str, float]) -> list[str]:
    """Why a run does not pass: ours failed, or is worse beside others than what is kept."""
    return [*told_wrong(told), *(f"worse than kept: {each}" for each in ratios.worse(told["ratios"], kept))]


def told_wrong(told: Mapping[str, Any]) -> list[str]:
    """What of ours did not start, gave no answer, or gave bad ones."""
    ours = [row for row in told["rows"] if row.system.startswith(ratios.OURS)]
    away = [name for name in told["missing"] if name.startswith(ratios.OURS)]
    crowd, start = told.get("crowd", {}), told.get("start", {}).get(ratios.OURS, {})
    return [
        *([f"crowd: {crowd['bad']} bad answers"] if crowd.get("bad") else []),
        *([f"start: {start['missing']}"] if "missing" in start else []),
        *(f"{name} did not start: {told['missing'][name]}" for name in away),
        *(f"{row.system}, {row.kind}, {row.callers}: {row.bad} bad answers" for row in ours if row.bad),
        *(f"{row.system}, {row.kind}, {row.callers}: no answer" for row in ours if not row.answers),
    ]


if __name__ == "__main__":
    sys.exit(main())

"""`python -m telemetry.stack`: build what is missing, start all, say where it is; Ctrl-C ends all.

Refuses in a sentence: exit 2 where a program, a port or a setting is missing, 1 where a part ends.
"""

import argparse
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final

from config import SettingsError, load
from telemetry.stack import build, launcher, pages
from telemetry.stack.bell import bell
from telemetry.stack.failure import CannotRun, StackError
from telemetry.stack.parts import BELL_PORT, HERE, ROOT, installed, parts

DATA: Final = Path("var/stack")
WRONG, ENDED = 2, 1


def main() -> int:
    """Do what was asked; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m telemetry.stack", description=__doc__)
    parser.add_argument("verb", nargs="?", choices=VERBS, default="run", help="run is the default")
    parser.add_argument("--source", help="of ui: a git repository with Jaeger's pages, else theirs")
    given = parser.parse_args()
    try:
        VERBS[given.verb](given)
    except KeyboardInterrupt:
        say("stopped; what Go has compiled is kept for the next time")
        return ENDED
    except StackError as error:
        say(str(error))
        return WRONG if isinstance(error, CannotRun) else ENDED
    return 0


def say(words: str) -> None:
    """A line for people."""
    sys.stderr.write(f"stack: {words}\n")
    sys.stderr.flush()


def run() -> None:
    """The whole stack, until Ctrl-C or SIGTERM."""
    data = Path(os.environ.get("STACK_DIR") or DATA).resolve()
    try:
        settings = load().settings
    except SettingsError as error:
        raise CannotRun(str(error)) from None
    all_parts = parts(data, settings)
    launcher.check_ports(all_parts, [BELL_PORT])
    build.build(say)
    data.mkdir(parents=True, exist_ok=True)
    with bell(say, data / "alerts.jsonl"):
        launcher.run(all_parts, data, say, told_to_stop())
    say("ended")


def told_to_stop() -> threading.Event:
    """Set by Ctrl-C or SIGTERM. Explicitly: a shell starts background jobs with SIGINT ignored."""
    stop = threading.Event()

    def tell(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, tell)
    return stop


def check() -> None:
    """Every configuration, by the program that reads it.

    Raises:
        CannotRun: one is refused.
    """
    build.build(say)
    data = Path(os.environ.get("STACK_DIR") or DATA).resolve()
    data.mkdir(parents=True, exist_ok=True)
    collector = (str(build.collector()), "validate", "--config", str(ROOT / "otel-collector.yaml"))
    promtool = installed("promtool", "prometheus", "promtool")
    amtool = installed("amtool", "prometheus-alertmanager", "amtool")
    commands = (
        collector,
        (str(build.jaeger()), "validate", "--config", str(HERE / "jaeger.yaml")),
        (promtool, "check", "config", str(HERE / "prometheus.yml")),
        (amtool, "check-config", str(HERE / "alertmanager.yml")),
        (amtool, "check-config", str(HERE / "compose" / "alertmanager.yml")),
    )
    for command in commands:
        done = subprocess.run(  # noqa: S603 - the parts' own commands
            command, env={**os.environ, "STACK_DIR": str(data)}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise CannotRun(f"`{' '.join(command)}` refuses:\n{done.stdout}{done.stderr}")
        say(f"{command[-1]} is sound")


VERBS: Final[dict[str, Callable[[argparse.Namespace], None]]] = {
    "run": lambda _: run(),
    "build": lambda _: build.build(say),
    "ui": lambda given: pages.build(given.source, say),
    "check": lambda _: check(),
}


if __name__ == "__main__":
    raise SystemExit(main())

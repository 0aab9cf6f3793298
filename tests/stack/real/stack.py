"""The real collector, Jaeger, Prometheus and Alertmanager, each to be started, killed and asked by itself.

Refuses to run anything but what is shipped: programs from the launcher's cache, files as `copies` says.
"""

import shutil
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from config import Settings
from telemetry.stack import build, launcher, parts
from telemetry.stack.bell import bell
from telemetry.stack.failure import CannotRun
from telemetry.stack.parts import BELL_PORT, HOST
from tests.harness.need import missing, need
from tests.harness.process import Process
from tests.harness.waiting import wait
from tests.stack.real import copies

ALL = ("jaeger", "collector", "alertmanager", "prometheus")
QUICK = {"SAMPLING_ROOT_WAIT": "1s", "SPAN_METRICS_FLUSH": "1s", "GOMEMLIMIT": "320MiB"}
STOPPING = 60.0
"""Seconds that a part may take to end."""


class Stack:
    """Parts of the stack on ports of their own. A context manager: entering starts those that are named.

    Args:
        folder: for their files, queues and logs.
        names: which, in the order they start.
        overlay: further files that the collector is given, by name.
        environ: variables of the configurations, beside `QUICK`.
    """

    def __init__(
        self, folder: Path, names: Sequence[str] = ALL, overlay: Sequence[str] = (), **environ: str
    ) -> None:
        ready_to_run()
        self.names, self._opened = names, ExitStack()
        self.data = folder / "data"
        self.data.mkdir(parents=True, exist_ok=True)
        self._environ = QUICK | {"STACK_DIR": str(self.data), "OTEL_SDK_DISABLED": ""} | environ
        known = [part for part in parts.parts(self.data, Settings()) if part.name in ALL]
        found, self.ports = copies.copy(known, folder / "files")
        self._parts = {part.name: part for part in found}
        self._more = [word for name in overlay for word in ("--config", str(folder / "files" / name))]
        self.running: dict[str, Process] = {}

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            opened.callback(self._end)
            kept = self.data / "alerts.jsonl"
            opened.enter_context(bell(lambda _: None, kept, self.ports[BELL_PORT]))
            for name in self.names:
                self.start(name)
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def start(self, name: str, **environ: str) -> None:
        """Start one part and wait until it is ready; with other variables for this once."""
        part = self._parts[name]
        more = self._more if name == "collector" else []
        self.running[name] = Process(
            [*part.command, *more], self.data, {**part.environ, **self._environ, **environ}
        )
        wait(lambda: launcher.answers(part), seen=self.running[name].said)

    def end(self, name: str, number: int = signal.SIGTERM) -> None:
        """End one part by a signal and wait until it has; SIGKILL is a crash."""
        self.running.pop(name).stop(number, STOPPING)

    def address(self, port: int) -> str:
        """Where what listens on this port as shipped is found here."""
        return f"{HOST}:{self.ports[port]}"

    def settings(self) -> dict[str, str]:
        """The environment that makes a service export here."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{self.address(4317)}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        }

    def said(self) -> str:
        """All that every part printed, for an error's text."""
        return "\n".join(each.said()[-4_000:] for each in self.running.values())

    def _end(self) -> None:
        for name in reversed(list(self.running)):
            self.running.pop(name).kill()


def ready_to_run() -> None:
    """See that every program is there; build what the cache does not have, where nobody does yet."""
    need("prometheus")
    if not shutil.which("alertmanager"):
        need("prometheus-alertmanager")
    try:
        build.build(lambda _: None)
    except CannotRun as error:
        missing(str(error))

"""The shipped configuration files with other ports and shorter waits; all else in them is what is shipped.

Refuses to leave an address as it was: two stacks on one machine would hear each other.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from msgspec import structs

from telemetry.alerts.__main__ import write
from telemetry.stack.parts import BELL_PORT, HERE, ROOT, Part
from tests.harness.ports import claim

SHIPPED = (
    ROOT / "otel-collector.yaml",
    *(HERE / name for name in ("hardened.yaml", "jaeger.yaml", "prometheus.yml", "alertmanager.yml")),
)
SCALE = 60
"""The rules' hours are minutes here."""
SHORTER = {
    "prometheus.yml": {"5s": "500ms", "../alerts/rules.yml": "rules.yml"},
    "alertmanager.yml": {"group_interval: 5s": "group_interval: 1s"},
}


def copy(parts: Iterable[Part], folder: Path) -> tuple[list[Part], dict[int, int]]:
    """Write the files into a folder; the same parts told of them, and which port stands for which."""
    folder.mkdir(exist_ok=True)
    ports = {port: claim() for part in parts for port in part.ports} | {BELL_PORT: claim()}
    number = re.compile(rf"\b({'|'.join(map(str, ports))})\b")

    def moved(text: str) -> str:
        return number.sub(lambda found: str(ports[int(found[0])]), text)

    for path in SHIPPED:
        (folder / path.name).write_text(shorter(path.name, moved(path.read_text())))
    write(folder, SCALE)
    return [told(part, folder, ports, moved) for part in parts], ports


def told(part: Part, folder: Path, ports: dict[int, int], moved: Any) -> Part:
    """The same part on other ports, with the copies of its files."""
    command = [moved(word) if word.startswith("--web.") else word for word in part.command]
    for path in SHIPPED:
        command = [word.replace(str(path), str(folder / path.name)) for word in command]
    return structs.replace(
        part,
        command=tuple(command),
        ports=tuple(ports[port] for port in part.ports),
        ready_port=ports[part.ready_port],
    )


def shorter(name: str, text: str) -> str:
    """A file's text with shorter waits, each of which must be in it."""
    for wait, other in SHORTER.get(name, {}).items():
        assert wait in text, f"{name} does not say {wait!r} any more"
        text = text.replace(wait, other)
    return text

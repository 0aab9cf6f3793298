"""The stack's files as data, and what is asked of more than one of them.

Refuses YAML that says a key twice: the last would win in silence.
"""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
STACK = ROOT / "telemetry" / "stack"
VARIABLE = re.compile(r"\$\{env:(?P<name>[A-Z_]+)(?::-(?P<default>[^}]*))?\}")


class Strict(yaml.SafeLoader):
    """A loader that refuses a key that is there twice."""


def mapping(loader: Strict, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value if key.tag != MERGE]
    assert len(keys) == len(set(keys)), f"a key is there twice: {keys}"
    loader.flatten_mapping(node)
    return {
        loader.construct_object(key, True): loader.construct_object(value, True) for key, value in node.value
    }


MERGE = "tag:yaml.org,2002:merge"
Strict.add_constructor("tag:yaml.org,2002:map", mapping)


def read(path: Path) -> Any:
    return yaml.load(path.read_text(), Strict)  # noqa: S506 - a safe loader


def merged(one: Any, other: Any) -> Any:
    """One configuration laid over another, as the collector does: maps are joined, all else is replaced."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one | {key: merged(one.get(key), value) for key, value in other.items()}
    return other


def variables(path: Path) -> dict[str, str | None]:
    """The environment variables a configuration names, with their defaults."""
    return {found["name"]: found["default"] for found in VARIABLE.finditer(path.read_text())}


def modules() -> dict[str, set[str]]:
    """What builder.yaml builds in: the last word of each module, by kind."""
    manifest = read(STACK / "builder.yaml")
    kinds = ("receivers", "processors", "connectors", "exporters", "extensions")
    return {kind: {line["gomod"].split()[0].rsplit("/", 1)[1] for line in manifest[kind]} for kind in kinds}

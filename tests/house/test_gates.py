"""The gates of the house, as tests: style, types, layering, doors, sizes."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FLOORS = ("config", "telemetry", "service")
SOURCES = sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))
BIN = Path(sys.executable).parent

MOST_LINES_OF_A_FUNCTION = 30
SDK = ("opentelemetry.sdk", "opentelemetry.exporter")
"""What only telemetry/providers.py may import; import-linter does not see inside external packages."""


@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "check"),
        ("ruff", "format", "--check"),
        ("basedpyright",),
        ("lint-imports",),
    ],
    ids=" ".join,
)
def test_gate(command: tuple[str, ...]):
    ran = subprocess.run(
        [BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_opentelemetry_sdk_has_one_door():
    doors = {path.relative_to(ROOT).as_posix() for path in SOURCES if any(map(is_sdk, imported(path)))}
    assert doors == {"telemetry/providers.py"}


def test_redis_has_one_door():
    doors = [path for path in SOURCES if any(module.split(".")[0] == "redis" for module in imported(path))]
    assert [path.relative_to(ROOT).as_posix() for path in doors] == ["service/limits/redis.py"]


def is_sdk(module: str) -> bool:
    return module.startswith(SDK)


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_functions_are_short_and_every_module_says_what_it_is(path: Path):
    tree = ast.parse(path.read_text())
    long = [node.name for node in functions(tree) if length(node) > MOST_LINES_OF_A_FUNCTION]
    assert not long
    assert ast.get_docstring(tree)


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the body without the docstring."""
    said = len(ast.get_docstring(node, clean=False).splitlines()) if ast.get_docstring(node) else 0
    return (node.end_lineno or 0) - node.lineno - said

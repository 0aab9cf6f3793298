"""SECURITY.md claims nothing by a test that is not there, and every file and setting it names exists."""

import ast
import re
from pathlib import Path

import pytest

from config.settings import Settings
from config.variable import walk

ROOT = Path(__file__).parents[2]
SAID = (ROOT / "SECURITY.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[a-z_/]+\.py)(?:::(test_[a-z0-9_]+))?`", SAID)))


@pytest.mark.parametrize(("path", "test"), NAMED, ids=lambda part: part or "-")
def test_every_test_that_is_named_exists(path, test):
    tree = ast.parse((ROOT / path).read_text())
    tests = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert any(name.startswith("test_") for name in tests)
    assert not test or test in tests


def test_much_of_it_is_claimed_by_tests():
    assert len(NAMED) > 50
    assert SAID.count("`tests/") == len(re.findall(r"`tests/[a-z_/]+\.py(?:::test_[a-z0-9_]+)?`", SAID))


def test_every_setting_and_file_that_is_named_exists():
    settings = {place.variable.name for place in walk(Settings())}
    assert set(re.findall(r"\bAGENT_[A-Z_]+[A-Z]\b", SAID)) <= settings
    for path in re.findall(r"`((?:service|telemetry|config)/[a-z_/]+(?:\.py)?)`", SAID):
        assert (ROOT / path).exists(), path

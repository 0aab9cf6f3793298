"""Every command says how it is used, and wrong use is told as such."""

import subprocess
import sys
from importlib.metadata import version

import pytest

from service.simulator import COMBINING

COMMANDS = {
    (): ["serve", "migrate", "settings", "keys", "simulate", "--version"],
    ("serve",): ["--help"],
    ("migrate",): ["--help"],
    ("settings",): ["--json"],
    ("keys",): ["create", "list", "revoke"],
    ("keys", "create"): ["--user", "--role", "--scope", "--expires", "--json"],
    ("keys", "list"): ["--json"],
    ("keys", "revoke"): ["id", "--json"],
    ("simulate",): ["--port", "429-after:N", "stall", *COMBINING.splitlines()],
}


@pytest.mark.parametrize(("command", "named"), COMMANDS.items(), ids=" ".join)
def test_help_names_every_option(parley, command, named):
    said = parley(*command, "--help")
    assert (said.status, said.err) == (0, "")
    assert said.out.startswith("usage: parley")
    assert [name for name in named if name not in said.out] == []


WRONG = [
    (),
    ("nope",),
    ("serve", "now"),
    ("--nope",),
    ("migrate", "--json"),
    ("settings", "--jsn"),
    ("keys",),
    ("keys", "nope"),
    ("keys", "create"),
    ("keys", "create", "--user", "ann"),
    ("keys", "create", "--role", "CFO"),
    ("keys", "revoke"),
    ("keys", "revoke", "a", "b"),
    ("simulate", "--port", "65536"),
    ("simulate", "--port", "-1"),
    ("simulate", "--port", "x"),
    ("simulate", "--port", "\u0663"),
]


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_use_is_2_with_a_word_on_stderr(parley, tmp_path, arguments):
    said = parley(*arguments)
    assert (said.status, said.out) == (2, "")
    assert said.err.startswith("usage: parley")
    assert "Traceback" not in said.err
    assert list(tmp_path.iterdir()) == []


NOT_UTF8 = [
    ("audit", "list", "--q", "\udcff"),
    ("audit", "list", "--role=a\udcff"),
    ("audit", "show", "\udcff"),
    ("audit", "export", "--format", "\udcff"),
    ("audit", "stats", "--from", "\ud800"),
    ("usage", "--group-by", "\udcff"),
    ("limits", "show", "\udcff"),
    ("keys", "revoke", "\udcff"),
]


@pytest.mark.parametrize("arguments", NOT_UTF8, ids=ascii)
def test_an_argument_that_is_no_utf8_is_wrong_use(parley, tmp_path, arguments):
    said = parley(*arguments)
    assert (said.status, said.out) == (2, "")
    assert said.err.splitlines()[-1].endswith(": not UTF-8")
    assert list(tmp_path.iterdir()) == []


def test_the_version_is_the_packages(parley):
    said = parley("--version")
    assert (said.status, said.out) == (0, f"parley {version('parley')}\n")


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "service", "keys", "create"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "--user" in done.stderr

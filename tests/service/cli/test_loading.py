"""What a command loads: no package that only others need. Looked up by name, never timed."""

import json
import subprocess
import sys

import pytest

from service.cli.commands import parser

LOADED = """
import sys
before = {name.partition(".")[0] for name in sys.modules}
from service.cli import run
try:
    run(sys.argv[1:])
except SystemExit:
    pass
finally:
    import json
    loaded = {name.partition(".")[0] for name in sys.modules} - before - set(sys.stdlib_module_names)
    sys.stderr.write(json.dumps(sorted(loaded)))
"""
FRAMEWORKS = {"anthropic", "httpx2", "jinja2", "jsonschema", "jwt", "litestar", "mcp", "redis", "uvicorn"}
DATABASES = {"asyncpg", "piccolo"}


def loaded(where, *arguments: str) -> set[str]:
    """The packages of others and of ours that a command brought into a fresh process."""
    # without `site`'s: a package's own hook there may load what it likes
    environ = {"PYTHONPATH": ":".join(filter(None, sys.path)), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments],
        cwd=where,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("arguments", [["--help"], ["audit", "--help"], ["limits", "--help"], ["nope"], []])
def test_to_tell_what_there_is_takes_nothing_but_our_words(arguments, tmp_path):
    assert loaded(tmp_path, *arguments) == {"service"}


LIGHT = FRAMEWORKS | DATABASES | {"cryptography", "opentelemetry"}
WITHOUT = {
    "settings": LIGHT,
    "simulate --help": LIGHT,
    "tools": LIGHT,
    "check": FRAMEWORKS,
    "migrate": FRAMEWORKS,
    "audit verify --help": FRAMEWORKS | {"opentelemetry"},
    "audit verify": FRAMEWORKS,
    "audit export": FRAMEWORKS,
    "limits suggest": FRAMEWORKS,
    "usage": FRAMEWORKS,
    "keys list": FRAMEWORKS,
    "trace none": FRAMEWORKS,
    "mcp": FRAMEWORKS | DATABASES,
}
"""Packages that a command line must not load."""


@pytest.mark.parametrize("line", WITHOUT)
def test_a_command_loads_no_package_that_only_others_need(line, tmp_path):
    assert loaded(tmp_path, *line.split()) & WITHOUT[line] == set()


def commands(of=None, *named: str):
    """Every command of the whole command line, as the words that name it, with its parser."""
    of = of or parser()
    of.fill()
    (below,) = [action for action in of._actions if action.choices and action.nargs == "A..."] or [None]
    if below is None:
        yield named, of
        return
    for name, each in below.choices.items():
        yield from commands(each, *named, name)


WHOLE = dict(commands())


@pytest.mark.parametrize("named", WHOLE, ids=" ".join)
def test_every_command_can_be_loaded_and_run(named):
    assert callable(WHOLE[named].get_default("run"))

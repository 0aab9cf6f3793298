"""Jaeger's pages out of a source of the same form: real git, npm and Node, and a build of one file.

Refuses the network: the source lies in a folder and needs no packages.
"""

import json
import subprocess

import pytest

from telemetry.stack import pages, versions
from telemetry.stack.failure import CannotRun
from telemetry.stack.parts import jaeger
from tests.harness.need import need

BUILD = "mkdir -p packages/jaeger-ui/build && echo pages > packages/jaeger-ui/build/index.html"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("JAEGER_UI", raising=False)


@pytest.fixture
def source(tmp_path):
    """A function: a repository whose tag has this build and asks for this Node."""
    for program in ("git", "node", "npm"):
        need(program)

    def make(script=BUILD, node=">=12", tag=f"v{versions.JAEGER_UI}"):
        folder = tmp_path / "kept"
        folder.mkdir()
        package = {"name": "pages", "version": "1.0.0", "private": True, "engines": {"node": node}}
        (folder / "package.json").write_text(json.dumps(package | {"scripts": {"build": script}}))
        lock = {"name": "pages", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": package}}
        (folder / "package-lock.json").write_text(json.dumps(lock))
        git = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.org"]
        for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "pages"], ["tag", tag]):
            subprocess.run([*git, *words], check=True, capture_output=True)
        return str(folder)

    return make


def test_they_are_built_of_the_tag_that_fits_and_jaeger_serves_them(source):
    said = []
    assert jaeger().environ == {"JAEGER_UI": ""}
    pages.build(source(), said.append)
    assert (pages.pages() / "index.html").read_text() == "pages\n"
    assert jaeger().environ == {"JAEGER_UI": str(pages.pages())}
    assert jaeger().shown == "http://127.0.0.1:16686"
    assert said[-1].startswith("built ")


def test_a_build_takes_the_place_of_the_one_before(source):
    pages.pages().mkdir(parents=True)
    (pages.pages() / "old").touch()
    pages.build(source(), print)
    assert [file.name for file in pages.pages().iterdir()] == ["index.html"]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"script": "exit 3"}, "npm run build"),
        ({"script": "true"}, "there is no packages/jaeger-ui/build/index.html"),
        ({"node": ">=999"}, "Node 999 or newer is needed"),
        ({"tag": "v0.0.1"}, f"v{versions.JAEGER_UI}"),
    ],
    ids=["fails", "empty", "node", "tag"],
)
def test_what_cannot_be_built_is_told_and_leaves_what_was_there(source, made, said):
    pages.pages().mkdir(parents=True)
    (pages.pages() / "old").touch()
    with pytest.raises(CannotRun, match=said):
        pages.build(source(**made), print)
    assert [file.name for file in pages.pages().iterdir()] == ["old"]


def test_a_missing_program_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotRun, match="git is missing"):
        pages.build(None, print)

"""The Dockerfile as stages of instructions, read by a parser of that format.

Refuses to guess: an instruction of a form that is not expected here fails the test that asks for it.
"""

import io
import json
import re
import shlex
from collections.abc import Iterator, Sequence

from dockerfile_parse import DockerfileParser
from msgspec import Struct

from tests.packaging.archive import ROOT

PREFIX = "/opt/parley"
VOLUME = "/var/lib/parley"
SECRET = {"AGENT_SECRET_KEY": "0123456789abcdef" * 4, "AGENT_SIMULATOR": "true"}
"""What the image leaves to whoever runs it."""

IMAGE = re.compile(
    r"python:(?P<python>\d+\.\d+\.\d+)-slim-[a-z]+@sha256:(?P<digest>[0-9a-f]{64})(?: AS (?P<name>\w+))?"
)
CHECK = re.compile(r"(?P<options>(?:--[a-z-]+=\S+ )+)CMD (?P<command>\[.+\])")


class Instruction(Struct, frozen=True):
    """One instruction; its value as it stands, continuation lines joined."""

    name: str
    value: str


def stages() -> list[list[Instruction]]:
    """The instructions of each stage, each beginning with its FROM."""
    found: list[list[Instruction]] = []
    parser = DockerfileParser(fileobj=io.BytesIO((ROOT / "Dockerfile").read_bytes()))
    for each in parser.structure:
        if each["instruction"] == "FROM":
            found.append([])
        if each["instruction"] != "COMMENT":
            found[-1].append(Instruction(each["instruction"], each["value"]))
    return found


def values(stage: Sequence[Instruction], name: str) -> list[str]:
    """The values of a stage's instructions of this name."""
    return [each.value for each in stage if each.name == name]


def one(stage: Sequence[Instruction], name: str) -> str:
    """The value of the only instruction of this name."""
    (value,) = values(stage, name)
    return value


def command(stage: Sequence[Instruction], name: str) -> list[str]:
    """An instruction's command in its exec form; the shell form is an error."""
    return json.loads(one(stage, name))


def variables(stage: Sequence[Instruction]) -> dict[str, str]:
    """What a stage's ENV set."""
    pairs = [word for value in values(stage, "ENV") for word in shlex.split(value)]
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}


def copies(stage: Sequence[Instruction]) -> Iterator[tuple[str | None, list[str], str]]:
    """Each COPY: the stage it is from, if any, its sources, and its target."""
    for value in values(stage, "COPY"):
        words = shlex.split(value)
        options = [word for word in words if word.startswith("--")]
        assert all(option.startswith("--from=") for option in options), value
        *sources, target = words[len(options) :]
        yield options[0].removeprefix("--from=") if options else None, sources, target


def health_check(stage: Sequence[Instruction]) -> list[str]:
    """The command of HEALTHCHECK, in its exec form."""
    found = CHECK.fullmatch(one(stage, "HEALTHCHECK"))
    assert found, "HEALTHCHECK has no exec form"
    return json.loads(found["command"])

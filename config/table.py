"""The settings as text: rows for a terminal and for programs, a page of README, `.env.example`.

Refuses to show a secret: a row holds its mask, never its value.
"""

import sys
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Final, TypedDict

from msgspec import Struct

from config.env import PLACES
from config.form import Form
from config.settings import Settings
from config.source import FILE, Origin
from config.variable import Place, walk

LONGEST_CELL: Final = 60
HEAD: Final = """\
# Every setting with its default. Remove the "# " before a name to set it; an empty value is as good as none.
# This file is read as .env in development only, and the environment wins over it."""
OPENTELEMETRY: Final = """\
# == OpenTelemetry
# Every OTEL_* variable keeps its own meaning; with none set nothing is exported. For example:
# OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318
# OTEL_SERVICE_NAME=parley
"""


class Row(Struct, frozen=True, kw_only=True):
    """One setting as text; `value` and `default` as the environment would say them, None where unset.

    `title` is what its group is called.
    """

    name: str
    title: str
    value: str | None
    origin: Origin
    default: str | None
    description: str
    secret: bool


class JsonRow(TypedDict):
    """One setting for programs."""

    name: str
    value: str | None
    origin: Origin


def rows(settings: Settings, origins: Mapping[str, Origin]) -> tuple[Row, ...]:
    """Lay out all settings in the order of their page."""
    places = zip(walk(settings), PLACES, strict=True)
    return tuple(_row(place, default, origins) for place, default in places)


def as_text(table: Sequence[Row]) -> str:
    """Align name, value and origin for a terminal; long values are cut."""
    cells = [("NAME", "VALUE", "ORIGIN"), *((row.name, _cell(row.value), row.origin) for row in table)]
    name, value = (max(len(line[column]) for line in cells) for column in (0, 1))
    return "".join(f"{line[0]:<{name}}  {line[1]:<{value}}  {line[2]}\n" for line in cells)


def as_json(table: Sequence[Row]) -> list[JsonRow]:
    """Name, value and origin of each row; values are whole, secrets are masked."""
    return [JsonRow(name=row.name, value=row.value, origin=row.origin) for row in table]


def as_markdown() -> str:
    """All settings with their defaults and meanings, for README."""
    lines = [f"| `{row.name}` | {_code(row.default)} | {_escape(row.description)} |\n" for row in _defaults()]
    return "| variable | default | meaning |\n|---|---|---|\n" + "".join(lines)


def as_env_example() -> str:
    """All settings as comments, each with its default, for `.env.example`."""
    pairs = zip((place.title for place in PLACES), _defaults(), strict=True)
    blocks = [
        _block(title, [row for _, row in group]) for title, group in groupby(pairs, key=lambda pair: pair[0])
    ]
    return "\n\n".join([HEAD, *blocks, OPENTELEMETRY])


def _row(place: Place, default: Place, origins: Mapping[str, Origin]) -> Row:
    name, form = place.variable.name, place.variable.form
    return Row(
        name=name,
        title=place.title,
        value=_shown(form, place.value),
        origin=origins[name],
        default=_shown(form, default.value),
        description=_description(place),
        secret=form.secret,
    )


def _shown(form: Form[Any], value: Any) -> str | None:
    return None if value is None else form.show(value)


def _description(place: Place) -> str:
    name, form = place.variable.name, place.variable.form
    parts = [place.variable.why, f"Takes {form.expected}."]
    if form.secret:
        parts.append(f"{name}{FILE} may name a file that holds it.")
    return " ".join(parts)


def _defaults() -> tuple[Row, ...]:
    return rows(Settings(), {place.variable.name: "default" for place in PLACES})


def _cell(value: str | None) -> str:
    if value is None:
        return "-"
    line = value if value.isprintable() else ascii(value)
    return line if len(line) <= LONGEST_CELL else f"{line[: LONGEST_CELL - 3]}..."


def _code(value: str | None) -> str:
    return f"`{_escape(value)}`" if value else ""


def _escape(text: str) -> str:
    return text.replace("|", r"\|")


def _block(title: str, group: Sequence[Row]) -> str:
    return "\n".join([f"# == {title}", *(_example(row) for row in group)])


def _example(row: Row) -> str:
    return f"# {row.description}\n# {row.name}={_quoted(row.default or '')}"


def _quoted(text: str) -> str:
    # unquoted blanks would be a command to a shell that sources the file
    return f"'{text}'" if " " in text else text


if __name__ == "__main__":
    sys.stdout.write(as_env_example())

import json
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from service.tools.schema import describe
from tests.harness.tools import built_in, offered


class Point(Struct, frozen=True, forbid_unknown_fields=True):
    """A place."""

    x: int
    title: str = ""


class Line(Struct, frozen=True, forbid_unknown_fields=True):
    ends: tuple[Point, Point]
    label: Annotated[Point, Meta(description="where it is named")]
    also: list[Point] | None = None


class Open(Struct):
    x: int


class Around(Struct, forbid_unknown_fields=True):
    inner: Open


class Chain(Struct, forbid_unknown_fields=True):
    rest: "Chain | None" = None


@dataclass
class Loose:
    x: int


class AroundLoose(Struct, forbid_unknown_fields=True):
    inner: Loose


def objects(part: Any) -> list[dict[str, Any]]:
    if isinstance(part, list):
        return [found for item in part for found in objects(item)]
    if not isinstance(part, dict):
        return []
    return [part] * ("properties" in part) + [found for value in part.values() for found in objects(value)]


def test_it_is_one_closed_piece():
    schema = describe(Line)
    assert "$" not in json.dumps(schema)
    assert len(objects(schema)) == 5
    assert all(part["additionalProperties"] is False for part in objects(schema))


def test_a_field_named_title_stays_and_class_names_go():
    schema = describe(Point)
    assert schema == {
        "description": "A place.",
        "type": "object",
        "properties": {"x": {"type": "integer"}, "title": {"type": "string", "default": ""}},
        "required": ["x"],
        "additionalProperties": False,
    }


def test_what_is_said_of_a_field_wins_over_what_its_type_says():
    assert describe(Line)["properties"]["label"]["description"] == "where it is named"


@pytest.mark.parametrize("arguments", [Open, Around, AroundLoose])
def test_arguments_that_take_unknown_fields_are_refused(arguments):
    with pytest.raises(ValueError, match="forbid_unknown_fields"):
        describe(arguments)


def test_arguments_that_hold_themselves_are_refused():
    with pytest.raises(ValueError, match="Chain hold themselves"):
        describe(Chain)


@given(st.dictionaries(st.sampled_from(["x", "title", "y"]), st.integers() | st.text(max_size=3), max_size=3))
def test_the_schema_says_what_the_decoder_does(arguments):
    schema = describe(Point)
    kinds = {"integer": int, "string": str}
    fits = set(schema["required"]) <= set(arguments) <= set(schema["properties"]) and all(
        isinstance(value, kinds[schema["properties"][name]["type"]]) for name, value in arguments.items()
    )
    try:
        msgspec.convert(arguments, Point)
    except msgspec.ValidationError:
        assert not fits
    else:
        assert fits


def test_the_built_in_definitions_are_plain_json():
    definitions = offered(built_in()).definitions
    assert json.loads(json.dumps(definitions)) == list(definitions)

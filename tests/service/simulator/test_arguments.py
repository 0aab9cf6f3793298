import pytest

from service.simulator.arguments import arguments_for


def one(schema):
    return arguments_for({"type": "object", "properties": {"x": schema}, "required": ["x"]})["x"]


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "example"),
        ({"type": "string", "minLength": 9}, "exampleee"),
        ({"type": "string", "format": "date"}, "2026-01-01"),
        ({"type": "string", "enum": ["b", "a"]}, "b"),
        ({"type": ["null", "string"]}, None),
        ({"type": "integer"}, 1),
        ({"type": "integer", "minimum": 5}, 5),
        ({"type": "integer", "exclusiveMinimum": 5}, 6),
        ({"type": "number", "maximum": 0}, 0),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": "array", "items": {"type": "integer"}}, []),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        ({"const": None}, None),
        ({"const": 0}, 0),
        ({"type": "string", "default": ""}, ""),
        ({"type": "string", "examples": ["e"]}, "e"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 1),
        ({}, "example"),
        ({"properties": {"y": {"type": "integer"}}, "required": ["y"]}, {"y": 1}),
        ({"type": "martian"}, None),
    ],
)
def test_a_value_fits_its_schema(schema, value):
    assert one(schema) == value


def test_only_required_properties_are_made_up():
    schema = {"type": "object", "properties": {"a": {"type": "string"}, "b": {}}, "required": ["a", "gone"]}
    assert arguments_for(schema) == {"a": "example"}


def test_a_reference_is_followed():
    schema = {
        "type": "object",
        "properties": {"x": {"$ref": "#/$defs/N"}},
        "required": ["x"],
        "$defs": {"N": {"type": "integer", "minimum": 3}},
    }
    assert arguments_for(schema) == {"x": 3}


def test_a_schema_that_refers_to_itself_ends():
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}, "required": ["next"]}
    assert arguments_for(
        {"type": "object", "$defs": {"Node": node}, **{k: node[k] for k in ("properties", "required")}}
    )


@pytest.mark.parametrize(
    "schema", [{}, {"type": "object"}, {"type": "object", "properties": {"a": True}}, {"type": 7}]
)
def test_a_schema_that_says_nothing_gives_an_empty_object(schema):
    assert arguments_for(schema) == {}

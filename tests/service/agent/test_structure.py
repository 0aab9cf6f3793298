"""Schemas of answers: which are refused and by which words, and what of an answer fits."""

import pytest

from service.agent import structure
from service.agent.upstream import dialect
from service.errors import UpstreamFailed
from service.tools.foreign import Unfit

CLOSED = {"additionalProperties": False}
TOTAL = {
    "type": "object",
    "properties": {
        "total": {"type": "integer", "minimum": 1},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
    },
    "required": ["total"],
    "$defs": {"line": {"type": "object", "properties": {"text": {"type": ["string", "null"]}}, **CLOSED}},
    **CLOSED,
}


def of(**properties):
    return {"type": "object", "properties": properties}


REFUSED = {
    "text": ("no", "the schema is no object"),
    "list": ({"type": "array", "items": {"type": "string"}}, "the schema is not of an object"),
    "no type": (of(a={}), "a part has no type at $.properties.a"),
    "true": (of(a=True), "a part is no object at $.properties.a"),
    "open": (of() | {"additionalProperties": True}, "additionalProperties must be false at $"),
    "open below": (
        of(a={"type": "array", "items": of() | {"additionalProperties": {"type": "string"}}}),
        "additionalProperties must be false at $.properties.a.items",
    ),
    "open or nothing": (
        of(a={"type": ["object", "null"], "additionalProperties": True}),
        "additionalProperties must be false at $.properties.a",
    ),
    "pattern": (
        of(a={"anyOf": [{"type": "string", "pattern": "^(a+)+$"}]}),
        "pattern is not checked here at $.properties.a.anyOf[0]",
    ),
    "itself": (of(a={"$ref": "#"}), "the schema holds itself by #"),
    "in a circle": (
        of(a={"$ref": "#/$defs/a"})
        | {"$defs": {"a": of(b={"$ref": "#/$defs/b"}), "b": of(a={"$ref": "#/$defs/a"})}},
        "the schema holds itself by #/$defs/a",
    ),
    "elsewhere": (of(a={"$ref": "https://example.com/s"}), "the schema refers to something elsewhere"),
    "a file": (of(a={"$ref": "file:///etc/passwd"}), "the schema refers to something elsewhere"),
    "nowhere": (of(a={"$ref": "#/$defs/x"}), "the schema refers to something that is not in it"),
    "too large": (of() | {"title": "x" * 65_536}, "the schema is larger than 65536 bytes"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_schema_that_cannot_be_kept_to_is_refused_with_the_place(case):
    document, why = REFUSED[case]
    with pytest.raises(Unfit) as refused:
        structure.look_through(document)
    assert str(refused.value) == why


def test_a_schema_that_is_none_is_refused_with_the_place():
    with pytest.raises(Unfit, match=r"at \$\.properties\.a\.minLength$"):
        structure.look_through(of(a={"type": "string", "minLength": "1"}))


@pytest.mark.parametrize(
    "schema",
    [
        TOTAL,
        of(pattern={"type": "string"}, type={"type": "string"}, default={"type": "string"}),
        of(a={"$ref": "#/$defs/x"}, b={"$ref": "#/$defs/x"}) | {"$defs": {"x": {"type": "string"}}},
        of(a={"enum": ["x", 1, None]}, b={"const": "x"}),
    ],
    ids=["whole", "words as names", "a part used twice", "values"],
)
def test_a_schema_that_can_be_kept_to(schema):
    assert structure.look_through(schema) == schema


def test_a_schema_that_doubles_itself_is_looked_through_in_few_steps():
    doubled = {
        f"d{at}": {"anyOf": [{"$ref": f"#/$defs/d{at + 1}"}, {"$ref": f"#/$defs/d{at + 1}"}]}
        for at in range(60)
    }
    structure.look_through(of(a={"$ref": "#/$defs/d0"}) | {"$defs": doubled | {"d60": {"type": "string"}}})


def said(text):
    return [{"role": "assistant", "content": [{"type": "text", "text": text}]}]


async def test_what_fits_is_the_value_of_the_last_message_alone():
    messages = [*said('{"total": 0}'), {"role": "user", "content": "?"}, *said('{"total": 7}')]
    assert await structure.fit(TOTAL, messages, "end_turn") == {"total": 7}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Seven.", "The answer is no JSON."),
        ('{"total": 7', "The answer is no JSON."),
        ("", "The answer is no JSON."),
        ("[7]", "The answer does not fit `responseFormat.schema` at $ by its `type`."),
        ("{}", "The answer does not fit `responseFormat.schema` at $ by its `required`."),
        ('{"total": 0}', "The answer does not fit `responseFormat.schema` at $.total by its `minimum`."),
        (
            '{"total": 7, "secret": "words"}',
            "The answer does not fit `responseFormat.schema` at $ by its `additionalProperties`.",
        ),
        (
            '{"total": 7, "lines": [{"text": "a"}, {"text": 8}]}',
            "The answer does not fit `responseFormat.schema` at $.lines[1].text by its `type`.",
        ),
        ("[" * 100_000, "The answer is no JSON."),
    ],
)
async def test_what_does_not_fit_is_told_by_its_place_and_not_by_its_words(text, why):
    with pytest.raises(UpstreamFailed) as failed:
        await structure.fit(TOTAL, said(text), "end_turn")
    assert failed.value.detail == why


@pytest.mark.parametrize(("reason", "word"), [("max_tokens", "maxTokens"), ("refusal", "refused")])
async def test_half_an_answer_is_none_even_where_it_fits(reason, word):
    with pytest.raises(UpstreamFailed, match=word):
        await structure.fit(TOTAL, said('{"total": 7}'), reason)


async def test_a_long_answer_that_fits_is_taken():
    lines = ",".join('{"text": "a line"}' for _ in range(5_000))
    told = await structure.fit(TOTAL, said(f'{{"total": 7, "lines": [{lines}]}}'), "end_turn")
    assert len(told["lines"]) == 5_000


def test_a_part_of_several_types_is_a_choice_for_the_api():
    part = {"type": ["string", "null"], "description": "one of them", "maxLength": 9}
    assert dialect.single(of(a=part)) == of(
        a={
            "description": "one of them",
            "anyOf": [{"type": "string", "maxLength": 9}, {"type": "null", "maxLength": 9}],
        }
    )
    named = of(a={"type": ["string", "null"], "enum": ["x", None]})
    assert dialect.single(named) == named


async def test_an_answer_that_takes_endless_steps_is_given_up():
    options = {"anyOf": [{"const": at} for at in range(1_000)]}
    schema = of(a={"type": "array", "items": options})
    with pytest.raises(UpstreamFailed, match="too many options"):
        await structure.fit(schema, said(f'{{"a": {[999] * 1_000}}}'), "end_turn")

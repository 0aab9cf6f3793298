"""JSON bodies: every invalid field is named at once; what is no JSON object is refused as a whole."""

import json
from contextlib import suppress
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from service.errors import InvalidRequest
from service.web.ask import MAX_MESSAGE, ChatBody
from service.web.fields import WHOLE, decode


def wrong(data):
    return {error.field: error.message for error in decode(ChatBody, data)[1]}


def refused(data):
    with pytest.raises(InvalidRequest) as raised:
        decode(ChatBody, data)
    (error,) = raised.value.fields
    assert error.field == WHOLE
    return error.message


def test_a_valid_body():
    data = b'{"message": "hi", "stream": null, "model": "m", "maxTokens": 5}'
    values, errors = decode(ChatBody, data)
    assert (values, errors) == ({"message": "hi", "stream": None, "model": "m", "max_tokens": 5}, ())


def test_every_invalid_field_is_named_as_the_client_wrote_it():
    data = b'{"stream": "yes", "model": [], "maxTokens": "5", "conversationId": 1, "max_tokens": 1, "x": 2}'
    assert wrong(data) == {
        "max_tokens": "Unknown field",
        "x": "Unknown field",
        "message": "Required",
        "conversationId": "Expected `uuid | null`, got `int`",
        "stream": "Expected `bool | null`, got `str`",
        "model": "Expected `str | null`, got `array`",
        "maxTokens": "Expected `int | null`, got `str`",
    }


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"{",
        b"{}{}",
        b'{"message": "x"}\x00',
        b"{'message': 'x'}",
        b'{"message": "x",}',
        b'{"message": NaN}',
        b'{"message": Infinity}',
        b'{"message": -Infinity}',
        b'{"message": "x", "maxTokens": 1e400}',
        b'{"message": "x", "maxTokens": ' + b"9" * 5000 + b"}",
        b'{"message": "\\ud800"}',
        b'{"message": "\\ud800 and more text behind it"}',
        b'{"message": "\\udc00"}',
        b'{"message": "\\ud800\\u0041"}',
        b'{"\\ud800": 1}',
        b'{"message": "\xff"}',
        b'{"message": "\xed\xa0\x80"}',
        b'{"message": "\xc0\xaf"}',
        b'{"message": "a\nb"}',
        b'\xef\xbb\xbf{"message": "x"}',
        '{"message": "x"}'.encode("utf-16"),
        b"[" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    ],
)
def test_what_is_no_json_is_refused(data):
    assert refused(data).startswith("Not valid JSON")


@pytest.mark.parametrize("data", [b"null", b"true", b"1", b'"x"', b"[]", b'[{"message": "x"}]'])
def test_json_that_is_no_object_is_refused(data):
    assert refused(data) == "Expected a JSON object"


@pytest.mark.parametrize(
    ("length", "fits"), [(1, True), (MAX_MESSAGE, True), (MAX_MESSAGE + 1, False), (0, False)]
)
@pytest.mark.parametrize("character", ["a", "é", "😀"])
def test_a_message_is_measured_in_characters(character, length, fits):
    data = f'{{"message": "{character * length}"}}'.encode()
    assert (wrong(data) == {}) is fits


def test_of_very_many_unknown_fields_so_many_are_named_that_an_answer_stays_short():
    _, errors = decode(ChatBody, json.dumps({"message": "x"} | {f"{n:0300}": 1 for n in range(60)}).encode())
    assert [each.field for each in errors[:-1]] == [f"{n:0300}"[:200] for n in range(50)]
    assert (errors[-1].field, errors[-1].message) == ("body", "10 further unknown fields")


def test_a_name_given_twice_counts_as_its_last():
    assert decode(ChatBody, b'{"message": 1, "message": "x"}') == ({"message": "x"}, ())


@pytest.mark.parametrize("text", ["a\x00b", "\x00", "a\u2028", "\u202e", "\x1b[31m", "\ufeff", "\uffff"])
def test_any_character_may_be_in_a_message(text):
    escaped = "".join(f"\\u{ord(character):04x}" for character in text)
    assert decode(ChatBody, f'{{"message": "{escaped}"}}'.encode())[0] == {"message": text}


@pytest.mark.parametrize("number", ["0", "-1", "-0", "1.0", "1.5", "true", "[]", '"1"', "1e3"])
def test_a_number_of_tokens_is_a_whole_one_from_1(number):
    assert list(wrong(f'{{"message": "x", "maxTokens": {number}}}'.encode())) == ["maxTokens"]


def test_nesting_in_a_field_is_that_fields_error():
    data = b'{"message": ' + b"[" * 300 + b"]" * 300 + b"}"
    assert wrong(data) == {"message": "Expected `str`, got `array`"}


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(["message", "conversationId", "stream", "model", "maxTokens", "extra"])


@given(body=st.dictionaries(NAMES, ANY_JSON))
def test_every_object_is_either_valid_or_named(body):
    values, errors = decode(ChatBody, json.dumps(body).encode())
    named = {error.field for error in errors}
    assert named.isdisjoint({"maxTokens" if name == "max_tokens" else name for name in values})
    assert set(body) - named <= {"message", "conversationId", "stream", "model", "maxTokens"}
    assert ("message" in named) is not ("message" in values)


@given(data=st.binary(max_size=200))
def test_no_bytes_break_it(data):
    with suppress(InvalidRequest):
        decode(ChatBody, data)


@pytest.mark.parametrize("value", ["sesame", "a' - at `$.b`", "a\nb", ""])
def test_a_value_is_not_told_back(value):
    class Choosing(Struct):
        one: Literal["a", "b"]
        many: list[Literal["a", "b"]]

    _, errors = decode(Choosing, json.dumps({"one": value, "many": ["a", value]}).encode())
    said = "Not one of the values that are taken"
    assert [each.message for each in errors] == [said, f"{said} - at `$[1]`"]

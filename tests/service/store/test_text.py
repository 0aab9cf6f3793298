import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.store.text import storable

anything = st.text(st.characters(codec=None, exclude_categories=()))


@given(anything)
def test_any_text_becomes_valid_utf8_without_nul(text):
    stored = storable(text)
    assert "\0" not in stored
    assert stored.encode("utf-8").decode("utf-8") == stored


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_text_a_database_can_hold_is_left_alone(text):
    assert storable(text) == text


@given(st.text(st.characters(categories=["Cs"], include_characters="a"), max_size=1))
def test_json_keeps_its_meaning(text):
    assert json.loads(storable(json.dumps({"q": text}, ensure_ascii=False))) == {"q": text}


@pytest.mark.parametrize(
    ("text", "stored"), [("a\0b", "a\\u0000b"), ("\ud800", "\\ud800"), ("x\udfffé", "x\\udfffé")]
)
def test_what_cannot_be_held_is_written_out(text, stored):
    assert storable(text) == stored

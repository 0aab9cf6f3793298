import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.store.words import LONGEST, WORD, says, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ()),
        ("How much, how MUCH?", ("how", "much")),
        ("a_b-c.d", ("a", "b", "c", "d")),
        ("Straße ÜBER u\u0308ber", ("strasse", "über")),
        ("\ufb01x \u2460", ("fix", "1")),
        ("\u0665 日本 x\u200by", ("\u0665", "日本", "x", "y")),
        ("a" * 300 + " b", ("a" * LONGEST, "b")),
        ("\ufdfa" * 30, ("صلى", "الله", "عليه", "وسلمصلى", "وسلم")),
        ("a\x1fb\x7fc\x00d", ("a", "b", "c", "d")),
    ],
)
def test_words_are_letters_and_digits_in_one_form(text, words):
    assert words_of(text) == words


@given(st.text(st.characters(max_codepoint=127)))
def test_plain_text_has_the_words_that_the_long_way_finds(text):
    assert words_of(text) == tuple(dict.fromkeys(word[:LONGEST] for word in WORD.findall(text.lower())))


@given(st.text())
def test_a_word_is_a_word_by_itself(text):
    for word in words_of(text):
        assert words_of(word) == (word,) or len(word) == LONGEST


FEW = st.text(st.sampled_from("aAbB1 _-ßé\ufb01"), max_size=30)


@given(FEW, FEW)
def test_a_text_says_the_words_that_are_among_its_own(text, asked):
    words = words_of(asked)
    assert says(text, " ".join(words)) is ({*words} <= {*words_of(text)})


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        ("How MUCH did we spend?", "spend how", True),
        ("How much did we spend?", "pen", False),
        ("Straße", "strasse", True),
        ("a" * 300, "a" * LONGEST, True),
        ("a" * 300, "a" * (LONGEST - 1), False),
        (None, "spend", False),
        (b"spend", "spend", False),
    ],
)
def test_a_text_says_whole_words_in_any_case_and_order(text, words, said):
    assert says(text, words) is said

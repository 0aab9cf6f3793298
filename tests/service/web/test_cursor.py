import base64

import pytest
from hypothesis import given
from hypothesis import strategies as any_

from service.errors import InvalidRequest
from service.web.cursor import Cursors, _signature

KEY = b"k" * 32
CURSORS = Cursors((KEY,))
POSITION = (1_764_000_000_123_456, "0198c3a4-0000-7000-8000-000000000001")
QUESTION = b'/events{"actor":"ann"}'


def refused(cursor, question=QUESTION, cursors=CURSORS):
    with pytest.raises(InvalidRequest) as caught:
        cursors.read(cursor, question)
    assert [each.field for each in caught.value.fields] == ["cursor"]
    return True


@given(any_.integers(-(2**63), 2**63 - 1), any_.text(alphabet=any_.characters(codec="utf-8")), any_.binary())
def test_a_cursor_comes_back_as_it_was(moment, event_id, question):
    cursor = CURSORS.write((moment, event_id), question)
    assert CURSORS.read(cursor, question) == (moment, event_id)
    assert cursor.isascii()
    assert not set(cursor) & set("+/=&?# ")


def test_a_cursor_of_another_question_or_house_does_not_hold():
    cursor = CURSORS.write(POSITION, QUESTION)
    assert refused(cursor, QUESTION + b" ")
    assert refused(cursor, b"")
    assert refused(cursor, cursors=Cursors((b"l" * 32,)))


def test_what_stands_on_either_side_of_the_seam_is_not_the_same():
    told = b'[1,"a"]'
    signature = _signature(KEY, told, b"x")
    assert _signature(KEY, told[1:], b"x" + told[:1]) != signature


def test_no_changed_character_goes_unseen():
    cursor = CURSORS.write(POSITION, QUESTION)
    for at, letter in enumerate(cursor):
        for other in "AZaz09-_":
            if other != letter:
                assert refused(cursor[:at] + other + cursor[at + 1 :])


def test_nothing_added_or_taken_away_goes_unseen():
    cursor = CURSORS.write(POSITION, QUESTION)
    for changed in (
        *(cursor[:end] for end in range(len(cursor))),
        *(cursor + more for more in ("=", "==", "A", "AAAA", " ", "\n", "é", "\ud800", "\0")),
        cursor.swapcase(),
        f" {cursor}",
        cursor * 2,
    ):
        assert refused(changed)


@pytest.mark.parametrize(
    "told", [b"[1]", b'["1","a"]', b"{}", b"null", b'[1,"a",2]', b'[1.5,"a"]', b"\xff", b""]
)
def test_signed_nonsense_is_no_position(told):
    signed = _signature(KEY, told, QUESTION) + told
    assert refused(base64.urlsafe_b64encode(signed).decode().rstrip("="))

"""Sealed text and commitments."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.seal.content import (
    ContentUnreadable,
    commitment,
    key_id,
    mac,
    new_data_key,
    new_salt,
    open_text,
    seal_text,
    unwrap,
    wrap,
)

MASTER, OTHER = b"m" * 32, b"o" * 32
ANY = st.text(st.characters(exclude_categories=()))
"""Lone surrogates too: JSON may carry them."""


@given(ANY, ANY)
def test_a_text_opens_with_its_key_for_its_event(text, event_id):
    key = new_data_key()
    assert open_text(key, event_id, seal_text(key, event_id, text)) == text


def test_a_wrapped_key_opens_with_its_master_for_its_subject():
    key = new_data_key()
    assert unwrap(MASTER, wrap(MASTER, key, "s"), "s") == key


def test_keys_salts_and_sealings_never_repeat():
    assert len({new_data_key() for _ in range(9)} | {new_salt() for _ in range(9)}) == 18
    assert len({seal_text(MASTER, "e", "t") for _ in range(9)}) == 9
    assert all(len(each) == 32 for each in (new_data_key(), new_salt()))


def test_what_is_sealed_says_its_version_first_and_not_its_text():
    sealed = seal_text(MASTER, "event", "words of somebody")
    assert sealed[:1] == b"\x01"
    assert b"words" not in sealed
    assert len(sealed) == 1 + 12 + len("words of somebody") + 16


@pytest.mark.parametrize(("key", "event"), [(OTHER, "e"), (MASTER, "f"), (MASTER, ""), (OTHER, "f")])
def test_another_key_or_event_opens_nothing(key, event):
    with pytest.raises(ContentUnreadable):
        open_text(key, event, seal_text(MASTER, "e", "text"))


def test_another_master_or_subject_opens_no_key():
    wrapped = wrap(MASTER, new_data_key(), "s")
    for master, subject in ((OTHER, "s"), (MASTER, "t")):
        with pytest.raises(ContentUnreadable):
            unwrap(master, wrapped, subject)


def test_every_altered_or_missing_byte_is_refused():
    sealed = seal_text(MASTER, "e", "text")
    for at in range(len(sealed)):
        changed = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        for each in (changed, sealed[:at], sealed[:at] + sealed[at + 1 :]):
            with pytest.raises(ContentUnreadable):
                open_text(MASTER, "e", each)


@given(st.binary(min_size=32, max_size=32), ANY)
def test_a_commitment_is_an_hmac_of_the_text_under_its_salt(salt, text):
    expected = hmac.new(salt, text.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
    assert commitment(salt, text) == expected
    assert commitment(salt, text + " ") != expected
    assert commitment(bytes(32), text) != expected or salt == bytes(32)


def test_sealed_bytes_that_are_no_text_are_unreadable():
    """A data key wrapped under a name opens as text only where it is one."""
    with pytest.raises(ContentUnreadable):
        open_text(MASTER, "e", wrap(MASTER, b"\xff" * 32, "e"))


def test_a_master_key_is_named_by_eight_characters_of_its_hash():
    assert key_id(MASTER) == hashlib.sha256(MASTER).hexdigest()[:8]
    assert key_id(MASTER) != key_id(OTHER)


@given(st.binary(max_size=200), st.binary(max_size=300))
def test_the_mac_is_that_of_the_rfc(key, data):
    assert mac(key, data) == hmac.digest(key, data, "sha256")


@pytest.mark.parametrize("length", [0, 1, 32, 63, 64, 65])
def test_the_mac_is_that_of_the_rfc_around_a_whole_block(length):
    assert mac(b"k" * length, b"text") == hmac.digest(b"k" * length, b"text", "sha256")

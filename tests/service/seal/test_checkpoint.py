"""Checkpoints: their form, their way there and back, and everything that is refused."""

from base64 import b64decode, b64encode
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from service.seal.checkpoint import MOST_CHARACTERS, Checkpoint, NotGenuine, Signer, Verifier, read, unsigned
from service.seal.keys import derived, public_key, public_of, vkey_of

KEY = derived(b"k" * 32)
SIGNER, KNOWN = Signer(KEY), [Verifier(public_of(KEY))]
TIME = 1_795_759_200_000_000
CHECKPOINT = Checkpoint("parley.example/log", 1234, b"r" * 32, TIME, b"c" * 32)
NOTE = SIGNER.note(CHECKPOINT)
BODY = (
    "parley.example/log\n1234\ncnJycnJycnJycnJycnJycnJycnJycnJycnJycnJycnI=\n"
    "time 2026-11-27T06:00:00.000Z\nchain Y2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2M=\n"
)


def signed(text: str, key: Ed25519PrivateKey = KEY, name: str = "parley.example/log") -> str:
    """Sign any text as C2SP signed-note has it, without our code."""
    raw = key.public_key().public_bytes_raw()
    key_id = sha256(name.encode() + b"\x0a\x01" + raw).digest()[:4]
    return f"{text}\n— {name} {b64encode(key_id + key.sign(text.encode())).decode()}\n"


def refused(note: str, verifiers=KNOWN) -> str:
    with pytest.raises(NotGenuine) as told:
        read(note, verifiers)
    assert told.value.detail
    return told.value.detail


def test_a_note_is_what_c2sp_has_it():
    text, _, signatures = NOTE.partition("\n\n")
    assert text + "\n" == BODY
    dash, name, said = signatures.rstrip("\n").split(" ")
    raw = b64decode(said)
    assert (dash, name, len(raw)) == ("—", "parley.example/log", 68)
    assert raw[:4] == sha256(b"parley.example/log\n\x01" + KEY.public_key().public_bytes_raw()).digest()[:4]
    KEY.public_key().verify(raw[4:], BODY.encode())
    assert signed(BODY) == NOTE


@given(
    st.integers(0, (1 << 63) - 1),
    st.binary(min_size=32, max_size=32),
    st.integers(0, 253_402_300_799_999).map(lambda ms: ms * 1000),
    st.binary(min_size=32, max_size=32),
)
def test_a_checkpoint_comes_back_as_it_was(size, root, time, chain):
    checkpoint = Checkpoint("log", size, root, time, chain)
    assert read(SIGNER.note(checkpoint), KNOWN) == checkpoint


def test_of_the_time_milliseconds_are_kept():
    note = SIGNER.note(Checkpoint("log", 1, bytes(32), TIME + 1999, bytes(32)))
    assert read(note, KNOWN).time == TIME + 1000


@pytest.mark.parametrize("at", range(len(NOTE.encode())))
def test_every_altered_byte_is_refused(at):
    raw = NOTE.encode()
    for other in {raw[at] ^ bit for bit in (1, 2, 4, 8, 16, 32, 64, 128)} | {10, 32, 61}:
        if other != raw[at]:
            changed = raw[:at] + bytes([other]) + raw[at + 1 :]
            refused(changed.decode("utf-8", "surrogateescape"))


@pytest.mark.parametrize("at", range(len(NOTE)))
def test_a_note_cut_anywhere_or_without_a_character_is_refused(at):
    refused(NOTE[:at])
    refused(NOTE[:at] + NOTE[at + 1 :])
    refused(NOTE[:at] + NOTE[at] + NOTE[at:])


def test_the_unused_bits_of_base64_are_no_place_to_hide():
    line = NOTE.rstrip("\n")
    assert line.endswith("=")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    same = [line[:-2] + other + "=\n" for other in alphabet]
    assert [note for note in same if b64decode(note.split(" ")[-1]) == b64decode(line.split(" ")[-1])] != [
        NOTE
    ]
    assert [note for note in same if not _refused(note)] == [NOTE]


def _refused(note):
    try:
        read(note, KNOWN)
    except NotGenuine:
        return True
    return False


def test_another_key_is_refused():
    assert "no signature of a known key" in refused(
        SIGNER.note(CHECKPOINT), [Verifier(public_of(derived(b"o" * 32)))]
    )
    refused(NOTE, [])


def test_one_of_several_keys_is_enough():
    old = Verifier(public_of(derived(b"o" * 32)))
    assert read(NOTE, [old, *KNOWN]) == CHECKPOINT


def test_signatures_of_witnesses_are_let_be_and_wrong_ones_of_ours_are_not():
    witness = signed(BODY, derived(b"w" * 32), "witness.example").partition("\n\n")[2]
    assert read(NOTE + witness, KNOWN) == CHECKPOINT
    wrong = signed("another\n").partition("\n\n")[2]
    assert "does not hold" in refused(NOTE + wrong)
    assert "does not hold" in refused(
        NOTE.replace(NOTE.partition("\n\n")[2], wrong + NOTE.partition("\n\n")[2])
    )


def test_a_signature_under_another_name_than_the_origin_is_not_enough():
    assert "no signature of a known key" in refused(signed(BODY, name="other.example/log"))


def test_a_verifier_key_that_names_a_log_speaks_for_no_other():
    named = Verifier(public_key(vkey_of(public_of(KEY), "parley.example/log")))
    other = Verifier(public_key(vkey_of(public_of(KEY), "other.example/log")))
    assert read(NOTE, [named]) == CHECKPOINT
    refused(NOTE, [other])


@pytest.mark.parametrize(
    ("from_", "to"),
    [
        ("\n1234\n", "\n01234\n"),
        ("\n1234\n", "\n+1234\n"),
        ("\n1234\n", "\n-1\n"),
        ("\n1234\n", "\n9223372036854775808\n"),
        ("\n1234\n", "\n\u0661\u0662\n"),
        ("nI=\n", "nJ=\n"),
        ("nI=\n", "nI\n"),
        ("06:00:00.000Z", "06:00:00Z"),
        ("06:00:00.000Z", "06:00:00.000+00:00"),
        ("06:00:00.000Z", "26:00:00.000Z"),
        ("2026-11-27", "2026-02-30"),
        ("time ", "at "),
        ("chain ", ""),
    ],
)
def test_a_signed_text_of_another_form_is_no_checkpoint(from_, to):
    assert from_ in BODY
    refused(signed(BODY.replace(from_, to)))


def test_further_lines_under_the_signature_are_let_be():
    assert read(signed(BODY + "more of a later version\n"), KNOWN) == CHECKPOINT


def test_a_text_without_end_is_refused():
    refused(signed(BODY + "x" * MOST_CHARACTERS + "\n"))


@pytest.mark.parametrize(
    "text", ["", "\n", "hello", "a\n\n— b\n", "\ud800\n\n— a b\n", NOTE * 2, NOTE + "\n", "\n" + NOTE]
)
def test_other_texts_are_no_notes(text):
    refused(text)


@pytest.mark.parametrize("origin", ["", "a b", "a+b", "a\nb", "a\x00b", "a\u00a0b"])
def test_an_origin_that_would_break_the_note_is_refused(origin):
    with pytest.raises(ValueError, match="origin"):
        SIGNER.note(Checkpoint(origin, 1, bytes(32), 0, bytes(32)))


def test_an_unsigned_text_says_what_it_says():
    assert unsigned(BODY) == CHECKPOINT
    with pytest.raises(NotGenuine):
        unsigned(NOTE)


def test_a_verifier_says_what_its_key_did_not_sign():
    assert isinstance(Ed25519PublicKey.from_public_bytes(KNOWN[0].public.raw), Ed25519PublicKey)
    assert not KNOWN[0].holds(bytes(64), b"said")
    assert KNOWN[0].holds(KEY.sign(b"said"), b"said")


@pytest.mark.parametrize("extra", [b"x", b"\x00" * 3])
def test_a_signature_with_more_behind_it_is_refused(extra):
    line = NOTE.rstrip("\n").rpartition(" ")
    longer = b64encode(b64decode(line[2]) + extra).decode()
    assert "does not hold" in refused(f"{line[0]} {longer}\n")

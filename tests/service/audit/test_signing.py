import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from config import Secret, SettingsError
from service.audit.signing import log_key
from service.seal.checkpoint import NotGenuine, Verifier, read
from service.seal.keys import public_key

SEED, OTHER, LOG = b"s" * 32, b"o" * 32, "0" * 32
AT = 1_764_000_000_123_456


def pem(private):
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.parametrize("told", ["pem", "vkey"])
def test_a_note_is_read_with_what_is_told_of_the_key(told):
    key = log_key(None, [SEED], LOG)
    found = read(key.note(3, b"r" * 32, b"c" * 32, AT), [Verifier(public_key(getattr(key, told)))])
    assert (found.origin, found.size, found.root, found.chain) == (f"parley/{LOG}", 3, b"r" * 32, b"c" * 32)
    assert found.time == AT // 1_000 * 1_000


def test_a_log_signs_by_its_own_name():
    note = log_key(None, [SEED], "1" * 32).note(3, b"r" * 32, b"c" * 32, AT)
    with pytest.raises(NotGenuine):
        read(note, [Verifier(public_key(log_key(None, [SEED], LOG).vkey))])


@pytest.mark.parametrize("form", [pem, lambda key: key.private_bytes_raw().hex()])
def test_a_configured_key_stands_before_the_derived_ones_which_are_earlier(form):
    private = Ed25519PrivateKey.from_private_bytes(OTHER)
    configured, derived = log_key(Secret(form(private)), [SEED], LOG), log_key(None, [SEED], LOG)
    assert configured.public.raw == private.public_key().public_bytes_raw() != derived.public.raw
    assert (configured.earlier, derived.earlier) == ((derived.public,), ())


def test_the_key_before_a_rotation_is_an_earlier_one():
    rotated = log_key(None, [SEED, OTHER], LOG)
    assert rotated.public == log_key(None, [SEED], LOG).public
    assert rotated.earlier == (log_key(None, [OTHER], LOG).public,)


@pytest.mark.parametrize("text", ["hunter2", pem(generate_private_key(SECP256R1())), "", "zz" * 32])
def test_a_wrong_key_is_refused_by_its_variables_name_and_not_repeated(text):
    with pytest.raises(SettingsError) as refused:
        log_key(Secret(text), [SEED], LOG)
    (problem,) = refused.value.problems
    assert problem.startswith("AGENT_AUDIT_SIGNING_KEY: The ")
    assert not text or text.splitlines()[-1] not in problem
    assert refused.value.__cause__ is None

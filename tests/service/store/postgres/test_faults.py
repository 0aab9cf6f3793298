import socket
import ssl

import asyncpg
import pytest

from service.errors import DatabaseError, RowRefused, classify
from service.store.postgres.faults import SENTENCES, UNFIT, UNKNOWN, sentence, translated
from telemetry.failure import Code


def server_error(state):
    return asyncpg.PostgresError.new({"C": state, "M": "secret words of the server"})


def said(error):
    with pytest.raises(DatabaseError) as caught, translated():
        raise error
    assert caught.value.__cause__ is error
    assert classify(caught.value).code is Code.DATABASE_ERROR
    assert "secret" not in caught.value.detail
    return caught.value.detail


@pytest.mark.parametrize(
    ("state", "word"),
    [
        ("08006", "connection was lost"),
        ("22P02", "cannot hold"),
        ("23505", "refused the data"),
        ("25006", "read-only"),
        ("28P01", "does not let this user in"),
        ("28000", "does not let this user in"),
        ("3D000", "no such database"),
        ("40001", "gave way"),
        ("40P01", "gave way"),
        ("42501", "does not permit"),
        ("53100", "disk of the database is full"),
        ("53300", "no more connections"),
        ("55P03", "locked by another writer"),
        ("57014", "did not answer in time"),
        ("57P01", "starting or stopping"),
        ("57P03", "starting or stopping"),
        ("42601", UNKNOWN),
        ("42P01", UNKNOWN),
        ("P0001", UNKNOWN),
    ],
)
def test_each_state_has_its_sentence(state, word):
    assert word in said(server_error(state))


def test_no_beginning_of_a_state_hides_another():
    states = list(SENTENCES)
    assert not [(a, b) for a in states for b in states if a != b and b.startswith(a)]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError("secret"), "The database did not answer in time."),
        (
            ConnectionRefusedError(111, "Connect call failed ('secret', 5432)"),
            "cannot be reached: Connection refused.",
        ),
        (socket.gaierror(-2, "Name or service not known"), "cannot be reached: Name or service not known."),
        (
            ConnectionError("server at secret:5432 rejected SSL upgrade"),
            "cannot be reached as DATABASE_URL says.",
        ),
        (FileNotFoundError(2, "No such file", "/secret/ca.pem"), "cannot be opened: No such file."),
        (ssl.SSLCertVerificationError(1, "secret"), "certificate does not hold."),
        (ssl.SSLError(1, "secret"), "do not agree on TLS."),
        (asyncpg.DataError("secret"), UNFIT),
        (asyncpg.InterfaceError("secret"), UNKNOWN),
        (asyncpg.InternalClientError("secret"), UNKNOWN),
    ],
)
def test_the_sentence_repeats_nothing_of_the_drivers(error, words):
    assert said(error).endswith(words)
    assert sentence(error).endswith(words)


def test_other_errors_pass():
    with pytest.raises(KeyError), translated():
        raise KeyError("a fault of ours")


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (server_error("22P05"), True),
        (server_error("23514"), True),
        (server_error("54000"), True),
        (asyncpg.DataError("secret"), True),
        (server_error("54001"), False),
        (server_error("40P01"), False),
        (server_error("53100"), False),
        (server_error("57P01"), False),
        (asyncpg.InterfaceError("secret"), False),
        (TimeoutError("secret"), False),
    ],
)
def test_only_what_is_about_the_row_refuses_it(error, refused):
    with pytest.raises(DatabaseError) as caught, translated():
        raise error
    assert isinstance(caught.value, RowRefused) is refused

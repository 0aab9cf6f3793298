import sqlite3

import pytest

from service.errors import DatabaseError, RowRefused, classify
from service.store.sqlite.faults import REFUSALS, SENTENCES, UNFIT, UNKNOWN, translated
from telemetry.failure import Code


def driver_error(code):
    error = sqlite3.OperationalError("no such table: secret in /srv/secret.db")
    error.sqlite_errorcode = code
    return error


def said(error):
    with pytest.raises(DatabaseError) as caught, translated():
        raise error
    assert caught.value.__cause__ is error
    assert classify(caught.value).code is Code.DATABASE_ERROR
    return caught.value.detail


@pytest.mark.parametrize("code", SENTENCES)
def test_each_code_has_its_sentence_also_when_extended(code):
    assert said(driver_error(code)) == said(driver_error(code | 7 << 8)) == SENTENCES[code]


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (driver_error(sqlite3.SQLITE_ERROR), UNKNOWN),
        (sqlite3.ProgrammingError("Cannot operate on /srv/secret.db"), UNKNOWN),
        (
            PermissionError(13, "Permission denied", "/srv/secret.db"),
            "The database file cannot be opened: Permission denied.",
        ),
        (OverflowError("Python int too large: secret"), UNFIT),
        (UnicodeEncodeError("utf-8", "secret\ud800", 6, 7, "surrogates not allowed"), UNFIT),
    ],
)
def test_the_sentence_repeats_nothing_of_the_drivers(error, sentence):
    assert said(error) == sentence
    assert "secret" not in sentence


def test_other_errors_pass():
    with pytest.raises(KeyError), translated():
        raise KeyError("a fault of ours")


@pytest.mark.parametrize("code", SENTENCES)
def test_only_what_is_about_the_row_refuses_it(code):
    with pytest.raises(DatabaseError) as caught, translated():
        raise driver_error(code)
    assert isinstance(caught.value, RowRefused) is (code in REFUSALS)
    assert {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY}.isdisjoint(REFUSALS)


@pytest.mark.parametrize("error", [OverflowError(), UnicodeEncodeError("utf-8", "\ud800", 0, 1, "no")])
def test_what_the_driver_cannot_bind_is_about_the_row(error):
    with pytest.raises(RowRefused), translated():
        raise error

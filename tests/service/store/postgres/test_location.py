import pytest

from service.errors import DatabaseError
from service.store.postgres.faults import FORM
from service.store.postgres.location import is_server, location_of


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("postgresql://parley:secret@db.example:5432/parley", "db.example:5432/parley"),
        ("postgres://parley:secret@db.example/parley", "db.example/parley"),
        (
            "postgresql://parley@db.example/parley?sslmode=verify-full&sslrootcert=/etc/ca.pem",
            "db.example/parley",
        ),
        ("postgresql://u:a%40b%2Fc%3A@[::1]:5433/parley", "[::1]:5433/parley"),
        (
            "postgresql://u:secret@one:5432,two:5433/parley?target_session_attrs=read-write",
            "one:5432,two:5433/parley",
        ),
        ("postgresql:///parley", "/parley"),
        ("postgresql://u:secret@/parley?host=/run/postgresql", "/parley"),
    ],
)
def test_what_is_shown_is_the_server_and_the_database(url, where):
    assert is_server(url)
    location = location_of(url)
    assert (location.url, location.where) == (url, where)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mysql://h/d",
        "postgresql:/h/d",
        "postgresql://parley:sec@ret@h/d",
        "postgresql://parley:sec/ret@h/d",
        "postgresql://parley:sec?ret@h/d",
        "postgresql://parley:sec#ret@h/d",
        "postgresql://parley:1/ret@h/d",
        "postgresql://parley:1?r=et@h/d",
        "postgresql://parley:1#ret@h/d",
        "postgresql://parley:secret/d",
        "postgresql://parley:sec[ret@h/d",
        "postgresql://parley:secret@h:port/d",
        "postgresql://parley:secret@h:/d",
        "postgresql://parley:secret@h/d?secret",
        "postgresql://parley:secret@h/d?a=b&",
    ],
)
def test_what_two_readers_could_read_in_two_ways_is_refused_without_a_word_of_it(url):
    with pytest.raises(DatabaseError) as caught:
        location_of(url)
    assert caught.value.detail == FORM
    assert caught.value.__cause__ is caught.value.__context__ is None

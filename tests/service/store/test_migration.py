import pytest

from service.errors import DatabaseError
from service.store.migration import Migration, missing, read_migrations

FIRST, SECOND = (Migration(version=n, name="step", sql=f"SELECT {n};\n") for n in (1, 2))


def applied(*migrations):
    return [(migration.version, migration.checksum) for migration in migrations]


def test_what_follows_the_applied_ones_is_missing():
    both = (FIRST, SECOND)
    assert [tuple(missing(both, applied(*both[:n]))) for n in range(3)] == [both, (SECOND,), ()]


def test_a_newer_database_is_refused():
    with pytest.raises(DatabaseError, match="newer than this program: migration 2"):
        missing([FIRST], applied(FIRST, SECOND))


@pytest.mark.parametrize("record", [[(1, "x")], [(2, SECOND.checksum)], [(1, FIRST.checksum), (3, "x")]])
def test_another_history_is_refused(record):
    with pytest.raises(DatabaseError, match="is not the one"):
        missing([FIRST, SECOND], record)


def test_both_dialects_have_the_same_steps_from_one_on_without_gap():
    steps = [
        [(migration.version, migration.name) for migration in read_migrations(dialect)]
        for dialect in ("sqlite", "postgres")
    ]
    assert steps[0] == steps[1]
    assert [version for version, _ in steps[0]] == list(range(1, len(steps[0]) + 1))

from service.audit.journal import Journal
from service.audit.journal.survey import survey

KEY, LOG = b"k" * 32, "0" * 32


async def test_a_folder_that_is_not_there_has_nothing(tmp_path):
    found = survey(tmp_path / "none")
    assert (found.writers, found.living, found.segments, found.bytes, found.oldest) == (0, 0, 0, 0, None)


async def test_the_living_and_the_dead_are_told_apart(tmp_path):
    living, dead = (Journal.open(tmp_path, KEY, LOG, reserve_bytes=4096) for _ in range(2))
    dead.settle("a", b"row")
    await dead.close()
    found = survey(tmp_path)
    assert (found.writers, found.living, found.segments) == (2, 1, 2)
    assert found.bytes > 0
    assert found.oldest
    await living.close()
    assert survey(tmp_path).living == 0

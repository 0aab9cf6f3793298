"""A journal whose key rotates while it is open: what was sealed before and after is read, by who has both."""

from service.audit.journal import Journal, adopt
from service.audit.journal.cipher import Cipher

LOG, WRITER = "b" * 32, "a" * 32
OLD, NEW, OTHER = (letter * 32 for letter in (b"o", b"n", b"x"))


async def left(top):
    """A journal that was left in the middle: a row and an intent under each key."""
    journal = Journal.open(top, OLD, LOG)
    for word, key in (("old", OLD), ("new", NEW)):
        journal.rotate(key)
        journal.intend(f"{word} row", b"x")
        assert journal.settle(f"{word} row", word.encode())
        journal.intend(f"{word} intent", word.encode())
    await journal.synced()
    rows = [row.content for row in journal.take(10).rows]
    journal._parts.disk.close(journal._parts.lock)  # as a death would
    return rows


def found(top, *keys):
    for estate in adopt(top, keys, LOG):
        rows = [row.content for batch in estate.rows() for row in batch.rows]
        return rows, [each.id for each in estate.left()], estate.damaged, estate.foreign
    return None


async def test_its_own_reader_reads_both(tmp_path):
    assert await left(tmp_path / "top") == [b"old", b"new"]


async def test_who_has_both_keys_inherits_all(tmp_path):
    await left(tmp_path / "top")
    for keys in ((NEW, OLD), (OLD, NEW), (NEW, OTHER, OLD)):
        rows, open_, damaged, foreign = found(tmp_path / "top", *keys)
        assert (rows, open_) == ([b"old", b"new"], ["old intent", "new intent"])
        assert (damaged, foreign) == (0, {})


def test_a_cipher_seals_with_the_newest_and_forgets_none():
    cipher = Cipher((OLD,), WRITER, LOG)
    before = cipher.seal(1, b"x")
    cipher.rotate(NEW)
    after = cipher.seal(2, b"x")
    assert (cipher.unseal(1, before), cipher.unseal(2, after)) == (b"x", b"x")
    assert Cipher((NEW,), WRITER, LOG).unseal(2, after) == b"x"
    assert Cipher((NEW,), WRITER, LOG).unseal(1, before) is None
    assert Cipher((OLD,), WRITER, LOG).unseal(2, after) is None

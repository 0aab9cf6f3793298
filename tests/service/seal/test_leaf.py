"""Leaves and the chain, written down once more by hand."""

from hashlib import sha256

import msgspec
import pytest

from service.seal.leaf import COLUMNS, GENESIS, canonical, chain_hash, chained, leaf_hash, leaves_of

VALUES = ("id", None, 0, 127, 128, -1, 1 << 40, b"\x00\x01", "ü", "")


def test_the_columns_are_those_of_the_log_and_each_stands_once():
    assert len(COLUMNS) == len(set(COLUMNS)) == 23
    assert COLUMNS[0] == "id"
    assert COLUMNS[-4:] == ("commitment", "writer", "writer_seq", "writer_low")


def test_canonical_bytes_are_messagepack_in_its_shortest_forms():
    assert canonical(VALUES).hex() == "9aa26964c0007fcc80ffcf0000010000000000c4020001a2c3bca0"


def test_a_list_and_a_tuple_of_the_same_values_are_the_same_bytes():
    assert canonical(list(VALUES)) == canonical(VALUES)


def test_canonical_bytes_tell_the_values_again():
    assert tuple(msgspec.msgpack.decode(canonical(VALUES))) == VALUES


@pytest.mark.parametrize(("one", "other"), [("1", 1), (b"a", "a"), (None, ""), (("a", "bc"), ("ab", "c"))])
def test_different_values_are_different_bytes(one, other):
    assert canonical((one,)) != canonical((other,))


def test_a_leaf_is_hashed_behind_a_zero():
    assert leaf_hash(b"") == sha256(b"\x00").digest()
    assert leaf_hash(b"abc") == sha256(b"\x00abc").digest()


def test_the_chain_hashes_what_was_before_and_the_leaf():
    assert GENESIS == b"\x00" * 32
    assert chain_hash(GENESIS, b"l" * 32) == sha256(b"\x00" * 32 + b"l" * 32).digest()


def test_what_no_database_takes_has_no_canonical_bytes():
    with pytest.raises(UnicodeEncodeError):
        canonical(("\ud800",))
    with pytest.raises(OverflowError):
        canonical((1 << 64,))


def test_many_leaves_and_chains_are_those_of_each():
    rows = [("a", 1), ("b", 2), ("c", 3)]
    leaves = leaves_of(rows)
    assert leaves == [leaf_hash(canonical(row)) for row in rows]
    first = chain_hash(GENESIS, leaves[0])
    second = chain_hash(first, leaves[1])
    assert chained(GENESIS, leaves) == [first, second, chain_hash(second, leaves[2])]
    assert chained(GENESIS, []) == []

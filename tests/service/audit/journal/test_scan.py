import os
import random

import pytest

from service.audit.journal import entry
from service.audit.journal.cipher import Cipher
from service.audit.journal.frame import BIGGEST, HEAD, MAGIC, framed
from service.audit.journal.scan import CHUNK, Scan

SIZES = [0, 1, 3, 40, 150, 7, 300, 2]
REPEATS = 1 + int(os.environ.get("PARLEY_STEPS", "0")) // 1_000
CIPHER = Cipher((b"k" * 32,), "a" * 32, "b" * 32)
CHANCE = random.Random(7)  # noqa: S311 - the same bytes each time
PLAIN = {
    seq: entry.encoded(entry.Kind.ROW, f"id{seq}", CHANCE.randbytes(size))
    for seq, size in enumerate(SIZES, 1)
}
FRAMES = {seq: framed(seq, CIPHER.seal(seq, plain)) for seq, plain in PLAIN.items()}
WHOLE = b"".join(FRAMES.values())


def read(data: bytes) -> tuple[dict[int, bytes | None], int]:
    """What is accepted of some bytes, by number, and how many were skipped."""
    scan = Scan(lambda size, offset: data[offset : offset + size], 0, len(data))
    return {frame.seq: CIPHER.unseal(frame.seq, frame.body) for frame in scan}, scan.damaged


def ends() -> dict[int, int]:
    """Where each frame ends."""
    sums, end = {}, 0
    for seq, frame in FRAMES.items():
        end += len(frame)
        sums[seq] = end
    return sums


def test_truncated_anywhere_exactly_the_whole_frames_are_read():
    for cut in range(len(WHOLE) + 1):
        found, damaged = read(WHOLE[:cut])
        whole = [seq for seq, end in ends().items() if end <= cut]
        assert found == {seq: PLAIN[seq] for seq in whole}
        torn = WHOLE[max((ends()[seq] for seq in whole), default=0) : cut]
        assert damaged == len(torn.rstrip(b"\0"))


@pytest.mark.parametrize("repeat", range(REPEATS))
def test_with_one_bit_flipped_anywhere_only_the_frame_that_was_hit_is_lost(repeat):
    chance = random.Random(repeat)  # noqa: S311 - the same places each time
    for place in range(len(WHOLE)):
        hit = bytearray(WHOLE)
        hit[place] ^= 1 << chance.randrange(8)
        found, damaged = read(bytes(hit))
        (lost,) = set(PLAIN) - set(found)
        assert ends()[lost] - len(FRAMES[lost]) <= place < ends()[lost]
        assert found == {seq: plain for seq, plain in PLAIN.items() if seq != lost}
        assert damaged == len(FRAMES[lost])


@pytest.mark.parametrize("repeat", range(REPEATS))
def test_a_hole_anywhere_costs_what_lay_in_it(repeat):
    chance = random.Random(repeat)  # noqa: S311 - the same places each time
    for _ in range(200):
        first, last = sorted(chance.randrange(len(WHOLE)) for _ in range(2))
        found, _ = read(WHOLE[:first] + bytes(last - first) + WHOLE[last:])
        begins = {seq: end - len(FRAMES[seq]) for seq, end in ends().items()}
        untouched = {seq for seq in PLAIN if ends()[seq] <= first or begins[seq] >= last}
        assert untouched <= set(found)
        assert all(found[seq] == PLAIN[seq] for seq in found)


@pytest.mark.parametrize("repeat", range(REPEATS))
def test_spliced_and_repeated_pieces_are_no_wrong_record(repeat):
    chance = random.Random(repeat)  # noqa: S311 - the same places each time
    for _ in range(200):
        pieces = []
        for _ in range(4):
            first, last = sorted(chance.randrange(len(WHOLE) + 1) for _ in range(2))
            pieces.append(WHOLE[first:last])
        found, _ = read(b"".join(pieces))
        assert all(found[seq] == PLAIN[seq] for seq in found)


def test_a_frame_under_another_number_or_of_another_writer_is_not_ours():
    sealed = CIPHER.seal(1, b"x")
    assert CIPHER.unseal(1, sealed) == b"x"
    assert CIPHER.unseal(2, sealed) is None
    for other in (
        Cipher((b"K" * 32,), "a" * 32, "b" * 32),
        Cipher((b"k" * 32,), "c" * 32, "b" * 32),
        Cipher((b"k" * 32,), "a" * 32, "c" * 32),
    ):
        assert other.unseal(1, sealed) is None
    assert CIPHER.unseal(1, b"") is None


def test_the_same_frame_again_is_the_same_bytes():
    assert CIPHER.seal(9, b"plain") == CIPHER.seal(9, b"plain")
    assert CIPHER.seal(9, b"plain") != CIPHER.seal(10, b"plain")


def test_room_set_aside_is_no_damage_but_what_follows_zeros_is():
    assert read(WHOLE + bytes(2 * CHUNK + 5))[1] == 0
    found, damaged = read(FRAMES[1] + bytes(2 * CHUNK + 5) + FRAMES[2])
    assert list(found) == [1, 2]
    assert damaged == 2 * CHUNK + 5


@pytest.mark.parametrize("gap", [*range(CHUNK - 6, CHUNK + 3), 2 * CHUNK - 5])
def test_a_magic_across_two_chunks_is_found(gap):
    found, damaged = read(b"x" * gap + FRAMES[3])
    assert (list(found), damaged) == ([3], gap)


def test_a_length_that_leads_beyond_everything_costs_one_frame():
    for length in (BIGGEST, BIGGEST - HEAD, 0xFFFFFFFF, 1_000):
        lying = MAGIC + length.to_bytes(4, "little") + FRAMES[1][8:]
        found, damaged = read(lying + FRAMES[2])
        assert (list(found), damaged) == ([2], len(lying))


def test_the_largest_frame_is_read_and_no_larger_one_is_made():
    largest = framed(1, bytes(BIGGEST - HEAD))
    assert len(largest) == BIGGEST
    scan = Scan(
        lambda size, offset: (largest + FRAMES[2])[offset : offset + size], 0, len(largest + FRAMES[2])
    )
    assert next((frame.seq, len(frame.body)) for frame in scan) == (1, BIGGEST - HEAD)
    with pytest.raises(ValueError, match="larger"):
        framed(1, bytes(BIGGEST - HEAD + 1))


@pytest.mark.parametrize("plain", [b"", b"R", b"Z\x01ab", b"R\x02\xff\xfe", b"\x00\x00"])
def test_a_plaintext_of_another_form_is_no_entry(plain):
    assert entry.decoded(plain) is None


@pytest.mark.parametrize("kind", entry.Kind)
@pytest.mark.parametrize(("name", "content"), [("", b""), ("i" * 255, b"\0\1"), ("ä", MAGIC * 3)])
def test_an_entry_is_read_as_it_was_written(kind, name, content):
    if len(name.encode()) <= 255:
        assert entry.decoded(entry.encoded(kind, name, content)) == entry.Entry(kind, name, content)

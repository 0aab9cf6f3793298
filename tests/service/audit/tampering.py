"""What somebody who owns the database may do to the log; each attack says which kinds may be told of it.

An attack is given a log of its own and where to strike. It returns the place the first finding has to name,
or None where any will do.
"""

import hashlib
import random

from tests.service.audit.sealed import STRANGER, Line, Log

Random = random.Random


def edited(line: Line) -> None:
    line.values["cost_micros"] += 1


def naive_edit(log: Log, at: int, _: Random):
    edited(log.lines[at])
    return at


def edit_with_its_leaf(log: Log, at: int, _: Random):
    edited(log.lines[at])
    log.lines[at].leaf = log.lines[at].own_leaf()
    return at


def edit_with_all_after(log: Log, at: int, _: Random):
    edited(log.lines[at])
    log.seal(at)


def stored_leaf(log: Log, at: int, _: Random):
    log.lines[at].leaf = hashlib.sha256(b"other").digest()
    return at


def stored_chain(log: Log, at: int, _: Random):
    log.lines[at].chain = hashlib.sha256(b"other").digest()
    return at


def stored_hashes(log: Log, at: int, _: Random):
    log.lines[at].leaf = hashlib.sha256(b"other").digest()
    log.lines[at].chain = hashlib.sha256(b"another").digest()
    return at


def deletion(log: Log, at: int, _: Random):
    del log.lines[at]
    return at


def deletion_of_several(log: Log, at: int, dice: Random):
    del log.lines[at : at + dice.randint(2, 9)]
    return at


def deletion_renumbered(log: Log, at: int, _: Random):
    del log.lines[at]
    log.renumber()
    return at


def deletion_recomputed(log: Log, at: int, _: Random):
    del log.lines[at]
    log.renumber()
    log.seal(at)


def made_up(log: Log, at: int) -> Line:
    line = log.lines[at].copy()
    line.values |= {"id": "made-up", "cost_micros": 9, "writer": None, "writer_seq": None, "writer_low": None}
    line.leaf = line.own_leaf()
    line.chain = hashlib.sha256(line.leaf).digest()
    return line


def insertion(log: Log, at: int, dice: Random):
    """At an index that another row has; the database gives them in either order."""
    log.lines.insert(at + dice.randint(0, 1), made_up(log, at))
    return at


def insertion_that_links(log: Log, at: int, _: Random):
    line = made_up(log, at)
    line.chain = hashlib.sha256(log.lines[at - 1].chain + line.leaf).digest()
    log.lines.insert(at + 1, line)
    return at


def insertion_renumbered(log: Log, at: int, _: Random):
    log.lines.insert(at, made_up(log, at))
    log.renumber()
    return at


def insertion_renumbered_that_links(log: Log, at: int, _: Random):
    line = made_up(log, at)
    line.chain = hashlib.sha256(log.lines[at - 1].chain + line.leaf).digest()
    log.lines.insert(at, line)
    log.renumber()
    return at


def insertion_of_several(log: Log, at: int, dice: Random):
    log.lines[at:at] = [made_up(log, at) for _ in range(dice.randint(2, 4))]
    log.renumber()
    return at


def insertion_recomputed(log: Log, at: int, _: Random):
    log.lines.insert(at, made_up(log, at))
    log.renumber()
    log.seal(at)


def insertion_far_behind(log: Log, at: int, dice: Random):
    line = made_up(log, at)
    line.index = len(log.lines) + dice.randint(1, 1000)
    log.lines.append(line)
    return line.index


def swap(log: Log, at: int, dice: Random):
    other = dice.choice([each for each in range(1, len(log.lines) - 1) if each != at])
    lines = log.lines
    lines[at], lines[other] = lines[other], lines[at]
    log.renumber()
    return min(at, other)


def swap_of_neighbours(log: Log, at: int, _: Random):
    lines = log.lines
    lines[at], lines[at + 1] = lines[at + 1], lines[at]
    log.renumber()
    return at


def move(log: Log, at: int, dice: Random):
    log.lines.insert(dice.randint(1, 10), log.lines.pop(max(at, 15)))
    log.renumber()


def swap_recomputed(log: Log, at: int, _: Random):
    lines = log.lines
    lines[at], lines[at + 1] = lines[at + 1], lines[at]
    log.renumber()
    log.seal(at)


def kept_notes(log: Log, size: int) -> list[str]:
    return [note for note in log.notes if int(note.splitlines()[1]) <= size]


def cut(log: Log, at: int, _: Random):
    """The tail goes, and with it the checkpoints that knew of it."""
    del log.lines[at:]
    log.notes = kept_notes(log, at)
    return at


def cut_with_checkpoints_left(log: Log, at: int, _: Random):
    del log.lines[at:]
    return at


def cut_with_tiles_left(log: Log, at: int, _: Random):
    log.known_size = len(log.lines)
    cut(log, at, _)
    return at


def rewriting(log: Log, _: int, __: Random):
    """All of it anew, with checkpoints by another key."""
    for line in log.lines:
        edited(line)
    log.seal(0)
    sizes = [int(note.splitlines()[1]) for note in kept_notes(log, len(log.lines))]
    log.notes = [log.note(size, STRANGER) for size in sizes]
    return 0


def rewriting_without_checkpoints(log: Log, at: int, _: Random):
    edited(log.lines[at])
    log.seal(at)
    log.notes = kept_notes(log, at)


def old_copy(log: Log, at: int, _: Random):
    del log.lines[at:]
    log.notes = kept_notes(log, at)
    return at


def old_copy_that_went_on(log: Log, at: int, _: Random):
    """Restored from a backup, then used again: other rows stand where the lost ones stood."""
    count = len(log.lines)
    del log.lines[at:]
    log.notes = kept_notes(log, at)
    numbers: dict[str, int] = {"a" * 32: 0, "b" * 32: 0}
    for line in log.lines:
        numbers[line.values["writer"]] = numbers.get(line.values["writer"], 0) + 1
    log.numbers = numbers
    while len(log.lines) < count + 5:
        log.append(role="GUEST")


def spoken(log: Log, at: int) -> Line:
    return next(line for line in log.lines[at:] if line.text is not None)


def text_changed(log: Log, at: int, _: Random):
    line = spoken(log, at)
    line.text += "."
    return line.index


def text_and_salt_changed(log: Log, at: int, _: Random):
    line = spoken(log, at)
    line.text, line.salt = "another", bytes(32)
    return line.index


def text_without_salt(log: Log, at: int, _: Random):
    line = spoken(log, at)
    line.salt = None
    return line.index


def text_where_none_was(log: Log, at: int, _: Random):
    line = next(line for line in log.lines[at:] if line.text is None and line.values["commitment"] is None)
    line.text, line.salt, line.state = "never said", bytes(32), "clear"
    return line.index


def content_row_removed(log: Log, at: int, _: Random):
    line = spoken(log, at)
    line.text = line.salt = line.state = None
    return line.index


def erasure_without_a_word(log: Log, at: int, _: Random):
    line = spoken(log, at)
    log.erase(line.values["subject_id"])


def burial_without_a_word(log: Log, at: int, dice: Random):
    log.bury(at, at + dice.randint(0, 8))
    return at


def burial_beyond_its_word(log: Log, at: int, _: Random):
    """More is buried than what was announced, on both sides."""
    log.announce_retention(at + 1, at + 2)
    log.bury(at, at + 4)
    return at


def altered_leaf_of_a_burial(log: Log, at: int, _: Random):
    log.announce_retention(at, at + 3)
    log.bury(at, at + 3)
    log.buried[at + 1] = hashlib.sha256(b"other").digest()


def forged_announcement(log: Log, at: int, _: Random):
    """A row is turned into the announcement of a burial."""
    log.bury(3, 5)
    log.lines[at].values |= {"entity_type": "AUDIT_RETENTION", "metadata": '{"ranges":[[0,99]]}'}


def number_lost(log: Log, _: int, __: Random):
    """A row that was journaled and never came into the log; sealed as if it had not been."""
    log.numbers["a" * 32] += 1
    log.append(writer="a" * 32)
    log.append(writer="a" * 32)


ATTACKS = {
    naive_edit: "altered",
    edit_with_its_leaf: "altered",
    edit_with_all_after: "altered",
    stored_leaf: "altered",
    stored_chain: "altered",
    stored_hashes: "altered",
    deletion: "deleted",
    deletion_of_several: "deleted",
    deletion_renumbered: "altered",
    deletion_recomputed: "altered",
    insertion: "inserted",
    insertion_that_links: "inserted",
    insertion_renumbered: "inserted",
    insertion_renumbered_that_links: "inserted",
    insertion_of_several: "inserted",
    insertion_recomputed: "altered",
    insertion_far_behind: "inserted",
    swap: "reordered",
    swap_of_neighbours: "reordered",
    move: "reordered",
    swap_recomputed: "altered",
    cut: "replayed",
    cut_with_checkpoints_left: "truncated",
    cut_with_tiles_left: "truncated",
    rewriting: "altered",
    rewriting_without_checkpoints: "replayed",
    old_copy: "replayed",
    old_copy_that_went_on: "replayed",
    text_changed: "altered",
    text_and_salt_changed: "altered",
    text_without_salt: "altered",
    text_where_none_was: "altered",
    content_row_removed: "deleted",
    erasure_without_a_word: "deleted",
    burial_without_a_word: "deleted",
    burial_beyond_its_word: "deleted",
    altered_leaf_of_a_burial: "altered",
    forged_announcement: "altered",
    number_lost: "gap",
}
"""What has to be among the kinds that are told."""

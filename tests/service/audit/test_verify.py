"""Verification of whole logs: every attack is found and named, and an honest log gives no alarm."""

import os
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.audit.verification.piece import STATE, VALUES, Buried
from service.audit.verification.report import MOST_FINDINGS, Finding, Kind, Report
from service.audit.verify import Verification, verify
from service.seal.checkpoint import Verifier
from service.seal.keys import derived, public_of
from service.seal.leaf import COLUMNS
from tests.service.audit import tampering
from tests.service.audit.sealed import KEYS, SIGNER, STRANGER, Log
from tests.service.audit.tampering import ATTACKS

STEPS = int(os.environ.get("PARLEY_STEPS", "25"))
HONEST = Log(120, outside=(40, 120))
LENGTHS = (1, 2, 7, 50, 1_000)

SECOND = {
    tampering.deletion_renumbered: {"truncated"},
    tampering.deletion_recomputed: {"truncated", "gap"},
    tampering.forged_announcement: {"deleted"},
    tampering.burial_beyond_its_word: {"deleted"},
    tampering.rewriting: {"altered"},
}
"""Attacks of which more than one thing is told, and what besides."""


def dice(seed) -> random.Random:
    return random.Random(seed)  # noqa: S311 - the same places each time


def kinds(report: Report) -> list[str]:
    return [finding.kind.value for finding in report.findings]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_every_attack_is_found_and_named_at_its_place(attack):
    for seed in range(STEPS):
        chance, log = dice(seed), HONEST.copy()
        at = chance.randint(20, 99)  # a checkpoint stands before it, and one before the end
        place = attack(log, at, chance)
        report = log.verify(chance.choice(LENGTHS))
        assert not report.valid
        named = [finding for finding in report.findings if finding.kind == ATTACKS[attack]]
        assert named, (seed, at, report.findings)
        assert place is None or named[0].log_index == place, (seed, at, report.findings)
        if attack in SECOND:
            assert set(kinds(report)) <= SECOND[attack] | {ATTACKS[attack]}
        else:
            assert report.found == 1, (seed, at, report.findings)


@pytest.mark.parametrize("length", LENGTHS)
def test_several_attacks_at_once_are_found(length):
    for seed in range(STEPS):
        chance, log = dice(seed), HONEST.copy()
        attacks = chance.sample(list(ATTACKS), 3)
        for attack in attacks:
            if len(log.lines) > 60:
                attack(log, chance.randint(20, len(log.lines) - 30), chance)
        report = log.verify(length)
        assert not report.valid, (seed, attacks)
        assert 0 < report.found <= 60


def test_an_untouched_log_gives_no_finding():
    report = HONEST.verify()
    assert report == Report(
        valid=True,
        rows=120,
        freshness="2026-11-27T14:00:00.000Z",
        findings=(),
        found=0,
        size=120,
        root=HONEST.checkpoint(120).root,
        checkpoint_size=120,
    )


@given(st.integers(0, 1 << 32))
def test_an_honest_log_with_a_life_gives_no_finding(seed):
    log, chance = Log(0, seed=seed), dice(seed)
    for _ in range(chance.randint(0, 120)):
        deed(log, chance)
        if chance.random() < 0.1:
            log.notes.append(log.note(len(log.lines)))
    if log.lines and chance.random() < 0.5:
        log.outside.append(log.note(chance.randint(0, len(log.lines))))
    log.known_size = chance.randint(0, len(log.lines))
    report = log.verify(chance.choice(LENGTHS))
    assert report.findings == ()
    assert report.valid
    assert report.size == len(log.lines)
    assert (report.freshness != "unproven") == bool(log.outside)


def deed(log: Log, chance: random.Random) -> None:
    roll = chance.random()
    if roll < 0.03 and log.lines:
        subject = f"subject-{chance.randint(0, 4)}"
        log.erase(subject)
        log.announce_erasure(subject)
    elif roll < 0.06 and len(log.lines) > 10:
        first = chance.randint(0, len(log.lines) - 5)
        last = min(first + chance.randint(0, 20), len(log.lines) - 2)
        if all(line.values["entity_type"] == "AGENT_QUERY" for line in log.lines[first : last + 1]):
            log.bury(first, last)
            log.announce_retention(first, last)
    elif roll < 0.1:
        put_aside(log, chance)
    elif roll < 0.15:
        writer = f"{len(log.numbers):032}"
        log.numbers[writer] = 0
    else:
        swapped(log, chance)


def put_aside(log: Log, chance: random.Random) -> None:
    """A row that the database refused: its number is in quarantine."""
    writer = chance.choice(list(log.numbers))
    log.numbers[writer] += 1
    log.quarantined.add((writer, log.numbers[writer]))


def swapped(log: Log, chance: random.Random) -> None:
    """Two rows of a writer in the order in which they ended, not in that of their numbers."""
    writer = chance.choice(list(log.numbers))
    seq = log.numbers[writer] + 1
    log.append(writer=writer, writer_seq=seq + 1, writer_low=seq)
    log.append(writer=writer, writer_seq=seq, writer_low=seq + 2)


def test_numbers_still_open_are_no_gap():
    log = Log(10)
    log.append(writer="a" * 32, writer_seq=50, writer_low=log.numbers["a" * 32] + 1)
    assert log.verify().valid


def test_a_gap_says_which_numbers_of_whom():
    log = Log(30)
    first = log.numbers["b" * 32] + 1
    log.numbers["b" * 32] += 2
    log.append(writer="b" * 32)
    log.append(writer="b" * 32)
    (finding,) = log.verify().findings
    assert (finding.kind, finding.log_index, finding.id) == (Kind.GAP, None, None)
    assert f"{'b' * 32} the numbers {first} to {first + 1} " in finding.detail


def test_a_number_given_twice_does_not_stand_for_the_one_that_is_missing():
    log = Log(0)
    for number in (1, 1, 3):
        log.append(writer="a" * 32, writer_seq=number, writer_low=4)
    (finding,) = log.verify().findings
    assert finding.kind == Kind.GAP
    assert "the numbers 2 to 2 " in finding.detail


def test_numbers_in_quarantine_are_no_gap():
    log = Log(30)
    tampering.number_lost(log, 0, dice(0))
    assert kinds(log.verify()) == ["gap"]
    log.quarantined.add(("a" * 32, log.numbers["a" * 32] - 2))
    assert log.verify().valid


def test_rows_without_a_writer_have_no_numbers():
    log = Log(5)
    for line in log.lines[2:]:
        line.values |= {"writer": None, "writer_seq": None, "writer_low": None}
    log.seal(2)
    assert log.verify().valid


@pytest.mark.parametrize(
    ("inside", "outside", "fresh"), [((10,), (), False), ((), (10,), True), ((), (), False)]
)
def test_freshness_is_proven_from_outside_alone(inside, outside, fresh):
    log = Log(12, every=1000, outside=outside)
    log.notes = [log.note(size) for size in inside]
    report = log.verify()
    assert report.valid
    assert (report.freshness == "2026-11-27T12:10:00.000Z") is fresh
    assert report.checkpoint_size == (10 if inside or outside else 0)


def test_freshness_is_the_newest_that_holds():
    log = Log(60, outside=(20, 50))
    log.outside.append(SIGNER.note(log.checkpoint(40)).replace("\n40\n", "\n41\n"))
    report = log.verify()
    assert report.freshness == "2026-11-27T12:50:00.000Z"
    assert (report.valid, report.refused) == (True, 1)


def test_damage_before_an_outside_checkpoint_does_not_hide_that_the_log_contains_it():
    log = HONEST.copy()
    tampering.deletion(log, 30, dice(0))
    report = log.verify()
    assert kinds(report) == ["deleted"]
    assert report.freshness == "2026-11-27T14:00:00.000Z"


@pytest.mark.parametrize("at", [100, 110])
def test_after_damage_the_chain_still_tells_a_rewritten_end(at):
    """Two causes, a row taken out and the rest written anew further on: both are told."""
    log = HONEST.copy()
    tampering.edit_with_all_after(log, at, dice(0))
    tampering.deletion(log, 30, dice(0))
    assert kinds(log.verify()) == ["deleted", "altered"]


@pytest.mark.parametrize("length", LENGTHS)
def test_rows_missing_behind_the_last_checkpoint_were_taken_out_and_none_put_in(length):
    log = Log(50)
    del log.lines[44]
    (finding,) = log.verify(length).findings
    assert (finding.kind, finding.log_index) == (Kind.DELETED, 44)


@pytest.mark.parametrize(
    "attack", [tampering.stored_chain, tampering.stored_leaf, tampering.stored_hashes, tampering.insertion]
)
def test_damage_that_leaves_every_leaf_leaves_the_root(attack):
    for seed in range(STEPS):
        log = HONEST.copy()
        attack(log, 33, dice(seed))
        report = log.verify()
        assert report.found == 1
        assert report.root == HONEST.checkpoint(120).root


def test_a_row_put_in_before_a_checkpoint_is_told_once():
    log = HONEST.copy()
    tampering.insertion_renumbered_that_links(log, 39, dice(0))
    (finding,) = log.verify().findings
    assert (finding.kind, finding.log_index, finding.id) == (Kind.INSERTED, 39, "made-up")


def test_a_forged_announcement_announces_nothing():
    log = HONEST.copy()
    tampering.forged_announcement(log, 60, dice(0))
    assert [(each.kind, each.log_index) for each in log.verify().findings] == [
        ("deleted", 3),
        ("altered", 60),
    ]


def test_of_content_where_nothing_was_said_only_what_is_empty_is_fine():
    for state, valid in (("erased", True), ("sealed", False), ("clear", False)):
        log = HONEST.copy()
        log.lines[43].state = state
        assert log.lines[43].values["commitment"] is None
        assert log.verify().valid is valid


def test_a_checkpoint_of_our_key_with_another_root_or_chain_is_told():
    log = HONEST.copy()
    right = log.checkpoint(50)
    for wrong in (
        msgspec.structs.replace(right, root=bytes(32)),
        msgspec.structs.replace(right, chain=bytes(32)),
    ):
        log.notes = [HONEST.note(40), SIGNER.note(wrong)]
        (finding,) = log.verify().findings
        assert (finding.kind, finding.log_index) == (Kind.ALTERED, 40)


def test_an_unannounced_erasure_tells_how_many_texts_are_gone():
    log = Log(100)
    log.erase("subject-1")
    (finding,) = log.verify().findings
    assert (finding.kind, finding.log_index) == (Kind.DELETED, 1)
    assert "of 15 events" in finding.detail


def test_another_logs_checkpoints_are_foreign_in_the_database_and_refused_outside():
    log = Log(40)
    log.notes.append(log.note(40, origin="other.example/log"))
    log.outside.append(log.note(40, origin="other.example/log"))
    report = log.verify()
    (finding,) = report.findings
    assert (finding.kind, finding.log_index, finding.id) == (Kind.ALTERED, 40, None)
    assert "another log" in finding.detail
    assert (report.refused, report.freshness) == (1, "unproven")


@pytest.mark.parametrize(
    ("note", "size"), [("", None), ("scribble", None), (HONEST.note(20).replace("\ntime", "\ntimes"), None),
                       (HONEST.note(20, STRANGER), 20), (HONEST.note(20)[:-9] + "AAAAAAA=\n", 20)]
)  # fmt: skip
def test_a_broken_checkpoint_in_the_database_is_a_finding_itself(note, size):
    log = HONEST.copy()
    log.notes.append(note)
    (finding,) = log.verify().findings
    assert (finding.kind, finding.log_index, finding.id) == (Kind.ALTERED, size, None)


def test_the_finding_of_a_rewritten_log_is_the_first_place_behind_what_holds():
    log = HONEST.copy()
    tampering.edit_with_all_after(log, 55, dice(0))
    (finding,) = log.verify().findings
    assert (finding.kind, finding.log_index, finding.id) == (Kind.ALTERED, 40, None)


def test_findings_name_their_event():
    log = HONEST.copy()
    tampering.naive_edit(log, 33, dice(0))
    (finding,) = log.verify().findings
    assert (finding.log_index, finding.id) == (33, "event-33")


def test_an_inserted_row_is_named_and_not_the_one_whose_place_it_took():
    for order in (0, 1):
        log = HONEST.copy()
        log.lines.insert(50 + order, tampering.made_up(log, 50))
        (finding,) = log.verify().findings
        assert (finding.kind, finding.log_index, finding.id) == (Kind.INSERTED, 50, "made-up")


def test_a_thousand_findings_are_kept_and_all_are_counted():
    log = Log(1_500, every=100)
    for line in log.lines:
        tampering.edited(line)
    report = log.verify(500)
    assert report.found == 1_500
    assert len(report.findings) == MOST_FINDINGS
    assert [finding.log_index for finding in report.findings] == [*range(MOST_FINDINGS)]


def test_a_thousand_broken_links_are_counted_as_well():
    log = Log(2_500, every=5_000)
    for line in log.lines[::2]:
        tampering.edited(line)
        line.leaf = line.own_leaf()
    report = log.verify(500)
    assert report.found == 1_250
    assert set(kinds(report)) == {"altered"}


def test_texts_of_an_erased_subject_may_be_gone_before_and_after_the_erasure():
    log = Log(20)
    log.announce_erasure("subject-1")
    for _ in range(10):
        log.append(subject_id="subject-1")
    log.erase("subject-1")
    assert log.verify().valid


def test_a_text_that_is_sealed_needs_no_opening():
    log = Log(20)
    for line in log.lines:
        if line.text:
            line.text, line.state = None, "sealed"
    assert log.verify().valid


def test_a_sealed_text_that_was_opened_is_held_against_its_commitment():
    log = Log(20)
    log.lines[4].state = "sealed"
    assert log.verify().valid
    log.lines[4].text = "another"
    assert kinds(log.verify()) == ["altered"]


@pytest.mark.parametrize(
    "metadata", ["", "[]", "{", '{"ranges":[[1]]}', '{"ranges":[[9,1]]}', '{"ranges":7}', "\x00"]
)
def test_an_announcement_that_says_nothing_announces_nothing(metadata):
    log = Log(20)
    log.append(entity_type="AUDIT_RETENTION", metadata=metadata)
    log.bury(3, 5)
    assert kinds(log.verify()) == ["deleted"]


def test_an_erasure_announces_no_burial_and_a_retention_no_erasure():
    log = Log(40)
    log.append(entity_type="AUDIT_ERASURE", metadata='{"ranges":[[3,5]]}')
    log.append(entity_type="AUDIT_RETENTION", metadata='{"subjectId":"subject-1"}')
    log.bury(3, 5)
    log.erase("subject-1")
    assert [(each.kind, each.log_index) for each in log.verify().findings] == [("deleted", 1), ("deleted", 3)]


def test_burials_may_be_announced_in_pieces():
    log = Log(30)
    log.announce_retention(3, 5)
    log.announce_retention(6, 9)
    log.bury(3, 9)
    assert log.verify().valid


def test_a_log_may_begin_or_end_with_what_is_buried():
    log = Log(20)
    log.announce_retention(0, 7)
    log.announce_retention(15, 21)
    log.bury(0, 7)
    log.bury(18, 19)
    assert log.verify().valid


def test_leaves_over_rows_that_are_there_are_told():
    verification, log = Verification(KEYS), Log(10)
    rows = [line.row() for line in log.lines]
    verification.take(rows[:8])
    verification.take(Buried(6, [line.leaf for line in log.lines[6:9]]))
    verification.take(rows[9:])
    assert sorted(kinds(verification.report())) == ["deleted", "inserted"]


UNCHANGED = [
    (VALUES.start + COLUMNS.index(name), None)
    for name in ("category", "code", "model", "trace_id", "response_time_ms")
]
"""What that row has already."""


@pytest.mark.parametrize("position", range(29))
@pytest.mark.parametrize("value", [None, -1, "x", b"x", 1.5, 1 << 70, "\ud800", b"y" * 32])
def test_a_value_of_any_kind_anywhere_is_found_and_breaks_nothing(position, value):
    """SQLite takes any value in any column."""
    log = Log(12, every=4)
    pieces = [list(piece) for piece in log.pieces(3)]
    row = list(pieces[1][1])
    assert row[position] != value or (position, value) in UNCHANGED
    row[position] = value
    pieces[1][1] = tuple(row)
    report = verify(pieces, KEYS, log.notes)
    assert all(each.id is None or isinstance(each.id, str) for each in report.findings)
    told_by_the_text = position == STATE
    assert report.valid is (told_by_the_text or (position, value) in UNCHANGED)


@pytest.mark.parametrize("known", [0, 1, 10, 11])
def test_an_empty_log_is_valid_unless_something_is_known_of_it(known):
    report = verify([], KEYS, known_size=known)
    assert kinds(report) == (["truncated"] if known else [])
    empty = verify([[]], KEYS, [Log(0).note(0)], [Log(0).note(0)])
    assert empty.valid
    assert empty.freshness != "unproven"


def test_either_of_two_keys_may_have_signed():
    log = Log(40)
    log.notes[0] = log.note(20, STRANGER)
    keys = type(KEYS)([*KEYS.verifiers, Verifier(public_of(derived(b"x" * 32)))], KEYS.origin)
    assert not verify(log.pieces(), KEYS, log.notes).valid
    assert verify(log.pieces(), keys, log.notes).valid


def test_a_report_is_told_in_the_contracts_words():
    finding = Finding(Kind.GAP, 7, None, "why")
    report = Report(
        valid=False,
        rows=1,
        freshness="unproven",
        findings=(finding,),
        found=1,
        size=2,
        root=b"r",
        checkpoint_size=0,
    )
    told = msgspec.json.decode(msgspec.json.encode(report))
    assert told == {
        "valid": False,
        "rows": 1,
        "freshness": "unproven",
        "findings": [{"kind": "gap", "logIndex": 7, "id": None, "detail": "why"}],
        "found": 1,
        "size": 2,
        "root": "cg==",
        "checkpointSize": 0,
        "refused": 0,
    }

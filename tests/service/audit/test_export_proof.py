"""Exports and proofs, verified with the public key alone."""

import json
import os
import random
from base64 import b64decode, b64encode

import msgspec
import pytest

from service.audit.export_proof import verify_export
from service.seal.leaf import COLUMNS
from service.seal.tree import path_needs, paths
from tests.service.audit.sealed import KEYS, STRANGER, Log

STEPS = int(os.environ.get("PARLEY_STEPS", "25"))
LOG = Log(60, outside=(20, 60))


def shown(values):
    """What these tests show of an event."""
    named = dict(zip(COLUMNS, values, strict=True))
    return {
        "id": named["id"],
        "cost": named["cost_micros"] / 1_000_000,
        "role": named["role"],
        "metadata": json.loads(named["metadata"]) | {"tools": ("a", "b")},
    }


def line_of(log, index, **seal):
    line = log.lines[index]
    values = tuple(line.values[each] for each in COLUMNS)
    event = {**shown(values), "logIndex": index, "actorId": "ann"}
    event["metadata"] = {**event["metadata"], "query": line.text}
    sealed = {
        "logIndex": index,
        "columns": b64encode(msgspec.msgpack.encode(values)).decode(),
        "chain": line.chain.hex(),
    }
    if line.salt:
        sealed["salt"] = line.salt.hex()
    return event | {"seal": sealed | seal}


def whole(log=LOG, note=None):
    """A complete export, newest first."""
    lines = [line_of(log, index) for index in reversed(range(len(log.lines)))]
    lines[0]["seal"] |= {"checkpoint": note or log.note(len(log.lines)), "complete": True}
    return lines


def part(indexes=(50, 7, 33), log=LOG, size=55):
    """Some events with their paths."""
    hashes = {(0, index): line.leaf for index, line in enumerate(log.lines)}
    assert {run.level for run in path_needs(indexes, size)} <= {0}
    built = paths(indexes, size, hashes)
    lines = [
        line_of(log, index, path=[b64encode(each).decode() for each in built[index]]) for index in indexes
    ]
    lines[0]["seal"] |= {"checkpoint": log.note(size), "complete": False}
    return lines


def verified(lines, outside=LOG.outside):
    return verify_export([json.dumps(line) for line in lines], KEYS, shown, outside)


def told(report):
    return [(finding.kind.value, finding.log_index) for finding in report.findings]


def test_a_whole_export_holds():
    report = verified(whole())
    assert report.findings == ()
    assert (report.valid, report.rows, report.size, report.checkpoint_size) == (True, 60, 60, 60)
    assert report.root == LOG.checkpoint(60).root
    assert report.freshness == "2026-11-27T13:00:00.000Z"


def test_a_part_holds_and_so_does_a_proof_of_one():
    report = verified(part())
    assert (report.valid, report.rows, report.size, report.freshness) == (True, 3, 55, "unproven")
    document = json.dumps(part([7])[0], indent=2)
    for lines in (
        document.splitlines(),
        document.replace("\n", "\r\n").splitlines(keepends=True),
        [document],
    ):
        assert verify_export(lines, KEYS, shown).valid


def test_a_file_saved_by_hand_is_fine():
    text = "\r\n\r\n".join(json.dumps(line) for line in whole()) + "\r\n\r\n"
    assert verify_export(text.splitlines(keepends=True), KEYS, shown).valid


def test_an_export_of_an_earlier_moment_is_as_fresh_as_what_it_contains():
    log = Log(60, outside=(20, 40, 60))
    log.lines = log.lines[:50]
    report = verified(whole(log), log.outside)
    assert (report.valid, report.freshness) == (True, "2026-11-27T12:40:00.000Z")


def test_a_part_is_proven_fresh_by_its_own_checkpoint_kept_elsewhere():
    assert verified(part(), [LOG.note(55)]).freshness == "2026-11-27T12:55:00.000Z"
    another = LOG.copy()
    another.lines[3].values["role"] = "GUEST"
    another.seal(3)
    report = verified(part(), [another.note(55)])
    assert report.freshness == "unproven"
    assert not report.valid


def test_an_erased_or_hidden_text_is_no_finding():
    lines = whole()
    lines[3]["metadata"]["query"] = None
    del lines[4]["metadata"]["query"]
    lines[3]["seal"].pop("salt", None)
    assert verified(lines).valid


def columns_edited(line):
    values = dict(zip(COLUMNS, msgspec.msgpack.decode(b64decoded(line)), strict=True))
    values["cost_micros"] += 1
    line["seal"]["columns"] = b64encode(msgspec.msgpack.encode(tuple(values.values()))).decode()
    line["cost"] = values["cost_micros"] / 1_000_000


def b64decoded(line):
    return b64decode(line["seal"]["columns"])


def columns_in_another_form(line):
    line["seal"]["columns"] = b64encode(b64decoded(line)[:1] + b"\xd9\x08" + b64decoded(line)[2:]).decode()


EDITS = {
    "columns": columns_edited,
    "another form": columns_in_another_form,
    "field": lambda line: line.update(cost=9),
    "kind of a field": lambda line: line.update(role=True),
    "field removed": lambda line: line.pop("role"),
    "id": lambda line: line.update(id="event-x"),
    "index shown": lambda line: line.update(logIndex=line["logIndex"] + 1),
    "metadata": lambda line: line["metadata"].update(count=True),
    "list in metadata": lambda line: line["metadata"].update(tools=["a"]),
    "text": lambda line: line["metadata"].update(query="never said"),
    "text beside": lambda line: line.update(query="never said"),
    "text of another kind": lambda line: line["metadata"].update(query=7),
    "salt": lambda line: (line["metadata"].update(query="x"), line["seal"].update(salt="00" * 32)),
    "salt without hex": lambda line: (line["metadata"].update(query="x"), line["seal"].update(salt="zz")),
    "no seal": lambda line: line.pop("seal"),
    "no columns": lambda line: line["seal"].pop("columns"),
    "columns of nothing": lambda line: line["seal"].update(columns=""),
    "columns of few": lambda line: line["seal"].update(columns=b64encode(b"\x91\xc0").decode()),
    "index of a text": lambda line: line["seal"].update(logIndex="7"),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
@pytest.mark.parametrize("make", [whole, part])
def test_every_edit_of_a_line_is_found(edit, make):
    for seed in range(STEPS):
        lines = make()
        chance = random.Random(seed)  # noqa: S311 - the same places each time
        at = chance.randrange(1, len(lines))
        edit(lines[at])
        report = verified(lines)
        assert not report.valid
        assert report.found <= 3
        assert {kind for kind, _ in told(report)} <= {"altered", "deleted"}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda line: line["seal"].update(logIndex=line["seal"]["logIndex"] - 1),
        lambda line: line["seal"].update(path=line["seal"]["path"][:-1]),
        lambda line: line["seal"].update(path=line["seal"]["path"][::-1]),
        lambda line: line["seal"].update(path=None),
        lambda line: line["seal"].update(path=[]),
        lambda line: line["seal"].update(path=["AAAA"]),
        lambda line: line["seal"].update(logIndex=-1),
        lambda line: line["seal"].update(logIndex=1 << 62),
    ],
)
def test_a_path_that_leads_elsewhere_is_found(spoil):
    lines = part()
    lines[1].pop("logIndex")
    spoil(lines[1])
    assert [kind for kind, _ in told(verified(lines))] == ["altered"]


def test_an_event_twice_is_found():
    lines = part()
    assert told(verified([*lines, lines[1]])) == [("inserted", 7)]
    lines = whole()
    assert told(verified([*lines[:9], lines[8], *lines[9:]])) == [("inserted", 51)]


@pytest.mark.parametrize(
    ("first", "end", "finding"), [(5, 6, ("deleted", 54)), (5, 9, ("deleted", 51)), (59, 60, ("deleted", 0))]
)
def test_events_missing_from_a_whole_export_are_found(first, end, finding):
    lines = whole()
    del lines[first:end]
    assert told(verified(lines)) == [finding]


def test_the_newest_missing_from_a_whole_export_are_found():
    lines = whole()
    lines[4]["seal"] |= lines[0]["seal"] | lines[4]["seal"]
    report = verified(lines[4:])
    assert told(report) == [("truncated", 56)]
    assert (report.valid, report.checkpoint_size) == (False, 0)


def test_events_out_of_order_in_a_whole_export_are_found():
    lines = whole()
    lines[9], lines[30] = lines[30], lines[9]
    report = verified(lines)
    assert not report.valid
    assert "reordered" in {kind for kind, _ in told(report)}


def test_a_log_rewritten_before_it_was_exported_is_found():
    log = LOG.copy()
    log.lines[30].values["cost_micros"] += 5
    log.seal(30)
    assert told(verified(whole(log, LOG.note(60)))) == [("altered", 59)]


def test_a_log_that_its_own_key_signed_twice_is_found_by_what_was_kept_elsewhere():
    log = LOG.copy()
    log.lines[30].values["cost_micros"] += 5
    log.seal(30)
    assert verified(whole(log), []).valid
    report = verified(whole(log), LOG.outside)
    assert told(report) == [("altered", 20)]
    assert report.freshness == "2026-11-27T12:20:00.000Z"


@pytest.mark.parametrize(
    "note", [None, "", "words", LOG.note(60, STRANGER), LOG.note(60, origin="other/log")]
)
def test_without_a_genuine_checkpoint_nothing_holds(note):
    for make in (whole, part):
        lines = make()
        lines[0]["seal"]["checkpoint"] = note
        report = verified(lines)
        assert told(report) == [("altered", None)]
        assert (report.size, report.root, report.checkpoint_size) == (0, None, 0)


def test_a_checkpoint_of_another_size_does_not_fit():
    for size in (59, 40):
        lines = whole(note=LOG.note(size))
        assert not verified(lines).valid


def test_what_says_it_is_whole_has_to_be():
    lines = part()
    lines[0]["seal"]["complete"] = True
    assert not verified(lines).valid


@pytest.mark.parametrize(
    "lines",
    [[], ["", "\r\n"], ["{"], ["words"], ["[]"], ["{}"], ['{"error": "The export is not complete."}']],
)
def test_what_is_no_export_is_not_valid(lines):
    report = verify_export(lines, KEYS, shown)
    assert not report.valid
    assert report.findings


def test_the_line_that_says_that_an_export_broke_off_is_found():
    lines = [*whole(), {"error": "The export is not complete."}]
    report = verified(lines)
    assert told(report) == [("altered", None)]
    assert "Line 61" in report.findings[0].detail

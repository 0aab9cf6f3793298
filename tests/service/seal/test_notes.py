"""Checkpoints found in what people keep."""

import json

import pytest

from service.seal.checkpoint import Checkpoint, Signer, Verifier, read
from service.seal.keys import derived, public_of
from service.seal.notes import checkpoints_in

KEY = derived(b"k" * 32)
NOTES = [Signer(KEY).note(Checkpoint("log", size, bytes(32), size * 1000, bytes(32))) for size in (1, 2, 3)]


def test_one_note_is_found():
    assert checkpoints_in(NOTES[0]) == NOTES[:1]


@pytest.mark.parametrize("between", ["", "\n", "\n\n\n"])
def test_notes_one_after_another_are_found(between):
    assert checkpoints_in(between.join(NOTES)) == NOTES


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.rstrip("\n"),
        lambda text: text.replace("\n", "\r\n").rstrip(),
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "  \n"),
        lambda text: "\n\n" + text + "\n\n",
    ],
)
@pytest.mark.parametrize("count", [1, 3])
def test_a_file_saved_by_hand_is_fine(spoil, count):
    found = checkpoints_in(spoil("\n".join(NOTES[:count])))
    assert found == NOTES[:count]
    assert [read(note, [Verifier(public_of(KEY))]).size for note in found] == [1, 2, 3][:count]


def test_lines_of_a_log_and_of_an_export_are_found_among_others():
    lines = [
        json.dumps({"type": "audit_checkpoint", "checkpoint": NOTES[0]}),
        json.dumps({"type": "agent_query_completed", "query": "{"}),
        "plain words { of somebody",
        "2026-11-27T06:00:00Z host parley: " + json.dumps({"checkpoint": NOTES[1]}),
        json.dumps({"id": "x", "seal": {"logIndex": 0, "checkpoint": NOTES[2]}}),
        json.dumps({"checkpoint": None}),
        json.dumps({"checkpoint": NOTES[0]}),
    ]
    assert checkpoints_in("\n".join(lines)) == NOTES
    assert checkpoints_in("\r\n".join(lines)) == NOTES


def test_a_document_over_many_lines_is_found():
    document = json.dumps({"id": "x", "seal": {"list": [{"checkpoint": NOTES[1]}]}}, indent=2)
    assert checkpoints_in(document) == NOTES[1:2]


def test_notes_and_json_may_be_mixed():
    carried = json.dumps({"checkpoint": NOTES[1]})
    assert sorted(checkpoints_in(f"{NOTES[0]}\n{carried}\n{NOTES[2]}")) == sorted(NOTES)
    assert sorted(checkpoints_in(f"{NOTES[0]}\n{carried}")) == sorted(NOTES[:2])
    assert sorted(checkpoints_in(f"{carried}\n{NOTES[0]}")) == sorted(NOTES[:2])


def test_a_broken_note_is_found_as_well():
    broken = NOTES[0].replace("chain ", "chains ")
    assert checkpoints_in(broken) == [broken]


@pytest.mark.parametrize(
    "text", ["", "\n", "{}", "[]", "words\n\nwords", '{"a":' * 5000, "[" * 5000, '{"checkpoint": 7}']
)
def test_there_may_be_none(text):
    assert checkpoints_in(text) == []

"""Rows in short, against the rows themselves."""

import pickle
import random

import pytest
from msgspec import structs

from service.audit.verification.digest import digest
from service.audit.verification.piece import TEXT
from service.audit.verify import Verification, verify
from tests.service.audit.sealed import KEYS, Log
from tests.service.audit.tampering import edit_with_its_leaf, naive_edit, stored_chain, stored_leaf

PART = 16


def log_of(seed):
    return Log(200, outside=[180], seed=seed)


def rows_of(log):
    return [line.row() for line in log.lines]


def in_short(rows, notes, outside):
    verification = Verification(KEYS, notes, outside)
    short = 0
    for start in range(0, len(rows), PART):
        part = rows[start : start + PART]
        held = digest(part, verification.cuts())
        if held is not None and verification.accept(pickle.loads(pickle.dumps(held))):  # noqa: S301 - our own
            short += 1
        else:
            verification.take(part)
    return verification.report(), short


def whole(rows, notes, outside):
    return verify([rows], KEYS, notes, outside)


@pytest.mark.parametrize("seed", range(5))
def test_a_log_in_short_gets_the_same_verdict(seed):
    log = log_of(seed)
    given = rows_of(log), log.notes, log.outside
    report, short = in_short(*given)
    assert report == whole(*given)
    assert (report.valid, short) == (True, 13)


@pytest.mark.parametrize("attack", [naive_edit, edit_with_its_leaf, stored_chain, stored_leaf])
@pytest.mark.parametrize("at", [0, 15, 16, 90, 199])
def test_a_part_with_a_fault_is_looked_at_row_by_row(attack, at):
    log = log_of(1)
    attack(log, at, random.Random(1))  # noqa: S311 - no secret
    given = rows_of(log), log.notes, log.outside
    report, short = in_short(*given)
    assert structs.replace(report, findings=()) == structs.replace(whole(*given), findings=())
    assert {each.kind for each in report.findings} == {each.kind for each in whole(*given).findings}
    assert not report.valid
    assert short < 13


def test_a_digest_that_passes_over_a_checkpoint_is_not_taken():
    log = log_of(2)
    rows, verification = rows_of(log), Verification(KEYS, log.notes)
    assert not verification.accept(digest(rows))
    assert not verification.accept(digest(rows, verification.cuts()[:-2]))
    assert verification.accept(digest(rows, verification.cuts()))
    assert verification.report().checkpoint_size == 200


def test_a_text_of_another_kind_is_no_digest():
    rows = rows_of(log_of(2))
    assert rows[4][TEXT]
    for other in ("another", b"text 4", 7):
        changed = (*rows[4][:TEXT], other, *rows[4][TEXT + 1 :])
        assert digest([*rows[:4], changed, *rows[5:]]) is None


def test_nothing_has_no_digest_and_another_place_is_not_joined():
    rows = rows_of(log_of(2))
    assert digest([]) is None
    assert not Verification(KEYS).accept(digest(rows[16:32]))

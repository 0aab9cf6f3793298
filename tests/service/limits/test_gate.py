import pytest

from config.settings import Limits
from service.limits import Gate, MemoryLimiter
from telemetry.record import Caller, Decision

ALLOWED, DENIED, OBSERVED = Decision.ALLOWED, Decision.DENIED, Decision.OBSERVED


class Clock:
    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


def caller(user_id: str = "u", role: str = "GUEST") -> Caller:
    return Caller(user_id=user_id, role=role, method="key", credential_id="k", pseudonym="p")


def gate(mode: str, clock: Clock | None = None) -> Gate:
    limits = Limits(requests=3, window_ms=1_000, roles={"GUEST": 2}, mode=mode)
    return Gate(MemoryLimiter(limits.window_ms, clock=clock or Clock()), limits)


def decisions(gate: Gate, times: int) -> list[Decision]:
    return [gate.admit(caller()).decision for _ in range(times)]


def test_off_decides_nothing():
    off = gate("off")
    assert [off.admit(caller()) for _ in range(5)] == [None] * 5
    assert off.peek(caller()) is None


def test_enforce_denies():
    assert decisions(gate("enforce"), 3) == [ALLOWED, ALLOWED, DENIED]


def test_observe_says_what_it_would_have_denied_and_counts_as_enforce_does():
    clock_a, clock_b = Clock(), Clock()
    observing, enforcing = gate("observe", clock_a), gate("enforce", clock_b)
    for pause in (0, 0, 0, 400, 700, 0, 0, 299, 1):
        clock_a.now = clock_b.now = clock_a.now + pause * 1_000_000
        seen, done = observing.admit(caller()), enforcing.admit(caller())
        assert (seen.decision is OBSERVED) == (done.decision is DENIED)
        assert (seen.remaining, seen.retry_after_ms) == (done.remaining, done.retry_after_ms)


def test_observe_denies_nothing_by_peek_either():
    observing = gate("observe")
    decisions(observing, 2)
    assert observing.peek(caller()).decision is OBSERVED


@pytest.mark.parametrize(("role", "limit"), [("GUEST", 2), ("NEWCOMER", 3), ("", 3)])
def test_a_role_has_its_number_or_the_one_for_all_others(role, limit):
    assert gate("enforce").admit(caller(role=role)).limit == limit


def test_peek_costs_nothing():
    enforcing = gate("enforce")
    assert [enforcing.peek(caller()).remaining for _ in range(5)] == [2] * 5


def test_another_role_of_the_same_user_counts_on():
    enforcing = gate("enforce")
    assert decisions(enforcing, 2) == [ALLOWED, ALLOWED]
    assert enforcing.admit(caller(role="NEWCOMER")).remaining == 0
    assert enforcing.admit(caller(role="NEWCOMER")).decision is DENIED


def test_users_do_not_share():
    enforcing = gate("enforce")
    decisions(enforcing, 3)
    assert enforcing.admit(caller("v")).decision is ALLOWED

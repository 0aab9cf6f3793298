from service.audit.floods import OWN, SECONDS, Floods
from telemetry.failure import Code, Failure
from telemetry.record import Ending, Outcome
from tests.harness.records import CALLER, an_opening, answered, refused


def a_refusal(user: str | None = "user-1", code: Code = Code.RATE_LIMITED):
    from msgspec import structs

    caller = structs.replace(CALLER, user_id=user) if user else None
    ending = Ending(Outcome.REFUSED, Failure(code=code, detail="", error="", stack=""))
    return structs.replace(refused(opening=an_opening(caller=caller)), ending=ending)


def test_the_first_refusals_have_rows_of_their_own_and_further_ones_share_one():
    floods = Floods()
    records = [a_refusal() for _ in range(OWN + 3)]
    windows = [floods.window(record, 0.0) for record in records]
    assert windows[:OWN] == [None] * OWN
    assert {window.shared_id for window in windows[OWN:]} == {records[OWN].opening.turn_id}
    (over,) = floods.over(SECONDS)
    assert over.shared == 3


def test_callers_and_reasons_are_told_apart():
    floods = Floods()
    for user in ("user-1", "user-2", None):
        for code in (Code.RATE_LIMITED, Code.INVALID_REQUEST):
            assert [floods.window(a_refusal(user, code), 0.0) for _ in range(OWN)] == [None] * OWN


def test_a_window_that_is_over_is_forgotten():
    floods = Floods()
    for _ in range(OWN + 1):
        floods.window(a_refusal(), 0.0)
    assert [*floods.over(SECONDS - 0.1)] == []
    assert len([*floods.over(SECONDS)]) == 1
    assert floods.window(a_refusal(), SECONDS) is None


def test_what_was_not_refused_never_shares():
    floods = Floods()
    assert all(floods.window(answered(), 0.0) is None for _ in range(100))
    assert not floods._windows

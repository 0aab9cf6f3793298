"""The bench's own judgement: it fails when it should. No system is started here."""

import pytest

from tests.bench.serving import features, ratios, rounds, workers
from tests.bench.serving.__main__ import arguments, faults, table, told_wrong
from tests.bench.serving.rounds import Row


def row(system="parley", rate=100.0, bad=0, **further) -> Row:
    told = {"kind": "json", "callers": 32, "rates": (rate,), "answers": int(rate), "cpu_ms": 1.0}
    times = dict.fromkeys(("p50", "p99", "first_p50", "first_p99"), 1_000.0)
    return Row(system=system, rate=rate, bad=bad, **{**told, **times, **further})


def run(*rows: Row, missing=()):
    return {"rows": rows, "ratios": ratios.ratios(rows), "missing": dict.fromkeys(missing, "why")}


def test_a_ratio_is_our_rate_over_theirs_for_the_same_kind_and_callers():
    found = ratios.ratios(
        [row(rate=150.0), row("plain"), row("plain", 10.0, callers=1), row("plain", 10.0, kind="stream")]
    )
    assert found == {"plain, json, 32": 1.5}


def test_strangers_alone_are_compared_with_either_way_of_ours():
    rows = [row(rate=150.0), row("parley, OTLP", 120.0), row("plain")]
    assert ratios.ratios(rows) == {"plain, json, 32": 1.5}
    assert ratios.ratios(rows, "parley, OTLP") == {"plain, json, 32": 1.2}


def test_whose_answers_were_bad_is_not_compared():
    assert ratios.ratios([row(), row("plain", bad=1), row("other", 0.0)]) == {}


@pytest.mark.parametrize("ours", [row(rate=0.0), row(bad=1)])
def test_where_ours_failed_the_ratio_is_nothing_and_worse_than_any(ours):
    found = ratios.ratios([ours, row("plain")])
    assert found == {"plain, json, 32": 0.0}
    assert len(ratios.worse(found, {"plain, json, 32": 0.1})) == 1


@pytest.mark.parametrize(("found", "count"), [(2.0, 0), (1.51, 0), (1.49, 1), (0.0, 1)])
def test_a_ratio_may_be_worse_by_the_margin_and_no_more(found, count):
    assert len(ratios.worse({"plain, json, 32": found}, {"plain, json, 32": 2.0})) == count


def test_what_was_not_measured_is_not_compared():
    assert ratios.worse({}, {"LiteLLM, json, 32": 12.0}) == []


def test_a_run_passes_when_ours_answered_and_nothing_is_worse():
    assert faults(run(row(), row("plain"), missing=["LiteLLM"]), {"plain, json, 32": 1.0}) == []


@pytest.mark.parametrize(
    "told",
    [
        run(row(rate=50.0), row("plain")),
        run(row(bad=1), row("plain")),
        run(row(), row("plain"), row("parley, OTLP", bad=3)),
        run(row(), row("plain"), row("parley, off", 0.0)),
        run(row("plain"), missing=["parley"]),
        run(row(), row("plain")) | {"crowd": {"bad": 1}},
        run(row(), row("plain")) | {"start": {"parley": {"missing": "why"}}},
    ],
    ids=["worse", "bad", "bad with export", "no answer", "did not start", "bad in the crowd", "no start"],
)
def test_a_run_does_not_pass(told):
    assert len(faults(told, {"plain, json, 32": 1.0})) > 0


def test_a_peer_that_failed_is_no_fault_of_ours():
    assert told_wrong(run(row(), row("Portkey", bad=9), row("LiteLLM", 0.0))) == []


def test_a_peer_that_did_not_start_is_no_fault_of_ours():
    assert told_wrong(run(row()) | {"start": {"LiteLLM": {"missing": "why"}}}) == []


def test_what_is_kept_of_parts_that_were_not_run_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(ratios, "KEPT", tmp_path / "kept.json")
    assert ratios.kept() == {}
    ratios.keep({"plain, json, 1": 1.5, "plain, stream, 32": 2.0}, {"cores": 2})
    ratios.keep({"plain, json, 1": 1.6}, {"cores": 2})
    assert ratios.kept() == {"plain, json, 1": 1.6, "plain, stream, 32": 2.0}


def test_a_row_is_the_medians_and_every_bad_answer():
    turns = [
        {
            "rate": rate,
            "good": 10,
            "bad": bad,
            "p50": rate,
            "p99": 9,
            "first_p50": 1,
            "first_p99": 2,
            "cpu_ms": 3,
        }
        for rate, bad in ((10, 0), (30, 2), (20, 1))
    ]
    found = rounds._row("plain", "json", 1, turns)
    assert (found.rate, found.rates, found.p50) == (20, (10, 30, 20), 20)
    assert (found.answers, found.bad, found.spread) == (30, 3, 1.0)


def test_every_system_has_a_turn_in_each_round_in_an_order_that_moves_on(monkeypatch):
    asked, stopped = [], []

    class Program:
        def __init__(self, name):
            self.name = name

        def signal(self, number):
            stopped.append((self.name, number.name))

        def cpu_seconds(self):
            return 0.0

    def load(target, callers, seconds):
        asked.append((target, callers, seconds))
        figures = dict.fromkeys(("rate", "p50", "p99", "first_p50", "first_p99"), 1.0)
        return {**figures, "good": 1, "bad": 0, "all": 1}

    monkeypatch.setattr(rounds, "load", load)
    monkeypatch.setattr(rounds.time, "sleep", lambda _: None)
    systems = {name: rounds.System(Program(name), {"json": name}) for name in ("a", "b", "c")}
    rows = rounds.measure(systems, "json", rounds.Plan(3, 0.5, (4,)))
    assert [name for name, _, seconds in asked if seconds == 0.5] == [
        "a",
        "b",
        "c",
        "b",
        "c",
        "a",
        "c",
        "a",
        "b",
    ]
    assert [(each.system, len(each.rates)) for each in rows] == [("a", 3), ("b", 3), ("c", 3)]
    assert stopped.count(("a", "SIGSTOP")) == 8  # once for each turn of the others, and their warming


def test_features_cost_what_an_answer_costs_more_than_with_them_off():
    rows = [row(cpu_ms=1.5), row("parley, off", cpu_ms=1.1), row("parley, OTLP", cpu_ms=2.0)]
    found = {name: round(cost, 3) for name, cost in features.costs(rows).items()}
    assert found == {"features, json, 32": 0.4, "features and export, json, 32": 0.9}
    assert features.costs([row()]) == {}


def test_two_workers_are_told_beside_one():
    found = workers.told(
        [row("1"), row("2", 150.0, cpu_ms=1.2), row("1", callers=1), row("2", bad=1, callers=1)]
    )
    (name,) = found
    assert name == "32 callers"
    assert (found[name]["rate_ratio"], found[name]["cpu_ms_of_two"]) == (1.5, 1.2)


def test_the_table_tells_rows_ratios_and_what_is_missing():
    said = table(run(row(), row("plain"), missing=["LiteLLM"]))
    assert "plain, json, 32: 1.00" in said
    assert "LiteLLM: why" in said


def test_parts_and_systems_can_be_chosen():
    given = arguments(["--only=workers,json", "--without=LiteLLM;Portkey", "--callers=1,8", "--keep"])
    assert (given.only, given.without) == (["workers", "json"], ["LiteLLM", "Portkey"])
    assert (given.callers, given.keep) == ((1, 8), True)

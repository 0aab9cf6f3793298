import logging

import pytest

from telemetry import names
from telemetry.sink import GROUP, Guarded, UnknownSink, guard, load
from telemetry.sinks.logs import LogSink
from telemetry.sinks.metrics import MetricSink
from telemetry.testing import MemorySink
from tests.harness.records import an_opening, answered
from tests.harness.sdk import Counted, series
from tests.telemetry.turns import BrokenSink


@pytest.fixture
def plug_in(tmp_path, monkeypatch):
    """A third party's distribution with two sinks: one that is good, and one whose module is missing."""
    folder = tmp_path / "theirs-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(
        f"[{GROUP}]\nmemory = telemetry.testing:MemorySink\nbroken = no_such_module:Sink\n"
    )
    monkeypatch.syspath_prepend(tmp_path)


def test_ours_come_by_the_door_of_plug_ins():
    assert load(["logs", "metrics"]) == {"logs": LogSink, "metrics": MetricSink}


def test_sinks_come_in_the_order_wanted():
    assert list(load(["metrics", "audit", "logs"])) == ["metrics", "audit", "logs"]


def test_no_sinks_are_fine():
    assert load([]) == {}


@pytest.mark.usefixtures("plug_in")
def test_a_third_partys_sink_is_found_by_its_name():
    assert load(["memory"]) == {"memory": MemorySink}


@pytest.mark.usefixtures("plug_in")
def test_a_sink_that_is_not_wanted_is_not_loaded():
    assert load(["logs"]) == {"logs": LogSink}
    with pytest.raises(ModuleNotFoundError):
        load(["broken"])


def test_unknown_names_are_refused_all_at_once_with_what_is_installed():
    with pytest.raises(UnknownSink) as caught:
        load(["nope", "logs", "Audit"])
    assert str(caught.value) == (
        "AGENT_SINKS: no such sink: nope, Audit; installed: alerts, audit, logs, metrics"
    )


def test_a_good_sink_is_told_and_nothing_is_counted():
    failures, memory, record = Counted(names.SINK_FAILURES), MemorySink(), answered()
    guarded = Guarded("good", memory)
    guarded.opened(record.opening)
    guarded.closed(record)
    assert (memory.openings, memory.records) == ([record.opening], [record])
    assert failures() == 0


def test_each_failure_is_counted_and_told_and_goes_no_further(out):
    failures, guarded = Counted(names.SINK_FAILURES, sink="bad"), Guarded("bad", BrokenSink())
    guarded.opened(an_opening())
    guarded.closed(answered())
    guarded.closed(answered())
    assert failures() == 3
    assert [(line["type"], line["level"], line["sink"], line["verb"]) for line in out.objects] == [
        ("sink_failed", "WARN", "bad", verb) for verb in ("opened", "closed", "closed")
    ]
    assert out.objects[0]["error"] == "RuntimeError: no room"


def test_a_sink_whose_error_cannot_speak_goes_no_further_either(out):
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    class Mute(MemorySink):
        def closed(self, _) -> None:
            raise MuteError

    Guarded("mute", Mute()).closed(answered())
    assert out.objects[0]["error"] == "MuteError"


def test_an_order_to_stop_is_no_failure_of_a_sink():
    class Stopping(MemorySink):
        def closed(self, _) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Guarded("stopping", Stopping()).closed(answered())


def test_the_failures_of_each_sink_start_at_zero():
    assert [guarded.name for guarded in guard([("one", MemorySink()), ("two", MemorySink())])] == [
        "one",
        "two",
    ]
    values = {labels["sink"]: point.value for labels, point in series(names.SINK_FAILURES)}
    assert (values["one"], values["two"]) == (0, 0)


def test_nothing_of_it_needs_our_logging():
    assert logging.getLogger("parley").handlers == []
    Guarded("bad", BrokenSink()).closed(answered())

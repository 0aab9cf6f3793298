"""What the webhook gets, by a real receiver: form, signature, once, and until it takes it."""

import logging
import socket
import time

import pytest

from config.secret import Secret
from telemetry import names
from telemetry.alarms.alarm import Alarm, Notice, payload
from telemetry.alarms.message import Message, message_of, sending, signature
from telemetry.failure import Code
from telemetry.stack import bell
from tests.harness.hook import SECRET, Hook
from tests.harness.sdk import Counted
from tests.telemetry.alarms.days import START, Clock, Day

ALARM = Alarm(
    name="NetworkSpike",
    severity="page",
    summary="12 network errors in 5m, over three times the hour before.",
    more={"category": "network"},
)
TOLD = {
    "receiver": "parley",
    "status": "firing",
    "alerts": [
        {
            "status": "firing",
            "labels": {
                "alertname": "NetworkSpike",
                "category": "network",
                "job": "parley",
                "severity": "page",
            },
            "annotations": {
                "runbook": "telemetry/alerts/RUNBOOK.md#networkspike",
                "summary": "12 network errors in 5m, over three times the hour before.",
            },
            "startsAt": "2025-11-24T16:00:00.000Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "",
            "fingerprint": "5eabf549cf54b27a",  # what Alertmanager 0.25 says of these labels
        }
    ],
    "groupLabels": {"alertname": "NetworkSpike", "job": "parley"},
    "commonLabels": {
        "alertname": "NetworkSpike",
        "category": "network",
        "job": "parley",
        "severity": "page",
    },
    "commonAnnotations": {
        "runbook": "telemetry/alerts/RUNBOOK.md#networkspike",
        "summary": "12 network errors in 5m, over three times the hour before.",
    },
    "externalURL": "",
    "version": "4",
    "groupKey": '{}:{alertname="NetworkSpike", job="parley"}',
    "truncatedAlerts": 0,
}


@pytest.fixture(autouse=True)
def lines_are_seen(caplog):
    caplog.set_level(logging.INFO, logger="parley")


@pytest.fixture
def burst(tmp_path):
    """A process with a webhook in which one spike begins."""

    async def begin(url, pauses=(0.001,)):
        day = Day(tmp_path, Clock(time.time()), url, Secret(SECRET), pauses)
        await day.pass_by(3, lambda day: day.errors(Code.UPSTREAM_UNREACHABLE, 30))
        return day

    return begin


def failures(caplog):
    lines = (record.line for record in caplog.records if record.name == "parley")
    return [each.fields for each in lines if each.type == "sink_failed"]


def test_the_signature_is_the_standards_own_example():
    example = ("msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', 1614265330)
    secret = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert signature(*example, secret) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_body_is_that_of_alertmanagers_webhooks():
    notice = Notice(alarm=ALARM, started=START)
    assert message_of(notice).body == payload(notice).decode()
    assert list(bell.lines(payload(notice))) == [f"alert firing: NetworkSpike: {ALARM.summary}"]
    ended = Notice(alarm=ALARM, started=START, ended=START + 60)
    assert list(bell.lines(payload(ended))) == [f"alert resolved: NetworkSpike: {ALARM.summary}"]
    with Hook() as hook:
        sending(hook.url, None)(message_of(notice))
    assert hook.got[0].said == TOLD


def test_without_a_secret_there_is_no_signature():
    with Hook() as hook:
        sending(hook.url, None)(Message("msg_1", "{}"))
    assert hook.got[0].headers["content-type"] == "application/json"
    assert "webhook-signature" not in hook.got[0].headers


@pytest.mark.parametrize("status", [301, 307, 400, 500])
def test_what_is_not_taken_fails_and_follows_nowhere(status):
    with Hook([status]) as hook, pytest.raises(OSError, match=str(status)):
        sending(hook.url, None)(Message("msg_1", "{}"))
    assert [got.path for got in hook.got] == ["/hook"]


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch):
    with Hook() as hook, Hook() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        sending(hook.url, None)(Message("msg_1", "{}"))
    assert (len(hook.got), len(proxy.got)) == (1, 0)


async def test_one_firing_and_one_resolved_both_signed(burst):
    with Hook() as hook:
        day = await burst(hook.url)
        await day.pass_by(30)
        await day.sink.stop()
    assert [got.said["status"] for got in hook.got] == ["firing", "resolved"]
    assert all(got.signed() for got in hook.got)
    assert not hook.got[0].signed("whsec_" + "A" * 32)
    one, other = (got.said["alerts"][0] for got in hook.got)
    assert (one["fingerprint"], one["startsAt"]) == (other["fingerprint"], other["startsAt"])
    assert one["endsAt"] < one["startsAt"] < other["endsAt"]
    assert len({got.id for got in hook.got}) == 2


async def test_what_is_refused_is_sent_again_under_the_same_id_and_counted(burst, caplog):
    failed = Counted(names.SINK_FAILURES, sink="alerts")
    with Hook([500, 503, 429]) as hook:
        day = await burst(hook.url)
        await day.sink.stop()
    assert len(hook.got) == 4
    assert len({got.id for got in hook.got}) == 1
    assert all(got.signed() for got in hook.got)
    assert [(each["verb"], each["outlet"]) for each in failures(caplog)] == [("post", "webhook")] * 3
    assert failed() == 3


async def test_what_is_owed_at_the_end_is_told_by_who_comes_next_under_the_same_id(burst, tmp_path):
    free = socket.create_server(("127.0.0.1", 0))
    away = f"http://127.0.0.1:{free.getsockname()[1]}/hook"
    free.close()
    day = await burst(away, pauses=(60,))
    (owed,) = day.sink._outlet.waiting
    await day.sink.stop()
    with Hook() as hook:
        again = Day(tmp_path, day.clock, hook.url, Secret(SECRET))
        await again.sink.look()
        await again.sink.stop()
    assert [got.id for got in hook.got] == [owed.id]


async def test_a_receiver_that_is_silent_holds_up_nothing(burst):
    with Hook() as hook:
        hook.silent.set()
        day = await burst(hook.url)
        for _ in range(1_000):
            day.errors(Code.INTERNAL)
        await day.sink.look()
        await day.sink.stop()
        assert len(hook.got) == 1
        hook.silent.clear()


async def test_nobody_is_told_without_a_webhook(tmp_path):
    day = Day(tmp_path)
    await day.pass_by(3, lambda day: day.errors(Code.INTERNAL, 30))
    assert day.sink._outlet is None
    await day.sink.stop()

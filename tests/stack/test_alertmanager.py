"""Alertmanager as shipped, run: what repeats a graver alert is held back, the rest reaches who is to hear."""

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count, product
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from telemetry.alerts.groups import GROUPS
from telemetry.alerts.rule import Severity
from tests.harness.need import need
from tests.harness.ports import claim
from tests.harness.process import Process
from tests.harness.waiting import wait
from tests.stack.written import ROOT, STACK, read

NATIVE, COMPOSE = STACK / "alertmanager.yml", STACK / "compose" / "alertmanager.yml"
ENTRY = read(ROOT / "docker-compose.yml")["services"]["alertmanager"]["entrypoint"]
RULES = read(NATIVE)["inhibit_rules"]
ALERTS = [alert for group in GROUPS for alert in group.alerts]
ORDER = list(Severity)
NUMBERS = count()

HELD_BACK = {
    "an hour's burn tells of six": ("AnsweredShare99 1h", "AnsweredShare99 6h"),
    "an hour's burn tells of three days'": ("AnsweredShare999 1h", "AnsweredShare999 3d"),
    "six hours' burn tells of a day's": ("AnsweredShare99 6h", "AnsweredShare99 1d"),
    "a day's burn tells of three": ("AnsweredShare999 1d", "AnsweredShare999 3d"),
    "a page of the one share tells of the other": ("AnsweredShare99 6h", "AnsweredShare999 1h"),
    "stuck tells of waiting": ("AuditStuck", "AuditWaiting"),
    "rows that wait tell of checkpoints": ("AuditWaiting", "CheckpointOld"),
    "turns tell of workers": ("TurnsInterrupted", "WorkersDie"),
    "a store that is away tells of one that flaps": ("LimitsDegraded", "LimitsFlapping"),
    "spent tells of nearly spent": ("BudgetSpent", "BudgetNearlySpent"),
    "a disk with nothing left tells of what fills it": ("DiskLow", "JournalFillsDisk"),
    "a day tells of a week": ("DiskFull", "DiskFillsSoon"),
    "what is lost tells of what waits": ("CollectorLosing", "CollectorQueueing"),
}
TOLD_BESIDE = {
    "a ticket of the one share and the other": ("AnsweredShare99 1d", "AnsweredShare999 3d"),
    "the one share fast and the other slowly": ("AnsweredShare999 1h", "AnsweredShare99 3d"),
    "a spike and a burn": ("NetworkSpike", "AnsweredShare99 1h"),
}


class Manager(Struct, frozen=True):
    """One that runs, on `port`."""

    port: int

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
        assert answer.status == 200, text
        return json.loads(text or b"null")

    def fire(self, *alerts: dict[str, str], ends: str | None = None) -> None:
        told = [{"labels": labels} | ({"endsAt": ends} if ends else {}) for labels in alerts]
        self.ask("POST", "/api/v2/alerts", told)

    def states(self) -> dict[tuple[str, str, str], str]:
        """(job, name, window) -> active or suppressed."""
        return {
            tuple(each["labels"].get(key, "") for key in ("job", "alertname", "window")): each["status"][
                "state"
            ]
            for each in self.ask("GET", "/api/v2/alerts")
        }

    def state(self, labels: dict[str, str]) -> str | None:
        return self.states().get(tuple(labels.get(key, "") for key in ("job", "alertname", "window")))


def running(config: Path) -> Iterator[Manager]:
    port = claim()
    program = need("prometheus-alertmanager", why="it tells of alerts")
    command = (
        program,
        f"--config.file={config}",
        f"--storage.path={config.parent / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    )
    manager = Manager(port)
    with Process(command, config.parent, {}) as process:
        wait(lambda: is_ready(manager), seen=process.said)
        yield manager


def is_ready(manager: Manager) -> bool:
    try:
        manager.ask("GET", "/api/v2/status")
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def manager(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alertmanager")
    (folder / "alertmanager.yml").write_text(NATIVE.read_text())
    yield from running(folder / "alertmanager.yml")


def alert(said: str, job: str) -> dict[str, str]:
    """An alert as its rule labels it; a second word is the window."""
    name, _, window = said.partition(" ")
    (rule,) = [each for each in ALERTS if each.name == name and each.labels.get("window", "") == window]
    others = {"instance": "a", "budget": "user_day", "exporter": "otlp"}
    return {"alertname": name, "job": job, "severity": rule.severity.value, **others, **rule.labels}


@pytest.mark.parametrize(("graver", "other"), HELD_BACK.values(), ids=HELD_BACK)
def test_what_only_repeats_a_graver_alert_is_held_back(manager, graver, other):
    job = f"job-{next(NUMBERS)}"
    manager.fire(alert(other, job), alert(graver, "elsewhere"))
    wait(lambda: manager.state(alert(graver, "elsewhere")) and manager.state(alert(other, job)))
    assert manager.state(alert(other, job)) == "active"
    manager.fire(alert(graver, job))
    wait(lambda: manager.state(alert(other, job)) == "suppressed")
    assert manager.state(alert(graver, job)) == "active"


@pytest.mark.parametrize(("one", "other"), TOLD_BESIDE.values(), ids=TOLD_BESIDE)
def test_what_says_something_else_is_told_beside_it(manager, one, other):
    job = f"job-{next(NUMBERS)}"
    manager.fire(alert(one, job), alert(other, job), alert("DiskLow", job), alert("DiskFull", job))
    wait(lambda: manager.state(alert("DiskFull", job)) == "suppressed")  # by then the others are known too
    assert {manager.state(alert(each, job)) for each in (one, other)} == {"active"}


def test_without_telemetry_only_its_own_way_is_told_of(manager):
    absent = {"alertname": "TelemetryAbsent", "severity": "page"}
    losing, spike = alert("CollectorLosing", "apart"), alert("NetworkSpike", "apart")
    manager.fire(losing, spike)
    wait(lambda: manager.state(spike) == "active")
    manager.fire(absent)
    wait(lambda: manager.state(spike) == "suppressed")
    assert {manager.state(each) for each in (absent, losing)} == {"active"}
    manager.fire(absent, ends="2020-01-01T00:00:00Z")
    wait(lambda: manager.state(spike) == "active")


def matched(matchers: list[str]) -> list:
    """The rules that a side of an inhibition is about."""
    found = ALERTS
    for said in matchers:
        label, how, value = re.fullmatch(r'(\w+)(=~|!~|=)"([^"]*)"', said).groups()
        known = [{"alertname": each.name, "severity": each.severity.value, **each.labels} for each in found]
        wanted = [bool(re.fullmatch(value, each.get(label, ""))) != (how == "!~") for each in known]
        found = [each for each, is_wanted in zip(found, wanted, strict=True) if is_wanted]
        if label == "alertname" and how != "!~":
            assert {each.name for each in found} == set(value.split("|")), said
    return found


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: " ".join(rule["source_matchers"]))
def test_an_inhibition_is_about_alerts_there_are_and_no_graver_one_is_held_back(rule):
    graver, others = matched(rule["source_matchers"]), matched(rule["target_matchers"])
    assert graver
    assert others
    for one, other in product(graver, others):
        if all(one.labels.get(label) == other.labels.get(label) for label in rule.get("equal", ())):
            assert ORDER.index(one.severity) <= ORDER.index(other.severity), (one.name, other.name)


def test_inhibitions_are_the_same_everywhere():
    assert read(COMPOSE)["inhibit_rules"] == RULES
    assert read(COMPOSE)["route"]["group_by"] == read(NATIVE)["route"]["group_by"]


def entered(folder: Path, url: str) -> Path:
    """What the container's entry point makes of this address."""
    (folder / "alert_webhook_url").write_text(url)
    shell, flags, script = ENTRY
    for place, here in (
        ("/tmp", str(folder)),  # noqa: S108 - a container's own
        ("/run/secrets", str(folder)),
        ("/etc/alertmanager", str(COMPOSE.parent)),
        ("exec alertmanager", "echo"),
    ):
        assert place in script
        script = script.replace(place, here)
    subprocess.run((shell, flags, script.replace("$$", "$")), check=True, capture_output=True)
    return folder / "alertmanager.yml"


def sound(config: Path) -> bool:
    program = need("amtool", why="it reads Alertmanager's configuration")
    return subprocess.run((program, "check-config", config), check=False, capture_output=True).returncode == 0


def test_an_address_comes_from_a_file_whatever_is_in_it(tmp_path):
    url = r"https://a.example/x?a=1&b=2|3\4"
    config = entered(tmp_path, f"{url}\n")
    assert sound(config)
    urls = [hook["url"] for each in read(config)["receivers"] for hook in each.get("webhook_configs", ())]
    assert urls == [url, url]
    assert config.stat().st_mode & 0o077 == 0


def test_without_an_address_nobody_is_told_and_it_starts(tmp_path):
    config = entered(tmp_path, "")
    assert sound(config)
    assert read(config)["receivers"] == [{"name": name} for name in ("shown", "pages", "tickets")]


def test_the_integrations_that_are_shown_are_sound(tmp_path):
    lines = COMPOSE.read_text().splitlines()
    shown = [line.removeprefix("#") for line in lines if line.startswith("#   ")]
    rest = COMPOSE.read_text().partition("receivers:\n")[0] + "receivers:\n  - name: shown\n"
    (tmp_path / "shown.yml").write_text(rest + "\n".join(line[1:] for line in shown) + "\n")
    assert {each["name"] for each in read(tmp_path / "shown.yml")["receivers"]} == {
        "shown",
        "pages",
        "tickets",
    }
    assert sound(tmp_path / "shown.yml")


@pytest.fixture
def heard():
    """Where notifications are posted to, and those that came."""
    came: list[dict[str, Any]] = []

    class Hearing(BaseHTTPRequestHandler):
        def do_POST(self):
            came.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Hearing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", came
        server.shutdown()


def test_pages_and_tickets_arrive_and_what_is_only_shown_or_held_back_does_not(tmp_path, heard):
    url, came = heard
    config = entered(tmp_path, url)
    config.write_text(re.sub("group_wait: .*", "group_wait: 2s", config.read_text()))
    said = ("ValidationSpike", "DiskLow", "DiskFillsSoon", "SinkFailing")
    for manager in running(config):
        manager.fire(*(alert(each, "parley") for each in said))
        wait(lambda: len(came) >= 2)
        told = {(each["receiver"], one["labels"]["alertname"]) for each in came for one in each["alerts"]}
        assert told == {("pages", "DiskLow"), ("tickets", "SinkFailing")}
        assert manager.state(alert("ValidationSpike", "parley")) == "active"

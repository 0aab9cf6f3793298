"""Secrets that rotate under load: no call fails, and the earlier key is asked with no more."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from service.simulator import build
from tests.conftest import MANY
from tests.harness.chat import ask
from tests.harness.service import Service
from tests.harness.waiting import wait
from tests.upstream import serve
from tests.walk.test_reload import CHANGES, reload

KEYS = ("sk-first", "sk-second", "sk-third")


@pytest.fixture
def upstream():
    """The simulator, which takes any key, and the keys that it was asked with, in order."""
    simulator, asked = build(), []

    async def door(scope, receive, send):
        if scope["type"] == "http" and scope["method"] == "POST":
            asked.append(dict(scope["headers"])[b"authorization"].decode().removeprefix("Bearer "))
        await simulator(scope, receive, send)

    with serve(door) as url:
        yield url, asked


@contextmanager
def loaded(service, *keys):
    """Three that ask all the time; their statuses, once it is left."""
    ended, statuses = threading.Event(), []
    with ThreadPoolExecutor(max(3, len(keys))) as threads:
        loads = [threads.submit(load, service, ended, key) for key in keys or (None,) * 3]
        try:
            yield statuses
        finally:
            ended.set()
    statuses += [status for each in loads for status in each.result()]


def test_the_models_key_rotates_under_load_and_no_call_fails(tmp_path, upstream):
    url, asked = upstream
    (tmp_path / ".env").write_text(f"ANTHROPIC_API_KEY={KEYS[0]}")
    with Service(tmp_path, MANY | {"ANTHROPIC_BASE_URL": url}) as service:
        with loaded(service) as statuses:
            for key in KEYS[1:]:
                turn(service, asked)
                line = reload(service, f"ANTHROPIC_API_KEY={key}")
                assert (line["changed"], line["needRestart"]) == (["ANTHROPIC_API_KEY"], [])
            turn(service, asked)
        assert set(statuses) == {200}
        assert set(asked) == set(KEYS)
        asked.clear()
        assert ask(service, "Hello").status_code == 200
        assert asked == [KEYS[-1]]
        rows = wait(lambda: service.sql(CHANGES))
    assert not any(key in said for said in [*service.stdout, json.dumps(rows)] for key in KEYS)


def load(service, ended, key=None):
    """Ask until it ends; every status."""
    statuses = []
    while not ended.is_set():
        statuses.append(ask(service, "Hello", key=key).status_code)
    return statuses


def turn(service, asked):
    """One more question beside the load, so that there is a call between two keys."""
    before = len(asked)
    assert ask(service, "Hello").status_code == 200
    assert len(asked) > before


def test_keys_and_sessions_outlive_the_rotation_of_the_root(tmp_path):
    old, new = "o" * 32, "n" * 32
    with Service(tmp_path, {"AGENT_SECRET_KEY": old}) as service:
        made = service.cli("keys", "create", "--user", "ann", "--role", "AUDITOR", "--json")
        key = json.loads(made.stdout)["key"]
        assert ask(service, "Hello", key=key).status_code == 200
        assert service.stop() == 0
        service.settings |= {"AGENT_SECRET_KEY": new, "AGENT_SECRET_KEY_PREVIOUS": old}
        service.start()
        assert ask(service, "Hello", key=key).status_code == 200
        assert service.stop() == 0
        del service.settings["AGENT_SECRET_KEY_PREVIOUS"]
        service.start()
        assert ask(service, "Hello", key=key).status_code == 401


OLD, NEW = "o" * 32, "n" * 32
ROOTS = {"AGENT_SECRET_KEY", "AGENT_SECRET_KEY_PREVIOUS"}
SHARED = "AGENT_RATE_LIMIT_STORE=redis://127.0.0.1:1"
"""Several workers want a store that they share; nobody is there, and each admits its share."""


def rotated(service, workers, root, previous):
    """Give roots, and wait until every process has taken them over; the lines that say so."""
    lines = [f"AGENT_SECRET_KEY={root}", *([f"AGENT_SECRET_KEY_PREVIOUS={previous}"] if previous else [])]
    before = len(service.lines(type="settings_changed"))
    reload(service, *lines, *([SHARED] if workers > 1 else []))
    return wait(
        lambda: len(told := service.lines(type="settings_changed")[before:]) == workers and told,
        seen=service.said,
    )


def made(service, user):
    said = service.cli("keys", "create", "--user", user, "--role", "AUDITEE", "--json")
    return json.loads(said.stdout)["key"]


@pytest.mark.parametrize("workers", [1, 2])
def test_the_root_rotates_under_load_and_no_call_fails(tmp_path, workers):
    """Three steps: the new root beside the old one, the new one first, the old one taken away."""
    shared = [SHARED] if workers > 1 else []
    (tmp_path / ".env").write_text("\n".join([f"AGENT_SECRET_KEY={OLD}", *shared]))
    with Service(tmp_path, MANY, arguments=("--workers", str(workers)) if workers > 1 else ()) as service:
        first = made(service, "ann")
        with loaded(service, first, first) as statuses:
            for root, previous in ((OLD, NEW), (NEW, OLD)):
                for line in rotated(service, workers, root, previous):
                    assert set(line["changed"]) <= ROOTS
                    assert line["needRestart"] == []
                assert ask(service, "Hello", key=first).status_code == 200
        said = service.cli("audit", "verify", "--json")
        assert json.loads(said.stdout)["findings"] == []
        second = made(service, "ben")
        with loaded(service, second, second) as later:
            assert ask(service, "Hello", key=first).status_code == 200
            rotated(service, workers, NEW, None)
        assert ask(service, "Hello", key=first).status_code == 401
        assert set(statuses) == set(later) == {200}
    assert not any(root in line for line in service.stdout for root in (OLD, NEW))


def test_another_root_alone_waits_for_a_restart(tmp_path):
    (tmp_path / ".env").write_text(f"AGENT_SECRET_KEY={OLD}")
    with Service(tmp_path, MANY) as service:
        key = made(service, "ann")
        line = reload(service, f"AGENT_SECRET_KEY={NEW}")
        assert (line["changed"], line["needRestart"]) == ([], ["AGENT_SECRET_KEY"])
        assert ask(service, "Hello", key=key).status_code == 200

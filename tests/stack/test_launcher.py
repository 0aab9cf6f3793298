"""The launcher with small programs in the stack's place: order, readiness, ends, and its sentences.

Refuses to need Go, Prometheus or a fixed port; the real programs are for the tests of the real stack.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request

import pytest

from config import Settings, load
from telemetry.stack import bell, build, launcher, parts
from telemetry.stack.failure import CannotRun, Ended
from telemetry.stack.parts import HOST, Part
from tests.harness.ports import claim
from tests.stack.written import ROOT

SERVER = """
import http.server, pathlib, signal, sys
def note(word):
    with open({log!r}, "a") as file: file.write(word + " {name}\\n")
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self): self.send_response(200); self.end_headers()
    def log_message(self, *_): pass
def stop(*_):
    note("ended"); sys.exit(0)
signal.signal(signal.SIGTERM, stop)
note("began")
http.server.HTTPServer(("127.0.0.1", {port}), Ready).serve_forever()
"""


@pytest.fixture
def port():
    with socket.socket() as one:
        one.bind((HOST, 0))
        return one.getsockname()[1]


@pytest.fixture
def said():
    return []


def serving(name, port, log):
    code = SERVER.format(name=name, port=port, log=str(log))
    return part(name, (sys.executable, "-c", code), port)


def part(name, command, port, **more):
    return Part(name=name, command=command, ports=(port,), ready_port=port, ready="/", shown="there", **more)


def free(count):
    return [claim() for _ in range(count)]


def test_parts_start_in_order_and_end_in_the_opposite_one(tmp_path, said):
    log, stop = tmp_path / "order", threading.Event()
    all_parts = [serving(name, port, log) for name, port in zip("abc", free(3), strict=True)]

    def say(line):
        said.append(line)
        if line.startswith("all 3 run"):
            stop.set()

    launcher.run(all_parts, tmp_path, say, stop)
    assert [line.split()[0] for line in said] == ["a", "b", "c", "all"]
    assert log.read_text().splitlines() == [
        *(f"began {name}" for name in "abc"),
        *(f"ended {name}" for name in "cba"),
    ]


def test_whoever_ends_by_itself_ends_the_others_and_its_words_are_told(tmp_path, port, said):
    log = tmp_path / "order"
    broken = part("broken", (sys.executable, "-c", "raise SystemExit('no such file')"), free(1)[0])
    with pytest.raises(Ended) as caught:
        launcher.run([serving("a", port, log), broken], tmp_path, said.append, threading.Event())
    assert "broken ended by itself with 1" in str(caught.value)
    assert "no such file" in str(caught.value)
    assert log.read_text().splitlines() == ["began a", "ended a"]


def test_a_stop_while_something_starts_ends_what_has_begun(tmp_path, port, said):
    stop = threading.Event()
    silent = part("silent", (sys.executable, "-c", "import time; time.sleep(60)"), free(1)[0])

    def say(line):
        said.append(line)
        stop.set()

    launcher.run([serving("a", port, tmp_path / "order"), silent], tmp_path, say, stop)
    assert len(said) == 1
    assert (tmp_path / "order").read_text().splitlines() == ["began a", "ended a"]


def test_one_that_does_not_hear_is_killed_in_the_end(tmp_path, said, monkeypatch):
    monkeypatch.setattr(launcher, "STOP_SECONDS", 0.2)
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    deaf = part("deaf", (sys.executable, "-u", "-c", code), 1)
    with launcher.process(deaf, tmp_path, said.append) as child:
        while b"deaf" not in (tmp_path / "deaf.log").read_bytes():
            assert child.poll() is None
    assert child.returncode == -signal.SIGKILL
    assert said == ["deaf did not end in 0.2 s and is killed"]


def test_what_somebody_set_is_not_overruled(tmp_path, said, monkeypatch):
    monkeypatch.setenv("STACK_TEST_ONE", "theirs")
    code = "import os; print(os.environ['STACK_TEST_ONE'], os.environ['STACK_TEST_TWO'])"
    telling = part(
        "telling",
        (sys.executable, "-c", code),
        1,
        environ={"STACK_TEST_ONE": "ours", "STACK_TEST_TWO": "ours"},
    )
    with launcher.process(telling, tmp_path, said.append) as child:
        child.wait()
    assert (tmp_path / "telling.log").read_text() == "theirs ours\n"


def test_a_port_in_use_is_told_with_whose_it_would_be():
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        number = taken.getsockname()[1]
        with pytest.raises(CannotRun, match=f"port {number} on 127.0.0.1 is in use, and jaeger needs it"):
            launcher.check_ports([part("jaeger", (), number)])
        with pytest.raises(CannotRun, match="telling alerts to this terminal needs it"):
            launcher.check_ports([], [number])


def test_a_missing_program_is_told_with_the_package_that_brings_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotRun, match=r"Prometheus is missing.*install --no-install-recommends prometheus"):
        parts.parts(tmp_path, Settings())
    (tmp_path / "prometheus").touch(mode=0o755)
    with pytest.raises(CannotRun, match=r"Alertmanager is missing.*recommends prometheus-alertmanager"):
        parts.parts(tmp_path, Settings())


@pytest.mark.parametrize(
    ("version", "sentence"),
    [(None, "Go is missing"), ("go1.19.8", "Go 1.26 or newer is needed, this one is go1.19.8")],
)
def test_go_missing_or_too_old_is_told_and_nothing_is_begun(version, sentence, monkeypatch, tmp_path, said):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if version:
        (tmp_path / "go").write_text(f"#!/bin/sh\necho {version}\n")
        (tmp_path / "go").chmod(0o755)
    with pytest.raises(CannotRun, match=sentence):
        build.build(said.append)
    assert not (tmp_path / "cache").exists()


def test_what_is_in_the_cache_is_not_built_again(monkeypatch, tmp_path, said):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "parley").mkdir()
    build.collector().touch()
    build.jaeger().touch()
    build.build(said.append)
    assert said == []


def test_two_that_build_at_once_build_once(monkeypatch, tmp_path):
    calls = tmp_path / "calls"
    slow = "import pathlib, sys, time\nopen(sys.argv[1], 'a').write(f'{sys.argv[2]}\\n')\ntime.sleep(0.3)\n"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(build, "go_environment", dict)

    def make(name):
        def made(folder, *_):
            subprocess.run([sys.executable, "-c", slow, str(calls), name], check=True)
            (folder / name).touch()
            return folder / name

        return made

    monkeypatch.setattr(build, "make_collector", make("collector"))
    monkeypatch.setattr(build, "make_jaeger", make("jaeger"))
    builders = [threading.Thread(target=build.build, args=(print,)) for _ in range(3)]
    for each in builders:
        each.start()
    for each in builders:
        each.join()
    assert calls.read_text().split() == ["collector", "jaeger"]
    assert not build.lacking()


def test_another_manifest_is_another_binary(monkeypatch, tmp_path):
    ours = build.collector()
    other = tmp_path / "builder.yaml"
    other.write_text(build.MANIFEST.read_text() + "\n")
    monkeypatch.setattr(build, "MANIFEST", other)
    assert build.collector() != ours


def test_a_build_that_fails_leaves_no_binary_and_tells_why(monkeypatch, tmp_path, said):
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    go = tmp_path / "go"
    go.write_text(
        '#!/bin/sh\n[ "$1" = env ] && { echo go1.99.0; exit; }\necho "no route to the proxy" >&2; exit 1\n'
    )
    go.chmod(0o755)
    with pytest.raises(CannotRun, match="no route to the proxy"):
        build.build(said.append)
    assert [file.name for file in (tmp_path / "cache" / "parley").iterdir()] == ["building.lock"]


def test_no_two_parts_want_one_port_and_all_are_configured(tmp_path, monkeypatch):
    for name in ("prometheus", "prometheus-alertmanager"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    all_parts = parts.parts(tmp_path, Settings())
    ports = [port for each in all_parts for port in each.ports] + [parts.BELL_PORT]
    assert [each.name for each in all_parts] == [
        "jaeger",
        "collector",
        "alertmanager",
        "prometheus",
        "service",
    ]
    assert len(ports) == len(set(ports))
    for each, path in (("jaeger", parts.HERE / "jaeger.yaml"), ("collector", ROOT / "otel-collector.yaml")):
        (found,) = [one for one in all_parts if one.name == each]
        assert {port for port in found.ports if str(port) in path.read_text()} == set(found.ports)
    assert f":{parts.BELL_PORT}/" in (parts.HERE / "alertmanager.yml").read_text()


def test_the_service_s_port_must_be_known():
    with pytest.raises(CannotRun, match="AGENT_PORT"):
        parts.service(load({"AGENT_PORT": "0"}, None).settings)


def test_alerts_are_said_and_kept(tmp_path, said):
    alert = {
        "status": "firing",
        "labels": {"alertname": "Spike"},
        "annotations": {"summary": "31 in a minute"},
    }
    body = json.dumps({"alerts": [alert, alert | {"status": "resolved"}]}).encode()
    with bell.bell(said.append, tmp_path / "alerts.jsonl", 0) as port:
        request = urllib.request.Request(f"http://{HOST}:{port}/alerts", body, method="POST")
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - ours
            assert answer.status == 200
    assert said == ["alert firing: Spike: 31 in a minute", "alert resolved: Spike: 31 in a minute"]
    assert (tmp_path / "alerts.jsonl").read_bytes() == body + b"\n"


@pytest.mark.parametrize(
    "body", [b"", b"no", b"[]", b'{"alerts": 1}', b'{"alerts": [{}]}', b'{"alerts": [1]}']
)
def test_what_is_no_notification_says_nothing(body):
    assert list(bell.lines(body)) == []


def test_a_wrong_setting_ends_it_with_its_name_and_code_2(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "telemetry.stack"],
        cwd=ROOT,
        env={**os.environ, "AGENT_PORT": "none", "STACK_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "AGENT_PORT" in done.stderr
    assert "Traceback" not in done.stderr

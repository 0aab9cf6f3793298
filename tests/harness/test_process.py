"""A process is heard while it runs, ends with its children, and never outlives its tests."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.process import Process, environment
from tests.harness.waiting import wait


def shell(script, tmp_path, **settings):
    return Process(["/bin/sh", "-c", script], tmp_path, settings)


def gone(pid):
    """Whether a process has ended; one that only waits to be collected has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_it_runs_in_its_directory_with_its_settings_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENT_PORT", "1")
    monkeypatch.setenv("LOG_LEVEL", "debug")
    with shell("pwd; env", tmp_path, AGENT_HOST="there") as process:
        assert process.stop(0) == 0
    assert process.stdout[0] == str(tmp_path)
    assert "AGENT_HOST=there" in process.stdout
    assert not [line for line in process.stdout if line.startswith(("AGENT_PORT", "LOG_LEVEL"))]


def test_the_environment_keeps_the_path_and_settings_win(monkeypatch):
    monkeypatch.setenv("OTEL_SERVICE_NAME", "x")
    assert environment({})["PATH"] == os.environ["PATH"]
    assert environment({"PATH": "/mine"})["PATH"] == "/mine"
    assert "OTEL_SERVICE_NAME" not in environment({})


def test_a_word_is_heard_while_it_runs(tmp_path):
    with shell("echo Noise: x >&2; echo 'Ready: http://a: b' >&2; sleep 600", tmp_path) as process:
        assert process.wait_for_word("Ready") == "http://a: b"
        assert process.code is None


def test_a_word_said_last_is_still_heard(tmp_path):
    with shell("echo 'Ready: yes' >&2", tmp_path) as process:
        wait(lambda: process.code is not None)
        assert process.wait_for_word("Ready") == "yes"


def test_an_end_before_the_word_fails_at_once_with_all_that_was_said(tmp_path):
    script = "echo told; echo 'no port' >&2; exit 2"
    with shell(script, tmp_path) as process, pytest.raises(AssertionError) as caught:
        process.wait_for_word("Ready")
    assert "exit code 2\nstdout:\ntold\nstderr:\nno port" in str(caught.value)


def test_a_word_that_does_not_come_in_time_fails(tmp_path):
    script = "echo 'Readying: x' >&2; sleep 600"
    with (
        shell(script, tmp_path) as process,
        pytest.raises(AssertionError, match="still not so after 0 s"),
    ):
        process.wait_for_word("Ready", 0)


def test_stopping_returns_the_exit_code_and_every_line(tmp_path):
    script = "trap 'seq 20000; exit 3' TERM; echo 'Ready: x' >&2; while :; do sleep 0.01; done"
    with shell(script, tmp_path) as process:
        process.wait_for_word("Ready")
        assert process.stop() == 3
        assert process.stdout == [str(number) for number in range(1, 20001)]


def test_a_signal_that_ends_it_is_its_code(tmp_path):
    with shell("exec sleep 600", tmp_path) as process:
        # Not SIGINT: what a shell starts in the background ignores it, and so do its children.
        assert process.stop(signal.SIGUSR1) == -signal.SIGUSR1


def test_one_that_does_not_end_is_killed_and_fails(tmp_path):
    script = "trap '' TERM; echo 'Ready: x' >&2; while :; do sleep 0.01; done"
    with shell(script, tmp_path) as process:
        process.wait_for_word("Ready")
        with pytest.raises(AssertionError, match="did not end on signal 15"):
            process.stop(seconds=0.1)
        assert process.code == -signal.SIGKILL


@pytest.mark.parametrize("leader", ["exit 0", "wait"], ids=["ended", "running"])
def test_its_children_end_with_it(tmp_path, leader):
    with shell(f"sleep 600 & echo Child: $! >&2; {leader}", tmp_path) as process:
        child = process.wait_for_word("Child")
        assert not gone(child)
    wait(lambda: gone(child))


def test_a_failing_test_leaves_nothing_behind(tmp_path):
    with pytest.raises(ZeroDivisionError), shell("sleep 600", tmp_path) as process:
        _ = 1 / 0
    assert gone(process.pid)
    process.kill()


def test_bytes_that_are_no_text_are_kept_as_signs(tmp_path):
    with shell(r"printf 'a\377b\r\n\nlast'", tmp_path) as process:
        process.stop(0)
    assert process.stdout == ["a\ufffdb\r", "", "last"]


TESTS_THAT_ARE_KILLED = """
import os, signal, sys
from pathlib import Path
from tests.harness.process import Process
process = Process(["sleep", "600"], Path(sys.argv[1]), {})
print(process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_it_ends_even_when_the_tests_are_killed(tmp_path):
    command = [sys.executable, "-c", TESTS_THAT_ARE_KILLED, str(tmp_path)]
    root = str(Path(__file__).parents[2])
    killed = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": root}
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    wait(lambda: gone(killed.stdout.strip()))

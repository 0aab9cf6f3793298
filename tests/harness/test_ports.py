"""Ports for servers of tests."""

import socket
import subprocess
import sys

from tests.harness import ports

CLAIMS_ALL = """
from tests.harness import ports
ports.RANGE = range({first}, {first} + 9)
print(ports.claim())
"""


def test_a_port_is_given_once_and_can_be_listened_on(monkeypatch):
    first = ports.claim()
    monkeypatch.setattr(ports, "RANGE", range(first, first + 12))
    given = {first, *(ports.claim() for _ in range(3))}
    assert len(given) == 4
    for port in given:
        socket.create_server((ports.HOST, port)).close()


def test_another_process_gets_another():
    first = ports.claim()
    program = CLAIMS_ALL.format(first=first)
    others = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(others.stdout) != first


def test_one_that_is_listened_on_is_not_given(monkeypatch):
    first = ports.claim()
    with socket.create_server((ports.HOST, 0)) as other:
        taken = other.getsockname()[1]
        monkeypatch.setattr(ports, "RANGE", (taken, taken, taken, first + 5, first + 6, first + 7))
        assert {ports.claim() for _ in range(2)} <= {first + 5, first + 6, first + 7}

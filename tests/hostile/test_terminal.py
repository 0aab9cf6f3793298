"""What somebody is called, and says, moves no cursor of whoever looks by a command; and no line of a log."""

import json
import os
import pty
import subprocess
import unicodedata

import httpx
import pytest

from tests.harness.process import environment
from tests.harness.service import Service
from tests.service.auth.mint import SECRET, Mint

NAME = "ann\x9b31m\u202egnp\u2066\u200b"
"""All that a name may be made of: C1 controls move cursors, bidi controls turn words around."""
WORDS = f"Say \x1b[2J\x1b]0;owned\x07\r\u2028{NAME}\u2029\x00."
CHAT = "/api/v1/agent/chat"
HARMFUL = {"Cc", "Zl", "Zp", "Cs"}
TURNING = {"RLE", "LRE", "RLO", "LRO", "PDF", "RLI", "LRI", "FSI", "PDI"}
"""What turns the words after it around (Unicode's bidirectional classes)."""
COMMANDS = (
    ("keys", "list"),
    ("audit", "list"),
    ("audit", "list", "--actor", NAME),
    ("audit", "show", "{turn}"),
    ("audit", "stats"),
    ("audit", "holds"),
    ("audit", "show", "{turn}", "--json"),
    ("audit", "prove", "{turn}"),
    ("audit", "prove", "{turn}", "--json"),
    ("audit", "list", "--json"),
    ("audit", "erase", "--subject", f"nobody{NAME}", "--yes"),
    ("usage", "--group-by", "user"),
    ("limits", "show"),
    ("limits", "show", "--user", NAME),
    ("limits", "suggest"),
    ("trace", "{trace}"),
    ("trace", f"x{NAME}"),
    ("keys", "create", "--user", NAME, "--role", "INTERN"),
    ("keys", "create", "--user", f"{NAME} {NAME}", "--role", "INTERN"),
    ("keys", "revoke", NAME),
    (NAME,),
)


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """A service at which such a person asked, rated, has a key and is on hold; the turn and its trace."""
    with Service(tmp_path_factory.mktemp("terminal"), {"AGENT_JWT_SECRET": SECRET}) as service:
        who = {"authorization": f"Bearer {Mint('HS256').token(sub=NAME, role='AUDIT_HEAD')}"}
        with httpx.Client(base_url=service.url, trust_env=False, timeout=60, headers=who) as client:
            told = client.post(CHAT, json={"message": WORDS}).json()
            rated = {"rating": "down", "comment": WORDS}
            assert client.put(f"/api/v1/agent/turns/{told['id']}/feedback", json=rated).status_code == 200
            made = client.post("/api/v1/keys", json={"user": NAME, "role": "INTERN"})
            assert made.status_code == 201
        service.wait_for_rows(1)
        assert (
            service.cli("audit", "hold", "--subject", NAME, "--reason", WORDS.replace("\0", "")).returncode
            == 0
        )
        yield service, told["id"], told["traceId"]


def harmful(text):
    found = {
        f"U+{ord(each):04X}"
        for each in text
        if unicodedata.category(each) in HARMFUL or unicodedata.bidirectional(each) in TURNING
    }
    return sorted(found - {"U+000A"})


@pytest.mark.parametrize("command", COMMANDS, ids=lambda each: f"{COMMANDS.index(each)} {each[0].isascii()}")
def test_no_command_tells_a_terminal_what_to_do(spoken, command):
    service, turn, trace = spoken
    done = service.cli(*(each.replace("{turn}", turn).replace("{trace}", trace) for each in command))
    assert "Traceback" not in done.stderr
    assert harmful(done.stdout + done.stderr) == []
    assert done.stdout + done.stderr


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_an_export_is_as_it_is_but_not_on_a_terminal(spoken, form):
    service, turn, _ = spoken
    done = service.cli("audit", "export", "--format", form)
    assert done.returncode == 0
    assert NAME in done.stdout
    seen = on_a_terminal(service, "audit", "export", "--format", form)
    assert turn in seen
    assert harmful(seen.replace("\r\n", "\n")) == []


def on_a_terminal(service, *arguments):
    """What a command shows there."""
    near, far = pty.openpty()
    command, settings = [*service.program, *arguments], environment(service.settings)
    program = subprocess.Popen(command, cwd=service.cwd, env=settings, stdout=far, stderr=far)
    os.close(far)
    seen = b"".join(iter(lambda: more_of(near), b""))
    os.close(near)
    assert program.wait() == 0
    return seen.decode()


def more_of(near):
    try:
        return os.read(near, 65_536)
    except OSError:  # nobody holds the other end any more
        return b""


def test_no_line_of_the_log_does_and_each_is_one(spoken):
    service, turn, _ = spoken
    lines = [line for line in service.stdout if turn in line]
    assert lines
    assert harmful("".join(service.stdout)) == []
    assert any(json.loads(line).get("userId") == NAME for line in lines)

"""The OpenAPI document turned against the service it describes: every operation, good data and bad, in turn.

Refuses to believe answers alone: lines and words of the service are looked through too.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import httpx
from msgspec import Struct

from tests.harness.process import environment
from tests.harness.service import Service
from tests.service.auth.mint import SECRET, Mint

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("schemathesis")
OPEN = {
    "AGENT_RATE_LIMIT_ROLES": "AUDIT_HEAD=1000",
    "AGENT_RATE_LIMIT_WINDOW_MS": "1000",
    "AGENT_JWT_SECRET": SECRET,
    "AGENT_AUTH_FAILURES": "0",  # what is asked without a credential is asked with a wrong one too
}
"""A limit that is there, and that no round reaches; a token, which no case can take away as it can a key."""
ASKER = "head"
"""Who asks all."""
WITHOUT = "positive_data_acceptance"
"""Its place is taken by our own, which knows the rules that no schema can state."""


class Found(Struct, frozen=True):
    """What a round came to: cases that were sent, and a sentence for each fault."""

    cases: int
    faults: tuple[str, ...]


def fuzz(service: Service, seed: int, examples: int, folder: Path, seconds: int | None = None) -> Found:
    """Send the cases of a seed to a service that runs; `examples` are of each operation, at most.

    With `seconds`, operations and sequences of them are tried anew until these are spent.

    Raises:
        AssertionError: it could not be done, with all that was said.
    """
    report = folder / "report.json"
    until = int(time.time()) + 7_200
    key = Mint("HS256", key=SECRET.encode()).token(sub=ASKER, role="AUDIT_HEAD", exp=until)
    command = [
        *(str(PROGRAM), "run", f"{service.url}/schema/openapi.json"),
        *("--header", f"Authorization: Bearer {key}"),
        *("--checks", "all", "--exclude-checks", WITHOUT, "--suppress-health-check", "all"),
        *("--max-examples", str(examples), "--seed", str(seed), "--continue-on-failure", "--no-shrink"),
        *("--report", "json", "--report-json-path", str(report), "--no-color"),
    ]
    if seconds is not None:
        command += ["--max-time", str(seconds)]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment({"SCHEMATHESIS_HOOKS": "tests.hostile.reasons", "PYTHONPATH": str(ROOT)}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert report.exists(), done.stdout + done.stderr
    told = json.loads(report.read_bytes())
    assert told["operations"]["tested"] == told["operations"]["total"] > 0, done.stdout
    faults = (*_said(told, done.stdout), *_shut_out(service, key), *broken(service))
    return Found(told["test_cases"]["generated"], faults)


def head_of(service: Service) -> str:
    """A key of somebody who may everything."""
    made = service.cli("keys", "create", "--user", ASKER, "--role", "AUDIT_HEAD", "--json")
    return json.loads(made.stdout)["key"]


def broken(service: Service) -> tuple[str, ...]:
    """What the service itself says went wrong that no caller can make go wrong."""
    lines = [json.dumps(line) for line in service.lines() if _unforeseen(line)]
    words = [service.stderr] if "Traceback" in service.stderr else []
    return (*lines, *words)


def _shut_out(service: Service, key: str) -> tuple[str, ...]:
    """Whether the asker shut itself out: what came afterwards tried nothing."""
    headers = {"authorization": f"Bearer {key}"}
    status = httpx.get(f"{service.url}/api/v1/limits", headers=headers, trust_env=False).status_code
    return () if status == 200 else (f"it is itself not let in at the end: {status}",)


def _unforeseen(line: dict[str, object]) -> bool:
    return line["type"] == "request_failed" or line.get("code") == "internal" or line["level"] == "ERROR"


def _said(told: dict[str, object], words: str) -> tuple[str, ...]:
    """The failures and errors of a report; all that was printed where there are any."""
    if not told["failures"] and not told["errors"]:
        return ()
    return (words.partition("FAILURES")[2] or words,)

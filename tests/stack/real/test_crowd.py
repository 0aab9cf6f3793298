"""Ten users and ten thousand leave the same series: what a caller brings is no label."""

import json
import subprocess
import sys

from telemetry import names
from tests.conftest import TOLD
from tests.harness.process import environment
from tests.stack.written import ROOT


def series(users: int, folder) -> dict[str, int]:
    command = [sys.executable, "-m", "tests.stack.real.crowd", str(users)]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment({"PYTHONPATH": str(ROOT)}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_ten_thousand_users_make_no_more_series_than_ten(tmp_path, record_property):
    ten, many = series(10, tmp_path), series(10_000, tmp_path)
    record_property(TOLD, f"10,000 users: {sum(many.values())} series; 10 users: {sum(ten.values())}")
    assert many == ten
    assert {names.TURNS, names.ERRORS, names.COST_TOTAL, names.TOOL_DURATION, names.MODEL_TOKENS} <= set(many)
    assert max(many.values()) < 100

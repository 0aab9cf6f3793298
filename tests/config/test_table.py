"""Settings as text: complete, aligned, without secrets, and `.env.example` is true."""

import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

import msgspec
import pytest
from dotenv import dotenv_values

from config import Settings, load
from config.env import PLACES
from config.table import as_env_example, as_json, as_markdown, as_text, rows

ROOT = Path(__file__).parents[2]
NAMES = [place.variable.name for place in PLACES]
CANARY = "canary-5f1c9a7e-0123456789-abcdef-xyz"


def table(**environ):
    loaded = load(environ, None)
    return rows(loaded.settings, loaded.origins)


def row(name, **environ):
    return next(row for row in table(**environ) if row.name == name)


def test_one_row_for_each_setting_in_order():
    assert [row.name for row in table()] == NAMES


def test_a_row_says_value_origin_and_default():
    port = row("AGENT_PORT", AGENT_PORT="8080")
    assert (port.value, port.origin, port.default, port.secret) == ("8080", "env", "3005", False)
    assert port.description == (
        "Port to listen on; 0 takes any free one. Takes a whole number from 0 to 65535."
    )


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("AGENT_STREAMING_ENABLED", "OFF", "false"),
        ("AGENT_LOG_SAMPLE_RATE", "0.1234567", "0.1234567"),
        ("AGENT_LOG_SAMPLE_RATE", "1.0", "1"),
        ("AGENT_SINKS", "logs , audit", "logs,audit"),
        ("ANTHROPIC_BASE_URL", "https://user:pass@h/v1", "https://***@h/v1"),
        ("AGENT_SECRET_KEY", CANARY, "***"),
    ],
)
def test_a_value_is_shown_as_the_environment_would_say_it(name, text, value):
    assert row(name, **{name: text}).value == value


def test_unset_is_none_and_a_secret_is_marked():
    key = row("ANTHROPIC_API_KEY")
    assert (key.value, key.default, key.secret) == (None, None, True)
    assert "ANTHROPIC_API_KEY_FILE" in key.description


def test_json_has_the_contracts_shape():
    shown = msgspec.json.decode(msgspec.json.encode(as_json(table(AGENT_PORT="1"))))
    assert [list(row) for row in shown] == [["name", "value", "origin"]] * len(NAMES)
    assert {"name": "AGENT_PORT", "value": "1", "origin": "env"} in shown
    assert {"name": "AGENT_SECRET_KEY", "value": None, "origin": "default"} in shown


def test_text_is_aligned_and_has_one_line_for_each():
    lines = as_text(table(AGENT_SYSTEM_PROMPT="one\ntwo", AGENT_PORT="1")).splitlines()
    assert len(lines) == len(NAMES) + 1
    column = lines[0].index("ORIGIN")
    assert {line[column:] for line in lines[1:]} == {"default", "env"}
    assert {line[column - 1] for line in lines} == {" "}
    assert all(re.match(r"^[A-Z_]+ +\S", line) for line in lines)


def test_text_cuts_what_is_long():
    shown = as_text(table(AGENT_SYSTEM_PROMPT="x" * 5000))
    assert "xxx..." in shown
    assert max(len(line) for line in shown.splitlines()) < 120


def test_no_secret_stands_in_any_table():
    given = {
        "AGENT_SECRET_KEY": CANARY,
        "ANTHROPIC_API_KEY": CANARY,
        "ANTHROPIC_BASE_URL": f"http://u:{CANARY}@h",
    }
    shown = table(**given)
    for told in (as_text(shown), str(as_json(shown)), repr(shown)):
        assert CANARY not in told
        assert "***" in told


def test_markdown_is_one_table_with_a_line_for_each():
    lines = as_markdown().splitlines()
    assert lines[:2] == ["| variable | default | meaning |", "|---|---|---|"]
    assert [line.split("`")[1] for line in lines[2:]] == NAMES
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {4}


def test_the_example_in_the_root_is_the_generated_one():
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == as_env_example()


def test_the_example_is_what_the_module_prints():
    printed = subprocess.run(
        [sys.executable, "-m", "config.table"], cwd=ROOT, capture_output=True, check=True, timeout=60
    )
    assert printed.stdout.decode() == as_env_example()
    assert printed.stderr == b""


def test_the_example_sets_nothing_as_it_stands(tmp_path):
    path = tmp_path / ".env"
    path.write_text(as_env_example(), encoding="utf-8")
    assert load({}, path) == load({}, None)


def test_the_example_uncommented_is_the_defaults(tmp_path):
    text = re.sub(r"^# (?=[A-Z_]+=)", "", as_env_example(), flags=re.MULTILINE)
    said = dotenv_values(stream=StringIO(text), interpolate=False)
    assert [name for name in said if not name.startswith("OTEL_")] == NAMES
    path = tmp_path / ".env"
    path.write_text(text, encoding="utf-8")
    loaded = load({}, path)
    assert loaded.settings == Settings()
    assert {name for name, origin in loaded.origins.items() if origin == ".env"} == {
        name for name in NAMES if said[name]
    }
    assert {name: value.reveal() for name, value in loaded.exports.items()} == {
        name: value for name, value in said.items() if name.startswith("OTEL_")
    }


def test_the_example_is_the_same_to_a_shell():
    text = re.sub(r"^# (?=[A-Z_]+=)", "", as_env_example(), flags=re.MULTILINE)
    sourced = subprocess.run(
        ["bash", "-c", "set -aeu; source /dev/stdin; env -0"],
        input=text.encode(), capture_output=True, check=True, env={"PATH": "/usr/bin:/bin"}, timeout=60,
    )  # fmt: skip
    environ = dict(line.split("=", 1) for line in sourced.stdout.decode().split("\0") if line)
    assert load(environ, None).settings == Settings()

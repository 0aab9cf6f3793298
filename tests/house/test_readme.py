"""README says what is: its settings table is the generated one, every name it shows exists."""

import re
from pathlib import Path

from config import table
from telemetry import names
from tests.house.settings_table import shown

README = (Path(__file__).parents[2] / "README.md").read_text()
GROUPS = {"parley.sinks", "parley.tools", "parley.models"}
FILES = {"parley.env", "parley.db", "parley.json", "parley.pub"}
OWN_NAMES = {value for key, value in vars(names).items() if key.isupper() and isinstance(value, str)}


def test_the_settings_table_is_the_generated_one():
    assert shown(README) == table.as_markdown().strip()


def test_every_telemetry_name_it_shows_is_emitted():
    said = set(re.findall(r"\bparley(?:\.[a-z_]+)+", README)) - FILES - GROUPS
    assert {name for name in said if not is_emitted(name)} == set()


def is_emitted(name: str) -> bool:
    """Whether it is a name, or the beginning of some."""
    return any(own == name or own.startswith(f"{name}.") for own in OWN_NAMES)

"""The harness is tried on a stand-in for the service.

Refuses the real one: what fails here is the harness.
"""

import sys
from pathlib import Path

import pytest


@pytest.fixture
def program() -> tuple[str, ...]:
    """The stand-in's command."""
    return (sys.executable, str(Path(__file__).with_name("stand_in.py")))

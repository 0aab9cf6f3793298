"""What a test needs from the machine.

Refuses to skip in silence: a skip says what is missing, and where `CI=true` it is a failure.
"""

import os
import shutil

import pytest


def need(program: str, *, why: str = "") -> str:
    """Return the path of a program, or end the test that cannot run without it.

    Args:
        program: its name, as a shell would look for it.
        why: what it is needed for, added to the reason.
    """
    return shutil.which(program) or missing(f"{program} is not installed{why and f': {why}'}")


def missing(reason: str) -> str:
    """End the test: a skip with its reason, or a failure where everything is expected to be there."""
    if os.environ.get("CI", "").lower() in {"true", "1"}:
        pytest.fail(f"CI=true and {reason}", pytrace=False)
    pytest.skip(reason)

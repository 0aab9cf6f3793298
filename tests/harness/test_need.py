"""A missing part is a skip with a reason, and a failure where everything should be there."""

import pytest

from tests.harness.need import missing, need

ABSENT = "no-such-program-anywhere"


def test_a_present_program_is_its_path():
    assert need("sh").endswith("/sh")


def test_a_missing_program_skips_with_its_reason(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=f"{ABSENT} is not installed: to draw"):
        need(ABSENT, why="to draw")


@pytest.mark.parametrize("value", ["true", "True", "1"])
def test_a_missing_program_fails_where_everything_is_expected(monkeypatch, value):
    monkeypatch.setenv("CI", value)
    with pytest.raises(pytest.fail.Exception, match=f"CI=true and {ABSENT} is not installed"):
        need(ABSENT)


@pytest.mark.parametrize("value", ["false", "", "0"])
def test_any_other_value_of_ci_still_skips(monkeypatch, value):
    monkeypatch.setenv("CI", value)
    with pytest.raises(pytest.skip.Exception, match="no socket"):
        missing("no socket")

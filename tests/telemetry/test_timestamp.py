from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from telemetry.timestamp import timestamp


def test_it_is_iso_8601_in_utc_with_milliseconds():
    assert timestamp(1_764_000_000_123_456) == "2025-11-24T16:00:00.123Z"
    assert timestamp(0) == "1970-01-01T00:00:00.000Z"


@given(st.integers(0, 4_102_444_800_000_000))
def test_no_moment_is_off_by_a_rounding(microseconds):
    exact = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    assert timestamp(microseconds) == exact.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"

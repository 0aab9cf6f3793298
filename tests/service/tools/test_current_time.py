from datetime import UTC, datetime

import pytest

from service.errors import ToolBroken, ToolFailed
from service.tools import Registry, current_time
from tests.harness.tools import run

WINTER = datetime(2026, 11, 23, 22, 4, 5, 678_901, tzinfo=UTC)


def registry(moment: datetime = WINTER) -> Registry:
    return Registry((current_time.build(lambda: moment),))


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("UTC", "2026-11-23T22:04:05+00:00, Monday, UTC (UTC)"),
        ("Europe/Berlin", "2026-11-23T23:04:05+01:00, Monday, Europe/Berlin (CET)"),
        ("Asia/Kathmandu", "2026-11-24T03:49:05+05:45, Tuesday, Asia/Kathmandu (+0545)"),
        ("America/St_Johns", "2026-11-23T18:34:05-03:30, Monday, America/St_Johns (NST)"),
    ],
)
async def test_the_time_of_a_place(zone, text):
    assert await run(registry(), "current_time", {"zone": zone}) == text


async def test_it_is_utc_unless_told():
    assert await run(registry(), "current_time", {}) == await run(registry(), "current_time", {"zone": "UTC"})


async def test_summer_time():
    summer = datetime(2026, 7, 5, 22, 30, tzinfo=UTC)
    text = await run(registry(summer), "current_time", {"zone": "Europe/Berlin"})
    assert text == "2026-07-06T00:30:00+02:00, Monday, Europe/Berlin (CEST)"


async def test_the_hour_that_comes_twice_is_told_apart_by_its_offset():
    first, second = (datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in (0, 1))
    zone = {"zone": "Europe/Berlin"}
    assert (await run(registry(first), "current_time", zone)).startswith("2026-10-25T02:30:00+02:00")
    assert (await run(registry(second), "current_time", zone)).startswith("2026-10-25T02:30:00+01:00")


@pytest.mark.parametrize(
    "zone",
    ["", " ", "Nowhere/City", "europe", "America", "America/", "/etc/passwd", "../../etc/passwd", "..", ".",
     "./UTC", "Europe/../UTC", "Europe//Berlin", "zone.tab", "tzdata.zi", "\x00", "UTC\x00", "\ud800",
     "UTC; rm", "x" * 64, "Europe/Berlin\n", "C:\\UTC", "Zürich"],
)  # fmt: skip
async def test_what_is_no_zone_is_refused_and_never_repeated(zone):
    with pytest.raises(ToolFailed) as caught:
        await run(registry(), "current_time", {"zone": zone})
    assert not isinstance(caught.value, ToolBroken)
    assert caught.value.detail == (
        "There is no such time zone; use an IANA name such as Europe/Berlin or UTC."
    )


@pytest.mark.parametrize("arguments", [{"zone": "x" * 65}, {"zone": 1}, {"zone": None}, {"place": "UTC"}, []])
async def test_arguments_that_do_not_fit(arguments):
    with pytest.raises(ToolFailed, match="do not fit"):
        await run(registry(), "current_time", arguments)


async def test_its_own_clock_runs():
    before = datetime.now(UTC).replace(microsecond=0)
    text = await run(Registry((current_time.build(),)), "current_time", {})
    assert before <= datetime.fromisoformat(text.split(",")[0]) <= datetime.now(UTC)

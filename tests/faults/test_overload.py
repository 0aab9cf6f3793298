"""Ten times too many requests for a short time: each is answered and recorded; `make overload` is long."""

from tests.faults.overload import PLACES, flood

SECONDS = 20.0


def share(answers):
    """Of all that were asked, those that were answered."""
    return answers.get("200", 0) / sum(answers.values())


async def test_ten_times_too_many_requests_are_all_answered_and_recorded(tmp_path, capsys):
    figures = await flood(tmp_path, SECONDS)
    with capsys.disabled():
        print(f"\n{figures.told()}")  # noqa: T201
    assert sum(figures.answers.values()) == figures.rows
    assert set(figures.answers) == {"200", "overloaded"}
    assert figures.answers["200"] > 2 * PLACES
    assert figures.answers["overloaded"] > figures.answers["200"]
    # whoever does not flood is not behind those who do
    assert share(figures.quiet) > share(figures.answers)

"""Numbers as people read them, the same as the scripts write them (static/times.js).

Refuses to round money away: below a cent there are six digits.
"""

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
TWO_MINUTES = 2 * MINUTE
TWO_HOURS = 2 * HOUR
ABSENT = "\u2013"
"""What a table has where there is no number."""
MINUS = "\u2212"
"""As wide as a digit."""
CENT, DOLLAR = 10_000, 1_000_000
"""In micro-dollars."""


def span(milliseconds: float | None) -> str:
    """How long something took."""
    if milliseconds is None:
        return ABSENT
    if milliseconds < SECOND:
        return f"{milliseconds:.0f} ms"
    if milliseconds < TWO_MINUTES:
        return f"{milliseconds / SECOND:.2f} s"
    if milliseconds < TWO_HOURS:
        return f"{milliseconds / MINUTE:.0f} min"
    return f"{milliseconds // HOUR:.0f} h {milliseconds % HOUR // MINUTE:.0f} min"


def dollars(micros: int) -> str:
    """US dollars out of micro-dollars: to the cent where there are some, to the micro-dollar below."""
    sign, amount = MINUS if micros < 0 else "", abs(micros)
    digits = 2 if amount == 0 or amount >= DOLLAR else 4 if amount >= CENT else 6
    return f"{sign}${amount / DOLLAR:,.{digits}f}"


def count(number: int | None) -> str:
    """A number of things."""
    return ABSENT if number is None else f"{number:,}"

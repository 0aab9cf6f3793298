"""Decimal arithmetic of IEEE 754 decimal128: 34 significant digits, half to even, up to 9.99E+6144.

Refuses infinities, NaN and results that vanish: each raises one of the `decimal` module's signals.
"""

import decimal
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial, reduce
from types import MappingProxyType

from msgspec import Struct

DIGITS = 34

CONTEXT = decimal.Context(
    prec=DIGITS,
    rounding=decimal.ROUND_HALF_EVEN,
    Emin=-6143,
    Emax=6144,
    capitals=1,
    clamp=0,
    flags=[],
    traps=[decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow, decimal.Underflow],
)
"""Underflow is trapped as well: a result that vanishes would be wrong in every digit.

Clamping is a matter of encoding only, and would write 1E+6144 with 33 zeros.
"""

WRITTEN_OUT = range(-10, DIGITS)
"""Powers of ten of the leading digit that are written in full; beyond them it is 1.5E+40."""


class Function(Struct, frozen=True, kw_only=True):
    """A function, and how many numbers it takes at most; at least one."""

    apply: Callable[..., Decimal]
    most: int = 1


def read(number: str) -> Decimal:
    """Read a decimal number, rounded to the precision."""
    return CONTEXT.create_decimal(number)


def write(value: Decimal) -> str:
    """Write a number without needless zeros: 0.5, 1200, 1.5E+40."""
    if not value:
        return "0"
    short = CONTEXT.normalize(value)
    return format(short, "f") if short.adjusted() in WRITTEN_OUT else str(short)


def divide(left: Decimal, right: Decimal) -> Decimal:
    """Divide."""
    return CONTEXT.divide(left, _divisor(right))


def divide_down(left: Decimal, right: Decimal) -> Decimal:
    """Divide and round down, as Python's // does with integers."""
    quotient, remainder = CONTEXT.divmod(left, _divisor(right))
    return CONTEXT.subtract(quotient, Decimal(1)) if _differ(remainder, right) else quotient


def modulo(left: Decimal, right: Decimal) -> Decimal:
    """Give the rest of `divide_down`; it has the divisor's sign."""
    remainder = CONTEXT.remainder(left, _divisor(right))
    return CONTEXT.add(remainder, right) if _differ(remainder, right) else remainder


def power(base: Decimal, exponent: Decimal) -> Decimal:
    """Raise to a power."""
    return _finite(CONTEXT.power(base, exponent))


def round_to(value: Decimal, digits: Decimal = Decimal(0)) -> Decimal:
    """Round to so many decimals, half to even; a negative number of them rounds to tens, hundreds, ..."""
    if digits != digits.to_integral_value() or abs(digits) > DIGITS:
        raise decimal.InvalidOperation
    shifted = CONTEXT.to_integral_value(CONTEXT.scaleb(value, digits))
    return CONTEXT.scaleb(shifted, -digits)


def _divisor(value: Decimal) -> Decimal:
    # The module calls 0/0 and x % 0 invalid; to a person all of them are divisions by zero.
    if not value:
        raise decimal.DivisionByZero
    return value


def _differ(remainder: Decimal, divisor: Decimal) -> bool:
    return bool(remainder) and (remainder < 0) != (divisor < 0)


def _finite(value: Decimal) -> Decimal:
    # 0 ** -1 and ln(0) give an infinity without any signal.
    if not value.is_finite():
        raise decimal.InvalidOperation
    return value


def _logarithm(take: Callable[[Decimal], Decimal], value: Decimal) -> Decimal:
    return _finite(take(value))


def _least(*values: Decimal) -> Decimal:
    return reduce(CONTEXT.min, values)


def _greatest(*values: Decimal) -> Decimal:
    return reduce(CONTEXT.max, values)


FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {
        "abs": Function(apply=CONTEXT.abs),
        "sqrt": Function(apply=CONTEXT.sqrt),
        "exp": Function(apply=CONTEXT.exp),
        "ln": Function(apply=partial(_logarithm, CONTEXT.ln)),
        "log10": Function(apply=partial(_logarithm, CONTEXT.log10)),
        "round": Function(apply=round_to, most=2),
        "min": Function(apply=_least, most=100),
        "max": Function(apply=_greatest, most=100),
    }
)
"""What may be called, by name."""

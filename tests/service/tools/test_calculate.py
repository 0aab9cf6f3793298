import decimal
import random
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import ToolBroken, ToolFailed
from service.tools import Registry, calculate
from service.tools.calculate import CHARACTERS, DEPTH
from service.tools.decimal128 import CONTEXT
from tests.harness.tools import offered, run

RESULTS = {
    "1 + 2 * 3": "7",
    "(1 + 2) * 3": "9",
    "0.1 + 0.2": "0.3",
    "100.00": "100",
    "1e3": "1000",
    ".5 + 1.": "1.5",
    "  2\t*\n3 ": "6",
    "1/3": "0.3333333333333333333333333333333333",
    "2/3": "0.6666666666666666666666666666666667",
    "-7 // 2": "-4",
    "7 // -2": "-4",
    "-7 // -2": "3",
    "7.5 // 2": "3",
    "-7 % 2": "1",
    "7 % -2": "-1",
    "-6 % 3": "0",
    "7.5 % 2": "1.5",
    "2 ** 3 ** 2": "512",
    "-2 ** 2": "-4",
    "2 ** -1": "0.5",
    "2 ** 0.5": "1.414213562373095048801688724209698",
    "2 ** 100": "1267650600228229401496703205376",
    "--3": "3",
    "-+-3": "3",
    "0 * -1": "0",
    "sqrt(16)": "4",
    "abs(-3.50)": "3.5",
    "exp(0)": "1",
    "ln(exp(1))": "0.9999999999999999999999999999999998",
    "ln(1)": "0",
    "log10(1000)": "3",
    "round(2.5)": "2",
    "round(3.5)": "4",
    "round(-2.5)": "-2",
    "round(2.675, 2)": "2.68",
    "round(1250, -2)": "1200",
    "round(5, 34)": "5",
    "min(3, 1, 2)": "1",
    "max(3, 1, 2)": "3",
    "max(1)": "1",
    "round((19.99 * 3 + 4.5) * 1.19, 2)": "76.72",
    "10 ** 33": "1000000000000000000000000000000000",
    "10 ** 34": "1E+34",
    "1.5e40": "1.5E+40",
    "1e-10": "0.0000000001",
    "1e-11": "1E-11",
    "9" * 40: "1E+40",
    "1e6144": "1E+6144",
}


@pytest.mark.parametrize(("expression", "result"), RESULTS.items())
def test_results(expression, result):
    assert calculate.calculate(expression) == result


NOT_WELL_FORMED = "The expression is incomplete or not well formed."

NOT_ARITHMETIC = [
    "True", "None", "pi", "__import__", "a.b", "1 .real", "(1).real", "1..real", "1 < 2", "1 == 1",
    "1 if 2 else 3", "not 1", "1 and 2", "1 or 2", "1or 2", "1e5or 2", "1if 2else 3", "0x1fand 2",
    "'a'", '"a"', "f'{1}'", "b'a'", "[1]", "{1}", "(1, 2)", "()", "1,", "1,000", "1_000", "lambda: 1",
    "x := 1", "a = 1", "~1", "1 & 2", "1 | 2", "1 ^ 2", "1 << 2", "1 @ 2", "0x10", "0b1", "0o7", "1j",
    "1J", "1e", "1e+", "2(3)", "2x", "min(*(1, 2))", "max(1, key=2)", "max(**1)", "...", "1; 2",
    "1\\\n+1", "#1", "1 # 2", "٣ + 1", "²", "½", "1 \u2212 2", "1 \u00d7 2", "π", "\x00", "\ud800",
    "yield", "(yield)", "await 1", "ln", "min.max(1)", "min(1)(2)", "(min)", "1 in 2", "1 is 1", "NaN",
    "Infinity", "inf", "sNaN",
]  # fmt: skip


@pytest.mark.parametrize("expression", NOT_ARITHMETIC)
def test_what_is_no_arithmetic_is_refused_and_never_repeated(expression, recwarn):
    with pytest.raises(ToolFailed) as caught:
        calculate.calculate(expression)
    assert type(caught.value) is ToolFailed
    assert not recwarn
    assert caught.value.detail in {
        calculate.NOT_ARITHMETIC,
        "The expression is incomplete or not well formed.",
    }


@pytest.mark.parametrize(
    "expression", ["", " ", "(", "(1", "1)", "1 +", "* 2", "1 2", "5%", "07", "1.2.3", "((1)", "."]
)
def test_what_is_incomplete_is_refused(expression):
    with pytest.raises(ToolFailed, match="incomplete or not well formed"):
        calculate.calculate(expression)


@pytest.mark.parametrize("expression", ["open(1)", "eval(1)", "x(1)", "log(1)", "exit()", "Abs(1)"])
def test_unknown_functions_are_refused_with_the_known_ones(expression):
    with pytest.raises(ToolFailed) as caught:
        calculate.calculate(expression)
    assert (
        caught.value.detail
        == "There is no such function. There are: abs, sqrt, exp, ln, log10, round, min, max."
    )


@pytest.mark.parametrize("expression", ["ln()", "ln(1, 2)", "round(1, 2, 3)", "max()", f"min({'1,' * 100}1)"])
def test_a_wrong_count_of_numbers_is_refused(expression):
    with pytest.raises(ToolFailed, match=r"takes at least 1 number and at most"):
        calculate.calculate(expression)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("1 / 0", "divides by zero"),
        ("0 / 0", "divides by zero"),
        ("1 // (2 - 2)", "divides by zero"),
        ("1 % 0", "divides by zero"),
        ("0 ** 0", "no finite, real result"),
        ("0 ** -1", "no finite, real result"),
        ("1 / 0 ** -1", "no finite, real result"),
        ("(-8) ** (1/3)", "no finite, real result"),
        ("sqrt(-1)", "no finite, real result"),
        ("ln(0)", "no finite, real result"),
        ("ln(-1)", "no finite, real result"),
        ("log10(0)", "no finite, real result"),
        ("1e50 // 3", "no finite, real result"),
        ("round(1, 35)", "no finite, real result"),
        ("round(1, 0.5)", "no finite, real result"),
        ("9 ** 9 ** 9", "too large"),
        ("9 ** 9 ** 9 ** 9", "too large"),
        ("1e6145", "too large"),
        ("1e999999999999999999999", "too large"),
        ("exp(1e9)", "too large"),
        ("1e6000 * 1e6000", "too large"),
        ("1e-6000 * 1e-6000", "too close to zero"),
        ("exp(-1e9)", "too close to zero"),
        ("10 ** -7000", "too close to zero"),
    ],
)
def test_what_has_no_result_says_why(expression, words):
    with pytest.raises(ToolFailed, match=words) as caught:
        calculate.calculate(expression)
    assert not isinstance(caught.value, ToolBroken)


def test_length_is_bounded():
    assert calculate.calculate("1+" * (CHARACTERS // 2 - 1) + "10") == "509"
    with pytest.raises(ToolFailed, match="longer than 1000"):
        calculate.calculate("1+" * (CHARACTERS // 2) + "1")


@pytest.mark.parametrize("tower", ["-" * DEPTH + "1", "(" * 150 + "1" + ")" * 150])
def test_deep_expressions_that_still_work(tower):
    assert calculate.calculate(tower) == "1"


@pytest.mark.parametrize(
    "tower",
    [
        "-" * (DEPTH + 1) + "1",
        "-" * 999 + "1",
        "1**" * 300 + "1",
        "abs(" * 190 + "1" + ")" * 190,
        "1+(" * 190 + "1" + ")" * 190,
        "(" * 499 + "1" + ")" * 499,
        "(" * 1_000,
    ],
)
def test_what_is_too_deep_is_refused(tower):
    with pytest.raises(ToolFailed, match=r"nested more than|not well formed"):
        calculate.calculate(tower)


def test_no_text_breaks_it():
    rng = random.Random(3)  # noqa: S311 - texts, no secret
    pieces = [
        "1",
        "0",
        ".",
        "e9",
        "(",
        ")",
        "+",
        "-",
        "*",
        "**",
        "/",
        "//",
        "%",
        ",",
        " ",
        "ln(",
        "max(",
        "if ",
        "é",
    ]
    for _ in range(5_000):
        few = rng.sample(pieces, rng.randrange(1, 6))
        text = "".join(rng.choice(few) for _ in range(rng.randrange(300)))
        try:
            Decimal(calculate.calculate(text))
        except ToolFailed as error:
            assert error.detail  # noqa: PT017 - either a number or a sentence is right


@given(st.text(max_size=40))
def test_any_text_gives_a_number_or_a_sentence(text):
    try:
        assert Decimal(calculate.calculate(text)).is_finite()
    except ToolFailed as error:
        assert error.detail.endswith((".", "%"))  # noqa: PT017 - either is right


AMOUNTS = st.decimals(-(10**9), 10**9, places=3).map(lambda amount: format(amount, "f"))


@given(AMOUNTS, AMOUNTS, st.sampled_from("+-*"))
def test_sums_and_products_of_amounts_are_exact(left, right, op):
    a, b = Fraction(left), Fraction(right)
    expected = {"+": a + b, "-": a - b, "*": a * b}[op]
    assert Fraction(calculate.calculate(f"({left}) {op} ({right})")) == expected


@given(AMOUNTS, AMOUNTS.filter(lambda amount: Fraction(amount) != 0))
def test_whole_quotient_and_rest_are_those_of_the_numbers(left, right):
    a, b = Fraction(left), Fraction(right)
    assert Fraction(calculate.calculate(f"({left}) // ({right})")) == a // b
    assert Fraction(calculate.calculate(f"({left}) % ({right})")) == a % b


@given(st.integers(-(10**30), 10**30), st.integers(-34, 3))
def test_results_are_read_back_as_the_same_number(coefficient, exponent):
    value = Decimal(f"{coefficient}e{exponent}")
    text = calculate.calculate(f"{coefficient}e{exponent}")
    assert Decimal(text) == value
    mantissa = text.partition("E")[0]
    assert not ("." in mantissa and mantissa.endswith("0"))


def test_the_context_of_others_is_left_alone():
    before = decimal.getcontext().copy()
    calculate.calculate("1/3")
    after = decimal.getcontext()
    assert (after.prec, after.flags) == (before.prec, before.flags)
    assert CONTEXT.prec == 34


async def test_the_tool():
    registry = Registry((calculate.build(),))
    assert await run(registry, "calculate", {"expression": "2 ** 10"}) == "1024"
    assert "34 significant digits" in offered(registry).definitions[0]["description"]
    with pytest.raises(ToolFailed, match="length <= 1000"):
        await run(registry, "calculate", {"expression": "1" * 1_001})

"""Arithmetic for the model: one expression in, one decimal number out.

Refuses names, strings, comparisons, attributes and all else that is no arithmetic, and any size that takes
more than milliseconds. Python's grammar reads the expression; nothing of it is ever run as code.
"""

import ast
import decimal
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated

from msgspec import Meta, Struct

from service.errors import ToolFailed
from service.tools.decimal128 import (
    CONTEXT,
    DIGITS,
    FUNCTIONS,
    divide,
    divide_down,
    modulo,
    power,
    read,
    write,
)
from service.tools.tool import Errand, Tool

CHARACTERS = 1_000

DEPTH = 50
"""How deep powers, calls, signs and parentheses may stand in each other; a sum or product is flat."""

FOREIGN = re.compile(r"[^0-9A-Za-z.,()+\-*/% ]")

GLUED = re.compile(r"(?<![A-Za-z0-9])[0-9][0-9.]*+(?:[eE][+-]?[0-9]+)?+[A-Za-z]")
"""A number with a letter right behind it (0x10, 1j, 2or): Python may read it, and warn; we do neither."""

DESCRIPTION = (
    "Calculates one arithmetic expression in decimal with 34 significant digits (IEEE 754 decimal128, half "
    "to even). Operators + - * / ** and parentheses; // rounds down, % has the divisor's sign. Functions: "
    "abs(x), sqrt(x), exp(x), ln(x), log10(x), round(x, digits), min(x, ...), max(x, ...). Numbers are "
    "decimal (1234.5, 1e-3), without separators of thousands; there are no variables and no constants."
)

OPERATORS: Mapping[type[ast.operator], Callable[[Decimal, Decimal], Decimal]] = MappingProxyType(
    {
        ast.Add: CONTEXT.add,
        ast.Sub: CONTEXT.subtract,
        ast.Mult: CONTEXT.multiply,
        ast.Div: divide,
        ast.FloorDiv: divide_down,
        ast.Mod: modulo,
        ast.Pow: power,
    }
)
SIGNS: Mapping[type[ast.unaryop], Callable[[Decimal], Decimal]] = MappingProxyType(
    {ast.UAdd: CONTEXT.plus, ast.USub: CONTEXT.minus}
)

NOT_ARITHMETIC = (
    "The expression may hold decimal numbers, + - * / // % **, parentheses and the known functions only."
)

NO_RESULT: Mapping[type[decimal.DecimalException], str] = MappingProxyType(
    {
        decimal.Overflow: "A number in the calculation is too large, above 9.99E+6144.",
        decimal.Underflow: "A number in the calculation is too close to zero, below 1E-6143.",
        decimal.DivisionByZero: "The expression divides by zero.",
    }
)


class Arguments(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to calculate."""

    expression: Annotated[
        str,
        Meta(max_length=CHARACTERS, description="For example: round((19.99 * 3 + 4.5) * 1.19, 2)"),
    ]


def build() -> Tool:
    """Give the tool."""
    return Tool(name="calculate", description=DESCRIPTION, arguments=Arguments, run=_run)


def calculate(expression: str) -> str:
    """Calculate an expression and write its result without needless zeros.

    Raises:
        ToolFailed: It is no arithmetic, too long or too deep, or has no finite result of this precision.
    """
    text = " ".join(expression.split())
    tree = _parse(text)
    try:
        return write(_Expression(text).value_of(tree, 0))
    except decimal.DecimalException as error:
        other = f"A step of the calculation has no finite, real result of {DIGITS} digits."
        raise ToolFailed(NO_RESULT.get(type(error), other)) from error


async def _run(arguments: Arguments, errand: Errand) -> str:
    del errand
    return calculate(arguments.expression)


def _parse(text: str) -> ast.expr:
    if len(text) > CHARACTERS:
        raise ToolFailed(f"The expression is longer than {CHARACTERS} characters.")
    if FOREIGN.search(text) or GLUED.search(text):
        raise ToolFailed(NOT_ARITHMETIC)
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ToolFailed("The expression is incomplete or not well formed.") from error


class _Expression:
    """A text with its tree; numbers are read from the text, as Python's tree holds 0.1 in binary."""

    def __init__(self, text: str) -> None:
        self._text = text

    def value_of(self, node: ast.expr, depth: int) -> Decimal:
        if depth > DEPTH:
            raise ToolFailed(f"The expression is nested more than {DEPTH} deep.")
        match node:
            case ast.BinOp():
                return self._chain(node, depth + 1)
            case ast.UnaryOp(op=op) if type(op) in SIGNS:
                return SIGNS[type(op)](self.value_of(node.operand, depth + 1))
            case ast.Call(func=ast.Name(id=name), keywords=[]):
                return _call(name, [self.value_of(argument, depth + 1) for argument in node.args])
            case ast.Constant() if type(node.value) in {int, float}:
                return read(self._text[node.col_offset : node.end_col_offset])
            case _:
                raise ToolFailed(NOT_ARITHMETIC)

    def _chain(self, node: ast.expr, depth: int) -> Decimal:
        # 1 + 2 + 3 ... leans to the left as deep as it is long: that side is walked without recursion.
        steps: list[ast.BinOp] = []
        while isinstance(node, ast.BinOp):
            steps.append(node)
            node = node.left
        value = self.value_of(node, depth)
        for step in reversed(steps):
            value = _operate(step.op, value, self.value_of(step.right, depth))
        return value


def _operate(op: ast.operator, left: Decimal, right: Decimal) -> Decimal:
    if type(op) not in OPERATORS:
        raise ToolFailed(NOT_ARITHMETIC)
    return OPERATORS[type(op)](left, right)


def _call(name: str, numbers: list[Decimal]) -> Decimal:
    function = FUNCTIONS.get(name)
    if function is None:
        raise ToolFailed(f"There is no such function. There are: {', '.join(FUNCTIONS)}.")
    if not 1 <= len(numbers) <= function.most:
        raise ToolFailed(f"{name}() takes at least 1 number and at most {function.most}.")
    return function.apply(*numbers)


TOOL = build()

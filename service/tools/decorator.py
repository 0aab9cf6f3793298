"""A typed function as a tool: its parameters are the schema, its docstring is what the model is told.

Refuses a function that says too little: without a docstring, or with a parameter of no type.
"""

import asyncio
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Generic, ParamSpec, TypeVar, cast, get_type_hints

import msgspec
from msgspec import Meta, Struct

from service.tools import docstring
from service.tools.tool import SECONDS, Errand, Run, Tool

P = ParamSpec("P")
R = TypeVar("R")
ORDINARY = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class FunctionTool(Tool, Generic[P, R], frozen=True, kw_only=True):
    """A tool made of a function, which can still be called as what it is."""

    function: Callable[P, R]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself."""
        return self.function(*args, **kwargs)


def tool(
    *,
    name: str | None = None,
    roles: Iterable[str] | None = None,
    effects: bool = False,
    approval: bool | Iterable[str] = False,
    alone: bool | None = None,
    seconds: float = SECONDS,
    limit: int | None = None,
) -> Callable[[Callable[P, R]], FunctionTool[P, R]]:
    """Make a tool of a function.

    Its parameters, typed and annotated as msgspec has it, are what the model is asked for: all by name, or
    one Struct that forbids unknown fields. A parameter of type `Errand` is given, not asked for. The first
    paragraph of the docstring describes the tool, its section `Args:` the parameters. It returns text, or
    anything that is then told as JSON. A function that is not async runs in a thread, which goes on by itself
    after the time is up: `seconds` ends the wait for it, not the work.

    Args:
        name: What the model calls it; None: the function's own name.
        roles: Whose model may use it; None: everybody's.
        effects: Whether it changes anything outside of the turn.
        approval: Whether somebody has to say yes to each call; roles: one of them, else the caller.
        alone: Whether it may not run beside others; None: where it has effects.
        seconds: How long it may take.
        limit: Calls of one user within the window of limits, unless AGENT_RATE_LIMIT_TOOLS says otherwise.

    Raises:
        ValueError: the function cannot be a tool, and why.
    """

    def make(function: Callable[P, R]) -> FunctionTool[P, R]:
        arguments, run = _taken_apart(function)
        return FunctionTool(
            name=name or function.__name__,
            description=docstring.summary(function),
            arguments=arguments,
            run=run,
            seconds=seconds,
            roles=None if roles is None else frozenset(roles),
            effects=effects,
            approval=bool(approval),
            approvers=frozenset() if isinstance(approval, bool) else frozenset(approval),
            alone=alone,
            limit=limit,
            function=function,
        )

    return make


def _taken_apart(function: Callable[..., Any]) -> tuple[type[Struct], Run]:
    """What it takes as a Struct, and how it is run with one."""
    if not docstring.summary(function):
        raise ValueError(f"The function {function.__name__} needs a docstring: the model is told it.")
    hints = _hints(function)
    given = [each for each, hint in hints.items() if hint is Errand]
    asked = {each: hint for each, hint in hints.items() if hint is not Errand}
    if len(asked) == 1 and _is_struct(whole := next(iter(asked.values()))):
        (only,) = asked
        return whole, _runner(function, given, lambda arguments: {only: arguments})
    arguments = _struct(function, asked)
    return arguments, _runner(
        function, given, lambda arguments: {each: getattr(arguments, each) for each in asked}
    )


def _hints(function: Callable[..., Any]) -> Mapping[str, Any]:
    """The type of each parameter, in order."""
    said = f"The function {function.__name__}"
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError as error:
        raise ValueError(f"{said} has a type that cannot be found: {error}.") from error
    parameters = inspect.signature(function).parameters
    if odd := [name for name, each in parameters.items() if each.kind not in ORDINARY]:
        raise ValueError(f"{said} takes {odd[0]} in a way that has no name for the model.")
    if untyped := [name for name in parameters if name not in hints]:
        raise ValueError(f"{said} does not say of what type {untyped[0]} is.")
    return {name: hints[name] for name in parameters}


def _is_struct(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Struct)


def _struct(function: Callable[..., Any], asked: Mapping[str, Any]) -> type[Struct]:
    said, parameters = docstring.parameters(function), inspect.signature(function).parameters
    fields: list[Any] = []
    for name, hint in asked.items():
        told = Annotated[hint, Meta(description=said[name])] if said.get(name) else hint
        default = parameters[name].default
        fields.append((name, told) if default is inspect.Parameter.empty else (name, told, default))
    return msgspec.defstruct(function.__name__, fields, frozen=True, kw_only=True, forbid_unknown_fields=True)


def _runner(
    function: Callable[..., Any], given: Iterable[str], taken: Callable[[Any], Mapping[str, Any]]
) -> Run:
    async def run(arguments: Any, errand: Errand) -> str:
        named = {**taken(arguments), **dict.fromkeys(given, errand)}
        if inspect.iscoroutinefunction(function):
            return _text(await function(**named))
        return _text(await asyncio.to_thread(function, **named))

    return cast("Run", run)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()

"""Tools by entry point: ours and others', which are on, and what stops the start."""

import sys

import pytest
from msgspec import structs

from config.settings import Settings, Tools
from service.app.tooling import build_tools
from service.tools.installed import UnusableTool, installed, load
from tests.harness.tools import offered, run

MODULE = '''
from service.tools import Tool, tool

@tool(effects=True)
def greet(whom: str) -> str:
    """Greets."""
    return f"Hello {whom}"

def several(settings):
    """By the settings."""
    return [tool(name=f"{settings.environment}_{number}")(greet.function) for number in (1, 2)]

def one(settings):
    """One."""
    return tool(name="one")(greet.function)

def broken(settings):
    raise OSError("no such file")

twin = tool(name="calculate")(greet.function)
nothing = 7

def strange(settings):
    return [greet, "x"]
'''
POINTS = ["greet", "several", "one", "broken", "twin", "nothing", "strange", "gone"]


@pytest.fixture(autouse=True)
def plugged(tmp_path, monkeypatch):
    info = tmp_path / "greeter-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: greeter\nVersion: 1.0\n")
    lines = [f"{name} = greeter_tools:{name}" for name in POINTS]
    (info / "entry_points.txt").write_text("\n".join(["[parley.tools]", *lines]))
    (tmp_path / "greeter_tools.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("greeter_tools", None)


def named(*names, **roles):
    return structs.replace(Settings(), tools=Tools(names=names, roles=roles or None))


def test_ours_come_by_the_same_door():
    assert [tool.name for tool in load(Settings())] == list(Settings().tools.names)
    assert {tool.source for tool in load(Settings())} == {"built_in"}
    assert {"calculate", "current_time"} <= set(installed())


def test_tools_stand_in_the_order_of_the_setting_and_say_who_brought_them():
    tools = load(named("several", "calculate", "greet", "one"))
    assert [(tool.name, tool.source) for tool in tools] == [
        ("development_1", "greeter"),
        ("development_2", "greeter"),
        ("calculate", "built_in"),
        ("greet", "greeter"),
        ("one", "greeter"),
    ]


def test_none_turns_all_off():
    assert load(named("none")) == ()


async def test_a_plug_in_is_run():
    registry = build_tools(named("greet"))
    assert await run(registry, "greet", {"whom": "Ann"}) == "Hello Ann"


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (("nope",), r"AGENT_TOOLS: no such tool: nope; installed: .*calculate, current_time"),
        (("broken",), r"AGENT_TOOLS: broken cannot be used: OSError: no such file"),
        (("nothing",), r"AGENT_TOOLS: nothing cannot be used: TypeError"),
        (("strange",), r"AGENT_TOOLS: strange cannot be used: TypeError: str is no Tool"),
        (("gone",), r"AGENT_TOOLS: gone cannot be used: AttributeError"),
        (("calculate", "twin"), r"AGENT_TOOLS: There are two tools named 'calculate'"),
    ],
    ids=lambda each: each[-1] if isinstance(each, tuple) else None,
)
def test_what_cannot_be_used_stops_the_start_and_is_named(names, sentence):
    with pytest.raises(UnusableTool, match=sentence):
        build_tools(named(*names))


def offers(registry, role):
    return [each["name"] for each in offered(registry, role).definitions]


def test_roles_of_the_settings_narrow_a_tool_and_never_widen_it():
    registry = build_tools(named("greet", "calculate", greet=("CFO", "GUEST")))
    assert offers(registry, "CFO") == offers(registry, "GUEST") == ["greet", "calculate"]
    assert offers(registry, "AUDITEE") == ["calculate"]
    (greet, _) = registry.tools
    assert greet.roles == {"CFO", "GUEST"}


def test_roles_for_a_tool_that_is_not_there_are_told(caplog):
    build_tools(named("calculate", greet=("CFO",), files__read=("CFO",)))
    assert [each.message for each in caplog.records] == ["tool_unknown"]

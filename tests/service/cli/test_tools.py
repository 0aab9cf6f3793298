"""parley tools: what is on, what is off, and who may use it."""

import json


def test_tools_as_json(parley):
    said = parley(
        "tools", "--json", AGENT_TOOLS="calculate", AGENT_TOOL_ROLES="calculate=CFO|AUDITOR",
        AGENT_RATE_LIMIT_TOOLS="calculate=3",
    )  # fmt: skip
    on, *off = json.loads(said.out)
    assert said.status == 0
    assert on == {
        "name": "calculate",
        "on": True,
        "source": "built_in",
        "roles": ["AUDITOR", "CFO"],
        "effects": False,
        "approval": False,
        "limit": 3,
        "seconds": 10.0,
    }
    assert {"name": "current_time", "on": False, "source": "built_in"} in off


def test_tools_in_words(parley):
    said = parley("tools", AGENT_TOOLS="current_time", AGENT_TOOL_ROLES="current_time=CFO")
    first, *others = said.out.splitlines()
    assert first.split() == ["current_time", "built_in", "CFO,", "10", "s"]
    assert any(
        line.startswith("calculate ") and line.endswith("AGENT_TOOLS does not name it") for line in others
    )


def test_a_tool_that_is_not_installed_is_named_here_and_by_check(parley):
    said = parley("tools", AGENT_TOOLS="nope")
    assert (said.status, said.out) == (2, "")
    assert said.err.startswith("parley: AGENT_TOOLS: no such tool: nope; installed: audit_search, ")
    checked = parley("check", "--json", AGENT_TOOLS="nope")
    assert (checked.status, "no such tool: nope" in checked.out) == (1, True)

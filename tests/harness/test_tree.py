"""The text of a trace: order, depth, status, chosen attributes, and nothing hidden."""

from tests.harness.signals import Span
from tests.harness.tree import tree


def span(name, span_id, parent_id="", start=0, kind="INTERNAL", status="UNSET", trace_id="t", **attributes):
    return Span(
        name=name, kind=kind, trace_id=trace_id, span_id=span_id, parent_id=parent_id, attributes=attributes,
        status=status, status_message="", events=(), resource={}, scope="", start=start, end=start + 1,
    )  # fmt: skip


TURN = [
    span("POST /chat", "a", "caller", start=1, kind="SERVER"),
    span("invoke_agent", "b", "a", start=2, status="ERROR", cost=3, tools=["x", "y"]),
    span("chat m", "c", "b", start=3, kind="CLIENT", status="OK"),
    span("execute_tool x", "d", "b", start=4, cost=1),
    span("chat m", "e", "b", start=5, kind="CLIENT"),
]

DRAWN = """\
POST /chat SERVER
  invoke_agent INTERNAL [ERROR]
    chat m CLIENT [OK]
    execute_tool x INTERNAL
    chat m CLIENT"""


def test_children_stand_below_their_parent_in_the_order_they_started():
    assert tree(TURN, "t") == DRAWN


def test_the_order_of_arrival_does_not_matter():
    shuffled = [TURN[place] for place in (3, 0, 4, 2, 1)]
    assert tree(shuffled, "t") == DRAWN


def test_other_traces_are_left_out():
    assert tree([*TURN, span("other", "a", trace_id="u")], "t") == DRAWN
    assert tree(TURN, "u") == ""


def test_a_span_without_its_parent_is_a_root_in_plain_sight():
    assert tree([*TURN, span("lost", "z", "gone", start=9)], "t") == DRAWN + "\nlost INTERNAL"


def test_a_span_sent_twice_is_seen_twice():
    assert tree([TURN[0], TURN[0]], "t") == "POST /chat SERVER\nPOST /chat SERVER"


def test_chosen_attributes_follow_in_the_order_wanted():
    assert tree(TURN[1:2], "t", ["tools", "absent", "cost"]) == (
        "invoke_agent INTERNAL [ERROR] tools=['x', 'y'] cost=3"
    )

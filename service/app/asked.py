"""What the tools that ask our own records are answered by: the routes' pieces, for a model's caller.

Refuses as the routes do: the caller of the turn is asked for, never the model's word.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct, structs

from service.auth.permissions import Action, may
from service.errors import Forbidden, InvalidRequest, ToolFailed, ToolForbidden
from service.store.database import Database
from service.tools import Errand, Tool, audit_search, usage_report
from service.tools.audit_search import Found
from service.tools.tool import BUILT_IN
from service.tools.usage_report import Reported
from service.web.cursor import Cursors
from service.web.desk import Glance, Note
from service.web.parameters import PageQuery, UsageQuery, take
from service.web.search import Search
from service.web.usage import usage_of
from telemetry import spans
from telemetry.recorder import microseconds

COUNTED = 1_000
"""How far events are counted: further is for `parley audit stats`."""


class Kept(Struct, frozen=True):
    """What is asked: the records, and where a look at them is noted."""

    database: Database
    cursors: Cursors
    note: Note

    def equip(self, tools: Sequence[Tool]) -> Sequence[Tool]:
        """The tools, those that ask our records with what answers them."""
        search = Search(self.database.questions, self.cursors, self.database.opening, self.note, microseconds)
        answered = {
            audit_search.NAME: audit_search.build(partial(_found, search)),
            usage_report.NAME: usage_report.build(partial(_reported, self.database)),
        }
        return [_answered(tool, answered) for tool in tools]


def _answered(tool: Tool, answered: Mapping[str, Tool]) -> Tool:
    ours = answered.get(tool.name) if tool.source == BUILT_IN else None
    return structs.replace(tool, run=ours.run) if ours else tool


async def _found(search: Search, asked: Mapping[str, str], errand: Errand) -> Found:
    with _refusing():
        query = take(PageQuery, tuple(asked.items()))
        page = await search.page(_glance(errand, audit_search.NAME), query)
        count = await search.count(errand.caller, query, COUNTED)
    told: dict[str, Any] = msgspec.to_builtins(page)
    return Found(told["events"], told["nextCursor"], count, COUNTED)


async def _reported(database: Database, asked: Mapping[str, str], errand: Errand) -> Reported:
    with _refusing():
        query = take(UsageQuery, tuple(asked.items()))
        report = await usage_of(database.questions, errand.caller, query)
    told: dict[str, Any] = msgspec.to_builtins(report)
    return Reported(told["rows"], told["total"], may(errand.caller, Action.USAGE_ALL))


def _glance(errand: Errand, tool: str) -> Glance:
    return Glance(
        caller=errand.caller,
        route=f"tool {tool}",
        request_id=errand.turn_id,
        trace_id=spans.trace_here(),
    )


@contextmanager
def _refusing() -> Generator[None]:
    """Tell the model what a route would have told a client."""
    try:
        yield
    except InvalidRequest as error:
        wrong = "; ".join(f"{fault.field}: {fault.message}" for fault in error.fields)
        raise ToolFailed(f"{error.detail} {wrong}"[:500]) from error
    except Forbidden as error:
        raise ToolForbidden(error.detail) from error

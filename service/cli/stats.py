"""parley audit stats: how many events there are, of what kinds, the log's head, and what waits.

Refuses to open a journal: it is looked at from outside, whoever writes it.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.audit.journal.survey import survey
from service.cli import asking
from service.cli.asking import Desk, asked
from service.cli.options import add_tenant
from service.cli.terminal import plain
from service.store.database import Database
from service.store.filters import Filters
from service.store.questions import Questions
from service.web.parameters import StatsQuery
from telemetry.timestamp import timestamp


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    asking.ask(parser, _show, StatsQuery)
    add_tenant(parser)


async def _show(desk: Desk) -> int:
    filters = asked(StatsQuery, desk.given).filters()
    questions = desk.database.questions_of(asking.whose(desk))
    told = {
        **await _events(questions, filters),
        "log": await _log(desk.database),
        "journal": _journal(Path(desk.settings.audit.journal_dir)),
        "quarantined": await desk.database.audit.quarantined(),
    }
    asking.show(desk, told, lambda: "\n".join(f"{name}: {_words(value)}" for name, value in told.items()))
    return 0


async def _events(questions: Questions, filters: Filters) -> Mapping[str, Any]:
    stats = await questions.stats(filters)
    return {
        "rows": stats.rows,
        "events": stats.events,
        "oldest": _time(stats.oldest),
        "newest": _time(stats.newest),
        "entityTypes": stats.entity_types,
        "outcomes": stats.outcomes,
        "categories": stats.categories,
    }


async def _log(database: Database) -> Mapping[str, Any]:
    """Events in the log, and the newest checkpoint's size and time; null where none was made."""
    newest = await database.checkpoints.latest()
    return {
        "size": await database.checkpoints.size(),
        "checkpointSize": newest.size if newest else None,
        "checkpointTime": _time(newest.at) if newest else None,
    }


def _journal(folder: Path) -> Mapping[str, Any]:
    """What lies in journals: entries of turns that run, and rows on their way into the log."""
    found = survey(folder)
    return {
        "writers": found.writers,
        "living": found.living,
        "segments": found.segments,
        "bytes": found.bytes,
        "oldest": _time(found.oldest),
    }


def _time(micros: int | None) -> str | None:
    return None if micros is None else timestamp(micros)


def _words(value: Any) -> str:
    if not isinstance(value, dict):
        return plain(value)
    return ", ".join(f"{plain(name)} {plain(each)}" for name, each in value.items()) or "none"  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - names and values

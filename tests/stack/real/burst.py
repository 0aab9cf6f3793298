"""Hundreds of queries to a running service: answers, and each of the eight categories by its own cause.

Refuses to guess what came of a query: every answer is kept with what it said of itself.
"""

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
from msgspec import Struct

from tests.harness.chat import ROUTE
from tests.harness.service import Service
from tests.stack.written import ROOT

AT_ONCE = 16
LIMITS = "AUDITEE=1000,AUDITOR=1000,GUEST=3"
UNLUCKY = "unlucky"
DEFECT = f"""
import service.limits.memory as memory

decide = memory.MemoryStore.decide

async def broken(self, demand):
    if "{UNLUCKY}" in demand.tag:
        raise KeyError("nobody foresaw this")
    return await decide(self, demand)

memory.MemoryStore.decide = broken
"""
"""Put into the service by `sitecustomize`: a fault that only one user meets."""


class Answer(Struct, frozen=True):
    """What one query came to; category and fault are empty where it was answered."""

    trace_id: str
    turn_id: str
    category: str = ""
    fault: str = ""


class Asked(Struct, frozen=True, kw_only=True):
    """One query: what is sent, by whom."""

    message: str
    key: str = ""
    stream: bool = False
    headers: Mapping[str, str] = {}


class Callers(Struct, frozen=True, kw_only=True):
    """Keys of those who ask."""

    everyone: str
    auditor: str
    hasty: str
    unlucky: str
    unseen: str


def settings(folder: Path) -> dict[str, str]:
    """What the service needs for all that is asked here."""
    (folder / "sitecustomize.py").write_text(DEFECT)
    return {
        "PYTHONPATH": f"{folder}:{ROOT}",
        "AGENT_RATE_LIMIT_ROLES": LIMITS,
        "AGENT_MODEL_BREAKER": "false",  # a model left alone would answer with an error of another category
    }


def callers(service: Service) -> Callers:
    """Make the keys; `unseen` must not be used before its own burst."""
    made = {
        user: service.cli("keys", "create", "--user", user, "--role", role, "--json")
        for user, role in (
            ("auditor", "AUDITOR"),
            ("hasty", "GUEST"),
            (UNLUCKY, "AUDITEE"),
            ("new", "AUDITEE"),
        )
    }
    keys = {user: json.loads(done.stdout)["key"] for user, done in made.items()}
    return Callers(
        everyone=service.api_key,
        auditor=keys["auditor"],
        hasty=keys["hasty"],
        unlucky=keys[UNLUCKY],
        unseen=keys["new"],
    )


def bursts(known: Callers) -> dict[str, list[Asked]]:
    """The queries of each burst, by the alert that it is to ring; what asks the model is among good ones."""
    everyone = known.everyone
    evil = {"Cookie": "session=none", "Origin": "http://evil.example"}
    good = good_ones(known)
    return {
        "": good * 2,
        "CredentialGuessing": [Asked(message="Hello", key=everyone[:-1] + "x")] * 40,
        "AuthorizationSpike": [Asked(message="Hello", headers=evil)] * 75,
        "ValidationSpike": [Asked(message="", key=everyone)] * 75,
        "RateLimitSpike": [Asked(message="Hello", key=known.hasty)] * 78,
        "UpstreamRateLimitSpike": among(good, [Asked(message="Hello [sim:429]", key=everyone)] * 18),
        "DatabaseSpike": [Asked(message="Hello", key=known.unseen)] * 12,
        "AgentServiceSpike": among(good, [Asked(message="Hello [sim:400]", key=everyone)] * 18),
        "NetworkSpike": among(good, [Asked(message="Hello [sim:cut]", key=everyone, stream=True)] * 18),
        "UnknownSpike": [Asked(message="Hello", key=known.unlucky)] * 12,
    }


def good_ones(known: Callers) -> list[Asked]:
    """Queries that are answered, of two roles, with tools and without, as JSON and as streams."""
    return [
        Asked(message="What is 12*7?", key=known.everyone),
        Asked(message="What is 12*7? [sim:tools3]", key=known.auditor, stream=True),
        Asked(message="Hello", key=known.everyone, stream=True),
        Asked(message="What time is it?", key=known.auditor),
    ] * 5


def among(good: Sequence[Asked], bad: Sequence[Asked]) -> list[Asked]:
    """A bad one after each good one."""
    return [each for pair in zip(good, bad, strict=False) for each in pair] + list(good[len(bad) :])


def send(service: Service, asked: Sequence[Asked]) -> list[Answer]:
    """Ask all of them, so many at a time."""
    return asyncio.run(_send(service.url, asked))


async def _send(url: str, asked: Sequence[Asked]) -> list[Answer]:
    turns = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as client:

        async def one(each: Asked) -> Answer:
            async with turns:
                return await _ask(client, each)

        return await asyncio.gather(*map(one, asked))


async def _ask(client: httpx.AsyncClient, asked: Asked) -> Answer:
    headers = {"Authorization": f"Bearer {asked.key}"} if asked.key else {}
    body = {"message": asked.message, "stream": asked.stream}
    answer = await client.post(ROUTE, json=body, headers=headers | dict(asked.headers))
    last = _last(answer)
    return Answer(
        trace_id=answer.headers["x-trace-id"],
        turn_id=answer.headers["x-request-id"],
        category=last.get("category", ""),
        fault=last.get("fault", ""),
    )


def _last(answer: httpx.Response) -> Any:
    """The body, or the last event of a stream."""
    return json.loads(answer.text.rstrip().rpartition("\ndata: ")[2])


def kinds(answers: Sequence[Answer]) -> Counter[tuple[str, str]]:
    """How many of each category and fault."""
    return Counter((each.category, each.fault) for each in answers if each.category)


@contextmanager
def keys_away(service: Service) -> Generator[None]:
    """Rename the table of the keys behind the service's back, for a while."""
    with closing(sqlite3.connect(service.cwd / "var" / "parley.db", timeout=30)) as connection:
        connection.execute("ALTER TABLE api_key RENAME TO api_key_away")
        try:
            yield
        finally:
            connection.execute("ALTER TABLE api_key_away RENAME TO api_key")

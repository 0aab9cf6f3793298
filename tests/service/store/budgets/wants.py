"""Wants for the ledger's tests, events that settle them, and what the tables say."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec
from msgspec import Struct

from tests.harness.sql import ask
from tests.service.store.rows import Row

DAY = 86_400_000_000
NOON = 20_783 * DAY + DAY // 2
"""2026-11-26, 12:00 UTC."""
LIMITS: Mapping[str, int] = MappingProxyType({"user_day": 1_000, "total_month": 5_000})


class Want(Struct, frozen=True, kw_only=True):
    lease: str
    micros: int = 100
    least: int | None = None
    user_id: str = "ann"
    role: str = "CFO"
    at: int = NOON
    force: bool = False
    limits: Mapping[str, int] = LIMITS
    expires_at: int = NOON + DAY
    share: int = 1
    shared: Mapping[str, int] = MappingProxyType({})


def want(lease: str, micros: int = 100, **facts) -> Want:
    return Want(lease=lease, micros=micros, **{"least": micros, **facts})


def event(turn: str, cost: int, **facts) -> Row:
    """The event of a turn for which money was put aside, under its own id."""
    known = {
        "id": turn,
        "cost_micros": cost,
        "lease": turn,
        "charged_micros": cost,
        "actor_id": "ann",
        "created_at": NOON,
    }
    return Row(**known | facts)


def interrupted(turn: str, charged: int, **facts) -> Row:
    told = msgspec.json.encode({"budget": {"chargedMicros": charged}}).decode()
    return event(turn, 0, charged_micros=charged, outcome="interrupted", metadata=told, **facts)


def accounts(url: str) -> dict[tuple[str, str, str], tuple[int, int]]:
    """What was spent and put aside, by scope, user or role, and period."""
    found = ask(
        url,
        "SELECT scope, COALESCE(user_id, subject) AS subject, period, spent, reserved FROM budget_ledger "
        "LEFT JOIN audit_subject ON audit_subject.id = subject AND scope = 'user'",
    )
    return {(r["scope"], r["subject"], r["period"]): (r["spent"], r["reserved"]) for r in found}


def reservations(url: str) -> dict[str, tuple[int, str]]:
    return {r["id"]: (r["amount"], r["state"]) for r in ask(url, "SELECT * FROM budget_reservation")}

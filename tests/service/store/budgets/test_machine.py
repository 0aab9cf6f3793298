"""Any order of what can happen to the ledger, against a model of it: on both engines, a month for each."""

import asyncio
import os
from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec import Struct

from service.store.database import Database, open_database
from tests.harness.sql import ask
from tests.service.store.budgets.wants import DAY, event, interrupted, want

EXAMPLES = int(os.environ.get("PARLEY_EXAMPLES", "12"))
LIMITS = {"user_day": 1_000, "role_day": 1_500, "total_month": 2_000}
LIFE = 100
"""Microseconds that a reservation lasts here; an hour is a tick of 3 of them."""
MONTHS = count(0)
MICROS = st.integers(1, 700)


class Turn(Struct, eq=False):
    """Money put aside, as the model has it."""

    lease: str
    user: str
    at: int
    writer: str
    given: int
    amount: int
    expires_at: int
    expired: bool = False
    chunk: bool = False
    lent: int = 0


class Machine(RuleBasedStateMachine):
    """One month of a ledger; `runner` and `databases` are the test's."""

    runner: asyncio.Runner
    databases: tuple[Database, Database]
    url: str
    turns, chunks = Bundle("turns"), Bundle("chunks")

    @initialize()
    def begin(self) -> None:
        self.number = next(MONTHS)
        self.now = self.start = (20_820 + 62 * self.number) * DAY + DAY // 2
        self.held: dict[str, Turn] = {}
        self.rows: list[tuple[str, int, int]] = []
        self.lives, self.names = [0, 0], count()

    @rule(
        target=turns,
        user=st.sampled_from(("ann", "bob")),
        micros=MICROS,
        least=MICROS,
        process=st.integers(0, 1),
        twice=st.booleans(),
    )
    def reserve(self, user, micros, least, process, twice):
        lease = self.name("turn")
        wanted = self.want(lease, user, micros, min(micros, least))
        answer = self.work(process, [wanted])
        if twice:  # nobody heard the answer
            answer = self.work(process, [wanted])
        left = self.left(user)
        if answer.micros is None:
            assert left < wanted.least
            return multiple()
        assert answer.micros == min(micros, left)
        self.hold(lease, user, answer.micros, process)
        assert all(each.spent + each.reserved <= each.limit for each in answer.standings)
        return lease

    @rule(target=chunks, user=st.sampled_from(("ann", "bob")), process=st.integers(0, 1))
    def lease(self, user, process):
        lease = self.name("chunk")
        answer = self.work(process, [self.want(lease, user, 10**6, 1, share=10)])
        if answer.micros is None:
            assert self.left(user) < 10
            return multiple()
        assert answer.micros == self.left(user) // 10
        self.hold(lease, user, answer.micros, process)
        self.held[lease].chunk = True
        return lease

    @rule(lease=turns, part=st.floats(0, 1), times=st.integers(1, 2))
    def give_back(self, lease, part, times):
        turn = self.held.get(lease)
        charged = round(turn.given * part) if turn else 7
        for _ in range(times):
            self.work(0, [], returns={lease: (turn.given if turn else 10) - charged})
        if turn:
            turn.amount = charged
            self.forget(turn)

    @rule(lease=consumes(turns), part=st.floats(0, 1), twice=st.booleans())
    def end(self, lease, part, twice):
        turn = self.held.pop(lease, None)
        if turn:
            cost = round(turn.amount * part)
            row = event(self.id(lease), cost, actor_id=turn.user, created_at=turn.at, lease=self.id(lease))
            self.append(row, turn, cost)
            if twice:
                self.append(row, turn)

    @rule(lease=chunks, part=st.floats(0, 1))
    def spend_of_a_chunk(self, lease, part):
        turn = self.held.get(lease)
        if turn:
            cost = round(turn.amount * part)
            row = event(
                self.id(self.name("on")), cost, actor_id=turn.user, created_at=turn.at, lease=self.id(lease)
            )
            turn.amount -= cost
            self.append(row, turn, cost)
            self.forget(turn)

    @rule(user=st.sampled_from(("ann", "bob")), cost=st.integers(0, 50))
    def happen_without_budget(self, user, cost):
        row = event(self.id(self.name("free")), cost, actor_id=user, created_at=self.now, lease=None)
        self.run(self.databases[0].audit.append([row]))
        self.rows.append((user, self.now, cost))

    @rule(hours=st.integers(1, 3))
    def wait(self, hours):
        self.now += LIFE * hours // 2
        self.work(1, [])

    @rule(process=st.integers(0, 1), survive=st.integers(0, 3))
    def kill(self, process, survive):
        """A process dies: some of its turns had an intent, and are closed as interrupted; the rest goes."""
        writer = self.writer(process)
        mine = [turn for turn in self.held.values() if turn.writer == writer]
        for turn in [each for each in mine if not each.chunk][:survive]:
            del self.held[turn.lease]
            row = interrupted(
                *(self.id(turn.lease), turn.given),
                actor_id=turn.user,
                created_at=turn.at,
                lease=self.id(turn.lease),
            )
            self.append(row, turn, turn.given)
        for _ in range(2):
            self.run(self.databases[1 - process].budgets.finish(writer))
        self.held = {lease: turn for lease, turn in self.held.items() if turn.writer != writer}
        self.lives[process] += 1

    @precondition(lambda self: self.rows)
    @rule()
    def lose_the_ledger(self):
        """Accounts that are not there are made of the events again."""
        ask(self.url, "DELETE FROM budget_ledger")
        self.work(0, [self.want("none", user, 0, 0) for user in ("ann", "bob")])

    @invariant()
    def the_ledger_is_what_the_model_says(self):
        if not hasattr(self, "held"):
            return
        for user in ("ann", "bob"):
            told = self.run(self.databases[0].budgets.standings(user, "CFO", self.now, LIMITS))
            for each in told:
                assert (each.spent, each.reserved) == self.taken(each.name, user), each
        assert self.run(self.databases[1].budgets.differences(self.now)) == ()

    def teardown(self):
        if hasattr(self, "number"):
            ask(self.url, "DELETE FROM budget_reservation")
            ask(self.url, "DELETE FROM budget_ledger")

    def want(self, lease, user, micros, least, **more):
        return want(
            self.id(lease),
            micros,
            least=least,
            user_id=user,
            at=self.now,
            limits=LIMITS,
            expires_at=self.now + LIFE,
            **more,
        )

    def work(self, process, wants, **told):
        told = {name: {self.id(lease): n for lease, n in each.items()} for name, each in told.items()}
        database = self.databases[process]
        answers = self.run(database.budgets.work(self.writer(process), self.now, wants, **told))
        for turn in self.held.values():
            turn.expired = turn.expired or turn.expires_at <= self.now
        return answers[0] if answers else None

    def hold(self, lease, user, micros, process):
        at, writer = self.now, self.writer(process)
        self.held[lease] = Turn(lease, user, at, writer, micros, micros, at + LIFE)
        self.forget(self.held[lease])

    def forget(self, turn):
        if not turn.amount:
            del self.held[turn.lease]

    def append(self, row, turn, cost=None):
        self.run(self.databases[0].audit.append([row]))
        if cost is not None:
            self.rows.append((turn.user, turn.at, cost))

    def left(self, user):
        return min(limit - sum(self.taken(name, user)) for name, limit in LIMITS.items())

    def taken(self, name, user):
        """What is spent and put aside, out of the model."""
        own = name.startswith("user")
        rows = sum(cost for who, _, cost in self.rows if who == user or not own)
        held = [turn for turn in self.held.values() if turn.user == user or not own]
        spent = rows + sum(turn.amount for turn in held if turn.expired)
        return spent, sum(turn.amount for turn in held if not turn.expired)

    def writer(self, process):
        return f"w{self.number}-{process}-{self.lives[process]}"

    def name(self, kind):
        return f"{kind}-{next(self.names):04}"

    def id(self, lease):
        return f"{self.number}-{lease}"

    def run(self, work):
        return self.runner.run(work)


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


def test_any_order_of_what_can_happen(runner, database_url):
    databases = tuple(runner.run(open_database(database_url)) for _ in range(2))
    members = {"runner": runner, "databases": databases, "url": database_url}
    machine = type("Machine", (Machine,), members)
    try:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=25,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        for each in databases:
            runner.run(each.close())

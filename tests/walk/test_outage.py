"""The database is away and callers are answered; afterwards every row and every word is there, once."""

import sqlite3
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import httpx
import pytest

from tests.faults.proxy import Mode, Proxy
from tests.harness.chat import ask, stream
from tests.harness.postgres import Postgres
from tests.harness.waiting import PATIENCE, wait

SETTINGS = {"AGENT_RATE_LIMIT_ROLES": "AUDITEE=1000,GUEST=1000"}
MANY, AT_ONCE = 20, 5


@pytest.fixture
def own():
    """A server that a test may stop."""
    with Postgres() as server:
        yield server


@contextmanager
def stopped(service, server, _):
    server.stop()
    yield service
    server.start()


@contextmanager
def frozen(service, server, _):
    server.freeze()
    try:
        yield service
    finally:
        server.thaw()


@contextmanager
def refused(service, _, proxy):
    proxy.mode = Mode.REFUSE
    yield service
    proxy.mode = Mode.PASS


@contextmanager
def unheard(service, _, proxy):
    """Commits are done, but nobody hears so."""
    proxy.mode = Mode.LOSE_COMMITS
    yield service
    proxy.mode = Mode.PASS


@contextmanager
def locked(service):
    """A file that another program writes to, for long."""
    path = service.cwd / "var" / "parley.db"
    with closing(sqlite3.connect(path, isolation_level=None, timeout=PATIENCE)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield service
        connection.execute("ROLLBACK")


class Told:
    """What callers were told: turns by their conversation, oldest first; those that failed, and others'."""

    def __init__(self, service):
        self.service, self.talks, self.failed, self.others = service, {}, [], []

    def ask(self, talk=None, **extra):
        """Ask for JSON, or as a stream where `streamed`; 200 or not at all."""
        answer = self._ask(**extra, **({"conversationId": talk} if talk else {}))
        self.talks.setdefault(answer["conversationId"], []).append(answer["id"])
        return answer

    def _ask(self, *, streamed=False, **extra):
        if not streamed:
            answer = ask(self.service, "Hello", **extra)
            assert answer.status_code == 200, answer.text
            return answer.json()
        with stream(self.service, "Hello", **extra) as answer:
            assert answer.response.status_code == 200, answer.problem()
            events = answer.rest()
        assert events[-1].event == "done"
        return events[-1].data

    def fail(self, **extra):
        """Ask in vain: the database's fault, in the database's words."""
        refused = ask(self.service, "Hello", **extra)
        assert (refused.status_code, refused.json()["code"]) == (500, "database_error"), refused.text
        assert "127.0.0.1" not in refused.text
        self.failed.append(refused.headers["x-request-id"])

    def ask_many(self):
        """JSON and streams, some at once, each in a conversation of its own."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            asking = [pool.submit(self.ask, streamed=bool(number % 2)) for number in range(MANY)]
        for each in asking:
            each.result()

    @property
    def turns(self):
        return [turn for turns in self.talks.values() for turn in turns]


def readiness(service):
    response = httpx.get(f"{service.url}/health/ready", timeout=PATIENCE, trust_env=False)
    assert response.status_code == 200
    return response.json()["status"], response.json()["dependencies"]["database"]


def new_key(service, user):
    made = service.cli("keys", "create", "--user", user, "--role", "GUEST")
    assert made.returncode == 0, made.stderr
    return made.stdout.split()[0]


def read(service, talk):
    """The turns that a conversation shows, in order, each question and answer."""
    headers = {"Authorization": f"Bearer {service.api_key}"}
    url = f"{service.url}/api/v1/conversations/{talk}"
    response = httpx.get(url, headers=headers, timeout=PATIENCE, trust_env=False)
    if response.status_code != 200:
        return []
    return [message["turnId"] for message in response.json()["messages"] if message["text"]]


def all_is_there_once(told):
    """Every turn has one row, every conversation all its turns, in the order in which they were told."""
    service = told.service
    wait(lambda: readiness(service)[0] == "ready", seen=service.said)
    told.ask_many()
    everything = told.turns + told.failed + told.others
    rows = service.wait_for_rows(len(everything), seconds=PATIENCE * 2)
    assert Counter(row["entityId"] for row in rows) == Counter(everything)
    assert {row["outcome"] for row in rows if row["entityId"] in set(told.turns)} == {"answered"}
    for talk, turns in told.talks.items():
        both = [turn for turn in turns for _ in range(2)]
        wait(lambda talk=talk, both=both: read(service, talk) == both, seen=service.said)
    assert not service.lines(type="settle_failed", again=False)
    assert len(service.lines(type="settle_failed", again=True)) < MANY


@pytest.fixture
def proxied(start_service, own):
    """A service whose connections to its server go through a proxy."""
    with Proxy(own.port) as proxy:
        url = own.database()
        service = start_service(DATABASE_URL=proxy.through(url), **SETTINGS)
        yield service, proxy, url.rpartition("/")[2]
        proxy.mode = Mode.PASS
        assert service.stop() == 0, service.said()


@pytest.mark.parametrize("away", [stopped, frozen, refused], ids=lambda away: away.__name__)
def test_answers_go_on_while_the_server_is_away(proxied, own, away):
    service, proxy, _ = proxied
    told = Told(service)
    before = told.ask()["conversationId"]
    told.ask(before, streamed=True)
    unseen = new_key(service, "unseen")
    with away(service, own, proxy):
        told.ask_many()
        begun = told.ask()["conversationId"]
        for streamed in (True, False):
            told.ask(begun, streamed=streamed)
        told.fail(key=unseen)
        told.fail(conversationId=before)
        told.fail(headers={"Idempotency-Key": "once"})
        status, database = readiness(service)
        assert (status, database["status"]) == ("degraded", "degraded")
        assert database["detail"].endswith(f"Turns waiting: {MANY + 3}.")
    all_is_there_once(told)
    stale = service.lines(type="agent_query_completed", authStale=True)
    assert {line["requestId"] for line in stale} == {*told.talks[begun], *told.turns[2 : 2 + MANY]}
    assert ask(service, "Hello", key=unseen).status_code == 200
    told.ask(begun)


def test_answers_go_on_while_the_answers_to_commits_are_lost(proxied, own):
    service, proxy, _ = proxied
    told = Told(service)
    before = told.ask()["conversationId"]
    with unheard(service, own, proxy):
        told.ask_many()
        wait(lambda: readiness(service)[0] == "degraded", seen=service.said)
        told.ask_many()
        told.ask(before, streamed=True)
        told.ask(before)
        wait(lambda: proxy.lost >= 3, seen=service.said)
    all_is_there_once(told)


def test_answers_go_on_while_another_program_locks_the_file(start_service):
    service = start_service(**SETTINGS)
    told = Told(service)
    before = told.ask()["conversationId"]
    unseen = new_key(service, "unseen")
    with locked(service):
        told.ask_many()
        told.ask(before, streamed=True)
        told.ask(before)
        told.others.append(told._ask(key=unseen)["id"])
        wait(lambda: readiness(service)[0] == "degraded", seen=service.said)
    all_is_there_once(told)
    assert not service.lines(type="agent_query_completed", authStale=True)


def test_a_key_that_is_revoked_meanwhile_is_refused_once_somebody_can_look(proxied, own):
    service, proxy, database = proxied
    key = new_key(service, "leaving")
    assert ask(service, "Hello", key=key).status_code == 200
    proxy.mode = Mode.REFUSE
    own.sql("UPDATE api_key SET revoked_at = 1 WHERE user_id = 'leaving'", database)
    assert ask(service, "Hello", key=key).status_code == 200
    proxy.mode = Mode.PASS
    wait(lambda: readiness(service)[0] == "ready", seen=service.said)
    assert ask(service, "Hello", key=key).status_code == 401
    proxy.mode = Mode.REFUSE
    assert ask(service, "Hello", key=key).json()["code"] == "database_error"

"""However a turn of a conversation ends, whole turns are left and one row of each, and the next goes on.

Two services share a database here, as workers and replicas do; the simulator strikes after a tool's round.
"""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.harness.chat import Farewell, ask, hang_up, stream
from tests.harness.postgres import Postgres
from tests.harness.waiting import PATIENCE, wait
from tests.walk.test_conversations import call, key_of

LATE = "[sim:tool][sim:stall]"
"""Silent for ever after its tool ran."""
SECRET = {"AGENT_SECRET_KEY": "r" * 43, "AGENT_RATE_LIMIT_ROLES": "AUDITEE=1000"}
LEASE_SECONDS = 10


class Talk:
    """One conversation at a service: `turns` are those that were answered, `other` a second service."""

    def __init__(self, service, other=None, key=None):
        self.service, self.other = service, other or service
        self.key = key or service.api_key
        self.turns = []
        self.place = self.ask("Hello")

    def ask(self, message, **extra):
        """An answered turn; gives its conversation."""
        answer = self.say(message, **extra)
        assert answer.status_code == 200, answer.text
        self.turns.append(answer.json()["id"])
        return answer.json()["conversationId"]

    def say(self, message, service=None, **extra):
        named = {"conversationId": self.place} if self.turns else {}
        return ask(service or self.service, message, key=self.key, **named, **extra)

    def stream(self, message):
        return stream(self.service, message, key=self.key, conversationId=self.place)

    def begin(self, message=LATE):
        """A turn that is between its rounds: its tool has run. The caller closes it."""
        begun = self.stream(message)
        while begun.until("tool").data["status"] != "finished":
            pass
        return begun

    def check(self):
        """Whole turns only, and the next one goes on."""
        self.ask("And now?")
        shown = call(self.other, "GET", f"/{self.place}", key=self.key).json()
        assert [each["turnId"] for each in shown["messages"]] == [
            turn for turn in self.turns for _ in ("user", "assistant")
        ]
        assert shown["turns"] == len(self.turns)
        wait(lambda: self.service.sql("SELECT * FROM conversation_lease") == [])

    def rows(self, **expected):
        """Outcomes of all turns of the conversation, by their rows: one of each."""

        def found():
            return [row for row in self.other.rows() if row["metadata"]["conversationId"] == self.place]

        outcomes = sorted(expected)
        wait(lambda: len(found()) >= sum(expected.values()), seen=lambda: f"{found()}")
        rows = found()
        assert {name: sum(row["outcome"] == name for row in rows) for name in outcomes} == expected
        assert len(rows) == sum(expected.values()) == len({row["entityId"] for row in rows})


@pytest.fixture
def talk(start_service, database_url):
    return Talk(start_service(DATABASE_URL=database_url, AGENT_TURN_TIMEOUT_MS="15000", **SECRET))


@pytest.fixture
def pair(start_service, database_url):
    """A conversation over two services, of which the first has little grace."""
    shared = {"DATABASE_URL": database_url, **SECRET}
    one = start_service(AGENT_SHUTDOWN_GRACE_MS="300", **shared)
    return Talk(one, start_service(**shared))


def test_a_turn_that_fails_after_a_tool_or_is_left_there_leaves_nothing(talk):
    for fault in ("529", "cut", "error-event", "truncate", "bad-json"):
        assert talk.say(f"[sim:rounds:2][sim:{fault}]").status_code >= 500
    for how in Farewell:
        after = b'"status":"finished"'
        hang_up(talk.service, LATE, how, after=after, key=talk.key, conversationId=talk.place)
        wait(lambda: talk.service.sql("SELECT * FROM conversation_lease") == [])
    talk.check()
    talk.rows(answered=2, failed=5, client_gone=2)


def test_a_turn_that_is_late_leaves_nothing(talk):
    assert talk.say(LATE).json()["code"] == "turn_timeout"
    talk.check()
    talk.rows(answered=2, timed_out=1)


def test_a_turn_that_a_stop_ends_leaves_nothing(pair):
    with pair.begin() as begun:
        assert pair.service.stop() == 0
        assert begun.rest()[-1].data["code"] == "shutting_down"
    pair.service = pair.other
    pair.check()
    pair.rows(answered=2, shutdown=1)


def test_a_kill_between_rounds_leaves_nothing_and_holds_up_nobody_for_long(pair, record_property):
    with pair.begin():
        assert pair.say("Me too", pair.other).status_code == 409
        pair.service.kill()
    killed = time.monotonic()
    refused = 0
    while (answer := pair.say("Me now", pair.other)).status_code == 409:
        assert int(answer.headers["retry-after"]) >= 1
        refused += 1
        time.sleep(0.5)
    waited = time.monotonic() - killed
    assert answer.status_code == 200
    record_property("told", f"a conversation whose holder was killed was free after {waited:.1f} s")
    pair.turns.append(answer.json()["id"])
    pair.service.start()
    pair.check()
    pair.rows(answered=3, refused=1 + refused, interrupted=1)


def test_a_conversation_deleted_while_a_turn_runs_stays_deleted(pair):
    with pair.begin("[sim:tool][sim:slow:150]") as begun:
        assert call(pair.other, "DELETE", f"/{pair.place}", key=pair.key).status_code == 204
        assert begun.rest()[-1].event == "done"
    assert call(pair.service, "GET", f"/{pair.place}", key=pair.key).status_code == 404
    assert pair.service.sql("SELECT * FROM conversation_turn") == []
    assert pair.say("Hello?").json()["code"] == "not_found"
    pair.rows(answered=2, refused=1)


def erase(service, user):
    head = key_of(service, "head", "AUDIT_HEAD")
    body = {"subject": user, "confirm": user}
    with httpx.Client(trust_env=False, timeout=PATIENCE) as client:
        return client.post(
            f"{service.url}/api/v1/audit/erasures", json=body, headers={"Authorization": f"Bearer {head}"}
        )


@pytest.mark.parametrize("first", ["erasure", "turn"])
def test_erasing_somebody_whose_turn_runs_leaves_nothing_of_it(start_service, database_url, first):
    service = start_service(DATABASE_URL=database_url, **SECRET)
    talk = Talk(service, key=key_of(service, "bob"))
    with talk.begin("[sim:tool][sim:slow:150]") as begun:
        if first == "turn":
            assert begun.rest()[-1].event == "done"
        done = erase(service, "bob")
        assert (done.status_code, done.json()["conversations"]) == (200, 1)
        assert begun.rest()[-1].event == "done"
    for table in ("conversation", "conversation_turn"):
        assert service.sql(f"SELECT * FROM {table}") == []  # noqa: S608 - ours
    talk.rows(answered=2)
    assert {row["actorId"] for row in service.rows() if row["outcome"] == "answered"} & {"bob"} == set()
    talk.key, talk.turns, place = key_of(service, "bob"), [], talk.place
    answer = ask(service, "Hello again", key=talk.key, conversationId=place)
    assert (answer.status_code, answer.json()["conversationId"]) == (200, place)
    talk.turns.append(answer.json()["id"])
    talk.check()


def test_many_at_once_over_two_services_are_one_after_another(pair):
    def try_it(number):
        service = (pair.service, pair.other)[number % 2]
        return pair.say(f"Number {number} [sim:slow:20]", service)

    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(try_it, range(24)))
    answered = [answer.json()["id"] for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code == 409]
    assert (len(answered) >= 1, len(answered) + len(refused)) == (True, 24)
    turns = pair.service.sql("SELECT turn_id, position FROM conversation_turn ORDER BY position, turn_id")
    assert {turn["turn_id"] for turn in turns} == {*pair.turns, *answered}
    assert [turn["position"] for turn in turns] == [*range(1, len(answered) + 2)]
    pair.turns = [turn["turn_id"] for turn in turns]
    pair.check()

    def told():
        return [row for row in pair.other.rows() if row["code"] == "conflict"]

    wait(lambda: sum(row["metadata"]["count"] for row in told()) >= len(refused))
    assert sum(row["metadata"]["count"] for row in told()) == len(refused)
    assert {row["cost"] for row in told()} <= {0}


def test_a_database_away_during_a_turn_loses_nothing(start_service):
    with Postgres() as server:
        talk = Talk(start_service(DATABASE_URL=server.database(), **SECRET))
        with talk.begin("[sim:tool][sim:slow:150]") as begun:
            server.stop()
            assert begun.rest()[-1].event == "done"
            talk.turns.append(begun.events[0].data["id"])
        assert talk.say("Meanwhile").json()["code"] == "database_error"
        server.start()
        wait(lambda: call(talk.service, "GET", f"/{talk.place}", key=talk.key).status_code == 200)
        wait(lambda: talk.service.sql("SELECT count(*) AS n FROM conversation_turn") == [{"n": 2}])
        talk.check()
        talk.rows(answered=3, failed=1)

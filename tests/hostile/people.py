"""The people of one service, each with a turn, a conversation, a rating, a session and a key.

Refuses to forge anything: a session is begun as the service begins its own, a key is made by a route.
"""

import asyncio
import secrets
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import Self

import httpx
from msgspec import Struct, field

from config.secret import Secret
from service.auth.derive import Derived
from service.auth.sessions import Sessions
from service.store.database import open_database
from telemetry.person import person_of
from telemetry.recorder import microseconds
from tests.harness.chat import ROUTE as CHAT
from tests.harness.chat import stream
from tests.harness.service import Service
from tests.harness.sse import Parser
from tests.hostile.routes import CALL, NOBODY, Theirs
from tests.hostile.table import HEAD
from tests.service.auth.mint import SECRET, Mint

HOUR = 3_600
MINT = Mint("HS256", key=SECRET.encode())
SETTINGS: Mapping[str, str] = {
    "AGENT_JWT_SECRET": SECRET,
    "AGENT_SECRET_KEY": secrets.token_hex(32),
    "AGENT_RATE_LIMIT_MODE": "off",
    "AGENT_AUTH_FAILURES": "0",  # each is asked with credentials that are wrong, many times a minute
    "AGENT_STREAM_RESUME_MS": "3600000",
}
"""Of a service that knows them: its tokens and its sessions are signed here."""


class Person(Struct):
    """Somebody with a role, and what is theirs; `word` is in all that they ever said.

    `token` is another issuer's, `cookie` the console's for what is called `session`, `secret` an API key that
    is called `key`; `waiting` is a turn of theirs whose `call` waits for a yes.
    """

    role: str
    tenant: str | None = None
    name: str = field(default_factory=lambda: f"person-{secrets.token_hex(6)}")
    word: str = field(default_factory=lambda: f"word-{secrets.token_hex(6)}")
    token: str = ""
    turn: str = ""
    conversation: str = ""
    session: str = ""
    cookie: str = ""
    key: str = ""
    secret: str = ""
    waiting: str = NOBODY
    call: str = CALL

    def sign(self) -> None:
        """Get a token, unlike any before."""
        kind, _, scope = self.role.partition(" ")
        until = int(time.time()) + 2 * HOUR
        more = {"tenant": self.tenant} if self.tenant else {}
        self.token = MINT.token(
            sub=self.name, role=kind, scope=scope, exp=until, jti=secrets.token_hex(8), **more
        )

    @property
    def own(self) -> tuple[str, ...]:
        """What nobody may be told who may not know that there is such a person."""
        kept = (self.word, self.name, self.turn, self.conversation, self.session, self.key, self.waiting)
        return tuple(each for each in kept if each not in {"", NOBODY})

    @property
    def theirs(self) -> Theirs:
        """By what others would ask for it."""
        return Theirs(
            self.name, self.turn, self.conversation, self.session, self.key, self.waiting, self.call
        )

    def credential(self) -> dict[str, str]:
        """The header that says who it is."""
        return {"authorization": f"Bearer {self.token}"}


class People:
    """All of them. A context manager: entering lets each of them have everything."""

    def __init__(self, service: Service, everybody: Iterable[Person]) -> None:
        self.client = httpx.Client(base_url=service.url, trust_env=False, timeout=60)
        self.all = list(everybody)
        self._service, self._opened, self._runner = service, ExitStack(), asyncio.Runner()
        file = f"sqlite:///{service.cwd / 'var' / 'parley.db'}"
        self._database = self._runner.run(open_database(service.settings.get("DATABASE_URL", file)))
        keys = Derived(Secret(service.settings["AGENT_SECRET_KEY"])).sessions
        self._sessions = Sessions(keys, self._database.sessions, microseconds)

    def __enter__(self) -> Self:
        for person in self.all:
            person.sign()
            self.speak(person)
            self.sign_in(person)
        for person in self.all:
            self.give_key(person)
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()
        self._runner.run(self._database.close())
        self._runner.close()
        self.client.close()

    def speak(self, person: Person) -> None:
        """Let somebody have a turn, in a conversation that was not there, and rate it."""
        body = {"message": f"Remember {person.word}.", "stream": True}
        answer = self.client.post(CHAT, json=body, headers=person.credential())
        assert answer.status_code == 200, answer.text
        first = Parser().feed(answer.content)[0].data
        person.turn, person.conversation = first["id"], first["conversationId"]
        rated = {"rating": "down", "comment": person.word}
        path = f"/api/v1/agent/turns/{person.turn}/feedback"
        given = self.client.put(path, json=rated, headers=person.credential())
        assert given.status_code == 200, given.text

    def wait(self, person: Person) -> None:
        """Let somebody have a turn that waits for a yes, as long as they all are here."""
        asked = f"[sim:tool] Please pay, {person.word}"
        answer = self._opened.enter_context(stream(self._service, asked, key=person.token))
        person.waiting, person.call = answer.until("turn").data["id"], answer.until("approval").data["id"]

    def sign_in(self, person: Person) -> None:
        """Let somebody have a session; it has a role, and no scope."""
        whose, kind = person_of(person.name, person.tenant), person.role.partition(" ")[0]
        person.cookie = self._runner.run(self._sessions.begin(whose, kind, "link"))
        person.session = str(self._runner.run(self._sessions.read(person.cookie)).jti)

    def give_key(self, person: Person) -> None:
        """Let somebody have a key, from a head of the audit of their tenant."""
        head = next(each for each in self.all if each.role == HEAD and each.tenant == person.tenant)
        kind, _, scope = person.role.partition(" ")
        body = {"user": person.name, "role": kind, "scopes": scope.split()}
        made = self.client.post("/api/v1/keys", json=body, headers=head.credential())
        assert made.status_code == 201, made.text
        person.key, person.secret = made.json()["id"], made.json()["key"]

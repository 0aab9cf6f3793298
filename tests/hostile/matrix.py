"""Every route and page, asked by two of every role, for what is its own, somebody else's and nobody's.

Refuses to look at statuses alone: no answer may hold a word or a name of anybody whom the asker may not see,
and where somebody's own words belong, they are found.
"""

import random
from collections.abc import Iterator, Mapping
from typing import Self

import httpx
from msgspec import Struct

from tests.harness.service import Service
from tests.hostile import table
from tests.hostile.people import People, Person
from tests.hostile.routes import ROUTES, Route, Theirs

WHOSE = ("own", "foreign", "missing")
RULES = table.TABLE | table.PEOPLE
OPEN = table.OPEN | table.OPEN_PAGES
ELSEWHERE = "https://elsewhere.example"
BAD = 400
TOOK_SESSIONS = {
    *("endSession", "endSessions", "revokeTokens"),
    *("POST /console/sessions/end", "POST /console/sessions/end-all"),
}
TOOK_KEYS = {"revokeKey", "POST /console/keys/{key_id:str}/revoke"}
TOOK_TALKS = {"deleteConversation", "withdrawFeedback"}
TOOK_TOKENS = {"POST /console/logout", "POST /console/sessions/end-all"}


class Try(Struct, frozen=True):
    """One request: who asks by which route for whose; `of` is the person, None for nobody."""

    route: Route
    asker: Person
    whose: str
    of: Person | None

    def __str__(self) -> str:
        return f"{self.route.id}, {self.asker.role}, {self.whose}"


class Matrix:
    """The people of one service, and tries of them all."""

    def __init__(self, service: Service) -> None:
        self._folk = People(service, (Person(role) for role in table.ROLES for _ in range(2)))
        self._host = service.url
        self.people = self._folk.all

    def __enter__(self) -> Self:
        self._folk.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._folk.__exit__()

    def tries(self, dice: random.Random) -> Iterator[Try]:
        """One for each route, asker and kind of resource; what is foreign is drawn."""
        all_of_them = [(route, asker, whose) for route in ROUTES for asker in self.people for whose in WHOSE]
        dice.shuffle(all_of_them)
        for route, asker, whose in all_of_them:
            others = [each for each in self.people if each is not asker]
            of = {"own": asker, "foreign": dice.choice(others), "missing": None}[whose]
            yield Try(route, asker, whose, of)

    def faults(self, one: Try) -> Iterator[str]:
        """Make it, and say what was wrong; where it is for somebody else's, without a credential too."""
        if one.whose == "foreign":
            yield from self._unknown(one)
        answer = self._send(one, self._credential(one))
        right = RULES[one.route.id].answers(one.asker.role, one.whose)
        if answer.status_code not in right:
            yield f"{one}: {answer.status_code}, not {sorted(right)}: {answer.text[:200]}"
        yield from (f"{one}: told {word}" for word in self._foreign(one, answer.text))
        if one.route.id in table.OWN_WORDS and one.whose == "own" and one.asker.word not in answer.text:
            yield f"{one}: told nothing of one's own"
        if answer.status_code < BAD:
            yield from self._replace(one)

    def _unknown(self, one: Try) -> Iterator[str]:
        """Ask without a credential, with one that is wrong, and with a cookie that another site sends."""
        wrong = f"{one.asker.token[:-4]}AAAA"
        for headers in ({}, {"authorization": f"Bearer {wrong}"}, {"cookie": f"session={wrong}"}):
            status = self._send(one, headers).status_code
            if (status != 401) is (one.route.id not in OPEN):
                yield f"{one}: {status} without a credential"
        if one.route.method != "GET":
            cookie = {"cookie": f"session={one.asker.token}", "origin": ELSEWHERE}
            if (status := self._send(one, cookie).status_code) != 403:
                yield f"{one}: {status} from another site"

    def _foreign(self, one: Try, text: str) -> Iterator[str]:
        """Words and names in an answer that are not for the asker; a name that was asked with is no news."""
        role, route = one.asker.role, one.route.id
        for each in self.people:
            if each is one.asker:
                continue
            if each.word in text and role not in table.TEXTS.get(route, ()):
                yield f"the words of {each.name}"
            if each.name in text and role not in table.NAMES.get(route, ()):
                yield f"the name of {each.name}"

    def _replace(self, one: Try) -> Iterator[str]:
        """Give back what the try took away; a token that was signed out holds no longer."""
        route, of = one.route.id, one.of
        if of and route in TOOK_SESSIONS:
            self._folk.sign_in(of)
        if of and route in TOOK_KEYS:
            self._folk.give_key(of)
        if route in TOOK_TALKS:
            self._folk.speak(one.asker)
        if route in TOOK_TOKENS and (one.whose == "own" or route == "POST /console/logout"):
            if self._folk.client.get("/api/v1/limits", headers=one.asker.credential()).status_code != 401:
                yield f"{one}: the token holds after it was signed out"
            one.asker.sign()

    def _credential(self, one: Try) -> Mapping[str, str]:
        """A page is asked by a browser, which has a cookie and says where it is."""
        if not one.route.page:
            return one.asker.credential()
        return {"cookie": f"session={one.asker.token}", "accept": "text/html", "origin": self._host}

    def _send(self, one: Try, headers: Mapping[str, str]) -> httpx.Response:
        theirs = one.of.theirs if one.of else Theirs()
        return self._folk.client.request(**theirs.request(one.route, one.asker.word), headers=dict(headers))

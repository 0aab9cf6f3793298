"""People with records of every kind, each with words of their own that can be found in a file byte by byte.

A word ends in a mark, so that an index that leaves out common beginnings still holds what is looked for.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from random import Random

from msgspec import Struct

from service.store.conversations import KeptTurn
from service.store.database import Database
from service.store.keys import StoredKey
from tests.service.store.rows import CREATED_AT, Row

MARK = "zq9"
FOUND = re.compile(rb"([0-9a-f]{7})zq9")
EVENTS = 3
LONG = 6_000
"""Characters of every third text: more than a page holds."""


class Person(Struct, frozen=True):
    name: str
    texts: tuple[str, ...]
    said: str
    answered: str

    @property
    def words(self) -> set[bytes]:
        return self.clear | found_in(self.said.encode())

    @property
    def clear(self) -> set[bytes]:
        """Those that a database holds in clear: what was said in conversations it never does."""
        return found_in("\n".join((self.name, *self.texts, self.answered)).encode())


def people(count: int, seed: int) -> list[Person]:
    chance = Random(seed)  # noqa: S311 - the same people each time

    def word() -> str:
        return f"{chance.getrandbits(40):010x}{MARK}"

    return [
        Person(
            name=word(),
            texts=tuple(
                f"Please {word()} about {word()} {'and so on ' * (LONG // 10 if each == 0 else 1)}{word()}"
                for each in range(EVENTS)
            ),
            said=word(),
            answered=word(),
        )
        for _ in range(count)
    ]


def found_in(data: bytes) -> set[bytes]:
    return set(FOUND.findall(data))


def found_in_files(paths: Iterable[Path]) -> set[bytes]:
    return set().union(*(found_in(path.read_bytes()) for path in paths if path.is_file()))


def rows_of(person: Person, at: int = CREATED_AT) -> list[Row]:
    return [
        Row(id=f"{person.name[:6]}-{number}", actor_id=person.name, query=text, created_at=at + number)
        for number, text in enumerate(person.texts)
    ]


def turn_of(person: Person) -> KeptTurn:
    """What was said in a conversation."""
    short = person.name[:6]
    return KeptTurn(
        turn_id=f"t-{short}",
        conversation_id=f"c-{short}",
        position=1,
        model="m",
        messages=f'[{{"role":"user","content":"{person.said}"}}]',
        asked_at=CREATED_AT,
        answered_at=CREATED_AT + 1,
    )


async def live(database: Database, person: Person) -> None:
    """Leave a record of every kind."""
    name, short = person.name, person.name[:6]
    await database.audit.append(rows_of(person))
    await database.audit.quarantine(Row(id=f"q-{short}", actor_id=name), "refused", person.said.encode())
    turn = turn_of(person)
    await database.conversations.keep(name, person.said, turn)
    claim = {"turn_id": turn.turn_id, "now": CREATED_AT, "until": CREATED_AT * 2}
    await database.idempotency.claim(name, "once", body_digest="d", **claim)
    await database.idempotency.keep(name, "once", answer=f'{{"response":"{person.answered}"}}', **claim)
    await database.keys.add(
        StoredKey(id=f"k-{short}", user_id=name, role="CFO", scopes=(), digest="ab", created_at=1)
    )

"""The last use of keys: written once for all uses of a minute, and again where nobody could write."""

from types import SimpleNamespace

from service.app.last_use import write
from service.errors import DatabaseError


class Store:
    def __init__(self):
        self.told, self.away = [], False

    async def used(self, when):
        if self.away:
            raise DatabaseError("away")
        self.told.append(dict(when))


async def test_each_key_is_written_once_with_its_last_use():
    door, store = SimpleNamespace(used={"a": 1, "b": 2}), Store()
    await write(door, store)
    await write(door, store)
    assert (store.told, door.used) == ([{"a": 1, "b": 2}], {})


async def test_what_nobody_could_write_is_written_later():
    door, store = SimpleNamespace(used={"a": 1}), Store()
    store.away = True
    await write(door, store)
    store.away, door.used["a"] = False, 3
    await write(door, store)
    assert (store.told, door.used) == ([{"a": 3}], {})


async def test_a_use_while_it_is_written_stays_noted():
    door, store = SimpleNamespace(used={"a": 1}), Store()

    async def used(when):
        store.told.append(dict(when))
        door.used["a"] = 2

    store.used = used
    await write(door, store)
    assert (store.told, door.used) == ([{"a": 1}], {"a": 2})

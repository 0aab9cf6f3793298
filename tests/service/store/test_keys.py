import asyncio

import msgspec
import pytest

from service.errors import DatabaseError
from service.store.keys import StoredKey
from tests.harness.sql import ask

KEY = StoredKey(
    id="key-1",
    user_id="user-1",
    role="AUDITOR",
    scopes=("audit:content", "ü"),
    digest="ab" * 32,
    created_at=1_764_000_000_123_456,
    expires_at=1_800_000_000_000_000,
)


async def test_a_key_comes_back_as_it_was(database):
    plain = msgspec.structs.replace(KEY, id="key-2", scopes=(), expires_at=None)
    await database.keys.add(KEY)
    await database.keys.add(plain)
    assert (await database.keys.find("key-1"), await database.keys.find("key-2")) == (KEY, plain)


@pytest.mark.parametrize(
    "key_id", ["", "key-2", "KEY-1", "key-1 ", "key-1\0", "\ud800", "' OR 1=1 --", "{}", "%"]
)
async def test_another_id_finds_nothing(database, key_id):
    await database.keys.add(KEY)
    assert await database.keys.find(key_id) is None


async def test_the_list_is_oldest_first_and_has_revoked_ones(database):
    assert list(await database.keys.list()) == []
    for number in (3, 1, 2):
        await database.keys.add(msgspec.structs.replace(KEY, id=f"key-{number}", created_at=number))
    await database.keys.revoke("key-2", 9)
    assert [(key.id, key.revoked_at) for key in await database.keys.list()] == [
        ("key-1", None),
        ("key-2", 9),
        ("key-3", None),
    ]


async def test_an_id_is_given_once(database):
    await database.keys.add(KEY)
    with pytest.raises(DatabaseError, match="refused the data"):
        await database.keys.add(msgspec.structs.replace(KEY, role="CFO"))
    assert await database.keys.find("key-1") == KEY


async def test_revoking_says_whether_it_did_and_keeps_the_first_time(database):
    await database.keys.add(KEY)
    assert await database.keys.revoke("key-2", 5) is False
    assert await database.keys.revoke("key-1", 5) is True
    assert await database.keys.revoke("key-1", 6) is False
    assert (await database.keys.find("key-1")).revoked_at == 5


async def test_of_many_who_revoke_one_did(database):
    await database.keys.add(KEY)
    done = await asyncio.gather(*(database.keys.revoke("key-1", number) for number in range(1, 21)))
    assert sorted(done) == [False] * 19 + [True]
    assert (await database.keys.find("key-1")).revoked_at == done.index(True) + 1


async def test_revoking_one_leaves_the_others(database):
    await database.keys.add(KEY)
    await database.keys.add(msgspec.structs.replace(KEY, id="key-2"))
    await database.keys.revoke("key-1", 5)
    assert (await database.keys.find("key-2")).revoked_at is None


@pytest.mark.parametrize("scopes", ["", "no json", "{}", "[1]", "null"])
async def test_a_damaged_key_is_an_error_not_a_key(database, url, scopes):
    await database.keys.add(KEY)
    ask(url, f"UPDATE api_key SET scopes = '{scopes}'")  # noqa: S608 - each engine has its own placeholder
    with pytest.raises(DatabaseError, match="damaged"):
        await database.keys.find("key-1")
    assert await database.keys.revoke("key-1", 5) is True


async def test_text_that_does_not_fit_is_refused(database):
    with pytest.raises(DatabaseError):
        await database.keys.add(msgspec.structs.replace(KEY, user_id="\ud800"))
    assert list(await database.keys.list()) == []


async def test_the_last_use_only_goes_forward(database):
    await database.keys.add(KEY)
    for at in (5, 9, 7):
        await database.keys.used({KEY.id: at, "unknown": at})
    assert [key.last_used_at for key in await database.keys.list()] == [9]

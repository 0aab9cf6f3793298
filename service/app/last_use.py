"""When each API key was last used: noted in memory as it is, in the database once a minute.

Refuses to make anybody wait: a minute's worth may be lost with a process that is killed.
"""

from contextlib import AsyncExitStack
from functools import partial

from service.audit.routine import Routine
from service.auth.authenticator import Authenticator
from service.errors import DatabaseError
from service.store.keys import KeyStore

MINUTE = 60.0
WAITS = (MINUTE, MINUTE, MINUTE)


async def keep_last_use(door: Authenticator, keys: KeyStore, rooms: AsyncExitStack) -> None:
    """Write it down until the rooms are left, and then once more."""
    routine = Routine("last use of keys", partial(write, door, keys), WAITS)
    await routine.start()
    rooms.push_async_callback(write, door, keys)
    rooms.push_async_callback(routine.stop)


async def write(door: Authenticator, keys: KeyStore) -> None:
    """Write down what was noted since the last time: one row for each key, however often it was used."""
    used = dict(door.used)
    try:
        if used:
            await keys.used(used)
    except DatabaseError:
        return  # it is still noted, and written with what comes meanwhile
    for key_id, at in used.items():
        if door.used[key_id] == at:
            del door.used[key_id]

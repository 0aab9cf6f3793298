"""A stream's comments by a loop whose time is the test's."""

import asyncio

import pytest

from service.web import sse
from service.web.heartbeat import Heartbeat
from service.web.reply import Reply

SECONDS = 15.0


class Loop:
    """The running loop, with a clock and timers that stand still."""

    def __init__(self):
        self.now, self.timers = 0.0, []
        self.create_task = asyncio.get_running_loop().create_task

    def time(self):
        return self.now

    def call_later(self, seconds, work):
        timer = Timer(self.now + seconds, work)
        self.timers.append(timer)
        return timer

    async def pass_(self, seconds):
        until = self.now + seconds
        while due := [each for each in self.timers if each.work and each.at <= until]:
            first = min(due, key=lambda each: each.at)
            self.now, work, first.work = first.at, first.work, None
            work()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        self.now = until


class Timer:
    def __init__(self, at, work):
        self.at, self.work = at, work

    def cancel(self):
        self.work = None


@pytest.fixture
async def loop(monkeypatch):
    made = Loop()
    monkeypatch.setattr("service.web.heartbeat.asyncio.get_running_loop", lambda: made)
    return made


@pytest.fixture
def said():
    return []


@pytest.fixture
def reply(said):
    async def send(message):
        said.append(message["body"])

    return Reply(send)


async def test_each_silence_is_one_comment(loop, reply, said):
    with Heartbeat(reply, SECONDS):
        await loop.pass_(SECONDS - 1)
        assert said == []
        await loop.pass_(2)
        assert said == [sse.COMMENT]
        await loop.pass_(SECONDS)
        assert said == [sse.COMMENT] * 2


async def test_what_is_said_begins_the_silence_anew(loop, reply, said):
    with Heartbeat(reply, SECONDS) as heart:
        for _ in range(10):
            await loop.pass_(SECONDS - 1)
            heart.said()
        assert said == []
        await loop.pass_(SECONDS)
        assert said == [sse.COMMENT]


async def test_after_its_block_nothing_is_said(loop, reply, said):
    with Heartbeat(reply, SECONDS):
        pass
    await loop.pass_(10 * SECONDS)
    assert said == []


async def test_a_comment_that_nobody_takes_is_not_followed_by_another_and_ends_with_the_block(loop):
    begun, ended = [], []

    async def send(_):
        begun.append(1)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(1)

    with Heartbeat(Reply(send), SECONDS):
        await loop.pass_(5 * SECONDS)
        assert begun == [1]
    await asyncio.sleep(0)
    assert ended == [1]

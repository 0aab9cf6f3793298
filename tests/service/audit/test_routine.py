import asyncio

from service.audit.routine import Routine


class Work:
    def __init__(self, failures: int = 0) -> None:
        self.failures, self.times, self.done = failures, 0, asyncio.Event()

    async def __call__(self) -> None:
        self.times += 1
        if self.times <= self.failures:
            raise OSError("away")
        self.done.set()


async def test_it_is_done_again_and_again():
    work = Work()
    routine = Routine("test", work, (0, 0, 10**9))
    await routine.start()
    await work.done.wait()
    before, work.done = work.times, asyncio.Event()
    await work.done.wait()
    await routine.stop()
    assert work.times > before


async def test_what_fails_is_told_and_tried_again(caplog):
    work = Work(failures=2)
    routine = Routine("test", work, (0, 10**9, 0))
    await routine.start()
    await work.done.wait()
    await routine.stop()
    assert work.times == 3
    told = [(record.line.type, record.line.fields) for record in caplog.records]
    assert told == [("sink_failed", {"sink": "test", "verb": "routine", "error": "OSError: away"})] * 2


async def test_it_ends_in_the_middle_of_its_work():
    entered = asyncio.Event()

    async def forever() -> None:
        entered.set()
        await asyncio.Event().wait()

    routine = Routine("test", forever, (0, 0, 0))
    await routine.start()
    await entered.wait()
    await routine.stop()
    assert routine._task.cancelled()


async def test_one_that_never_started_stops():
    await Routine("test", Work()).stop()

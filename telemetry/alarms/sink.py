"""The alarm as a sink: counts every turn, looks every few seconds, tells what is to be told.

Refuses to do more in a turn's way than to count it.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from logging import WARNING
from pathlib import Path
from typing import Any

from config.settings import Settings
from telemetry import log, names, sink
from telemetry.alarms.alarm import Notice, line
from telemetry.alarms.desk import Desk, Gathered, Minutes, Report
from telemetry.alarms.durations import Durations
from telemetry.alarms.heard import Ear
from telemetry.alarms.message import ATTEMPTS, Message, message_of, sending
from telemetry.alarms.tally import Tally
from telemetry.alarms.watch import Watch
from telemetry.failure import words_of
from telemetry.outlet import PAUSES, Outlet
from telemetry.record import TurnOpening, TurnRecord

NAME, FOLDER = "alerts", "alerts"
FINISH_SECONDS = 1.5
"""For what the webhook has not taken at the end; a sink has two seconds to stop."""


class AlarmSink:
    """Tells of spikes as lines, and of them, the audit and budgets by the webhook of the settings.

    Args:
        settings: The webhook, its secret, and the journal's folder, in which processes find each other.
        durations: How long everything takes.
        clock: Seconds since 1970.
        pauses: Seconds between attempts of the webhook.
    """

    def __init__(
        self,
        settings: Settings,
        durations: Durations | None = None,
        clock: Callable[[], float] = time.time,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        self._durations, self._clock = durations or Durations(), clock
        self._tally, self._watch, self._ear = (
            Tally(self._durations, clock),
            Watch(self._durations),
            Ear(clock),
        )
        self._desk = Desk(Path(settings.audit.journal_dir) / FOLDER, self._durations.horizon)
        self._outlet = _outlet(settings, pauses)
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._alone = False

    def opened(self, opening: TurnOpening) -> None:
        """Nothing: endings are counted."""

    def closed(self, record: TurnRecord) -> None:
        """Count it."""
        self._tally.add(record)

    async def start(self) -> None:
        """Listen to the log's lines, and look from now on."""
        self._stopping.clear()
        logging.getLogger(names.SCOPE).addHandler(self._ear)
        self._task = asyncio.create_task(self._work(), name="alarms")

    async def stop(self) -> None:
        """Look once more, and let the webhook take what it will."""
        self._stopping.set()
        if self._task:
            await self._task
        logging.getLogger(names.SCOPE).removeHandler(self._ear)
        if self._outlet:
            await self._outlet.finish(FINISH_SECONDS)
        await asyncio.to_thread(self._leave)

    async def look(self) -> None:
        """Hear what all processes know, and tell what is to be told, if this is the one that tells."""
        said = Report(counted=self._tally.counted(), heard=list(self._ear.heard))
        now = said.counted.at
        found = await asyncio.to_thread(self._gathered, said, now)
        if found is None:
            return
        if found.minutes:
            self._take_over(found.minutes)
        heard = [each for report in found.reports for each in report.heard]
        for notice in self._watch.look([each.counted for each in found.reports], heard, now):
            self._tell(notice)
        await asyncio.to_thread(self._keep)

    async def _work(self) -> None:
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._durations.tick):
                    await self._stopping.wait()
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next look may be good
                _complain("look", words_of(error))

    def _gathered(self, said: Report, now: float) -> Gathered | None:
        """What all know; of this process alone where the folder cannot be used; None where another tells."""
        try:
            found = self._desk.gather(said, now)
        except OSError as error:
            if not self._alone:
                _complain("look", words_of(error))
            self._alone = True
            return Gathered([said])
        self._alone = False
        return found

    def _take_over(self, minutes: Minutes) -> None:
        """Go on where another process, or an earlier one, ended."""
        self._watch.memory = minutes.memory
        for message in minutes.owed:
            self._send(message)

    def _tell(self, notice: Notice) -> None:
        if told := line(notice):
            log.tell(told)
        self._send(message_of(notice))

    def _send(self, message: Message) -> None:
        if self._outlet:
            self._outlet.tell(message)

    def _keep(self) -> None:
        owed = list(self._outlet.waiting) if self._outlet else []
        with suppress(OSError):  # it was complained of
            self._desk.keep(Minutes(memory=self._watch.memory, owed=owed))

    def _leave(self) -> None:
        self._keep()
        self._desk.leave()


def _outlet(settings: Settings, pauses: Sequence[float]) -> Outlet[Message] | None:
    told = settings.alerts
    if told.webhook is None:
        return None
    send = sending(told.webhook, told.secret)
    return Outlet("webhook", send, _untold, pauses=pauses, attempts=ATTEMPTS)


def _untold(outlet: str, error: str, waiting: int) -> None:
    _complain("post", error, outlet=outlet, waiting=waiting)


def _complain(verb: str, error: str, **more: Any) -> None:
    sink.count_failure(NAME)
    log.say(names.SINK_FAILED, WARNING, sink=NAME, verb=verb, error=error, **more)

"""Several processes on one socket: a foreman that starts them, hears the signals, and replaces whoever dies.

Refuses threads and event loops before it forks: a copy of those would be broken. Workers obey the foreman by
a channel, not by signals: a service manager that signals every process would else be heard twice.
"""

import asyncio
import gc
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from logging import WARNING
from types import FrameType

from msgspec import Struct
from opentelemetry import metrics

from telemetry import log, names

READY, STOP, RELOAD = b"r", b"s", b"h"
"""What is said on a channel, the first by a worker. A channel that ends says that its other end is gone."""
PAUSES = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds before a place is taken again, by how often in a row its worker did not last."""
LASTING = 60.0
"""Seconds after which a worker has lasted."""
HEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
IN_ORDER = (0, -signal.SIGTERM)
"""Exit codes of a worker that was told to stop; the second where it was told before it could listen."""

Gone = Callable[[], bool]

_ended = metrics.get_meter(names.SCOPE).create_counter(
    names.WORKERS_ENDED, unit="{worker}", description="Workers that ended without being told to"
)


def terminal() -> Gone:
    """Whether the terminal that we were started on has gone: then a hangup is no request, but the end."""
    ours = [number for number in (0, 1, 2) if os.isatty(number)]
    return lambda: not all(map(os.isatty, ours))


class Worker(Struct):
    """A worker as the foreman knows it: its place, the foreman's end of the channel, and since when.

    `ended` is how many that ended before it, it is to count.
    """

    place: int
    channel: socket.socket
    since: float
    ended: int
    ready: bool = False


class Place(Struct):
    """Where a worker belongs: how often in a row one did not last, and when the next one may come."""

    failures: int = 0
    not_before: float = 0.0


class Seat:
    """A worker's end. `greets` is true for one worker only, at the very start.

    Args:
        channel: From and to the foreman.
        listener: The socket that all serve on.
        greets: Whether this one says what is said once.
        ended: How many workers ended that nobody has counted yet: the foreman has no telemetry.
    """

    def __init__(
        self, channel: socket.socket, listener: socket.socket, *, greets: bool, ended: int = 0
    ) -> None:
        self._channel, self.listener, self.greets = channel, listener, greets
        self._ended, self._stopping = ended, False

    def count_ended(self) -> None:
        """Count those that ended before; where none did, create the series at 0."""
        _ended.add(self._ended)

    def say_ready(self) -> None:
        """Tell the foreman."""
        with suppress(OSError):  # it is gone: that is heard on the channel
            self._channel.send(READY)

    def obey(self, end: Callable[[bool], None], reload: Callable[[], None]) -> None:
        """From now on do as the foreman says, what it said before first; where it is gone, end in order.

        `end` is told whether at once.
        """
        loop = asyncio.get_running_loop()

        def hear() -> None:
            said = self._channel.recv(64)
            if not said:
                loop.remove_reader(self._channel)
                end(False)
            for word in said:
                if word == RELOAD[0]:
                    reload()
                else:
                    end(self._stopping)
                    self._stopping = True

        loop.add_reader(self._channel, hear)


class Foreman:
    """Keeps so many workers.

    Args:
        count: How many.
        listener: The socket they serve on.
        ready: Called once, when all of them are.
        reread: Called when the settings are to be read again, before the workers are told so.
    """

    def __init__(
        self, count: int, listener: socket.socket, ready: Callable[[], None], reread: Callable[[], None]
    ) -> None:
        self._listener, self._ready, self._reread = listener, ready, reread
        self._places = [Place() for _ in range(count)]
        self._workers: dict[int, Worker] = {}
        self._ear, self._mouth = socket.socketpair()
        self._gone = terminal()
        self._begun = self._open = self._stopping = False
        self._code = self._ended = 0

    def keep(self) -> Seat | int:
        """Return as `fork` does: in each worker its seat; here, once all have ended, the exit code."""
        self._listen()
        while not (self._stopping and not self._workers):
            for place in list(self._due()):
                if seat := self._start(place):
                    return seat
            self._wait()
            self._bury()
        return self._code

    def _listen(self) -> None:
        self._ear.setblocking(False)
        self._mouth.setblocking(False)
        for number in HEARD:
            signal.signal(number, deaf)
        signal.set_wakeup_fd(self._mouth.fileno())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD)
        gc.enable()
        gc.freeze()  # what the workers share is not touched by their collections, and so stays shared

    def _due(self) -> Iterator[int]:
        """The places to be taken now; one alone first: it brings the database up to date, and may greet."""
        if self._stopping:
            return
        taken, now = {worker.place for worker in self._workers.values()}, time.monotonic()
        for number, place in enumerate(self._places):
            if number not in taken and place.not_before <= now and (self._begun or number == 0):
                yield number

    def _start(self, place: int) -> Seat | None:
        ours, theirs = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if not pid:
            self._become(ours)
            return Seat(theirs, self._listener, greets=not self._begun, ended=self._ended)
        theirs.close()
        self._workers[pid] = Worker(place, ours, time.monotonic(), self._ended)
        self._ended = 0
        return None

    def _become(self, ours: socket.socket) -> None:
        """Be a worker: let go of all that is the foreman's, or its end would not be seen."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for each in (ours, self._ear, self._mouth, *(worker.channel for worker in self._workers.values())):
            each.close()

    def _wait(self) -> None:
        """Until a signal, a worker's word, or the moment at which a place is to be taken again."""
        channels = {worker.channel: worker for worker in self._workers.values() if not worker.ready}
        heard, _, _ = select.select([self._ear, *channels], [], [], self._pause())
        for each in heard:
            if each is self._ear:
                self._heed(self._ear.recv(64))
            elif each.recv(1) == READY:
                self._admit(channels[each])

    def _pause(self) -> float | None:
        """Seconds; None for as long as it takes."""
        taken, now = {worker.place for worker in self._workers.values()}, time.monotonic()
        waits = [place.not_before - now for number, place in enumerate(self._places) if number not in taken]
        return max(0.0, min(waits)) if waits and self._begun and not self._stopping else None

    def _heed(self, signals: bytes) -> None:
        for number in signals:
            if number in {signal.SIGTERM, signal.SIGINT} or (number == signal.SIGHUP and self._gone()):
                self._stop()
            elif number == signal.SIGHUP and not self._stopping:
                self._reread()
                self._tell(RELOAD)

    def _admit(self, worker: Worker) -> None:
        worker.ready = self._begun = True
        all_are = [each.ready for each in self._workers.values()].count(True) == len(self._places)
        if all_are and not self._open and not self._stopping:
            self._open = True
            self._ready()

    def _stop(self) -> None:
        """Once in order; twice at once."""
        self._stopping = True
        self._listener.close()  # once the workers have closed theirs, nobody waits for an answer in vain
        self._tell(STOP)

    def _tell(self, word: bytes) -> None:
        for worker in self._workers.values():
            with suppress(OSError):  # it has ended, and is about to be buried
                worker.channel.send(word)

    def _bury(self) -> None:
        for pid, worker in list(self._workers.items()):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                del self._workers[pid]
                worker.channel.close()
                self._mourn(pid, worker, os.waitstatus_to_exitcode(status))

    def _mourn(self, pid: int, worker: Worker, code: int) -> None:
        """Have it replaced; before all were ready for the first time, end with it."""
        if self._stopping:
            self._code = self._code or int(code not in IN_ORDER)
        elif not self._open:
            self._stop()
            self._code = code if code > 0 else 1
        else:
            place, now = self._places[worker.place], time.monotonic()
            place.failures = 0 if now - worker.since > LASTING else place.failures
            pause = PAUSES[min(place.failures, len(PAUSES) - 1)]
            self._ended += 1 if worker.ready else 1 + worker.ended
            place.failures, place.not_before = place.failures + 1, now + pause
            log.say(names.WORKER_ENDED, WARNING, worker=pid, exitCode=code, replacedInMs=round(pause * 1000))


def deaf(number: int, frame: FrameType | None) -> None:
    """Hear a signal by the wakeup descriptor alone; a worker, which has none, does not hear it."""
    del number, frame

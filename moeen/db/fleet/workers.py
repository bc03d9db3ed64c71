"""Processes that do the work of one clinic after the other, so that what happens to one is nothing to the others.

Django's migrations keep state in the process, which threads would share; a process that dies takes one clinic's turn
with it. A worker lives as long as the run, and starts once. When the process that runs the fleet ends, however it ends,
its pipe is closed and the workers stop as by Ctrl-C.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from queue import SimpleQueue
from typing import Any

from moeen.db.backups.login import Login
from moeen.db.fleet import memory

#: How long workers have, when the run ends before its time, to undo what they had begun.
SECONDS_TO_STOP = 30.0


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to do for a clinic. ``login`` goes through a pipe, and stands on no command line."""

    clinic: str
    command: str
    login: Login = field(repr=False)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """``exit_code`` as the single command's. ``stall``: seconds a client waited longest for a lock of ours, None: it
    was not watched. ``receipt``: what the command said of itself; ``place``: which database it was, by whatever
    address; ``known``: what the memory of catalogs learns of it."""

    exit_code: int
    reason: str = ""
    seconds: float = 0.0
    stall: float | None = None
    receipt: Mapping[str, Any] = field(default_factory=dict)
    place: str = ""
    known: tuple[memory.Learned, ...] = ()


@dataclass(frozen=True)
class Line:
    """What a command says meanwhile."""

    text: str


Tell = Callable[[str], None]
#: Does a job: module-level, as a new process finds it by its name.
Work = Callable[[Job, Tell], Outcome]


class _Worker:
    def __init__(self, prepare: Callable[[], Work]) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, prepare), name="fleet", daemon=True)
        self.process.start()
        theirs.close()
        self.job: Job | None = None


class Crew:
    """At most ``size`` workers; each is started when it is needed, and again when it has died."""

    def __init__(self, prepare: Callable[[], Work], *, size: int) -> None:
        self._prepare, self._size = prepare, size
        self._workers: list[_Worker] = []

    @property
    def busy(self) -> list[Job]:
        return [worker.job for worker in self._workers if worker.job is not None]

    @property
    def has_room(self) -> bool:
        return len(self.busy) < self._size

    def start(self, job: Job) -> None:
        worker = next((worker for worker in self._workers if worker.job is None), None)
        if worker is None:
            worker = _Worker(self._prepare)
            self._workers.append(worker)
        worker.job = job
        with suppress(BrokenPipeError):  # it has just died, which wait() finds out
            worker.pipe.send(job)

    def wait(self, seconds: float) -> Iterator[tuple[Job, Line | Outcome]]:
        """What workers have said by now, or within so many seconds. One that died says that it failed."""
        ready = wait([worker.pipe for worker in self._workers], seconds)
        for worker in [worker for worker in self._workers if worker.pipe in ready]:
            job = worker.job
            try:
                said = worker.pipe.recv()
            except (EOFError, OSError):
                worker.process.join(SECONDS_TO_STOP)
                self._workers.remove(worker)
                said = Outcome(exit_code=1, reason=f"its process ended{_how(worker.process.exitcode)}")
            if isinstance(said, Outcome):
                worker.job = None
            if job is not None:
                yield job, said

    def close(self) -> None:
        """Stop them; those at work stop as by Ctrl-C."""
        for worker in self._workers:
            worker.pipe.close()
        for worker in self._workers:
            worker.process.join(SECONDS_TO_STOP)
            worker.process.kill()
            worker.process.join()
        self._workers.clear()


def _how(code: int | None) -> str:
    if code is None or code >= 0:
        return f" with {code}" if code else ""
    return f" by {signal.Signals(-code).name}"


def serve(pipe: Connection, prepare: Callable[[], Work]) -> None:
    """The life of a worker."""
    # A Ctrl-C is for whoever runs the fleet, which then closes the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    jobs: SimpleQueue[Job | None] = SimpleQueue()
    threading.Thread(target=_listen, args=(pipe, jobs), name="fleet pipe", daemon=True).start()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt, BrokenPipeError):
        work = prepare()
        while (job := jobs.get()) is not None:
            pipe.send(work(job, lambda text: pipe.send(Line(text))))


def _listen(pipe: Connection, jobs: SimpleQueue[Job | None]) -> None:
    try:
        while True:
            jobs.put(pipe.recv())
    except (EOFError, OSError):
        jobs.put(None)
        os.kill(os.getpid(), signal.SIGTERM)

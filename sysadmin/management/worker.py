"""The worker: has the commands that administrators ask for done, each in a process of its own."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

from django.conf import settings
from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db import requests
from moeen.db.backfill import runs
from moeen.db.errors import DONE, FINDINGS
from moeen.db.requests import Request

POLL_SECONDS = 1.0
#: For a process that is told to end; a restore into a throwaway server takes its server down first.
END_SECONDS = 30.0
#: Linux alone has it. Looked up here: between fork and exec little may be done.
_PRCTL = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
_SET_PDEATHSIG = 1
_OUTCOMES = {DONE: requests.DONE, FINDINGS: requests.REFUSED}


@dataclass(frozen=True)
class _Work:
    """A request and the process that does it. Files, not pipes: nobody reads while it runs."""

    request: Request
    process: subprocess.Popen[bytes]
    out: IO[bytes]
    errors: IO[bytes]

    @classmethod
    def begin(cls, request: Request, *, database: str, identity: str) -> _Work:
        words = {
            requests.BACKFILL: ["--table", request.subject, "--verbosity", "0"],
            # Where backups of several databases lie, whoever asks is no administrator of the others.
            requests.VERIFY: [request.subject, "--database-identity", identity],
        }[request.kind]
        manage = [sys.executable, str(settings.BASE_DIR / "manage.py"), request.kind]
        # They are closed, and gone, with the process.
        out, errors = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
        process = subprocess.Popen(
            [*manage, *words, "--database", database], stdin=subprocess.DEVNULL, stdout=out, stderr=errors,
            start_new_session=True,  # Ctrl-C is the worker's, which ends what it began
            preexec_fn=_end_with(os.getpid()),
        )  # fmt: skip
        return cls(request, process, out, errors)

    def end(self) -> None:
        """Told to stop, it undoes or keeps what is its own to undo or keep."""
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(END_SECONDS)
        self.process.kill()
        self.process.wait()

    def outcome(self) -> str:
        return _OUTCOMES.get(self.process.returncode, requests.FAILED)

    def says(self) -> str:
        """The last line of its result; where it failed, why."""
        said = {name: _lines(file) for name, file in (("out", self.out), ("errors", self.errors))}
        if self.process.returncode in _OUTCOMES and said["out"]:
            return next((line for line in reversed(said["out"]) if not line.startswith("checked:")), "")
        why = next((line for line in said["errors"] if line.startswith("Error: ")), "")
        return why.removeprefix("Error: ") or (said["errors"] or said["out"] or ["it said nothing"])[-1]


def serve(
    connection: BaseDatabaseWrapper, *, database: str, identity: str, tell: Callable[[str], None], once: bool = False
) -> list[Request]:
    """Take up what waits, until somebody ends this; with `once`, until nothing waits and nothing is at work.

    `identity`: the database that `connection` leads to, as --database-identity has it.
    Raises requests.Busy where another worker serves the database. Returns what was done.
    """
    requests.serve(connection)
    at_work: dict[str, _Work] = {}
    done: list[Request] = []
    try:
        while True:
            for kind in [kind for kind, work in at_work.items() if work.process.poll() is not None]:
                work = at_work.pop(kind)
                _finish(connection, work, tell)
                done.append(work.request)
            requests.end_idle_cancels(connection, runs.lives())
            taken = requests.take(connection, busy=at_work)
            if taken is not None:
                tell(f"{taken.kind} {taken.subject}: begun.")
                at_work[taken.kind] = _Work.begin(taken, database=database, identity=identity)
            elif once and not at_work:
                return done
            else:
                time.sleep(POLL_SECONDS)
    finally:
        for work in at_work.values():
            work.end()
        for work in at_work.values():
            # Without the session, the next worker says what became of them.
            with suppress(DatabaseError):
                _finish(connection, work, tell)


def _end_with(worker: int) -> Callable[[], None] | None:
    """For a process that begins: SIGTERM when the worker is gone, even killed, as nobody else knows of it any more."""
    if _PRCTL is None:
        return None
    prctl = _PRCTL

    def set_up() -> None:
        prctl(_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != worker:  # gone already
            os._exit(1)

    return set_up


def _finish(connection: BaseDatabaseWrapper, work: _Work, tell: Callable[[str], None]) -> None:
    request, outcome, says = work.request, work.outcome(), work.says()
    requests.finish(connection, request, outcome=outcome, says=says)
    tell(f"{request.kind} {request.subject}: {outcome}, {says}")


def _lines(file: IO[Any]) -> list[str]:
    with file:
        file.seek(0)
        text: str = file.read(1_000_000).decode("utf-8", "replace").replace("\0", "")
    return [line.strip() for line in text.splitlines() if line.strip()]

"""A run over the fleet as the control database keeps it: ``fleet_runs``, and ``fleet_turns`` with a row a clinic.

One run at a time: a lock that belongs to the session and goes with it. What a killed call left behind is an unfinished
run, with which the next call of the same command goes on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db.codes import Code
from moeen.db.engine import session
from moeen.db.errors import FINDINGS, MoeenError
from moeen.db.history import ledger

#: "moel": one run over a fleet at a time.
LOCK = 0x6D6F656C
#: Seconds; a run that was killed just now may not have been noticed yet.
PATIENCE = 5.0
#: After so many hours a run that was not finished is not gone on with: much may have changed.
HOURS = 24
#: The note on a run that was ended before its wave was.
CUT_OFF = "it was interrupted"


class State(StrEnum):
    """Of one clinic in a run. ``refused``: the command said why it would not, and changed nothing."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass
class Turn:
    """One clinic. ``stall``: seconds that a client waited longest for a lock of ours, None: it was not watched."""

    clinic: str
    wave: int
    state: State = State.WAITING
    reason: str = ""
    seconds: float = 0.0
    stall: float | None = None
    receipt: Mapping[str, Any] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        return self.state in (State.DONE, State.SKIPPED)

    def as_dict(self) -> dict[str, Any]:
        return {
            "clinic": self.clinic, "wave": self.wave, "state": str(self.state), "reason": self.reason,
            "seconds": round(self.seconds, 3), "stall_seconds": self.stall, "receipt": dict(self.receipt),
        }  # fmt: skip


@dataclass(frozen=True)
class Run:
    """``resumed``: an earlier call began it. ``turns``: by clinic, in their order.

    ``judged``: that call ended by saying why a wave is not clean, and nobody cut it off before it could.
    """

    id: UUID
    resumed: bool
    turns: Mapping[str, Turn]
    judged: bool = True


class Books:
    """The two tables, over a session of the control database that holds the lock."""

    def __init__(self, control: BaseDatabaseWrapper) -> None:
        self._control = control
        session.refuse_unfit(control, "a run over the fleet")
        if not self._one("SELECT to_regclass('public.fleet_turns') IS NOT NULL")[0]:
            raise MoeenError(
                "The control database, which keeps what a run over the fleet has done, is not migrated yet.",
                next_step="Run `manage.py migrate` for the project's own database (DATABASE_URL, or the embedded one).",
                exit_code=FINDINGS,
                code=Code.NOT_MIGRATED,
            )

    def lock(self) -> None:
        """Raises MoeenError (3) while another run is at work."""
        deadline = time.monotonic() + PATIENCE
        while not self._one("SELECT pg_try_advisory_lock(%s)", LOCK)[0]:
            if time.monotonic() > deadline:
                raise MoeenError(
                    "Another run over the fleet is at work.",
                    next_step="Wait for it, or end it; manage.py fleet pause lets it wait.",
                    exit_code=FINDINGS,
                    code=Code.ANOTHER_RUN,
                )
            time.sleep(0.2)

    def unlock(self) -> None:
        self._one("SELECT pg_advisory_unlock(%s)", LOCK)

    def begin(self, command: str, *, target: str, selection: str, turns: Sequence[Turn], anew: bool) -> Run:
        """The unfinished run of this command, version and selection, or a new one in its place."""
        found = None if anew else self._unfinished(command, target, selection, {turn.clinic for turn in turns})
        if found is not None:
            judged = self._one(
                "SELECT outcome = 'stopped' AND note <> %s FROM fleet_runs WHERE id = %s", CUT_OFF, found
            )
            self._write("UPDATE fleet_runs SET outcome = 'running', note = '' WHERE id = %s", found)
            self._write(
                """UPDATE fleet_turns SET state = 'waiting', reason = '', receipt = '{}'
                   WHERE run_id = %s AND state NOT IN ('done', 'skipped')""",
                found,
            )
            turns = self._turns(found)
            return Run(found, resumed=True, turns={turn.clinic: turn for turn in turns}, judged=judged[0])
        self._write(
            """UPDATE fleet_runs SET outcome = 'replaced', finished_at = now()
               WHERE command = %s AND finished_at IS NULL""",
            command,
        )
        (made,) = self._one(
            "INSERT INTO fleet_runs (command, target, selection, actor) VALUES (%s, %s, %s, %s) RETURNING id",
            command, target, selection, ledger.actor(),
        )  # fmt: skip
        for turn in turns:
            self._write(
                "INSERT INTO fleet_turns (run_id, clinic, wave) VALUES (%s, %s, %s)", made, turn.clinic, turn.wave
            )
        return Run(made, resumed=False, turns={turn.clinic: turn for turn in turns})

    def _unfinished(self, command: str, target: str, selection: str, clinics: set[str]) -> UUID | None:
        """None, too, where the file names other clinics by now."""
        rows = self._all(
            """SELECT id, (SELECT array_agg(t.clinic) FROM fleet_turns AS t WHERE t.run_id = r.id)
               FROM fleet_runs AS r
               WHERE finished_at IS NULL AND (command, target, selection) = (%s, %s, %s)
                 AND started_at > now() - make_interval(hours => %s) ORDER BY started_at DESC LIMIT 1""",
            command, target, selection, HOURS,
        )  # fmt: skip
        return next((found for found, names in rows if set(names or ()) == clinics), None)

    def _turns(self, run: UUID) -> Sequence[Turn]:
        rows = self._all(
            """SELECT clinic, wave, state, reason, seconds, stall_seconds, receipt FROM fleet_turns
               WHERE run_id = %s ORDER BY wave, clinic""",
            run,
        )
        return [
            Turn(clinic, wave, State(state), reason, seconds, stall, json.loads(receipt))
            for clinic, wave, state, reason, seconds, stall, receipt in rows
        ]

    def write(self, run: Run, turn: Turn) -> None:
        """How the clinic stands now."""
        self._write(
            """UPDATE fleet_turns SET state = %s, reason = %s, seconds = %s, stall_seconds = %s, receipt = %s,
                   started_at = CASE WHEN %s = 'running' THEN now() ELSE started_at END
               WHERE run_id = %s AND clinic = %s""",
            turn.state, turn.reason, turn.seconds, turn.stall, json.dumps(dict(turn.receipt)), turn.state,
            run.id, turn.clinic,
        )  # fmt: skip

    def is_paused(self, run: Run) -> bool:
        return bool(self._one("SELECT pause_requested FROM fleet_runs WHERE id = %s", run.id)[0])

    def note(self, run: Run, words: str) -> None:
        self._write("UPDATE fleet_runs SET note = %s WHERE id = %s", words, run.id)

    def end(self, run: Run, outcome: str, *, note: str, finished: bool) -> None:
        """Without ``finished``, the next call goes on with it."""
        self._write(
            "UPDATE fleet_runs SET outcome = %s, note = %s, finished_at = CASE WHEN %s THEN now() END WHERE id = %s",
            outcome, note, finished, run.id,
        )  # fmt: skip

    def pause(self, *, paused: bool) -> str:
        """Ask the unfinished run to wait, or to go on; the command that it is of. Raises MoeenError (3) without one."""
        rows = self._all(
            """UPDATE fleet_runs SET pause_requested = %s WHERE id = (
                   SELECT id FROM fleet_runs WHERE finished_at IS NULL ORDER BY started_at DESC LIMIT 1)
               RETURNING command""",
            paused,
        )
        if not rows:
            raise MoeenError(
                "No run over the fleet is unfinished.",
                next_step="manage.py fleet migrate begins one.",
                exit_code=FINDINGS,
                code=Code.NO_FLEET_RUN,
            )
        return str(rows[0][0])

    def _write(self, query: str, *params: Any) -> None:
        with self._control.cursor() as cursor:
            cursor.execute(query, params)

    def _all(self, query: str, *params: Any) -> list[tuple[Any, ...]]:
        with self._control.cursor() as cursor:
            cursor.execute(query, params)
            return [tuple(row) for row in cursor.fetchall()]

    def _one(self, query: str, *params: Any) -> tuple[Any, ...]:
        return self._all(query, *params)[0]

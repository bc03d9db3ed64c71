"""A command over the fleet, wave by wave: a few clinics first, and the others only when all went well there.

Clinics of a wave take their turns side by side, bounded on each server and in all. Every turn is in the control
database before it begins and when it is over, so a call that was killed is gone on with where it was.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from moeen.db.errors import DONE, FAILED, FINDINGS
from moeen.db.fleet.clinics import Clinic, Fleet
from moeen.db.fleet.memory import Learned
from moeen.db.fleet.runs import CUT_OFF, Books, Run, State, Turn
from moeen.db.fleet.workers import Crew, Job, Outcome

#: Seconds between two looks whether somebody asked for a pause.
LOOK_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to run. ``given``: to the command, for each clinic; ``gated``: wave after wave, each only after a clean one.

    ``stall_limit``: seconds that no client may have waited longer; ``skip``: clinic -> the reason why it is left out.
    ``tell`` takes lines for people, with ``verbose`` also what the commands say meanwhile; ``learn`` what the memory of
    catalogs keeps.
    """

    command: str
    given: Mapping[str, Any] = field(default_factory=dict)
    gated: bool = False
    target: str = ""
    selection: str = ""
    anew: bool = False
    wave_size: int = 50
    per_server: int = 2
    max_failures: int = 0
    stall_limit: float = 1.0
    skip: Mapping[str, str] = field(default_factory=dict)
    verbose: bool = False
    tell: Callable[[str], None] = lambda line: None
    learn: Callable[[Sequence[Learned]], None] = lambda learned: None


@dataclass(frozen=True)
class Report:
    """What became of all. ``stopped``: why no further wave was begun, "" where all had their turn."""

    command: str
    run: str
    turns: tuple[Turn, ...]
    seconds: float
    stopped: str = ""

    @property
    def exit_code(self) -> int:
        states = {turn.state for turn in self.turns}
        if State.FAILED in states:
            return FAILED
        return FINDINGS if self.stopped or State.REFUSED in states else DONE

    @property
    def counts(self) -> Mapping[str, int]:
        found = Counter(turn.state for turn in self.turns)
        return {str(state): found[state] for state in State if found[state]}

    def as_dict(self) -> dict[str, Any]:
        return {
            "command": self.command, "run": self.run, "ok": self.exit_code == DONE, "stopped": self.stopped,
            "seconds": round(self.seconds, 3), "counts": dict(self.counts),
            "clinics": [turn.as_dict() for turn in self.turns],
        }  # fmt: skip

    def pretty(self) -> str:
        counts = ", ".join(f"{count} {state}" for state, count in self.counts.items())
        return f"{self.command}: {len(self.turns)} clinics: {counts} ({self.seconds:.1f} s)."


def waves(fleet: Fleet, *, size: int) -> Iterator[tuple[Clinic, ...]]:
    """Those of the first tag, of the second, ..., then the rest, at most ``size`` at once but for the first.

    Where no clinic has the first tag, the first clinic goes alone.
    """
    left = list(fleet.clinics)
    first = True
    for tag in (*fleet.waves, None):
        group = [clinic for clinic in left if tag is None or tag in clinic.tags]
        if first and not group:
            group = left[:1]
        left = [clinic for clinic in left if clinic not in group]
        step = max(len(group), 1) if first else size
        first = False
        yield from (tuple(group[at : at + step]) for at in range(0, len(group), step))


def plan(fleet: Fleet, *, gated: bool, size: int) -> Sequence[Sequence[Clinic]]:
    """The waves, or all clinics as one where nothing rests on those before."""
    return [wave for wave in waves(fleet, size=size) if wave] if gated else [fleet.clinics]


def roll(fleet: Fleet, books: Books, crew: Crew, options: Options) -> Report:
    """Run the command over the fleet; ``books`` hold their lock. What one clinic's turn raises is that clinic's."""
    return _Rollout(fleet, books, crew, options).run()


class _Rollout:
    def __init__(self, fleet: Fleet, books: Books, crew: Crew, options: Options) -> None:
        self.books, self.crew, self.options = books, crew, options
        self.waves = plan(fleet, gated=options.gated, size=options.wave_size)
        self.clinics = {clinic.name: clinic for clinic in fleet.clinics}
        turns = [Turn(clinic.name, number) for number, wave in enumerate(self.waves, 1) for clinic in wave]
        self.book: Run = books.begin(
            options.command, target=options.target, selection=options.selection, turns=turns, anew=options.anew
        )
        self.turns = self.book.turns
        self.looked, self.paused = 0.0, False
        self.places: dict[str, str] = {}

    def run(self) -> Report:
        started, stopped = time.monotonic(), CUT_OFF
        if self.book.resumed:
            done = sum(turn.over for turn in self.turns.values())
            self.options.tell(f"Going on with run {self.book.id}: {done} of {len(self.turns)} clinics had their turn.")
        for name, reason in self.options.skip.items():
            if not self.turns[name].over:
                self._write(self.turns[name], State.SKIPPED, reason=reason)
        try:
            stopped = self._all_waves()
        finally:
            self.crew.close()
            self._settle(stopped)
        return Report(
            self.options.command, str(self.book.id), tuple(self.turns.values()), time.monotonic() - started, stopped
        )

    def _all_waves(self) -> str:
        """Why it stopped before the end, "" where it did not."""
        for number, wave in enumerate(self.waves, 1):
            had = {clinic.name for clinic in wave if self.turns[clinic.name].over}
            if self.options.gated and len(self.waves) > 1 and len(had) < len(wave):
                self.options.tell(f"Wave {number} of {len(self.waves)}: {len(wave) - len(had)} clinics.")
            self._wave(number, [clinic for clinic in wave if clinic.name not in had])
            # What an earlier call told of was looked at by whoever called again; one that was cut off told nobody.
            looked_at = had if self.book.judged else set()
            why = self._unclean(number, [clinic for clinic in wave if clinic.name not in looked_at])
            if why and self.options.gated:
                left = sum(turn.state is State.WAITING for turn in self.turns.values())
                return f"wave {number} is not clean: {why}; {left} clinics were not touched"
        return ""

    def _wave(self, number: int, clinics: Sequence[Clinic]) -> None:
        waiting = list(clinics)
        while waiting or self.crew.busy:
            if self._failures() > self._allowed(number):
                waiting.clear()
            while waiting and not self._is_paused() and (clinic := self._next(waiting)) is not None:
                waiting.remove(clinic)
                self._write(self.turns[clinic.name], State.RUNNING)
                given = dict(self.options.given)
                self.crew.start(
                    Job(clinic=clinic.name, command=self.options.command, login=clinic.login, options=given)
                )
            for job, said in self.crew.wait(LOOK_SECONDS):
                if isinstance(said, Outcome):
                    self._over(self.turns[job.clinic], said)
                elif self.options.verbose:
                    self.options.tell(f"{job.clinic}: {said.text}")

    def _next(self, waiting: Sequence[Clinic]) -> Clinic | None:
        """The first whose server has room."""
        if not self.crew.has_room:
            return None
        busy = Counter(self.clinics[job.clinic].server for job in self.crew.busy)
        return next((clinic for clinic in waiting if busy[clinic.server] < self.options.per_server), None)

    def _over(self, turn: Turn, outcome: Outcome) -> None:
        state = {DONE: State.DONE, FINDINGS: State.REFUSED}.get(outcome.exit_code, State.FAILED)
        turn.seconds, turn.stall, turn.receipt = outcome.seconds, outcome.stall, outcome.receipt
        reason = outcome.reason
        self.options.learn(outcome.known)
        twin = self.places.setdefault(outcome.place, turn.clinic) if outcome.place else turn.clinic
        if twin != turn.clinic:
            # The clinic that is meant may have had no turn at all.
            state, reason = State.FAILED, f"it is one database with clinic {twin}: correct the file"
        self._write(turn, state, reason=reason)
        words = f": {reason.splitlines()[0]}" if reason else ""
        done = sum(turn.state not in (State.WAITING, State.RUNNING) for turn in self.turns.values())
        self.options.tell(f"[{done}/{len(self.turns)}] {turn.clinic}: {state} in {outcome.seconds:.1f} s{words}")

    def _is_paused(self) -> bool:
        if time.monotonic() - self.looked >= LOOK_SECONDS:
            self.looked = time.monotonic()
            paused = self.books.is_paused(self.book)
            if paused != self.paused:
                words = "an operator asked for a pause" if paused else ""
                self.books.note(self.book, words)
                self.options.tell(f"Waiting: {words}." if paused else "Going on.")
            self.paused = paused
        return self.paused

    # --- what a wave must be -----------------------------------------------------------------------------------------

    def _allowed(self, number: int) -> float:
        """How many failures: none among the first, whatever was said."""
        if not self.options.gated:
            return float("inf")
        return 0 if number == 1 else self.options.max_failures

    def _failures(self) -> int:
        return sum(turn.state in (State.FAILED, State.REFUSED) for turn in self.turns.values())

    def _unclean(self, number: int, clinics: Sequence[Clinic]) -> str:
        turns = [self.turns[clinic.name] for clinic in clinics]
        failed = [turn.clinic for turn in turns if turn.state in (State.FAILED, State.REFUSED)]
        if self._failures() > self._allowed(number):
            return f"{_some(failed)} did not go through"
        done = [turn for turn in turns if turn.state is State.DONE]
        if unseen := [turn.clinic for turn in done if turn.stall is None]:
            return f"how long clients waited could not be watched all the time in {_some(unseen)}"
        longest = max(done, key=lambda turn: turn.stall or 0.0, default=None)
        if longest is not None and (longest.stall or 0.0) > self.options.stall_limit:
            return f"clients of {longest.clinic} waited for {longest.stall:.1f} s (limit {self.options.stall_limit:g})"
        return ""

    # --- the books ---------------------------------------------------------------------------------------------------

    def _write(self, turn: Turn, state: State, *, reason: str = "") -> None:
        turn.state, turn.reason = state, reason
        self.books.write(self.book, turn)

    def _settle(self, stopped: str) -> None:
        """However it ended. A run with turns to come is gone on with by the next call."""
        for turn in self.turns.values():
            if turn.state is State.RUNNING:
                self._write(turn, State.FAILED, reason="interrupted")
        left = any(turn.state is State.WAITING for turn in self.turns.values())
        outcome = "stopped" if stopped else "failed" if self._failures() else "done"
        self.books.end(self.book, outcome, note=stopped, finished=not stopped and not left)


def _some(names: Sequence[str]) -> str:
    return f"{', '.join(names[:5])}{f' and {len(names) - 5} more' if len(names) > 5 else ''}"

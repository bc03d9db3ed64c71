"""The tables that `manage.py fleet` prints."""

from __future__ import annotations

from collections.abc import Sequence

from moeen.db.fleet.rollout import Report
from moeen.db.fleet.runs import State, Turn
from moeen.db.fleet.status import Status

STATUS = ("STATE", "CLINIC", "VERSION", "TO GO", "BACKUP (UTC)", "PROVEN", "WHY")
TURNS = ("STATE", "CLINIC", "WAVE", "SECONDS", "WAITED", "BACKUP", "WHY")
#: Those that somebody must look at come first.
_ORDER = (State.FAILED, State.REFUSED, State.WAITING, State.RUNNING, State.SKIPPED, State.DONE)


def status_row(one: Status) -> tuple[str, ...]:
    """A clinic in one line; `?` where something could not be looked at."""
    version = "newest" if one.pending == 0 else max(one.version.values(), default="-" if one.pending else "?")
    pending = "?" if one.pending is None else str(one.pending)
    made, proven = ("none", "-") if one.system else ("?", "?")
    why = one.says
    if one.backup is not None:
        made = f"{one.backup.at:%Y-%m-%d %H:%M}"
        proven = {True: "yes", False: "FAILED", None: "never"}[one.backup.proven]
        why = "; ".join(filter(None, (why, one.backup.worry and f"backup {one.backup.worry}")))
    return (str(one.state), one.clinic, version, pending, made, proven, why)


def turn_rows(report: Report) -> Sequence[tuple[str, ...]]:
    """The clinics of a run, a line each."""
    ordered = sorted(report.turns, key=lambda turn: (_ORDER.index(turn.state), turn.wave, turn.clinic))
    return [_turn_row(turn) for turn in ordered]


def _turn_row(turn: Turn) -> tuple[str, ...]:
    ran = turn.state in (State.DONE, State.REFUSED, State.FAILED)
    seconds = f"{turn.seconds:.1f}" if ran else "-"
    waited = f"{turn.stall:.1f}" if turn.stall is not None else "-"
    why = turn.reason.splitlines()[0] if turn.reason else ""
    return (str(turn.state), turn.clinic, str(turn.wave), seconds, waited, str(turn.receipt.get("backup") or "-"), why)

"""How each clinic stands, at one look that takes seconds for hundreds: what cannot be known is never ok.

Nothing is changed, and nothing waits: a server that does not answer within seconds is told of as one that does not.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any

import psycopg
from django.conf import settings
from django.db import DatabaseError
from django.db.migrations.loader import MigrationLoader

from moeen.db.backups import inventory, retention
from moeen.db.backups.login import Login
from moeen.db.backups.origin import Origin
from moeen.db.backups.store import Store
from moeen.db.errors import MoeenError
from moeen.db.explain import explain
from moeen.db.fleet.clinics import Clinic, Fleet, by_server
from moeen.db.fleet.memory import Memory
from moeen.db.history.own_apps import own_apps
from moeen.db.migrate import mutex, preflight

#: Seconds: to connect, for one question, and in which no clinic at all has come to an end.
CONNECT_SECONDS, STATEMENT_SECONDS, SILENT_SECONDS = 2, 5, 20.0
#: Looked at side by side: in all, and on one server.
AT_ONCE, AT_ONCE_ON_A_SERVER = 32, 6


class State(StrEnum):
    """Worst first. Only the last one is in step."""

    UNREACHABLE = "unreachable"
    FOREIGN = "foreign"
    UNKNOWN = "unknown"
    FAILED = "failed"
    NEWER = "newer"
    DRIFTED = "drifted"
    BEHIND = "behind"
    RUNNING = "running"
    OK = "ok"


_ORDER = list(State)


@dataclass(frozen=True)
class LastBackup:
    """``proven``: whether the last verification passed, None where there was none; ``worry``: "" or what is wrong."""

    id: str
    at: datetime
    proven: bool | None
    worry: str = ""


@dataclass(frozen=True)
class LastFailure:
    """The last run of migrate that did not end well. ``over``: a later one did."""

    at: datetime
    error: str
    over: bool


@dataclass(frozen=True, kw_only=True)
class Status:
    """One clinic. ``says``: why it is in this state; ``version``: app -> its newest applied migration.

    ``pending`` and ``fingerprint`` are None and "" where they could not be looked at; so is ``backup`` where there is
    none, or where the clinic's server could not tell which are its own. ``place`` is which database it is, by whatever
    address, and for nobody to read.
    """

    clinic: str
    server: str
    tags: tuple[str, ...]
    state: State
    says: str = ""
    postgresql: str = ""
    system: str = ""
    place: str = ""
    version: Mapping[str, str] = field(default_factory=dict)
    pending: int | None = None
    fingerprint: str = ""
    drift: tuple[str, ...] = ()
    backup: LastBackup | None = None
    failure: LastFailure | None = None

    @property
    def in_step(self) -> bool:
        return self.state is State.OK


@dataclass(frozen=True)
class Report:
    """All clinics, those out of step first. ``warnings``: what could not be looked at for all of them."""

    clinics: tuple[Status, ...]
    seconds: float
    warnings: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return all(status.in_step for status in self.clinics)

    def as_dict(self) -> dict[str, Any]:
        """Times as ISO 8601 text."""
        said = asdict(self) | {"ok": self.ok, "counts": dict(self.counts)}
        for status in said["clinics"]:
            del status["place"]
            for part in filter(None, (status["backup"], status["failure"])):
                part["at"] = part["at"].isoformat(timespec="seconds")
        return said

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """State -> number of clinics, worst first."""
        found = Counter(status.state for status in self.clinics)
        return {str(state): found[state] for state in State if found[state]}

    def pretty(self) -> str:
        """One line: how many are in which state."""
        counts = ", ".join(f"{count} {state}" for state, count in self.counts.items())
        return f"{len(self.clinics)} clinics: {counts} ({self.seconds:.1f} s)."


def look(fleet: Fleet, *, store: Store, memory: Memory) -> Report:
    """Look at every clinic, and for its backups in the store."""
    started = time.monotonic()
    found = _with_twins(_Looking(fleet.clinics, _Expected(MigrationLoader(None), memory)).found())
    memory.keep()
    warnings: list[str] = []
    try:
        found = list(_with_backups(found, fleet, store, warnings))
    except (OSError, MoeenError) as error:
        known = explain(error)
        warnings.append(f"The backups could not be looked at: {known.cause if known else type(error).__name__}")
    ordered = sorted(found, key=lambda status: (_ORDER.index(status.state), status.clinic))
    return Report(tuple(ordered), round(time.monotonic() - started, 3), tuple(warnings))


@dataclass(frozen=True)
class _Expected:
    """What every clinic is held against."""

    loader: MigrationLoader
    memory: Memory

    @cached_property
    def ours(self) -> frozenset[str]:
        return own_apps(self.loader)

    @cached_property
    def migrations(self) -> frozenset[tuple[str, str]]:
        return frozenset(key for key in self.loader.disk_migrations if key[0] in self.ours)

    @cached_property
    def tables(self) -> frozenset[str]:
        return preflight.our_tables()


class _Looking:
    """Threads that look at the clinics, few at once on a server. One that hangs is left behind."""

    def __init__(self, clinics: Iterable[Clinic], expected: _Expected) -> None:
        self._clinics, self._expected = tuple(clinics), expected
        self._waiting = list(by_server(self._clinics))
        self._busy: Counter[str] = Counter()
        self._found: dict[str, Status] = {}
        # Servers that have answered, and those that have not -> the clinic that waited for it in vain.
        self._answered: set[str] = set()
        self._silent: dict[str, str] = {}
        self._changed = threading.Condition()
        # Worked out once, and not by several threads at once.
        _ = expected.migrations, expected.tables

    def found(self) -> list[Status]:
        for _ in range(min(AT_ONCE, len(self._clinics))):
            threading.Thread(target=self._work, name="look", daemon=True).start()
        with self._changed:
            while len(self._found) < len(self._clinics) and self._changed.wait(SILENT_SECONDS):
                pass
            found = dict(self._found)
        silent = f"it gave no answer within {SILENT_SECONDS:.0f} s"
        return [found.get(one.name) or _status(one, State.UNREACHABLE, silent) for one in self._clinics]

    def _work(self) -> None:
        while (clinic := self._take()) is not None:
            status = self._look_at(clinic)
            with self._changed:
                self._busy[clinic.server] -= 1
                self._found[clinic.name] = status
                self._changed.notify_all()

    def _look_at(self, clinic: Clinic) -> Status:
        """A server that says nothing is waited for by its first clinics, and not by a hundred in turn."""
        if clinic.server in self._silent:
            words = f"{clinic.server} gave {self._silent[clinic.server]} no answer within {CONNECT_SECONDS} s"
            return _status(clinic, State.UNREACHABLE, words)
        began = time.monotonic()
        status = _look_at(clinic, self._expected)
        if status.state is not State.UNREACHABLE:
            self._answered.add(clinic.server)
        elif time.monotonic() - began >= CONNECT_SECONDS and clinic.server not in self._answered:
            self._silent.setdefault(clinic.server, clinic.name)
        return status

    def _take(self) -> Clinic | None:
        """The next clinic whose server is not busy; waits for one, None when all are taken."""
        with self._changed:
            while self._waiting:
                for place, clinic in enumerate(self._waiting):
                    if self._busy[clinic.server] < AT_ONCE_ON_A_SERVER:
                        self._busy[clinic.server] += 1
                        return self._waiting.pop(place)
                self._changed.wait()
            return None


def _status(clinic: Clinic, state: State, says: str = "", **more: Any) -> Status:
    tags = tuple(sorted(clinic.tags))
    return Status(clinic=clinic.name, server=clinic.server, tags=tags, state=state, says=says, **more)


def _look_at(clinic: Clinic, expected: _Expected) -> Status:
    """Whatever goes wrong is the clinic's status, never an error."""
    state, login = State.UNREACHABLE, clinic.login
    quick = {"connect_timeout": str(CONNECT_SECONDS)}
    try:
        login = Login({**login.parameters, **quick}, login.password)
        with login.connect(application="moeen fleet") as connection:
            state = State.UNKNOWN
            return _Look(clinic, connection, expected).status()
    except (psycopg.Error, DatabaseError, MoeenError, OSError) as error:
        known = explain(error, named="the clinic's URL")
        return _status(clinic, state, known.cause.splitlines()[0] if known else type(error).__name__)
    except Exception as error:  # of nobody's making that we know: the others are looked at all the same
        return _status(clinic, State.UNKNOWN, f"unforeseen {type(error).__name__}")


class _Look:
    """At one clinic, over one connection of its own."""

    def __init__(self, clinic: Clinic, connection: psycopg.Connection[Any], expected: _Expected) -> None:
        self.clinic, self.connection, self.expected = clinic, connection, expected
        self.facts: dict[str, Any] = {}

    def status(self) -> Status:
        self.connection.execute(
            "SELECT set_config('statement_timeout', %s, false), set_config('lock_timeout', %s, false),"
            " set_config('default_transaction_read_only', 'on', false)",
            [f"{STATEMENT_SECONDS}s", f"{STATEMENT_SECONDS}s"],
        )
        self.facts["postgresql"] = (self.connection.info.parameter_status("server_version") or "").split()[0]
        self.facts["system"] = inventory.system(self.connection)
        self.facts["place"] = inventory.place(self.connection)
        state, says = self._judge()
        return _status(self.clinic, state, says, **self.facts)

    def _judge(self) -> tuple[State, str]:
        """The worst that is so. What comes later rests on what came before."""
        ((_, standing),) = self._rows(preflight.STANDING)
        if others := preflight.another_applications(standing, ours=self.expected.tables):
            more = ", ..." if len(others) > 3 else ""
            return State.FOREIGN, f"another application's tables stand there: {', '.join(others[:3])}{more}"
        stands = set(standing)
        query = "SELECT app, name FROM public.django_migrations"
        applied = self._rows(query) if "django_migrations" in stands else []
        ours = sorted(key for key in applied if key[0] in self.expected.ours)
        pending = self.expected.migrations - set(ours)
        self.facts |= {"version": dict(ours), "pending": len(pending)}
        failure = self.facts["failure"] = self._failure() if "migration_runs" in stands else None
        if unknown := [key for key in ours if key not in self.expected.migrations]:
            return State.NEWER, f"{'.'.join(unknown[-1])} is no migration of this version"
        for _, _, _, seconds in self._rows(mutex.HOLDER, mutex.LOCK):
            return State.RUNNING, f"a migrate is at work there, for {float(seconds):.0f} s"
        if pending and failure is not None and not failure.over:
            return State.FAILED, f"migrate: {failure.error}"
        if pending:
            return State.BEHIND, "" if ours else "not adopted yet" if stands else "nothing stands there yet"
        shape = self.expected.memory.shape(self.connection)
        self.facts |= {"fingerprint": shape.fingerprint, "drift": shape.differs}
        return (State.DRIFTED, ", ".join(shape.differs)) if shape.differs else (State.OK, "")

    def _failure(self) -> LastFailure | None:
        """A run that was killed has left no word, and no lock."""
        rows = self._rows(
            """SELECT started_at, outcome, error,
                      EXISTS (SELECT FROM public.migration_runs AS l
                              WHERE l.started_at > r.started_at AND l.outcome = 'done')
               FROM public.migration_runs AS r
               WHERE outcome <> 'done' ORDER BY started_at DESC LIMIT 1"""
        )
        for at, outcome, error, over in rows:
            words = error.splitlines()[0] if error else "interrupted" if outcome == "running" else outcome
            return LastFailure(at, words, over)
        return None

    def _rows(self, query: Any, params: Any = None) -> list[tuple[Any, ...]]:
        return self.connection.execute(query, params).fetchall()


def _with_twins(statuses: Collection[Status]) -> list[Status]:
    """One database under two names, at two addresses of its server, is neither clinic's for certain."""
    stands: dict[str, list[str]] = {}
    for status in statuses:
        if status.place:
            stands.setdefault(status.place, []).append(status.clinic)
    twins = {name: names for names in stands.values() if len(names) > 1 for name in names}
    return [_with_twin(status, twins[status.clinic]) if status.clinic in twins else status for status in statuses]


def _with_twin(status: Status, names: list[str]) -> Status:
    words = f"one database with {', '.join(name for name in names if name != status.clinic)}"
    state = min(status.state, State.UNKNOWN, key=_ORDER.index)
    return replace(status, state=state, says="; ".join(filter(None, (words, status.says))))


def _with_backups(found: Iterable[Status], fleet: Fleet, store: Store, warnings: list[str]) -> Iterable[Status]:
    """Each with the newest backup of its database; the store is read no further back than that takes."""
    statuses = {status.clinic: status for status in found}
    names = Counter(clinic.login.database for clinic in fleet.clinics)
    lacking = {
        clinic.name: Origin(clinic.login.database, statuses[clinic.name].system)
        for clinic in fleet.clinics
        # Of a server that did not tell its number, the name alone could be another server's.
        if statuses[clinic.name].system or names[clinic.login.database] == 1
    }
    damaged = 0
    for entry in retention.newest_first(store) if lacking else ():
        if entry.damage:
            damaged += 1
            continue
        if not entry.counts:
            continue
        made_of = Origin(entry.database, entry.system)
        for name in [name for name, wanted in lacking.items() if wanted.same(made_of)]:
            statuses[name] = replace(statuses[name], backup=_backup(entry))
            del lacking[name]
        if not lacking:
            break
    if damaged:
        warnings.append(f"{damaged} damaged backups were passed over: manage.py list_backups names them.")
    return statuses.values()


def _backup(entry: retention.Entry) -> LastBackup:
    now = datetime.now(UTC)
    age, worry = now - entry.created_at, ""
    if entry.is_ahead(now):
        worry = "dated in the future"
    elif entry.verified_ok is False:
        worry = "did not pass its verification"
    elif age > timedelta(hours=settings.BACKUP_MAX_AGE):
        worry = f"{age.total_seconds() / 3600:.0f} h old"
    elif entry.verified_ok is None:
        worry = "never verified"
    return LastBackup(entry.id, entry.created_at, entry.verified_ok, worry)

"""Whether a database is what the code says: its catalog against the expected one, its contents, one fingerprint."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import psycopg
from django.apps import apps
from django.conf import settings
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from psycopg.conninfo import conninfo_to_dict

from moeen.db import catalog
from moeen.db.catalog import Catalog
from moeen.db.catalog.mark import mark
from moeen.db.codes import Code
from moeen.db.errors import FAILED, USAGE, ConfigurationError, MoeenError
from moeen.db.findings import Finding, Severity, unique
from moeen.db.history import ledger
from moeen.db.kinds import Kind
from moeen.db.logs import logger
from moeen.db.names import PUBLIC, ObjectKind
from moeen.db.roles import ROLES
from moeen.db.schema import canonical, drift, own, restorable, rows
from moeen.db.schema.canonical import Form, Objects
from moeen.db.scoped import scoped
from moeen.db.security import advisors, exposure
from moeen.db.security.trust import AUTHENTICATOR, PLATFORM_ROLES

#: Where an app keeps the expected catalog.
EXPECTED = Path("schema") / "expected.json"
_ORDER = list(Severity)
#: Of many findings, a report keeps so many.
_MOST = 200
_OWNERS = frozenset({Kind.SCHEMA_OWNER, Kind.TABLE_OWNER, Kind.FUNCTION_OWNER, Kind.SEQUENCE_OWNER, Kind.TYPE_OWNER})
_PLATFORM = (*PLATFORM_ROLES, AUTHENTICATOR)


#: Takes the mark that a catalog had before it was read, what is recorded as the clinic's own, and what
#: `differences_with` would give.
Listener = Callable[[str, frozenset[str], str, Sequence[Finding]], None]
_listening: ContextVar[Listener | None] = ContextVar("listening", default=None)


def told(listener: Listener) -> AbstractContextManager[Any]:
    """Meanwhile the listener is told of each catalog that is validated."""
    return scoped(_listening, listener)


@dataclass(frozen=True)
class Validation:
    """``skipped``: tables whose rows could not be looked into; ``fingerprint``: of the catalog, see `canonical`.

    ``large``: tables that were not looked through for orphans.

    ``ok``: nothing was found. ``settled``: nothing but what is expected between an adoption and its backfill.
    """

    ok: bool
    fingerprint: str
    server: str
    seconds: float
    findings: tuple[Finding, ...]
    skipped: tuple[str, ...] = ()
    large: tuple[str, ...] = ()

    @property
    def settled(self) -> bool:
        return all(finding.kind in rows.DECLARED for finding in self.findings)

    @property
    def unexpected(self) -> tuple[Finding, ...]:
        """The findings without those that are expected until a backfill has run."""
        return tuple(finding for finding in self.findings if finding.kind not in rows.DECLARED)

    def as_dict(self) -> dict[str, Any]:
        return {
            "ok": self.ok,
            "fingerprint": self.fingerprint,
            "server": self.server,
            "seconds": self.seconds,
            "findings": [finding.as_dict() for finding in self.findings],
            "skipped": list(self.skipped),
            "large": list(self.large),
        }

    def pretty(self) -> str:
        """For a person: worst first, with the reason and the fix."""
        lines = [_with_reason(finding) for finding in self.findings]
        if self.skipped:
            lines.append(f"Not looked into, for want of rights: rows of {', '.join(self.skipped)}.")
        if self.large:
            lines.append(f"Not looked through for orphans, which --deep does: {', '.join(self.large)}.")
        verdict = self.verdict
        lines.append(f"{verdict} PostgreSQL {self.server}, fingerprint {self.fingerprint}, {self.seconds:.2f} s.")
        return "\n".join(lines)

    @property
    def counts(self) -> dict[str, int]:
        """Severity, worst first -> how many findings."""
        return {str(s): sum(f.severity is s for f in self.findings) for s in _ORDER}

    @property
    def verdict(self) -> str:
        told = ", ".join(f"{count} {severity}" for severity, count in self.counts.items() if count)
        return f"{len(self.findings)} findings ({told})." if self.findings else "The database is what the code says."

    def report(self) -> dict[str, Any]:
        """What is kept for people to look at: the verdict, counts, and the first findings."""
        return {
            "verdict": self.verdict,
            "counts": self.counts,
            "findings": [
                {"told": f.told(), "severity": str(f.severity), "fix": f.fix.pretty()} for f in self.findings[:_MOST]
            ],
        }


def _with_reason(finding: Finding) -> str:
    text = f"{finding.severity}: {finding.told()}"
    text += f"\n    why: {finding.why}" if finding.why else ""
    return text + (f"\n    fix: {finding.fix.pretty()}" if finding.fix else "")


def validate(
    connection: BaseDatabaseWrapper,
    *,
    loader: MigrationLoader | None = None,
    tables: Iterable[str] | None = None,
    apps_only: Iterable[str] = (),
    advice: bool = False,
    deep: bool = False,
) -> Validation:
    """Hold a database against the expected catalog and look at its contents. Writes nothing, also on a standby.

    Of a database that was never migrated that alone is found. ``tables`` and ``apps_only`` limit the findings to these
    tables and to the migrations of these apps. With
    ``advice`` the rules of row security are asked as well, where the catalog has not said it already, and what a
    restore could not bring back; ``deep``: large tables are looked through for it, too. Raises MoeenError when there is
    no expected catalog, and the database's errors when it cannot be asked.
    """
    started = time.monotonic()
    expected = load_expected()
    large: list[str] = []
    listener = _listening.get()
    with transaction.atomic(using=connection.alias):
        with connection.cursor() as cursor:
            # First: a change that comes between gives the reading another mark than this one.
            before = mark(cursor, roles=ROLES) if listener else ""
        live = _catalog(connection, only=canonical.relations(expected))
        with connection.cursor() as cursor:
            recorded = ledger.own_objects(cursor)
        form = own.without(canonical.of(live), expected, recorded)
        form = canonical.conform(form, expected, is_allowed=is_allowed)
        if never := rows.never_migrated(connection, form, expected):
            return _result(form, [never], (), started)
        found = drift.findings(expected, form.objects, owner=form.owner)
        if listener:
            listener(before, recorded, form.fingerprint, found)
        inside = rows.examine(connection, form, expected, loader=loader)
        found = rows.after_rows(found, inside.findings)
        if advice:
            advice_given = _advice(connection, live, expected, {finding.object for finding in found})
            shown = exposed(connection, expected=expected)
            said = {(finding.kind, finding.object) for finding in shown}
            found += [f for f in advice_given if not own.speaks_of(f, recorded) and (f.kind, f.object) not in said]
            found += shown
            lost, large = restorable.findings(connection, deep=deep)
            found += [finding for finding in lost if not is_allowed(finding.kind, finding.object)]
        found += [f for f in inside.findings if not is_allowed(f.kind, f.object)]
    if tables is not None:
        names, labels = set(tables), set(apps_only)
        found = [f for f in found if f.table in names or f.object.partition(".")[0] in labels]
    return replace(_result(form, found, inside.skipped, started), large=tuple(large))


def _advice(connection: BaseDatabaseWrapper, live: Catalog, expected: Objects, named: set[str]) -> Iterator[Finding]:
    """What the advisors say of our tables where nothing was said yet, and of no object that is allowed to differ."""
    others = live.tables.keys() - canonical.relations(expected)
    objects = canonical.of(live).objects if settings.SCHEMA_ALLOWED else {}
    shown = {(kind, name.pretty()) for kind, entries in objects.items() for name in entries}
    allowed = {name for kind, name in shown if is_allowed(kind, name)}
    for finding in advisors.advise(connection, live=live):
        told = finding.object in named | allowed or finding.table in others
        if not told and not is_allowed(finding.kind, finding.object):
            yield finding


def exposed(connection: BaseDatabaseWrapper, *, expected: Objects | None = None) -> list[Finding]:
    """What shows rows past row security anywhere in the database, and is not allowed to."""
    relations = (load_expected() if expected is None else expected).get("table", {})
    names = [name.table for name in relations if name.schema == PUBLIC]
    found = exposure.findings(connection, tables=names)
    return [finding for finding in found if not is_allowed(finding.kind, finding.object)]


def compare_databases(expected: BaseDatabaseWrapper, live: BaseDatabaseWrapper) -> Validation:
    """Hold one live database against another; the platform's part and what is allowed to differ aside."""
    started = time.monotonic()
    ours = load_expected()
    one, other = (canonical.conform(read(c), ours, is_allowed=is_allowed) for c in (expected, live))
    return _result(other, drift.findings(one.objects, other.objects, owner=other.owner), (), started)


def connect(url: str, *, alias: str) -> BaseDatabaseWrapper:
    """A connection to another database, by its URL. Raises MoeenError when that is none."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        form = "postgresql://USER:PASSWORD@HOST:5432/NAME"
        raise MoeenError("This is no database URL.", next_step=f"Its form is {form}", exit_code=USAGE) from None
    names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    entry: dict[str, Any] = {key: str(parts.pop(name, None) or "") for key, name in names.items()}
    entry |= {"ENGINE": "moeen.db.engine", "OPTIONS": parts}
    connections.settings[alias] = connections.configure_settings({"default": {}, alias: entry})[alias]
    connections[alias].ensure_connection()
    return connections[alias]


def compare(expected: Catalog, live: Catalog) -> list[Finding]:
    """What differs between two catalogs as they are, rows that wait for public ids included, whoever owns them."""
    one, other = (canonical.of(c, waiting=False) for c in (expected, live))
    found = drift.findings(one.objects, other.objects, owner=other.owner)
    return [finding for finding in found if finding.kind not in _OWNERS]


def fingerprint(connection: BaseDatabaseWrapper) -> str:
    """The fingerprint alone, as `validate` gives it."""
    expected = load_expected()
    form = read(connection, only=canonical.relations(expected))
    with connection.cursor() as cursor:
        form = own.without(form, expected, ledger.own_objects(cursor))
    return canonical.conform(form, expected, is_allowed=is_allowed).fingerprint


def fingerprint_with(cursor: psycopg.ClientCursor[Any], *, recorded: Collection[str] | None = None) -> str:
    """The same, by a cursor of a session whose search path is empty, and in its transaction.

    `recorded`: what is recorded as the clinic's own, where somebody else has read it; then no table of theirs is read.
    """
    return _form_with(cursor, load_expected(), recorded).fingerprint


def recorded_with(cursor: Any) -> frozenset[str]:
    """What the database records as the clinic's own objects; a table of its owner's is read for it."""
    return ledger.own_objects(cursor)


def differences_with(cursor: psycopg.ClientCursor[Any]) -> tuple[str, list[Finding]]:
    """The same fingerprint, and what of the catalog differs from the expected one; rows are not looked at."""
    expected = load_expected()
    form = _form_with(cursor, expected)
    return form.fingerprint, drift.findings(expected, form.objects, owner=form.owner)


def expected_fingerprint() -> str:
    """What `fingerprint` gives of a database in which nothing differs."""
    path = expected_path()
    return _fingerprint(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=2)
def _fingerprint(path: Path, changed: int) -> str:
    """Of the file as it was then, in nanoseconds."""
    return Form(_loaded(path, changed), {}, "", "").fingerprint


def _form_with(cursor: psycopg.ClientCursor[Any], expected: Objects, recorded: Collection[str] | None = None) -> Form:
    names = set(canonical.relations(expected))
    live = catalog.read_whole_with(cursor, roles=ROLES, platform_roles=_PLATFORM, only=names)
    form = own.without(canonical.of(live), expected, ledger.own_objects(cursor) if recorded is None else recorded)
    return canonical.conform(form, expected, is_allowed=is_allowed)


def own_objects(connection: BaseDatabaseWrapper) -> frozenset[str]:
    """The words of what stands beside what the code knows, and may be the clinic's own."""
    expected = load_expected()
    return own.standing(read(connection, only=canonical.relations(expected)), expected)


def read(connection: BaseDatabaseWrapper, *, only: Iterable[str] | None = None) -> Form:
    """The form of the live catalog; with ``only``, further relations come without their parts."""
    return canonical.of(_catalog(connection, only=only))


def _catalog(connection: BaseDatabaseWrapper, *, only: Iterable[str] | None = None) -> Catalog:
    names = None if only is None else set(only)
    return catalog.read_whole(connection, roles=ROLES, platform_roles=_PLATFORM, only=names)


def expected_path() -> Path:
    """The file of the expected catalog: the first app's that has one. Raises MoeenError."""
    for config in apps.get_app_configs():
        if (path := Path(config.path) / EXPECTED).is_file():
            return path
    raise MoeenError(
        "There is no expected catalog.",
        next_step="manage.py validate_schema --write-expected writes it.",
        exit_code=FAILED,
        code=Code.EXPECTED_CATALOG,
    )


def load_expected() -> Objects:
    """The expected catalog, which nobody may change: it is read once."""
    path = expected_path()
    return _loaded(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=2)
def _loaded(path: Path, changed: int) -> Objects:
    """``changed``: when the file was, in nanoseconds."""
    return canonical.load(path.read_text(encoding="utf-8"))


def write_expected(connection: BaseDatabaseWrapper, path: Path) -> Form:
    """Write the live catalog to the file. Raises MoeenError when rows wait for public ids or auth is a platform's."""
    form = read(connection)
    if form.pending or any(entry.get("platform") for entry in form.objects.get("auth function", {}).values()):
        raise MoeenError(
            "The expected catalog is written from a database that was migrated from nothing, on a plain server.",
            next_step="Migrate an empty database and name it in DATABASE_URL.",
            exit_code=FAILED,
            code=Code.EXPECTED_CATALOG,
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(canonical.write(form.objects), encoding="utf-8")
    return form


def is_allowed(kind: str, name: str) -> bool:
    """Whether SCHEMA_ALLOWED (``"kind object"``, with ``*`` and ``?`` in the object -> reason) lets this differ.

    The kind is one of objects, of which everything may differ then, or one of findings. Raises MoeenError for another.
    """
    return any(
        kind == allowed and fnmatchcase(name, pattern) for allowed, pattern in _allowed(*settings.SCHEMA_ALLOWED)
    )


@functools.lru_cache(maxsize=4)
def _allowed(*entries: str) -> tuple[tuple[str, str], ...]:
    """Kind and pattern of the object, of each entry."""
    kinds = sorted([*ObjectKind, *Kind], key=len, reverse=True)
    found = []
    for entry in entries:
        kind = next((kind for kind in kinds if entry.startswith(f"{kind} ")), None)
        if kind is None:
            raise ConfigurationError(
                f"SCHEMA_ALLOWED: {entry!r} begins with no kind of object or finding.",
                next_step="Write it as validate_schema prints it: 'table own_table', \"owner's view reports.*\".",
            )
        found.append((str(kind), entry.removeprefix(f"{kind} ")))
    return tuple(found)


def log(result: Validation) -> None:
    """One line in logs/validation.log."""
    words = {"ok": result.ok, "fingerprint": result.fingerprint, "server": result.server, "seconds": result.seconds}
    listed = [f"{f.severity} {f.kind} {f.object}" for f in result.findings[:200]]
    logger("validation").info("validation", extra=words | {"count": len(result.findings), "findings": listed})


def _result(form: Form, found: Iterable[Finding], skipped: Iterable[str], started: float) -> Validation:
    ordered = tuple(sorted(unique(found), key=lambda f: (_ORDER.index(f.severity), f)))
    seconds = round(time.monotonic() - started, 3)
    return Validation(not ordered, form.fingerprint, form.version.split()[0], seconds, ordered, tuple(skipped))

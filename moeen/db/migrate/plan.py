"""What a migration would do, before it does it: each statement, its lock, the table's size, and a verdict.

An action says itself what it does; of SQL that somebody wrote it is told what it did on a twin. What needs a scan or a
rewrite under a lock that stops readers or writers is *blocking*, what needs such a lock for an instant is *short*, what
went wrong on the twin *fails*, and what was not tried there is *unknown*.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from django.db import DatabaseError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader

from moeen.db import catalog, operations, registry
from moeen.db.actions import Action, Deed, FillValues, Lock
from moeen.db.catalog.sizes import estimate_sizes, has_rows
from moeen.db.codes import Code
from moeen.db.converge import conversions, release, steps, subject
from moeen.db.errors import FINDINGS, MoeenError
from moeen.db.migrate import states
from moeen.db.migrate.states import State, shown
from moeen.db.migrate.watch import Seen
from moeen.db.names import PUBLIC, ObjectName
from moeen.db.sql import compose, fragment
from moeen.db.statements import Statement, split

#: A table larger than this must not be blocked without leave.
THRESHOLD_ROWS = 100_000
THRESHOLD_BYTES = 64 * 1024 * 1024
#: Bytes that are read through or written anew, with the indexes, and rows that are changed in a second: rough,
#: for a server with two cores (docs/benchmarks.md).
READ_RATE, WRITE_RATE, CHANGE_RATE = 100 * 1024 * 1024, 25 * 1024 * 1024, 20_000
#: What a statement that somebody wrote does to what stands; the first that matches counts.
_DEEDS = (
    (Deed.DROP, re.compile(r"^DROP |\bDROP (CONSTRAINT|COLUMN|DEFAULT)\b", re.IGNORECASE)),
    (Deed.CONVERT, re.compile(r"\bALTER COLUMN .* TYPE |^UPDATE |SET (NOT NULL|DEFAULT)|\bRENAME\b", re.IGNORECASE)),
    (Deed.ADD, re.compile(r"\bADD (COLUMN|CONSTRAINT)\b|^CREATE |ENABLE ROW LEVEL SECURITY", re.IGNORECASE)),
)
#: How the work that is done under such a lock is had without it.
_ADVICE = {
    Lock.SHARE: "build it CONCURRENTLY: moeen.db.operations.RunIndexFile",
    Lock.SHARE_ROW_EXCLUSIVE: "add it NOT VALID, then VALIDATE CONSTRAINT in another transaction",
    Lock.ACCESS_EXCLUSIVE: "constraints NOT VALID, then VALIDATE in another transaction; other values in a new column, "
    "by a backfill",
}

Sizes = Mapping[str, tuple[int, int]]
#: (migration, statement) -> what it did on the twin.
Tried = Mapping[tuple[str, str], Seen]


@dataclass(frozen=True)
class PlannedStatement:
    """One statement of a pending migration; rows and bytes are estimates of its table, None for a new one.

    ``changes``: how many rows get other values by it in these ``columns``, where that was counted. ``seen``: what it
    did on the twin, where it was tried there.
    """

    migration: str
    operation: str
    sql: str
    table: str = ""
    lock: Lock = Lock.NONE
    rows: int | None = None
    bytes: int | None = None
    scans: bool = False
    rewrites: bool = False
    verdict: str = "ok"
    advice: str = ""
    deed: Deed | None = None
    changes: int = 0
    columns: tuple[str, ...] = ()
    seen: Seen | None = None

    @property
    def blocks_writes(self) -> bool:
        return self.lock.stops_writers

    @property
    def blocks_reads(self) -> bool:
        return self.lock.stops_readers

    @property
    def is_large(self) -> bool:
        return (self.rows or 0) > THRESHOLD_ROWS or (self.bytes or 0) > THRESHOLD_BYTES

    @property
    def seconds(self) -> float:
        """About how long it works, by the size of its table; what it waits for its lock is not in it."""
        size = self.bytes or 0
        work = size / WRITE_RATE if self.rewrites else size / READ_RATE if self.scans else 0.0
        return work + self.changes / CHANGE_RATE

    def as_dict(self) -> dict[str, Any]:
        told = {
            "blocks_reads": self.blocks_reads,
            "blocks_writes": self.blocks_writes,
            "seconds": round(self.seconds, 1),
        }
        return asdict(self) | told

    def pretty(self) -> str:
        """Two or three lines: the statement, and what it means for those who use the table."""
        first = " ".join(self.sql.split())
        lines = [f"  {first}"]
        if self.verdict == "unknown":
            lines.append("      unknown: it was not tried on a twin, so nobody knows what it locks")
        elif self.lock and self.rows is not None:
            size = f"{self.rows:,} rows, {pretty_size(self.bytes or 0)}"
            work = " and rewrites it" if self.rewrites else " and reads it through" if self.scans else ""
            how_long = f", {pretty_seconds(self.seconds)} by its size" if self.verdict == "blocking" else ""
            lines.append(f"      {self.verdict}: {self.lock} on {self.table} ({size}){work}{how_long}")
            if self.verdict == "blocking" and self.advice:
                lines.append(f"      online: {self.advice}")
        if self.seen and (told := self.seen.pretty()):
            lines.append(f"      on the twin: {told}")
        return "\n".join(lines)


class Blocking(MoeenError):
    """The plan would block a large table."""

    default_code = Code.BLOCKING

    def __init__(self, statements: Sequence[PlannedStatement]) -> None:
        self.statements = tuple(statements)
        lines = "\n".join(f"  {s.migration}\n{s.pretty()}" for s in statements)
        names = " ".join(sorted({f"--allow-blocking {s.migration}" for s in statements}))
        super().__init__(
            f"These statements would stop readers or writers of a large table for as long as they take. "
            f"Nothing was changed.\n{lines}",
            next_step=f"Write them the online way, or allow it, at a quiet hour: {names}",
            exit_code=FINDINGS,
        )


def losses(
    connection: BaseDatabaseWrapper, plan: Sequence[tuple[Migration, bool]], loader: MigrationLoader
) -> list[str]:
    """What the plan takes away by reversing migrations: tables and columns of tables that hold rows."""
    reversed_ones = [migration for migration, backwards in plan if backwards]
    if not reversed_ones:
        return []
    dropped: list[ObjectName] = []
    for migration in reversed_ones:
        state = loader.project_state((migration.app_label, migration.name))
        for operation in migration.operations:
            if isinstance(operation, operations.Ours):
                dropped += operation.dropped_on_the_way_back(migration.app_label, state)
    sizes, found = estimate_sizes(connection, count_to=THRESHOLD_ROWS), []
    for lost in dropped:
        what = f"{'column' if lost.part else 'table'} {lost.pretty()}"
        if lost.part and lost.relation in dropped:
            continue  # it goes with its table
        if lost.schema != PUBLIC:
            found += [what] if _holds(connection, lost) else []
        elif lost.table in sizes and has_rows(connection, lost.table):
            found.append(f"{what} (about {sizes[lost.table][0]:,} rows)")
    return found


def _holds(connection: BaseDatabaseWrapper, table: ObjectName) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT to_regclass(format('%%I.%%I', %s::text, %s::text)) IS NOT NULL", [table.schema, table.table]
        )
        if cursor.fetchone() == (False,):
            return False
        cursor.execute(compose("SELECT EXISTS (SELECT FROM {t})", t=table.identifier()))
        return bool(cursor.fetchone()[0])


def large_tables_stand(connection: BaseDatabaseWrapper) -> bool:
    """Whether any table is large enough for its blocking to matter; if not, nothing need be planned."""
    return any(
        rows > THRESHOLD_ROWS or size > THRESHOLD_BYTES
        for rows, size in estimate_sizes(connection, count_to=THRESHOLD_ROWS).values()
    )


def blocking(statements: Iterable[PlannedStatement], *, allowed: Iterable[str]) -> list[PlannedStatement]:
    """The statements that must not run without leave."""
    granted = set(allowed)
    return [s for s in statements if s.verdict == "blocking" and s.is_large and s.migration not in granted]


def describe(
    connection: BaseDatabaseWrapper,
    plan: Sequence[tuple[Migration, bool]],
    loader: MigrationLoader,
    *,
    seen: Iterable[Seen] = (),
    counting: bool = False,
    refused: bool = False,
) -> list[PlannedStatement]:
    """Every statement the plan would run, in order. Reads only: what it makes to look is rolled back.

    ``seen``: what was done when it was rehearsed. ``counting``: the rows that change are counted, for which a table is
    read through. ``refused``: the run is, and where for the same reason its statements cannot be told, they are not.
    """
    tried: dict[tuple[str, str], Seen] = {}
    for one in seen:
        key = (one.migration, one.sql)
        tried[key] = tried[key].joined(one) if key in tried else one
    with transaction.atomic(using=connection.alias):
        try:
            found = _statements(connection, plan, loader, tried, counting=counting)
            return [replace(one, seen=tried.get((one.migration, one.sql))) for one in found]
        except DatabaseError:
            if not refused:
                raise
            return []
        finally:
            transaction.set_rollback(True, using=connection.alias)


def _statements(
    connection: BaseDatabaseWrapper,
    plan: Sequence[tuple[Migration, bool]],
    loader: MigrationLoader,
    tried: Tried,
    *,
    counting: bool,
) -> Iterator[PlannedStatement]:
    sizes = estimate_sizes(connection, count_to=THRESHOLD_ROWS)
    seen: set[tuple[str, Action | str]] = set()
    state = states.at(loader, {key for key in loader.applied_migrations if key in loader.graph.nodes})
    for migration, backwards in plan:
        key = f"{migration.app_label}.{migration.name}"
        if backwards:
            state = State.of(loader.project_state((migration.app_label, migration.name), at_end=False))
        moves = []
        for operation in migration.operations:
            after = state.clone()
            operation.state_forwards(migration.app_label, after)
            moves.append((operation, after, state) if backwards else (operation, state, after))
            state = after
        for operation, before, after in reversed(moves) if backwards else moves:
            purpose = f"{'Reverse: ' if backwards else ''}{operation.describe()}"
            for done in _work_of(connection, migration, operation, before, after, sizes, backwards=backwards):
                # Actions towards a shape run once, whichever operation asks first; other SQL by each migration.
                mark = ("", done) if isinstance(done, Action) else (key, done)
                if mark not in seen:
                    seen.add(mark)
                    if isinstance(done, FillValues):
                        changes = _count(connection, done) if counting else 0
                        filling = weigh(key, purpose, done, sizes)
                        yield from (replace(one, changes=changes, columns=done.columns) for one in filling)
                    elif isinstance(done, Action):
                        yield from weigh(key, purpose, done, sizes)
                    else:
                        yield from classify(key, purpose, done, sizes, tried)


def _count(connection: BaseDatabaseWrapper, fill: FillValues) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            compose(
                "SELECT count(*) FROM {t} WHERE {w}", t=fill.target.relation.identifier(), w=fragment(fill.condition)
            )
        )
        (count,) = cursor.fetchone()
        return int(count)


def _work_of(
    connection: BaseDatabaseWrapper,
    migration: Migration,
    operation: Any,
    before: Any,
    after: Any,
    sizes: dict[str, Any],
    *,
    backwards: bool,
) -> Iterator[Action | str]:
    """The actions of an operation that converges tables which stand, or the statements of another."""
    if isinstance(operation, operations.Symmetric if backwards else operations.CONVERGING):
        yield from _converging(connection, migration.app_label, operation, before, after, sizes)
        return
    if isinstance(operation, operations.RunSQLFile):
        for script in operation.backwards if backwards else operation.forwards:
            if not backwards and registry.runs_first(operation.app_label, operation.name):
                # The tables' defaults name these functions; they go again with the transaction.
                with connection.cursor() as cursor:
                    cursor.execute(script.body)
            yield from (statement.text for statement in split(script.body))
        return
    with connection.schema_editor(collect_sql=True, atomic=False) as editor:
        move = operation.database_backwards if backwards else operation.database_forwards
        move(migration.app_label, editor, shown(operation, before), shown(operation, after))
        collected = list(editor.collected_sql)
    if not collected:
        yield f"-- {operation.describe()}"
    for sql in collected:
        yield str(sql).rstrip(";")


def _converging(
    connection: BaseDatabaseWrapper, app_label: str, operation: Any, before: Any, after: Any, sizes: dict[str, Any]
) -> Iterator[Action]:
    """The actions of an operation on the tables that stand; of one that does not stand yet, nothing locks."""
    with connection.schema_editor(collect_sql=True, atomic=False) as editor:
        shapes = list(operation.shapes(app_label, editor, before, after))
        later = {want.name: operations.later_indexes(app_label, editor, want) for _, want in shapes}
    for was, want in shapes:
        live = catalog.read_tables(connection, [want.name])[want.name] if want.name in sizes else None
        if live is None or live.kind != "r":
            continue  # what bears the name is no table: refused, whatever else
        kept = release.relaxed(live, was, want)
        item = subject.examine(connection, want, kept, operation.legacy, later=later[want.name])
        for step in (*release.relax(live, was, want), *steps.plan(connection, conversions.carried_over(item))):
            yield from step.actions


def weigh(migration: str, operation: str, action: Action, sizes: Sizes) -> Iterator[PlannedStatement]:
    """What an action means for its table (``sizes``: rows, bytes of those that stand), a statement at a time."""
    table = action.target.relation.pretty()
    rows, size = sizes.get(table, (None, None))
    verdict = _verdict(action.lock, works=action.scans or action.rewrites) if table in sizes else "ok"
    for statement in action.statements():
        yield PlannedStatement(
            migration,
            operation,
            statement,
            table=table,
            lock=action.lock,
            rows=rows,
            bytes=size,
            scans=action.scans,
            rewrites=action.rewrites,
            verdict=verdict,
            advice=action.advice,
            deed=action.deed,
        )


def classify(migration: str, operation: str, sql: str, sizes: Sizes, tried: Tried) -> Iterator[PlannedStatement]:
    """The same of SQL that somebody wrote, by what it did on the twin: of several tables the worst off counts."""
    statements = list(split(sql))
    if not statements:  # what runs is Python
        yield PlannedStatement(migration, operation, sql)
    for statement in statements:
        planned = PlannedStatement(migration, operation, statement.text, deed=_deed_of(statement))
        seen = tried.get((migration, statement.text))
        if seen is None or seen.error:
            # Where no table stands nobody can be stopped.
            yield replace(planned, verdict="fails" if seen else "unknown" if sizes else "ok")
            continue
        touched = [one for one in seen.touched if one.table in sizes]
        if not touched:
            yield planned
            continue
        worst = max(
            touched, key=lambda one: (one.lock.stops_writers and one.scans, one.lock.strength, sizes[one.table])
        )
        rows, size = sizes[worst.table]
        yield replace(
            planned,
            table=worst.table,
            lock=worst.lock,
            rows=rows,
            bytes=size,
            scans=worst.scans,
            rewrites=worst.rewrites,
            verdict=_verdict(worst.lock, works=worst.scans),
            advice=_ADVICE.get(worst.lock, ""),
        )


def _verdict(lock: Lock, *, works: bool) -> str:
    if not lock.stops_writers:
        return "ok"
    return "blocking" if works else "short"


def _deed_of(statement: Statement) -> Deed | None:
    return next((deed for deed, pattern in _DEEDS if pattern.search(statement.shape)), None)


def pretty_size(count: int) -> str:
    """Such as `12 MB`."""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1024 or unit == "GB":
            return f"{size:.0f} {unit}"
        size /= 1024
    raise AssertionError("unreachable")


def pretty_seconds(seconds: float) -> str:
    """Such as `about 20 s` or `about 3 min`; what is shorter than a second is not worth a number."""
    if seconds < 1:
        return "less than a second"
    return f"about {seconds:.0f} s" if seconds < 90 else f"about {seconds / 60:.0f} min"

"""What a migration would do, before it does it: each statement, its lock, the table's size, and a verdict.

What needs a scan or a rewrite under a lock that stops readers or writers is *blocking*, what needs such a lock for an
instant is *short*, and what cannot be told is *unknown*.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader

from moeen.db import catalog, operations, registry
from moeen.db.actions import Action, Deed, FillValues, Lock
from moeen.db.catalog.sizes import estimate_sizes, has_rows
from moeen.db.codes import Code
from moeen.db.converge import conversions, release, steps, subject
from moeen.db.errors import FINDINGS, MoeenError
from moeen.db.lint.lock_levels import Effect, deed_of, effect_of, is_harmless, tables_of
from moeen.db.sql import compose, fragment
from moeen.db.statements import Statement, inside, split

#: A table larger than this must not be blocked without leave.
THRESHOLD_ROWS = 100_000
THRESHOLD_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class PlannedStatement:
    """One statement of a pending migration; rows and bytes are estimates of its table, None for a new one.

    ``changes``: how many rows get other values by it in these ``columns``, where that was counted.
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

    @property
    def blocks_writes(self) -> bool:
        return self.lock.stops_writers

    @property
    def blocks_reads(self) -> bool:
        return self.lock.stops_readers

    @property
    def is_large(self) -> bool:
        return (self.rows or 0) > THRESHOLD_ROWS or (self.bytes or 0) > THRESHOLD_BYTES

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"blocks_reads": self.blocks_reads, "blocks_writes": self.blocks_writes}

    def pretty(self) -> str:
        """Two or three lines: the statement, and what it means for those who use the table."""
        first = " ".join(self.sql.split())
        if self.verdict == "unknown":
            return f"  {first}\n      unknown: what this locks cannot be told from its form"
        if not self.lock or self.rows is None:
            return f"  {first}"
        size = f"{self.rows:,} rows, {pretty_size(self.bytes or 0)}"
        work = " and rewrites it" if self.rewrites else " and reads it through" if self.scans else ""
        line = f"  {first}\n      {self.verdict}: {self.lock} on {self.table} ({size}){work}"
        return f"{line}\n      online: {self.advice}" if self.verdict == "blocking" and self.advice else line


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
    sizes, found = estimate_sizes(connection, count_to=THRESHOLD_ROWS), []
    for migration in reversed_ones:
        state = loader.project_state((migration.app_label, migration.name))
        for operation in migration.operations:
            if not isinstance(operation, operations.CreateTable | operations.AddColumn):
                continue
            name = operation.name if isinstance(operation, operations.CreateTable) else operation.model_name
            model = state.apps.get_model(migration.app_label, name)
            table = model._meta.db_table
            if table in sizes and has_rows(connection, table):
                what = f"table {table}"
                if isinstance(operation, operations.AddColumn):
                    what = f"column {table}.{model._meta.get_field(operation.name).column}"
                found.append(f"{what} (about {sizes[table][0]:,} rows)")
    return found


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
    counting: bool = False,
) -> list[PlannedStatement]:
    """Every statement the plan would run, in order. Reads only: what it makes to look is rolled back.

    ``counting``: the rows that change are counted, for which a table is read through.
    """
    with transaction.atomic(using=connection.alias):
        try:
            return list(_statements(connection, plan, loader, counting=counting))
        finally:
            transaction.set_rollback(True, using=connection.alias)


def _statements(
    connection: BaseDatabaseWrapper,
    plan: Sequence[tuple[Migration, bool]],
    loader: MigrationLoader,
    *,
    counting: bool,
) -> Iterator[PlannedStatement]:
    sizes = estimate_sizes(connection, count_to=THRESHOLD_ROWS)
    seen: set[tuple[str, Action | str]] = set()
    applied = [key for key in loader.applied_migrations if key in loader.graph.nodes]
    state = loader.project_state(applied, at_end=True)
    for migration, backwards in plan:
        key = f"{migration.app_label}.{migration.name}"
        if backwards:
            state = loader.project_state((migration.app_label, migration.name), at_end=False)
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
                        yield from classify(key, purpose, done, sizes)


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
            for statement in split(script.body):
                yield statement.text
        return
    with connection.schema_editor(collect_sql=True, atomic=False) as editor:
        move = operation.database_backwards if backwards else operation.database_forwards
        move(migration.app_label, editor, before, after)
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


def weigh(
    migration: str, operation: str, action: Action, sizes: Mapping[str, tuple[int, int]]
) -> Iterator[PlannedStatement]:
    """What an action means for its table (``sizes``: rows, bytes of those that stand), a statement at a time."""
    for statement in action.statements():
        planned = PlannedStatement(migration, operation, statement, deed=action.deed)
        yield _weighed(planned, action, (action.target.relation.pretty(),), sizes)


def classify(
    migration: str, operation: str, sql: str, sizes: Mapping[str, tuple[int, int]]
) -> Iterator[PlannedStatement]:
    """The same of SQL that somebody wrote: of a statement, and of each one inside a DO block, by its form."""
    if not (statements := list(split(sql))):  # what runs is Python
        yield PlannedStatement(migration, operation, sql)
    for statement in statements:
        yield _classified(migration, operation, statement, sizes)
        for inner in inside(statement):
            known = _classified(migration, operation, inner, sizes)
            if known.lock:
                yield known


def _classified(
    migration: str, operation: str, statement: Statement, sizes: Mapping[str, tuple[int, int]]
) -> PlannedStatement:
    effect = effect_of(statement)
    planned = PlannedStatement(migration, operation, statement.text, deed=deed_of(statement))
    if effect is None:
        return planned if is_harmless(statement) else replace(planned, verdict="unknown")
    return _weighed(planned, effect, tables_of(statement), sizes)


def _weighed(
    planned: PlannedStatement, effect: Effect | Action, tables: Sequence[str], sizes: Mapping[str, tuple[int, int]]
) -> PlannedStatement:
    """With the verdict: of several tables the largest counts."""
    standing = [name for name in tables if name in sizes]
    table = max(standing, key=lambda name: sizes[name], default=tables[0] if tables else "")
    rows, size = sizes.get(table, (None, None))
    stops, work = effect.lock.stops_writers, effect.scans or effect.rewrites
    verdict = "ok"
    if stops and work and not tables:
        verdict = "unknown"
    elif stops and standing:
        verdict = "blocking" if work else "short"
    return replace(
        planned,
        table=table,
        lock=effect.lock,
        rows=rows,
        bytes=size,
        scans=effect.scans,
        rewrites=effect.rewrites,
        verdict=verdict,
        advice=effect.advice,
    )


def pretty_size(count: int) -> str:
    """Such as `12 MB`."""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1024 or unit == "GB":
            return f"{size:.0f} {unit}"
        size /= 1024
    raise AssertionError("unreachable")

"""What a migration would do, before it does it: each statement, its lock, the table's size, and a verdict.

Lock levels are those of PostgreSQL's manual ("Explicit Locking", ALTER TABLE); what needs a scan or a rewrite under a
lock that stops readers or writers is *blocking*, what needs such a lock for an instant is *short*.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlparse
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader

from moeen.db import adoption, catalog, ddl, operations, steps
from moeen.db.errors import FINDINGS, MoeenError

#: A table larger than this must not be blocked without leave.
THRESHOLD_ROWS = 100_000
THRESHOLD_BYTES = 64 * 1024 * 1024

SHARE_UPDATE_EXCLUSIVE = "SHARE UPDATE EXCLUSIVE"
SHARE = "SHARE"
SHARE_ROW_EXCLUSIVE = "SHARE ROW EXCLUSIVE"
ACCESS_EXCLUSIVE = "ACCESS EXCLUSIVE"
ROW_EXCLUSIVE = "ROW EXCLUSIVE"
_STOPS_WRITES = {SHARE, SHARE_ROW_EXCLUSIVE, ACCESS_EXCLUSIVE}


@dataclass(frozen=True)
class Rule:
    """How statements of one form lock: what the pattern finds, the lock, and the work done while it is held."""

    pattern: re.Pattern[str]
    lock: str
    scans: bool = False
    rewrites: bool = False
    advice: str = ""


def _rule(pattern: str, lock: str, *, scans: bool = False, rewrites: bool = False, advice: str = "") -> Rule:
    return Rule(re.compile(pattern, re.IGNORECASE | re.DOTALL), lock, scans, rewrites, advice)


#: The first that matches counts.
RULES: tuple[Rule, ...] = (
    _rule(r"^CREATE (UNIQUE )?INDEX CONCURRENTLY|^DROP INDEX CONCURRENTLY", SHARE_UPDATE_EXCLUSIVE),
    _rule(
        r"^CREATE (UNIQUE )?INDEX", SHARE, scans=True, advice="build it CONCURRENTLY: moeen.db.operations.AddTableIndex"
    ),
    _rule(r"^ALTER TABLE .* VALIDATE CONSTRAINT", SHARE_UPDATE_EXCLUSIVE),
    _rule(r"^ALTER TABLE .* ADD CONSTRAINT .* FOREIGN KEY .* NOT VALID", SHARE_ROW_EXCLUSIVE),
    _rule(
        r"^ALTER TABLE .* ADD (CONSTRAINT .* )?FOREIGN KEY|^ALTER TABLE .* ADD COLUMN .* REFERENCES",
        SHARE_ROW_EXCLUSIVE,
        scans=True,
        advice="add it NOT VALID, then VALIDATE CONSTRAINT in another transaction",
    ),
    _rule(r"^ALTER TABLE .* ADD CONSTRAINT .* (NOT VALID|USING INDEX .*)$", ACCESS_EXCLUSIVE),
    _rule(
        r"^ALTER TABLE .* ADD CONSTRAINT .* CHECK",
        ACCESS_EXCLUSIVE,
        scans=True,
        advice="add it NOT VALID, then VALIDATE CONSTRAINT in another transaction",
    ),
    _rule(
        r"^ALTER TABLE .* ADD CONSTRAINT .* (UNIQUE|PRIMARY KEY|EXCLUDE)",
        ACCESS_EXCLUSIVE,
        scans=True,
        advice="CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT ... USING INDEX",
    ),
    _rule(
        r"^ALTER TABLE .* ALTER COLUMN .* TYPE ",
        ACCESS_EXCLUSIVE,
        scans=True,
        rewrites=True,
        advice="add a column of the new type, backfill it, swap the two",
    ),
    _rule(
        r"^ALTER TABLE .* SET NOT NULL",
        ACCESS_EXCLUSIVE,
        scans=True,
        advice="first CHECK (column IS NOT NULL) NOT VALID, then VALIDATE CONSTRAINT; SET NOT NULL need not scan then",
    ),
    _rule(
        r"^ALTER TABLE .* ADD COLUMN .* DEFAULT .*(random|uuid|generate_|clock_timestamp|nextval)",
        ACCESS_EXCLUSIVE,
        scans=True,
        rewrites=True,
        advice="add the column without default, SET DEFAULT, then backfill",
    ),
    _rule(r"^ALTER TABLE|^DROP (TABLE|INDEX|TRIGGER|POLICY)|^CREATE POLICY|^TRUNCATE", ACCESS_EXCLUSIVE),
    _rule(r"^CREATE (OR REPLACE )?TRIGGER", SHARE_ROW_EXCLUSIVE),
    _rule(r"^COMMENT ON (TABLE|COLUMN)", SHARE_UPDATE_EXCLUSIVE),
    _rule(r"^(UPDATE|INSERT|DELETE)", ROW_EXCLUSIVE, scans=True),
)
_TABLE = re.compile(
    r"""^(?:ALTER\ TABLE(?:\ IF\ EXISTS)?(?:\ ONLY)?|UPDATE(?:\ ONLY)?|INSERT\ INTO|DELETE\ FROM
        |DROP\ TABLE(?:\ IF\ EXISTS)?|TRUNCATE(?:\ TABLE)?|COMMENT\ ON\ (?:TABLE|COLUMN)
        |CREATE\ TABLE(?:\ IF\ NOT\ EXISTS)?)\s+(?:"?public"?\.)?"?(\w+)
        |\sON\s+(?:"?public"?\.)?"?(\w+)""",
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True)
class Statement:
    """One statement of a pending migration; rows and bytes are estimates of its table, None for a new one."""

    migration: str
    operation: str
    sql: str
    table: str
    lock: str
    rows: int | None
    bytes: int | None
    scans: bool
    rewrites: bool
    verdict: str
    advice: str = ""

    @property
    def blocks_writes(self) -> bool:
        return self.lock in _STOPS_WRITES

    @property
    def blocks_reads(self) -> bool:
        return self.lock == ACCESS_EXCLUSIVE

    @property
    def is_large(self) -> bool:
        return (self.rows or 0) > THRESHOLD_ROWS or (self.bytes or 0) > THRESHOLD_BYTES

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"blocks_reads": self.blocks_reads, "blocks_writes": self.blocks_writes}

    def pretty(self) -> str:
        """Two or three lines: the statement, and what it means for those who use the table."""
        first = " ".join(self.sql.split())
        first = first if len(first) <= 150 else f"{first[:147]}..."
        if not self.lock or self.rows is None:
            return f"  {first}"
        size = f"{self.rows:,} rows, {_size(self.bytes or 0)}"
        work = " and rewrites it" if self.rewrites else " and reads it through" if self.scans else ""
        line = f"  {first}\n      {self.verdict}: {self.lock} on {self.table} ({size}){work}"
        return f"{line}\n      online: {self.advice}" if self.verdict == "blocking" and self.advice else line


class Blocking(MoeenError):
    """The plan would block a large table."""

    def __init__(self, statements: Sequence[Statement]) -> None:
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
    sizes, found = _sizes(connection), []
    for migration, backwards in plan:
        if not backwards:
            continue
        state = loader.project_state((migration.app_label, migration.name))
        for operation in migration.operations:
            if not isinstance(operation, operations.CreateTable | operations.AddColumn):
                continue
            name = operation.name if isinstance(operation, operations.CreateTable) else operation.model_name
            model = state.apps.get_model(migration.app_label, name)
            table = model._meta.db_table
            if table in sizes and adoption.has_rows(connection, table):
                what = f"table {table}"
                if isinstance(operation, operations.AddColumn):
                    what = f"column {table}.{model._meta.get_field(operation.name).column}"
                found.append(f"{what} (about {sizes[table][0]:,} rows)")
    return found


def large_tables_stand(connection: BaseDatabaseWrapper) -> bool:
    """Whether any table is large enough for its blocking to matter; if not, nothing need be planned."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT EXISTS (SELECT FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
                           AND (reltuples > %s OR pg_relation_size(oid) > %s))
            """,
            [THRESHOLD_ROWS, THRESHOLD_BYTES],
        )
        (answer,) = cursor.fetchone()
    return bool(answer)


def blocking(statements: Iterable[Statement], *, allowed: Iterable[str]) -> list[Statement]:
    """The statements that must not run without leave."""
    granted = set(allowed)
    return [s for s in statements if s.verdict == "blocking" and s.is_large and s.migration not in granted]


def describe(
    connection: BaseDatabaseWrapper, plan: Sequence[tuple[Migration, bool]], loader: MigrationLoader
) -> list[Statement]:
    """Every statement the plan would run, in order. Reads only: what it makes to look is rolled back."""
    with transaction.atomic(using=connection.alias):
        try:
            return list(_statements(connection, plan, loader))
        finally:
            transaction.set_rollback(True, using=connection.alias)


def _statements(
    connection: BaseDatabaseWrapper, plan: Sequence[tuple[Migration, bool]], loader: MigrationLoader
) -> Iterator[Statement]:
    sizes = _sizes(connection)
    seen: set[str] = set()
    state = loader.project_state(list(loader.applied_migrations), at_end=True)
    for migration, backwards in plan:
        key = f"{migration.app_label}.{migration.name}"
        if backwards:
            yield _unlocking(key, "reverse", f"-- reverses {key}; see sqlmigrate --backwards")
            continue
        for operation in migration.operations:
            after = state.clone()
            operation.state_forwards(migration.app_label, after)
            for sql, known in _sql_of(connection, migration, operation, state, after, sizes):
                if sql not in seen:
                    seen.add(sql)
                    yield classify(key, operation.describe(), sql, sizes, step=known)
            state = after


def _sql_of(
    connection: BaseDatabaseWrapper,
    migration: Migration,
    operation: Any,
    before: Any,
    after: Any,
    sizes: dict[str, Any],
) -> Iterator[tuple[str, steps.Step | None]]:
    """The statements of one operation, with the step each belongs to when it converges a table that stands."""
    if isinstance(operation, operations.CONVERGING):
        name = operation.name if isinstance(operation, operations.CreateTable) else operation.model_name
        model = after.apps.get_model(migration.app_label, name)
        if model._meta.db_table in sizes:
            with connection.schema_editor(collect_sql=True, atomic=False) as editor:
                want = ddl.compile_table(model, editor)
                was = want
                if not isinstance(operation, operations.CreateTable):
                    was = ddl.compile_table(before.apps.get_model(migration.app_label, name), editor)
            live = catalog.read_tables(connection, [want.name])[want.name]
            if live.kind != "r":
                return  # what bears the name is no table: refused, whatever else
            item = adoption.subject(connection, want, steps.relaxed(live, was, want), operation.legacy)
            for step in (*steps.relax(live, was, want), *steps.plan(connection, adoption.carried_over(item))):
                for sql in step.statements:
                    yield sql, step
            return
    if isinstance(operation, operations.RunSQLFile):
        for text in operation.sql:
            if operation.name == "0001_functions":
                # The tables' defaults name these functions; they go again with the transaction.
                with connection.cursor() as cursor:
                    cursor.execute(str(text))
            for sql in sqlparse.split(sqlparse.format(str(text), strip_comments=True)):
                yield sql.rstrip(";"), None
        return
    with connection.schema_editor(collect_sql=True, atomic=False) as editor:
        operation.database_forwards(migration.app_label, editor, before, after)
        collected = list(editor.collected_sql)
    if not collected:
        yield f"-- {operation.describe()}", None
    for sql in collected:
        yield str(sql).rstrip(";"), None


def classify(
    migration: str, operation: str, sql: str, sizes: Mapping[str, tuple[int, int]], *, step: steps.Step | None = None
) -> Statement:
    """What a statement means for the tables that stand (``sizes``: table -> rows, bytes)."""
    rule = next((rule for rule in RULES if rule.pattern.search(sql)), None)
    found = _TABLE.search(sql)
    table = (found[1] or found[2]) if found else ""
    rows, size = sizes.get(table, (None, None))
    if rule is None or sql.startswith("CREATE TABLE"):
        return _unlocking(migration, operation, sql)
    # The steps prove NOT NULL beforehand and know which conversions keep the stored values.
    scans = rule.scans and (step is None or step.rewrites or rule.lock == ROW_EXCLUSIVE)
    rewrites = rule.rewrites and (step is None or step.rewrites)
    stops = rule.lock in _STOPS_WRITES
    work = (scans or rewrites) and rows is not None
    verdict = "blocking" if stops and work else "short" if stops and rows is not None else "ok"
    return Statement(migration, operation, sql, table, rule.lock, rows, size, scans, rewrites, verdict, rule.advice)


def _unlocking(migration: str, operation: str, sql: str) -> Statement:
    """A statement that locks no table that stands."""
    return Statement(migration, operation, sql, "", "", None, None, scans=False, rewrites=False, verdict="ok")


def _sizes(connection: BaseDatabaseWrapper) -> dict[str, tuple[int, int]]:
    """Table -> estimated rows and bytes of what stands."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT relname, greatest(reltuples, 0)::bigint, pg_table_size(oid) FROM pg_class
            WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
            """
        )
        return {name: (rows, size) for name, rows, size in cursor}


def _size(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1024 or unit == "GB":
            return f"{size:.0f} {unit}"
        size /= 1024
    raise AssertionError("unreachable")

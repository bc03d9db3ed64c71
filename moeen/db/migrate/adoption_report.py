"""What migrate will do to an older database, told before anything is changed: added, converted, dropped, refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor

from moeen.db.actions import Deed
from moeen.db.catalog.sizes import count_rows
from moeen.db.findings import Finding
from moeen.db.migrate import refusals, runner, stock_django
from moeen.db.migrate.grantees import Grantee
from moeen.db.migrate.plan import PlannedStatement, describe
from moeen.db.operations import CreateTable


@dataclass(frozen=True)
class TableAdoption:
    """A table that stands already: its rows now, and the statements of migrate by what they do."""

    table: str
    rows: int
    add: tuple[str, ...]
    convert: tuple[str, ...]
    drop: tuple[str, ...]
    refused: tuple[Finding, ...]

    def as_dict(self) -> dict[str, Any]:
        return vars(self) | {"refused": [finding.as_dict() for finding in self.refused]}


@dataclass(frozen=True)
class AdoptionReport:
    """``new_tables``: what migrate makes from nothing; ``refused``: whether it will refuse the database as it is.

    ``own``: what stays as the clinic's own, in the words of `schema.own`. ``losing``: the roles that lose rights.
    ``feeds``: in words, who is sent the rows of the adopted tables, and functions that work with a type of theirs.
    """

    refused: bool
    tables: tuple[TableAdoption, ...]
    new_tables: tuple[str, ...]
    others: tuple[Finding, ...]
    own: tuple[str, ...] = ()
    losing: tuple[Grantee, ...] = ()
    feeds: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        parts = {name: [one.as_dict() for one in getattr(self, name)] for name in ("tables", "others", "losing")}
        return vars(self) | parts

    def pretty(self) -> str:
        lines = []
        for table in self.tables:
            lines.append(f"{table.table}: {table.rows:,} rows")
            lines += [f"  refuse   {finding.pretty()}" for finding in table.refused]
            for deed in Deed:
                lines += [f"  {deed:7}  {_short(statement)}" for statement in getattr(table, deed)]
        lines += [f"refuse   {finding.pretty()}" for finding in self.others]
        lines += [grantee.pretty() for grantee in self.losing]
        lines += self.feeds
        lines += [f"stays, as the clinic's own: {words}" for words in self.own]
        if self.new_tables:
            lines.append(f"New tables: {', '.join(self.new_tables)}")
        if self.refused:
            lines.append("migrate will refuse this database as it is, and change nothing.")
            lines.append("What stands above besides, it will do once what it refuses is mended.")
        elif self.tables:
            lines.append("migrate can adopt this database; every row stays. Next: manage.py migrate")
        else:
            lines.append("No table stands that migrate would have to adopt.")
        return "\n".join(lines)


def report(connection: BaseDatabaseWrapper) -> AdoptionReport:
    """Look at an older database, and rehearse the run on a twin. What is made to look at it is rolled back.

    Raises MoeenError where nothing can be said: missing rights, a strange schema, no twin.
    """
    stock_django.refuse(connection)
    executor = MigrationExecutor(connection)
    executor.loader.check_consistent_history(connection)
    options = runner.MigrateOptions()
    options.targets = executor.loader.graph.leaf_nodes()
    options.plan = plan = executor.migration_plan(options.targets)
    options.loader = executor.loader
    verdict = runner.judge(connection, options)
    if verdict.refusal is not None and not isinstance(verdict.refusal, refusals.Findings):
        raise verdict.refusal
    refused: Sequence[Finding] = verdict.refusal.findings if verdict.refusal is not None else ()
    wanted = {
        operation.options["db_table"]
        for migration, _ in plan
        for operation in migration.operations
        if isinstance(operation, CreateTable)
    }
    standing = dict(count_rows(connection, wanted))
    seen = verdict.rehearsal.seen if verdict.rehearsal else ()
    statements = describe(connection, plan, executor.loader, seen=seen, refused=verdict.refusal is not None)
    tables = tuple(_table(name, rows, statements, refused) for name, rows in standing.items())
    named = {finding for table in tables for finding in table.refused}
    others = tuple(finding for finding in refused if finding not in named)
    own = verdict.rehearsal.own if verdict.rehearsal else ()
    new = tuple(sorted(wanted - standing.keys()))
    return AdoptionReport(bool(refused), tables, new, others, own, verdict.grantees, verdict.feeds)


def _table(name: str, rows: int, statements: Sequence[PlannedStatement], refused: Sequence[Finding]) -> TableAdoption:
    add, convert, drop = (
        tuple(s.sql for s in statements if s.table == name and s.deed is deed)
        for deed in (Deed.ADD, Deed.CONVERT, Deed.DROP)
    )
    mine = tuple(finding for finding in refused if finding.table == name)
    return TableAdoption(name, rows, add, convert, drop, mine)


def _short(statement: str) -> str:
    text = " ".join(statement.split())
    return text if len(text) <= 140 else f"{text[:137]}..."

"""What validation looks at besides the catalog: public ids in rows, prefixes, sequences, backfills, migrations.

Rows are asked for only where the catalog does not prove them, and then through an index. What the connected role may
not read, or would read through policies, is left out and named.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from psycopg import sql

from moeen.db import public_ids, registry
from moeen.db.actions import SetNotNull, SetSequence, Validate
from moeen.db.findings import Finding, Fix, Severity
from moeen.db.history import files
from moeen.db.kinds import Kind
from moeen.db.names import PUBLIC, ObjectName
from moeen.db.schema.canonical import Form, Objects
from moeen.db.sql import compose

#: Findings that are expected after an older database was adopted, until backfill_public_ids and remint_public_ids ran.
DECLARED = frozenset({Kind.PUBLIC_IDS_PENDING, Kind.PUBLIC_IDS_GUESSABLE, Kind.BACKFILL})
_INTEGERS = frozenset({"smallint", "integer", "bigint"})
_BACKFILL = "manage.py backfill_public_ids"


@dataclass
class RowFindings:
    """The findings, and the tables that could not be looked into."""

    findings: list[Finding] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def examine(
    connection: BaseDatabaseWrapper, form: Form, expected: Objects, *, loader: MigrationLoader | None = None
) -> RowFindings:
    """Everything that can be found in rows. ``loader``: the migrations, if they are loaded already."""
    reader = _Reader(connection, form, expected)
    reader.public_ids()
    reader.guessable()
    reader.found.findings += prefixes(form, expected)
    reader.sequences()
    reader.backfills()
    reader.migrations(loader)
    return reader.found


def never_migrated(connection: BaseDatabaseWrapper, form: Form, expected: Objects) -> Finding | None:
    """Said in place of everything that such a database lacks, which would be the whole schema."""
    reader = _Reader(connection, form, expected)
    if _stands(form, "migration_steps"):
        return None
    if _stands(form, "django_migrations"):
        if not reader.reads("django_migrations"):
            return None
        ours = sorted({model._meta.app_label for model in public_ids.PREFIXES.values()})
        with connection.cursor() as cursor:
            cursor.execute("SELECT EXISTS (SELECT FROM public.django_migrations WHERE app = ANY (%s))", [ours])
            if cursor.fetchone()[0]:
                return None
    older = any(_stands(form, model._meta.db_table) for model in public_ids.PREFIXES.values())
    advice = "manage.py validate_schema --adoption, which says what migrate will do" if older else "manage.py migrate"
    why = "it has tables of an older application" if older else "it is empty, or another application's"
    return Finding("database", Kind.NEVER_MIGRATED, "migrated", "never", Severity.BREAKS, Fix(advice=advice), why)


def after_rows(catalog: Iterable[Finding], rows: Iterable[Finding]) -> list[Finding]:
    """The catalog's findings; a fix that rows are in the way of, as advice."""
    ill = {f.table for f in rows if f.kind in (Kind.PUBLIC_IDS_MALFORMED, Kind.PUBLIC_IDS_PENDING)}
    return [
        replace(f, fix=replace(f.fix, advice="once the rows are mended")) if f.table in ill and _proves_ids(f) else f
        for f in catalog
    ]


def _proves_ids(finding: Finding) -> bool:
    proofs = (Validate, SetNotNull)
    return "public_id" in finding.object and any(isinstance(action, proofs) for action in finding.fix.actions)


def prefixes(form: Form, expected: Objects) -> Iterator[Finding]:
    """Prefixes that two tables share, or that no table bears; which table bears which is part of the catalog.

    Of a table that is not expected no column was read, so nothing can be said of its prefix.
    """
    bearers: dict[str, list[str]] = {}
    for name, column in form.objects.get("column", {}).items():
        if prefix := public_ids.prefix_in(column.get("default", "")):
            bearers.setdefault(prefix, []).append(name.relation.pretty())
    for prefix, tables in bearers.items():
        if len(tables) > 1:
            why = "an id does not tell its table any more"
            yield Finding(prefix, Kind.PREFIX_SHARED, "one table", ", ".join(sorted(tables)), Severity.UNSAFE, why=why)
    for prefix in public_ids.PREFIXES.keys() - bearers.keys():
        table = public_ids.PREFIXES[prefix]._meta.db_table
        if _stands(form, table) and ObjectName(PUBLIC, table) in expected["table"]:
            why = "new rows of the table get no id of their own"
            yield Finding(prefix, Kind.PREFIX_UNUSED, f"default of {table}.public_id", "unused", why=why)


def _stands(form: Form, table: str) -> bool:
    return ObjectName(PUBLIC, table) in form.objects.get("table", {})


class _Reader:
    def __init__(self, connection: BaseDatabaseWrapper, form: Form, expected: Objects) -> None:
        self.connection, self.form, self.expected = connection, form, expected
        self.found = RowFindings()
        # One question for all: what may be read, and without policies in between.
        with connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT relname, relkind = 'S' FROM pg_class
                WHERE relnamespace = to_regnamespace('public')
                  AND CASE WHEN relkind = 'S' THEN has_sequence_privilege(oid, 'SELECT')
                           ELSE relkind IN ('r', 'p') AND has_table_privilege(oid, 'SELECT')
                                AND NOT row_security_active(oid) END
                """
            )
            found = cursor.fetchall()
        self.readable = {name for name, is_sequence in found if not is_sequence}
        self.countable = {name for name, is_sequence in found if is_sequence}

    def reads(self, table: str) -> bool:
        if table in self.readable:
            return True
        if _stands(self.form, table) and table not in self.found.skipped:
            self.found.skipped.append(table)
        return False

    def public_ids(self) -> None:
        """Rows without or with malformed ids, where no validated constraint proves that there are none."""
        for model in public_ids.PREFIXES.values():
            table = model._meta.db_table
            name = ObjectName(PUBLIC, table, "public_id")
            column = self.form.objects.get("column", {}).get(name)
            if column is None:
                continue
            pending, not_null = table in self.form.pending, bool(column.get("not_null"))
            if pending or not not_null:
                lacking = self._count(table, "SELECT count(*) FROM public.{t} WHERE public_id IS NULL")
                if lacking or pending:
                    found = f"{lacking:,}" if lacking else "none, but its column is still declared as pending"
                    why = "until then these rows cannot be reached by a public id"
                    fix = Fix(advice=f"{_BACKFILL} --table {table}")
                    self._add(name, Kind.PUBLIC_IDS_PENDING, "0", found, Severity.UNSAFE, fix, why)
            check = name.has(f"{table}_public_id_check")
            proven = self.form.objects.get("constraint", {}).get(check)
            if proven is None or proven != self.expected.get("constraint", {}).get(check):
                form = public_ids.form_condition(sql.Identifier("public_id"), public_ids.prefix_of(model))
                malformed = self._count(table, "SELECT count(*) FROM public.{t} WHERE NOT ({f})", f=form)
                if malformed:
                    why = "these rows cannot be reached by their public id"
                    fix = Fix(advice="give each a new public id, after looking at where the old ones are in use")
                    self._add(name, Kind.PUBLIC_IDS_MALFORMED, "0", f"{malformed:,}", Severity.BREAKS, fix, why)

    def guessable(self) -> None:
        """Rows whose public id is a date and a counter: whoever has one can write down the others.

        Found in the index of the column, which is sorted by bytes: the other forms begin with a letter, these with a
        digit. Tables that are appended to only keep theirs.
        """
        questions, kept = [], registry.facts().append_only
        for prefix, model in public_ids.PREFIXES.items():
            table = model._meta.db_table
            column = self.form.objects.get("column", {}).get(ObjectName(PUBLIC, table, "public_id"))
            if column is not None and table not in kept and self.reads(table):
                template = sql.SQL(
                    'SELECT {name}, count(*) FROM public.{t} WHERE public_id COLLATE "C" >= {first}'
                    ' AND public_id COLLATE "C" < {end} AND public_id ~ {form} HAVING count(*) > 0'
                )
                form = sql.Literal(f"^{prefix}{public_ids.BODIES[public_ids.Form.DATED]}$")
                first, end = sql.Literal(f"{prefix}0"), sql.Literal(f"{prefix}:")  # : is what follows 9
                name = sql.Literal(table)
                questions.append(template.format(name=name, t=sql.Identifier(table), first=first, end=end, form=form))
        if not questions:
            return
        with self.connection.cursor() as cursor:
            cursor.execute(sql.SQL(" UNION ALL ").join(questions).as_string(None))
            for table, count in cursor.fetchall():
                why = "whoever has one of these ids can guess the others"
                fix = Fix(advice=f"manage.py remint_public_ids --form dated --table {table}")
                where = ObjectName(PUBLIC, table, "public_id")
                self._add(where, Kind.PUBLIC_IDS_GUESSABLE, "0", f"{count:,}", Severity.UNSAFE, fix, why)

    def _count(self, table: str, query: Any, **parts: sql.Composable) -> int:
        if not self.reads(table):
            return 0
        with self.connection.cursor() as cursor:
            cursor.execute(compose(query, t=table, **parts))
            (count,) = cursor.fetchone()
            return int(count)

    def sequences(self) -> None:
        """Sequences whose next value is in use already: the next insert would fail."""
        questions = []
        for name, entry in self.form.objects.get("sequence", {}).items():
            if not entry.get("column") or name.schema != PUBLIC:
                continue
            column = ObjectName.of("column", entry["column"])
            numbered = self.form.objects.get("column", {}).get(column, {}).get("type") in _INTEGERS
            # Other tables' are theirs to look after.
            ours = column.relation in self.expected["table"]
            if numbered and ours and name.table in self.countable and self.reads(column.table):
                questions.append(
                    sql.SQL("SELECT {}, (SELECT max({})::bigint FROM public.{}), last_value, is_called FROM public.{}")
                    .format(sql.Literal(name.table), *map(sql.Identifier, (column.part, column.table, name.table)))
                )  # fmt: skip
        if not questions:
            return
        with self.connection.cursor() as cursor:
            cursor.execute(sql.SQL(" UNION ALL ").join(questions).as_string(None))
            values = cursor.fetchall()
        for sequence, highest, last, called in values:
            name = ObjectName(PUBLIC, sequence)
            free = last + 1 if called else last
            if highest is not None and highest >= free:
                fix = Fix.by(SetSequence(name, highest))
                why = "the next inserts fail: their numbers are taken"
                self._add(name, Kind.SEQUENCE_VALUE, f"above {highest}", str(last), Severity.BREAKS, fix, why)

    def backfills(self) -> None:
        if not _stands(self.form, "backfill_runs") or not self.reads("backfill_runs"):
            return
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT name, table_name, status FROM public.backfill_runs WHERE finished_at IS NULL ORDER BY 1, 2"
            )
            for name, table, status in cursor.fetchall():
                fix, why = Fix(advice=_BACKFILL), "what stands on its values waits for it"
                self._add(f"{name} {table}", Kind.BACKFILL, "finished", status, Severity.UNSAFE, fix, why)

    def migrations(self, loader: MigrationLoader | None) -> None:
        """Applied but unknown, edited since, or missing."""
        for table in ("django_migrations", "migration_steps"):
            if _stands(self.form, table) and not self.reads(table):
                return
        recorded = all(_stands(self.form, table) for table in ("django_migrations", "migration_steps"))
        if loader is None and recorded and files.are_unchanged(self.connection):
            return
        from moeen.db.history import ledger, own_apps

        loader = loader or MigrationLoader(self.connection)
        why = "what stands in the database and what the code says it did may differ"
        changed = ledger.findings(self.connection, loader, labels=own_apps.own_apps(loader))
        self.found.findings += [replace(finding, why=why) for finding in changed]
        for app, name in sorted(loader.disk_migrations.keys() - loader.applied_migrations.keys()):
            fix, why = Fix(advice="manage.py migrate"), "the database is older than the code"
            self._add(f"{app}.{name}", Kind.MIGRATION_MISSING, "applied", "missing", Severity.BREAKS, fix, why)

    def _add(
        self, where: str | ObjectName, kind: Kind, expected: str, found: str, severity: Severity, fix: Fix, why: str
    ) -> None:
        name = where if isinstance(where, ObjectName) else None
        shown = where if isinstance(where, str) else where.pretty()
        self.found.findings.append(Finding(shown, kind, expected, found, severity, fix, why, name))

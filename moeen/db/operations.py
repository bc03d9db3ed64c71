"""Migration operations that converge: what is missing is made, what stands in an older form is brought to today's.

All are idempotent, and safe to run again after a stop. On a table that stands already they work online, in short
transactions, so their migrations say ``atomic = False``.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from django.apps import apps as global_apps
from django.db import migrations, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import ProjectState

from moeen.db import adoption, catalog, ddl, locks, steps
from moeen.db.adoption import Legacy
from moeen.db.errors import MoeenError
from moeen.db.findings import unique

__all__ = ["AddColumn", "AddTableIndex", "CreateTable", "Legacy", "RunSQLFile"]


def converge(model: type[models.Model], editor: BaseDatabaseSchemaEditor, *, legacy: Legacy) -> None:
    """Make the model's table, or bring the one that stands to its shape.

    Raises Refused when the table holds what cannot be carried over; nothing is changed then.
    """
    connection = editor.connection
    want = ddl.compile_table(model, editor)
    live = None if editor.collect_sql else catalog.read_tables(connection, [want.name]).get(want.name)
    if live is None:
        locks.patiently(
            connection, partial(_run_together, editor, ddl.create_table(want)), purpose=f"create {want.name}"
        )
        return
    item = adoption.subject(connection, want, live, legacy)
    references = {key.to_table for key in want.foreign_keys}
    found = adoption.findings(connection, [item], catalog.read_tables(connection, references))
    if found:
        raise Refused(want.name, tuple(finding.pretty() for finding in unique(found)))
    for step in steps.plan(connection, item):
        steps.execute(connection, step)


def _run_together(editor: BaseDatabaseSchemaEditor, statements: Sequence[str]) -> None:
    with nullcontext() if editor.collect_sql else locks.short_transaction(editor.connection):
        for statement in statements:
            editor.execute(statement, None)


class Refused(MoeenError):
    """A table cannot be adopted; the findings say why."""

    def __init__(self, table: str, findings: tuple[str, ...]) -> None:
        lines = "\n  ".join(findings)
        super().__init__(
            f"Table {table} cannot be adopted:\n  {lines}",
            next_step="Mend these rows or columns, then run migrate again.",
            exit_code=3,
        )


class _Converging:
    """What the table operations share: forwards, the table is brought to the state after the operation."""

    legacy: Legacy = Legacy()

    def converge(self, app_label: str, editor: BaseDatabaseSchemaEditor, state: ProjectState, name: str) -> None:
        model = state.apps.get_model(app_label, name)
        if self.allow_migrate_model(editor.connection.alias, model):  # type: ignore[attr-defined]
            converge(model, editor, legacy=self.legacy)


class CreateTable(_Converging, migrations.CreateModel):
    """CreateModel that adopts a table of the same name. ``legacy`` says what an older one may hold besides."""

    serialization_expand_args = ["fields", "options", "managers"]

    def __init__(
        self,
        name: str,
        fields: Any,
        options: Any = None,
        bases: Any = None,
        managers: Any = None,
        *,
        legacy: Legacy | None = None,
    ) -> None:
        super().__init__(name, fields, options, bases, managers)
        self.legacy = legacy or Legacy()

    def deconstruct(self) -> Any:
        path, args, kwargs = super().deconstruct()
        return path, args, kwargs | ({"legacy": self.legacy} if self.legacy != Legacy() else {})

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self.converge(app_label, schema_editor, to_state, self.name)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = from_state.apps.get_model(app_label, self.name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            schema_editor.execute(ddl.compose("DROP TABLE IF EXISTS {t}", t=model._meta.db_table), None)


class AddColumn(_Converging, migrations.AddField):
    """AddField that accepts a column which stands already, and fills in its constraints and indexes online."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self.converge(app_label, schema_editor, to_state, self.model_name)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        table, column = model._meta.db_table, model._meta.get_field(self.name).column
        _, trigger = steps.guard_names(table, column)
        # The guard's trigger names the column and would keep it; constraints and indexes go with it.
        schema_editor.execute(ddl.compose("DROP TRIGGER IF EXISTS {g} ON {t}", g=trigger, t=table), None)
        schema_editor.execute(ddl.compose("ALTER TABLE {t} DROP COLUMN IF EXISTS {c}", t=table, c=column), None)


class AddTableIndex(_Converging, migrations.AddIndex):
    """AddIndex that builds online, takes over an equal index of the older scripts, and rebuilds an invalid one."""

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        # An index touches no relation: the model is amended, where Django would render it and all its kin anew.
        options = state.models[app_label, self.model_name_lower].options
        options["indexes"] = [*options.get("indexes", []), self.index.clone()]
        if "apps" in state.__dict__:
            meta = state.apps.get_model(app_label, self.model_name)._meta
            meta.indexes = [*meta.indexes, self.index.clone()]

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        table = model._meta.db_table
        if schema_editor.collect_sql or _is_new(schema_editor.connection, table, self.index.name):
            if self.allow_migrate_model(schema_editor.connection.alias, model):
                schema_editor.execute(self.index.create_sql(model, schema_editor), None)
        else:
            self.converge(app_label, schema_editor, to_state, self.model_name)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            concurrently = (
                "" if schema_editor.collect_sql or schema_editor.connection.in_atomic_block else "CONCURRENTLY "
            )
            drop = ddl.compose("DROP INDEX {how}IF EXISTS {n}", how=ddl.fragment(concurrently), n=self.index.name)
            schema_editor.execute(drop, None)


def _is_new(connection: BaseDatabaseWrapper, table: str, index: str) -> bool:
    """Whether the table has no row to wait for and no index that could be meant: the index is simply made."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT NOT EXISTS (
                SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                WHERE i.indrelid = %s::regclass AND (c.relname = %s OR c.relname LIKE %s)
            )
            """,
            [connection.ops.quote_name(table), index, steps.older_index_pattern(table)],
        )
        (unknown,) = cursor.fetchone()
    return bool(unknown) and not adoption.has_rows(connection, table)


class RunSQLFile(migrations.RunSQL):
    """RunSQL fed from ``<app>/sql/<name>.sql``, with ``<name>.reverse.sql`` for the way back."""

    def __init__(self, app_label: str, name: str, **kwargs: Any) -> None:
        self.app_label, self.name = app_label, name
        folder = Path(global_apps.get_app_config(app_label).path) / "sql"
        # A list of one: Django would split a plain string at semicolons, inside function bodies too.
        super().__init__(
            [(folder / f"{name}.sql").read_text(encoding="utf-8")],
            reverse_sql=[(folder / f"{name}.reverse.sql").read_text(encoding="utf-8")],
            **kwargs,
        )

    def deconstruct(self) -> Any:
        kwargs = {"state_operations": self.state_operations} if self.state_operations else {}
        return self.__class__.__name__, [self.app_label, self.name], kwargs

    def _run_sql(self, schema_editor: Any, sqls: Any) -> None:
        if schema_editor.collect_sql:
            super()._run_sql(schema_editor, sqls)  # type: ignore[misc]
        else:
            purpose = f"run {self.app_label}/sql/{self.name}.sql"
            locks.patiently(schema_editor.connection, partial(_run_together, schema_editor, sqls), purpose=purpose)

    def describe(self) -> str:
        return f"Run {self.app_label}/sql/{self.name}.sql"

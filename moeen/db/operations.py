"""Migration operations that converge: what is missing is made, what stands in an older form is brought to today's.

All are idempotent, and safe to run again after a stop. On a table that stands already they work online, in short
transactions, so their migrations say ``atomic = False``.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from django.apps import apps as global_apps
from django.db import migrations
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import ProjectState

from moeen.db.adoption import Legacy
from moeen.db.catalog import sizes
from moeen.db.converge import leftovers, locks, values
from moeen.db.converge.converge import converge, run_together
from moeen.db.errors import USAGE, MoeenError
from moeen.db.sql import compose, fragment
from moeen.db.sql_files import read_scripts

__all__ = [
    "CONVERGING",
    "AddColumn",
    "AddTableConstraint",
    "AddTableIndex",
    "AlterColumn",
    "CreateTable",
    "Ours",
    "RunSQLFile",
    "Symmetric",
]


class Ours:
    """An operation of the project's own.

    The apps whose migrations use one are the project's: what they applied is recorded, and a file that was edited since
    is noticed.
    """


class _Converging(Ours):
    """What the table operations share: forwards, the table is brought to the state after the operation."""

    legacy: Legacy = Legacy()

    def converge(
        self,
        app_label: str,
        editor: BaseDatabaseSchemaEditor,
        state: ProjectState,
        name: str,
        *,
        before: ProjectState | None = None,
    ) -> None:
        model = state.apps.get_model(app_label, name)
        was = None if before is None else before.apps.get_model(app_label, name)
        if self.allow_migrate_model(editor.connection.alias, model):  # type: ignore[attr-defined]
            converge(model, editor, legacy=self.legacy, before=was)


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
            schema_editor.execute(compose("DROP TABLE IF EXISTS {t}", t=model._meta.db_table), None)


class AddColumn(_Converging, migrations.AddField):
    """AddField that accepts a column which stands already, and fills in its constraints and indexes online."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self.converge(app_label, schema_editor, to_state, self.model_name, before=from_state)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        table, column = model._meta.db_table, model._meta.get_field(self.name).column
        _, trigger = values.guard_names(table, column)
        # The guard's trigger names the column and would keep it; constraints and indexes go with it.
        schema_editor.execute(compose("DROP TRIGGER IF EXISTS {g} ON {t}", g=trigger, t=table), None)
        schema_editor.execute(compose("ALTER TABLE {t} DROP COLUMN IF EXISTS {c}", t=table, c=column), None)


class Symmetric(_Converging):
    """An operation on a model whose way back is the same with the states changed about."""

    model_name: str

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self.converge(app_label, schema_editor, to_state, self.model_name, before=from_state)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self.database_forwards(app_label, schema_editor, from_state, to_state)


class AlterColumn(Symmetric, migrations.AlterField):
    """AlterField online: a type that keeps its values, NOT NULL, unique, check, foreign key, default; and back.

    A type that has to be rewritten is for a new column and a backfill, and on a large table ``migrate`` refuses it.
    """

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        old, new = (
            state.apps.get_model(app_label, self.model_name)._meta.get_field(self.name).column
            for state in (from_state, to_state)
        )
        if old != new:
            raise MoeenError(
                f"{app_label}.{self.model_name}.{self.name}: AlterColumn does not rename column {old} to {new}: the "
                "application that runs meanwhile still asks for the old name.",
                next_step="Keep db_column, or add a new column and fill it by a backfill.",
                exit_code=USAGE,
            )
        super().database_forwards(app_label, schema_editor, from_state, to_state)


class AddTableConstraint(Symmetric, migrations.AddConstraint):
    """AddConstraint online: a check or foreign key NOT VALID, then proven; a unique one from an index built before."""


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
            drop = compose("DROP INDEX {how}IF EXISTS {n}", how=fragment(concurrently), n=self.index.name)
            schema_editor.execute(drop, None)


#: The operations that bring a table to the state after them.
CONVERGING = (CreateTable, AddColumn, AlterColumn, AddTableConstraint, AddTableIndex)


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
            [connection.ops.quote_name(table), index, leftovers.older_index_pattern(table)],
        )
        (unknown,) = cursor.fetchone()
    return bool(unknown) and not sizes.has_rows(connection, table)


class RunSQLFile(Ours, migrations.RunSQL):
    """RunSQL fed from ``<app>/sql/<name>.sql``, with ``<name>.reverse.sql`` for the way back.

    A file that locks several tables says BEGIN and COMMIT for each, so that no two are locked at a time.
    """

    def __init__(self, app_label: str, name: str, **kwargs: Any) -> None:
        self.app_label, self.name = app_label, name
        folder = Path(global_apps.get_app_config(app_label).path) / "sql"
        self.texts = [(folder / f"{name}{way}.sql").read_text(encoding="utf-8") for way in ("", ".reverse")]
        self.forwards, self.backwards = map(read_scripts, self.texts)
        # Lists: Django would split a plain string at semicolons, inside function bodies too.
        super().__init__(
            [script.body for script in self.forwards], reverse_sql=[script.body for script in self.backwards], **kwargs
        )

    def deconstruct(self) -> Any:
        kwargs = {"state_operations": self.state_operations} if self.state_operations else {}
        return self.__class__.__name__, [self.app_label, self.name], kwargs

    def _run_sql(self, schema_editor: Any, sqls: Any) -> None:
        if schema_editor.collect_sql:
            super()._run_sql(schema_editor, sqls)  # type: ignore[misc]
            return
        for script in self.forwards if sqls is self.sql else self.backwards:
            locks.patiently(
                schema_editor.connection,
                partial(run_together, schema_editor, [script.body]),
                purpose=f"run {self.app_label}/sql/{self.name}.sql{f' on {script.table}' if script.table else ''}",
                table=script.table,
            )

    def describe(self) -> str:
        return f"Run {self.app_label}/sql/{self.name}.sql"

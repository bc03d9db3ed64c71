"""Migration operations that converge: what is missing is made, what stands in an older form is brought to today's.

All are idempotent, and safe to run again after a stop. On a table that stands already they work online, in short
transactions, so their migrations say ``atomic = False``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from django.apps import apps as global_apps
from django.db import migrations, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from psycopg import sql

from moeen.db import registry
from moeen.db.adoption import Legacy
from moeen.db.catalog import sizes
from moeen.db.codes import Code
from moeen.db.converge import declared, failures, locks, offline, values
from moeen.db.converge.converge import converge, run_together
from moeen.db.errors import USAGE, MoeenError
from moeen.db.names import PUBLIC, ObjectName
from moeen.db.public_ids import alphabets
from moeen.db.sql import compose
from moeen.db.sql_files import read_scripts, read_texts, statements

__all__ = [
    "CONVERGING",
    "ONLINE",
    "AddColumn",
    "AddTableConstraint",
    "AlterColumn",
    "CheckPublicIds",
    "CreateTable",
    "DropIndexFile",
    "Ours",
    "RemoveTableConstraint",
    "RunIndexFile",
    "RunSQLFile",
    "Symmetric",
]


class Ours:
    """An operation of the project's own.

    The apps whose migrations use one are the project's: what they applied is recorded, and a file that was edited since
    is noticed.
    """

    def dropped_on_the_way_back(self, app_label: str, state: ProjectState) -> tuple[ObjectName, ...]:
        """The tables and columns that go, with what they hold, where it is reversed. ``state``: the one after it."""
        return ()


class _Converging(Ours):
    """What the table operations share: forwards, the table is brought to the state after the operation."""

    legacy: Legacy = Legacy()
    model_name: str

    @property
    def model_names(self) -> tuple[str, ...]:
        """The models whose tables it brings to a shape."""
        return (self.model_name,)

    def shapes(
        self, app_label: str, editor: BaseDatabaseSchemaEditor, before: ProjectState, after: ProjectState
    ) -> Iterator[tuple[declared.Table, declared.Table]]:
        """(as it was asked for, as it is wanted) of each of these tables that this database shall have."""
        for name in self.model_names:
            model = after.apps.get_model(app_label, name)
            if router.allow_migrate_model(editor.connection.alias, model):
                was = before.apps.get_model(app_label, name)
                yield declared.compile_table(was, editor), declared.compile_table(model, editor)

    def converge(
        self, app_label: str, editor: BaseDatabaseSchemaEditor, before: ProjectState, after: ProjectState
    ) -> None:
        for was, want in self.shapes(app_label, editor, before, after):
            if editor.collect_sql:
                for step in offline.plan(was, want):
                    for statement in step.statements:
                        editor.execute(statement, None)
            else:
                later = later_indexes(app_label, editor, want)
                bring = partial(converge, want, editor, legacy=self.legacy, was=was, later=later)
                failures.attempt(editor.connection, bring, purpose="bring it to its shape", table=want.name)


def later_indexes(app_label: str, editor: BaseDatabaseSchemaEditor, want: declared.Table) -> frozenset[str]:
    """Definitions of the indexes that today's model of the table has beyond these: later migrations ask for them."""
    if app_label not in global_apps.app_configs:
        return frozenset()
    found = [
        declared.compile_table(model, editor)
        for model in global_apps.get_app_config(app_label).get_models()
        if model._meta.db_table == want.name
    ]
    asked = {index.definition for index in want.indexes}
    return frozenset(index.definition for table in found for index in table.indexes) - asked


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

    @property
    def model_names(self) -> tuple[str, ...]:
        return (self.name,)

    def shapes(
        self, app_label: str, editor: BaseDatabaseSchemaEditor, before: ProjectState, after: ProjectState
    ) -> Iterator[tuple[declared.Table, declared.Table]]:
        return super().shapes(app_label, editor, after, after)  # before it there is no model

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if schema_editor.collect_sql:
            for _, want in self.shapes(app_label, schema_editor, from_state, to_state):
                run_together(schema_editor, declared.create_table(want))
        else:
            self.converge(app_label, schema_editor, from_state, to_state)

    def dropped_on_the_way_back(self, app_label: str, state: ProjectState) -> tuple[ObjectName, ...]:
        return (ObjectName(PUBLIC, state.apps.get_model(app_label, self.name)._meta.db_table),)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = from_state.apps.get_model(app_label, self.name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            schema_editor.execute(compose("DROP TABLE IF EXISTS {t}", t=model._meta.db_table), None)


class AddColumn(_Converging, migrations.AddField):
    """AddField that accepts a column which stands already, and fills in its constraints and indexes online."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self.converge(app_label, schema_editor, from_state, to_state)

    def dropped_on_the_way_back(self, app_label: str, state: ProjectState) -> tuple[ObjectName, ...]:
        model = state.apps.get_model(app_label, self.model_name)
        return (ObjectName(PUBLIC, model._meta.db_table, model._meta.get_field(self.name).column),)

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

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self.converge(app_label, schema_editor, from_state, to_state)

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
                code=Code.LINT,
            )
        super().database_forwards(app_label, schema_editor, from_state, to_state)


class AddTableConstraint(Symmetric, migrations.AddConstraint):
    """AddConstraint online: a check or foreign key NOT VALID, then proven; a unique one from an index built before."""


class RemoveTableConstraint(Symmetric, migrations.RemoveConstraint):
    """RemoveConstraint whose way back adds it again online."""


class CheckPublicIds(Symmetric, Operation):
    """The check of public ids, brought to today's on the tables of these models; no state says it.

    It is added NOT VALID, then proven. On the way back it stays: it lets in whatever an older one did.
    """

    def __init__(self, model_names: Sequence[str]) -> None:
        self.checked = tuple(model_names)

    def deconstruct(self) -> Any:
        return self.__class__.__name__, [], {"model_names": list(self.checked)}

    @property
    def model_names(self) -> tuple[str, ...]:
        return self.checked

    def shapes(
        self, app_label: str, editor: BaseDatabaseSchemaEditor, before: ProjectState, after: ProjectState
    ) -> Iterator[tuple[declared.Table, declared.Table]]:
        for was, want in super().shapes(app_label, editor, before, after):
            # A table that was made or adopted a moment ago need not be read through again.
            if editor.collect_sql or not _checks_ids(editor.connection, want):
                yield _with_another_check(was), want

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Nothing: the models are the same."""

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Nothing."""

    def describe(self) -> str:
        return f"Check the public ids of {', '.join(self.checked)}"


def _with_another_check(table: declared.Table) -> declared.Table:
    """The table with a check of its public ids that is not today's, whatever it says."""
    names = {f"{table.name}_{column.name}_check" for column in table.columns if column.prefix}
    kept = (replace(one, condition="") if one.name in names else one for one in table.constraints)
    return replace(table, constraints=tuple(kept))


class RunSQLFile(Ours, migrations.RunSQL):
    """RunSQL fed from ``<app>/sql/<name>.sql``, with ``<name>.reverse.sql`` for the way back.

    A file that locks several tables says BEGIN and COMMIT for each, so that no two are locked at a time.
    ``replaces``: earlier files of the app that this one says anew; on the way back they are run again, and then the
    reverse file takes away what only the newer one has. ``state_operations``: what the file means for the models.
    """

    serialization_expand_args = ["state_operations"]

    def __init__(
        self,
        app_label: str,
        name: str,
        *,
        replaces: Sequence[str] = (),
        state_operations: Sequence[Operation] = (),
        texts: tuple[str, str] | None = None,
    ) -> None:
        """``texts``: what the two files will say, where they are yet to be written."""
        self.app_label, self.name, self.replaces = app_label, name, tuple(replaces)
        self.texts = texts or read_texts(app_label, name)
        replaced = "".join(f"{read_texts(app_label, earlier)[0]}\n" for earlier in self.replaces)
        self.forwards, self.backwards = read_scripts(self.texts[0]), read_scripts(replaced + self.texts[1])
        # Lists: Django would split a plain string at semicolons, inside function bodies too.
        super().__init__(
            [script.body for script in self.forwards],
            reverse_sql=[script.body for script in self.backwards],
            state_operations=list(state_operations),
        )

    def deconstruct(self) -> Any:
        kwargs: dict[str, Any] = {"state_operations": self.state_operations} if self.state_operations else {}
        if self.replaces:
            kwargs["replaces"] = self.replaces
        return self.__class__.__name__, [self.app_label, self.name], kwargs

    def dropped_on_the_way_back(self, app_label: str, state: ProjectState) -> tuple[ObjectName, ...]:
        names = registry.facts().tables_of_files.get(f"{self.app_label}/{self.name}", ())
        return tuple(ObjectName.of("table", name) for name in names)

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


_CREATE_INDEX = re.compile(r'CREATE INDEX CONCURRENTLY "?(?P<name>\w+)"? ON "?(?P<table>\w+)"? (?P<body>.+)', re.DOTALL)
_DROP_INDEX = re.compile(r'DROP INDEX CONCURRENTLY IF EXISTS "?(?P<name>\w+)"?')


class RunIndexFile(_Converging, RunSQLFile):
    """RunSQLFile of indexes: forwards a ``CREATE INDEX CONCURRENTLY name ON table ...`` each, backwards their DROPs.

    What the file says is what stands in the end, table by table: an index is built online on a table with rows and at
    once on one without; an equal index of the older scripts takes its name; an invalid one is built anew.
    ``state_operations`` holds an AddIndex for each, so that the models know of it.
    """

    def __init__(
        self,
        app_label: str,
        name: str,
        state_operations: Sequence[migrations.AddIndex],
        *,
        texts: tuple[str, str] | None = None,
    ) -> None:
        super().__init__(app_label, name, texts=texts, state_operations=list(state_operations))
        self.added = tuple(state_operations)
        creates, drops = map(statements, self.texts)
        made = [m for m in map(_CREATE_INDEX.fullmatch, creates) if m is not None]
        self.indexes = tuple(declared.Index(m["name"], m["table"], m["body"]) for m in made)
        dropped = [m["name"] for m in map(_DROP_INDEX.fullmatch, drops) if m is not None]
        names = [index.name for index in self.indexes]
        known = sorted(operation.index.name for operation in self.added)
        if (len(names), len(dropped)) != (len(creates), len(drops)) or not sorted(names) == sorted(dropped) == known:
            raise MoeenError(
                f"{app_label}/sql/{name}.sql: its indexes are {', '.join(sorted(names)) or 'none'}; the way back drops "
                f"{', '.join(sorted(dropped)) or 'none'}; state_operations add {', '.join(known) or 'none'}.",
                next_step="Each index is a CREATE INDEX CONCURRENTLY name ON table (...) in the file, a DROP INDEX "
                "CONCURRENTLY IF EXISTS name in its .reverse.sql, and an AddIndex in state_operations; nothing else.",
                exit_code=USAGE,
                code=Code.LINT,
            )

    @property
    def model_names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(operation.model_name_lower for operation in self.added))

    def shapes(
        self, app_label: str, editor: BaseDatabaseSchemaEditor, before: ProjectState, after: ProjectState
    ) -> Iterator[tuple[declared.Table, declared.Table]]:
        # The file's words take the place of what the models would make of them.
        shapes = list(super().shapes(app_label, editor, before, after))
        for _, want in shapes:
            told = {index.name for index in self.indexes if index.table == want.name}
            asked = {index.name for index in want.indexes} & {operation.index.name for operation in self.added}
            if told != asked:
                raise MoeenError(
                    f"{self.app_label}/sql/{self.name}.sql makes other indexes on {want.name} than its models have: "
                    f"{', '.join(sorted(told ^ asked))}.",
                    next_step="Name the same table in the file and by the model in state_operations.",
                    exit_code=USAGE,
                    code=Code.LINT,
                )
        ours = {index.name: index for index in self.indexes}
        for was, want in shapes:
            yield was, replace(want, indexes=tuple(ours.get(index.name, index) for index in want.indexes))

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        for operation in self.added:
            options = state.models[app_label, operation.model_name_lower].options
            options["indexes"] = [*options.get("indexes", []), operation.index.clone()]
        for name in self.model_names:
            # Once a model; Django's own operations would render it and its kin anew for each index.
            state.reload_model(app_label, name, delay=True)

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        connection = schema_editor.connection
        if schema_editor.collect_sql:
            for statement in statements(self.texts[0]):
                schema_editor.execute(statement, None)
            return
        for was, want in self.shapes(app_label, schema_editor, from_state, to_state):
            made = [index for index in self.indexes if index.table == want.name]
            if _is_new(connection, want.name, [index.name for index in made]):
                creates = [create for index in made for create in index.build(online=False).statements()]
                purpose = f"make the indexes of {want.name}"
                locks.patiently(
                    connection, partial(run_together, schema_editor, creates), purpose=purpose, table=want.name
                )
            else:
                later = later_indexes(app_label, schema_editor, want)
                converge(want, schema_editor, legacy=self.legacy, was=was, later=later)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        connection = schema_editor.connection
        if not router.allow_migrate(connection.alias, app_label):
            return
        for statement in statements(self.texts[1]):
            if schema_editor.collect_sql:
                schema_editor.execute(statement, None)
            else:
                drop = partial(schema_editor.execute, statement, None)
                locks.patiently(connection, drop, purpose=f"drop indexes of {self.app_label}/sql/{self.name}")


class DropIndexFile(RunSQLFile):
    """RunIndexFile the other way about: forwards DROPs of indexes, backwards they are built again, as there.

    ``removed`` holds an AddIndex for each, which the models do without from here on.
    """

    serialization_expand_args = ["removed"]

    def __init__(
        self,
        app_label: str,
        name: str,
        removed: Sequence[migrations.AddIndex],
        *,
        texts: tuple[str, str] | None = None,
    ) -> None:
        super().__init__(app_label, name, texts=texts)
        self.removed = list(removed)
        self.built = RunIndexFile(app_label, name, self.removed, texts=(self.texts[1], self.texts[0]))

    def deconstruct(self) -> Any:
        return self.__class__.__name__, [self.app_label, self.name], {"removed": self.removed}

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        for operation in self.removed:
            migrations.RemoveIndex(operation.model_name, operation.index.name).state_forwards(app_label, state)

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self.built.database_backwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self.built.database_forwards(app_label, schema_editor, from_state, to_state)


def _checks_ids(connection: BaseDatabaseWrapper, table: declared.Table) -> bool:
    """Whether a proven check of the table's public ids says what it shall."""
    (prefix,) = (column.prefix for column in table.columns if column.prefix)
    words = [sql.Literal(text).as_string(None) for text in alphabets(prefix)]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT EXISTS (
                SELECT FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'c' AND convalidated
                AND (SELECT bool_and(strpos(pg_get_constraintdef(oid), word) > 0) FROM unnest(%s::text[]) AS word))
            """,
            [connection.ops.quote_name(table.name), words],
        )
        (answer,) = cursor.fetchone()
    return bool(answer)


def _is_new(connection: BaseDatabaseWrapper, table: str, indexes: Sequence[str]) -> bool:
    """Whether the table has no row to wait for and no index that could be meant: the indexes are simply made."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT NOT EXISTS (
                SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                WHERE i.indrelid = %s::regclass AND c.relname = ANY (%s)
            )
            """,
            [connection.ops.quote_name(table), [*indexes, *registry.facts().older_indexes]],
        )
        (unknown,) = cursor.fetchone()
    return bool(unknown) and not sizes.has_rows(connection, table)


#: The operations that bring tables to the state after them.
CONVERGING = (
    CreateTable, AddColumn, AlterColumn, AddTableConstraint, RemoveTableConstraint, CheckPublicIds, RunIndexFile,
)  # fmt: skip
#: The operations that work in transactions of their own, or in none.
ONLINE = (*CONVERGING, DropIndexFile)

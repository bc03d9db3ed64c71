"""What a Django model means as PostgreSQL DDL: columns, constraints and indexes under PostgreSQL's own names.

Names are those PostgreSQL would choose itself (``<table>_pkey``, ``<table>_<column>_key``, ``<table>_<column>_fkey``,
``<table>_<column>_idx``), so that tables of older databases keep theirs. Foreign keys carry their ON DELETE rule,
for writers that do not come through Django.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Statement
from django.db.models.expressions import Value
from psycopg import sql

from moeen.db import closing
from moeen.db.actions import Action, BuildIndex, Comment
from moeen.db.actions.columns import column_definition
from moeen.db.constraints import ON_DELETE_RULES, ForeignKeyConstraint
from moeen.db.functions import NOW_SQL, Now
from moeen.db.names import PUBLIC, ObjectName
from moeen.db.sql import compose, fragment


@dataclass(frozen=True)
class Column:
    """A column as it shall be. ``default`` is SQL or ""; ``constant`` tells that adding it needs no rewrite."""

    name: str
    type: str
    collation: str
    default: str
    constant: bool
    not_null: bool
    comment: str
    prefix: str = ""

    @property
    def is_clock(self) -> bool:
        """Whether it takes the time of the transaction when nothing is given."""
        return self.default == NOW_SQL

    @property
    def type_sql(self) -> str:
        """The type, with its collation."""
        return f"{self.type} COLLATE {compose('{c}', c=self.collation)}" if self.collation else self.type

    @property
    def definition(self) -> str:
        """The column's part of CREATE TABLE."""
        return column_definition(self.name, self.type_sql, default=self.default, not_null=self.not_null)


@dataclass(frozen=True)
class Constraint:
    """A primary key ``p`` or unique ``u`` constraint of some columns, or a check ``c`` of a condition."""

    name: str
    kind: str
    columns: tuple[str, ...]
    condition: str = ""

    @property
    def body(self) -> str:
        """What follows the constraint's name."""
        if self.kind == "c":
            return f"CHECK ({self.condition})"
        return compose("{kind} ({c})", kind=fragment("PRIMARY KEY" if self.kind == "p" else "UNIQUE"), c=self.columns)


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key, not deferrable, with its ON DELETE rule."""

    name: str
    columns: tuple[str, ...]
    to_table: str
    to_columns: tuple[str, ...]
    on_delete: str

    @property
    def body(self) -> str:
        """What follows the constraint's name."""
        return compose(
            "FOREIGN KEY ({columns}) REFERENCES {to_table} ({to_columns}) ON DELETE {rule}",
            columns=self.columns,
            to_table=self.to_table,
            to_columns=self.to_columns,
            rule=fragment(self.on_delete),
        )


@dataclass(frozen=True)
class Index:
    """An index beside constraints; ``body`` is what follows the table's name in CREATE INDEX."""

    name: str
    table: str
    body: str
    unique: bool = False

    @property
    def definition(self) -> str:
        """What ``catalog.Index.definition`` says of it where it stands, if it is as plain as most are."""
        plain = self.body.replace('"', "")
        return plain.removeprefix("USING ") if plain.startswith("USING ") else f"btree {plain}"

    def build(self, *, online: bool = True) -> BuildIndex:
        return BuildIndex(ObjectName(PUBLIC, self.table, self.name), self.body, unique=self.unique, online=online)


@dataclass(frozen=True)
class Table:
    """A table as a model declares it."""

    name: str
    columns: tuple[Column, ...]
    constraints: tuple[Constraint, ...]
    foreign_keys: tuple[ForeignKey, ...]
    indexes: tuple[Index, ...]
    comment: str

    @property
    def names(self) -> frozenset[str]:
        """The names of its columns."""
        return frozenset(column.name for column in self.columns)

    def without_defaults(self) -> Table:
        """The same, for a database that does not have our functions yet."""
        return replace(self, columns=tuple(replace(column, default="") for column in self.columns))


def compile_table(model: type[models.Model], editor: BaseDatabaseSchemaEditor) -> Table:
    """The DDL of a model, which may be one of a migration's past models."""
    return Table(
        name=model._meta.db_table,
        columns=tuple(_column(field, editor) for field in model._meta.local_concrete_fields),
        constraints=tuple(_constraints(model, editor)),
        foreign_keys=tuple(_foreign_keys(model)),
        indexes=tuple(_indexes(model, editor)),
        comment=model._meta.db_table_comment or "",
    )


def compile_default(field: Any, editor: BaseDatabaseSchemaEditor) -> str:
    """The column's DEFAULT as SQL, or ""."""
    if not field.has_db_default():
        return ""
    sql, params = editor.db_default_sql(field)
    return str(sql % tuple(editor.quote_value(value) for value in params))


def create_table(table: Table, *, temporary: bool = False) -> list[str]:
    """The statements that make the table, comments and row security included.

    A temporary one serves as the pattern that live tables are held against; it has no foreign keys, because making
    one locks the table it refers to.
    """
    parts: list[sql.Composable] = [fragment(column.definition) for column in table.columns]
    parts += [named_constraint(c.name, c.body) for c in table.constraints]
    if not temporary:
        parts += [named_constraint(k.name, k.body) for k in table.foreign_keys]
    what = sql.SQL("TEMPORARY TABLE" if temporary else "TABLE")
    body = sql.SQL(",\n    ").join(parts)
    statements = [compose("CREATE {what} {table} (\n    {body}\n)", what=what, table=table.name, body=body)]
    actions: list[Action] = [index.build(online=False) for index in table.indexes]
    if not temporary:
        name = ObjectName(PUBLIC, table.name)
        actions += [Comment(name.has(c.name), "column", c.comment) for c in table.columns if c.comment]
        actions += [Comment(name, "table", table.comment)] if table.comment else []
        statements += closing.statements(table.name)
    return statements + [statement for action in actions for statement in action.statements()]


def named_constraint(name: str, body: str) -> sql.Composable:
    """``CONSTRAINT name body``."""
    return sql.SQL("CONSTRAINT {} {}").format(sql.Identifier(name), fragment(body))


def _column(field: Any, editor: BaseDatabaseSchemaEditor) -> Column:
    parameters = field.db_parameters(connection=editor.connection)
    expression = field._db_default_expression if field.has_db_default() else None
    return Column(
        name=field.column or field.attname,
        type=parameters["type"] or "",
        collation=parameters.get("collation") or "",
        default=compile_default(field, editor),
        # now() is stable: ADD COLUMN evaluates it once. A volatile default would rewrite the table.
        constant=isinstance(expression, Value | Now),
        not_null=not field.null,
        comment=field.db_comment or "",
        prefix=getattr(field, "prefix", ""),
    )


def _constraints(model: type[models.Model], editor: BaseDatabaseSchemaEditor) -> Iterator[Constraint]:
    table = model._meta.db_table
    for field in model._meta.local_concrete_fields:
        column = field.column or field.attname
        if field.primary_key:
            yield Constraint(f"{table}_pkey", "p", (column,))
        elif field.unique:
            yield Constraint(f"{table}_{column}_key", "u", (column,))
        check = field.db_parameters(connection=editor.connection)["check"]
        if check:
            yield Constraint(f"{table}_{column}_check", "c", (column,), check)
    constraints: list[Any] = list(model._meta.constraints)
    for constraint in constraints:
        if isinstance(constraint, models.CheckConstraint):
            condition = constraint._get_check_sql(model, editor)  # type: ignore[attr-defined]
            yield Constraint(constraint.name, "c", (), condition)
        elif isinstance(constraint, models.UniqueConstraint) and not _as_index(constraint):
            names = tuple(_column_of(model, name) for name in constraint.fields)
            yield Constraint(constraint.name, "u", names)


def _as_index(constraint: Any) -> bool:
    """Whether PostgreSQL keeps it as a unique index: a constraint takes no expression, condition or INCLUDE."""
    return bool(constraint.expressions or constraint.condition or constraint.include or constraint.opclasses)


def _foreign_keys(model: type[models.Model]) -> Iterator[ForeignKey]:
    table = model._meta.db_table
    fields: list[Any] = list(model._meta.local_concrete_fields)
    for field in fields:
        if isinstance(field, models.ForeignKey) and field.db_constraint:  # type: ignore[attr-defined]
            rule = ON_DELETE_RULES[field.remote_field.on_delete]
            target = field.target_field
            name = f"{table}_{field.column}_fkey"
            yield ForeignKey(name, (field.column,), target.model._meta.db_table, (target.column,), rule)
    for constraint in model._meta.constraints:
        if isinstance(constraint, ForeignKeyConstraint):
            to_table, to_columns = constraint.target(model)
            rule = ON_DELETE_RULES[constraint.on_delete]
            yield ForeignKey(constraint.name, constraint.columns(model), to_table, to_columns, rule)


def _indexes(model: type[models.Model], editor: BaseDatabaseSchemaEditor) -> Iterator[Index]:
    table = model._meta.db_table
    fields: list[Any] = list(model._meta.local_concrete_fields)
    for field in fields:
        if field.db_index and not field.unique:
            column = field.column or field.attname
            yield Index(f"{table}_{column}_idx", table, compose("({column})", column=column))
    for index in model._meta.indexes:
        yield Index(index.name, table, _body(index.create_sql(model, editor)))
    for constraint in model._meta.constraints:
        if isinstance(constraint, models.UniqueConstraint) and _as_index(constraint):
            yield Index(constraint.name, table, _body(constraint.create_sql(model, editor)), unique=True)


def _body(create: Any) -> str:
    """What follows the table's name in a CREATE INDEX of Django's."""
    names = ("using", "columns", "include", "nulls_distinct", "extra", "condition")
    parts = dict.fromkeys(names, "") | create.parts
    return str(Statement("%(using)s (%(columns)s)%(include)s%(nulls_distinct)s%(extra)s%(condition)s", **parts)).strip()


def _column_of(model: type[models.Model], field_name: str) -> str:
    return str(model._meta.get_field(field_name).column)  # type: ignore[union-attr]

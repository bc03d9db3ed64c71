"""Constraints and indexes that Django's own classes cannot say: composite foreign keys, names of up to 63 bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.postgres.indexes import GinIndex
from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS, models
from django.db.models.constraints import BaseConstraint

#: ``on_delete`` of Django -> the rule that PostgreSQL keeps for every writer.
ON_DELETE_RULES: dict[Any, str] = {
    models.CASCADE: "CASCADE",
    models.SET_NULL: "SET NULL",
    models.RESTRICT: "RESTRICT",
    models.PROTECT: "RESTRICT",
    models.DO_NOTHING: "NO ACTION",
}


class Index(models.Index):
    """An index whose name may use PostgreSQL's 63 bytes instead of the 30 that Oracle would allow."""

    max_name_length = 63


class SearchIndex(GinIndex):
    """A GIN index whose name may use PostgreSQL's 63 bytes."""

    max_name_length = 63


class ForeignKeyConstraint(BaseConstraint):
    """A foreign key over several columns, kept by the database.

    ``fields`` and ``to_fields`` are field names of the two models, in the same order; ``to`` is ``"app.Model"``.
    The target columns need a unique constraint of their own.
    """

    def __init__(
        self,
        *,
        name: str,
        fields: Sequence[str],
        to: str,
        to_fields: Sequence[str],
        on_delete: Any,
        violation_error_code: str | None = None,
        violation_error_message: Any = None,
    ) -> None:
        if len(fields) != len(to_fields) or not fields:
            raise ValueError("fields and to_fields must have the same, non-zero length.")
        if on_delete not in ON_DELETE_RULES:
            raise ValueError(f"on_delete must be one of {', '.join(r.__name__ for r in ON_DELETE_RULES)}.")
        self.fields = tuple(fields)
        self.to = to
        self.to_fields = tuple(to_fields)
        self.on_delete = on_delete
        super().__init__(
            name=name,
            violation_error_code=violation_error_code,
            violation_error_message=violation_error_message,
        )

    def columns(self, model: type[models.Model]) -> tuple[str, ...]:
        """The column names of the referring side."""
        return tuple(_column(model, name) for name in self.fields)

    def target(self, model: type[models.Model]) -> tuple[str, tuple[str, ...]]:
        """``(table, columns)`` of the referred side, looked up in the registry that ``model`` belongs to."""
        target = model._meta.apps.get_model(self.to)
        return target._meta.db_table, tuple(_column(target, name) for name in self.to_fields)

    def constraint_sql(self, model: Any, schema_editor: Any) -> str:
        quote = schema_editor.quote_name
        table, columns = self.target(model)
        return (
            f"CONSTRAINT {quote(self.name)} FOREIGN KEY ({', '.join(map(quote, self.columns(model)))}) "
            f"REFERENCES {quote(table)} ({', '.join(map(quote, columns))}) "
            f"ON DELETE {ON_DELETE_RULES[self.on_delete]}"
        )

    def create_sql(self, model: Any, schema_editor: Any) -> str:
        table = schema_editor.quote_name(model._meta.db_table)
        return f"ALTER TABLE {table} ADD {self.constraint_sql(model, schema_editor)}"

    def remove_sql(self, model: Any, schema_editor: Any) -> str:
        quote = schema_editor.quote_name
        return f"ALTER TABLE {quote(model._meta.db_table)} DROP CONSTRAINT {quote(self.name)}"

    def validate(
        self,
        model: type[models.Model],
        instance: models.Model,
        exclude: Any = None,
        using: str = DEFAULT_DB_ALIAS,
    ) -> None:
        """Raise ``ValidationError`` when no target row carries the values (a NULL passes, as in MATCH SIMPLE)."""
        if exclude and set(self.fields) & set(exclude):
            return
        values = [getattr(instance, model._meta.get_field(name).attname) for name in self.fields]  # type: ignore[union-attr]
        if any(value is None for value in values):
            return
        target = model._meta.apps.get_model(self.to)
        lookup = dict(zip(self.to_fields, values, strict=True))
        if not target._base_manager.using(using).filter(**lookup).exists():
            raise ValidationError(self.get_violation_error_message(), code=self.violation_error_code)

    def deconstruct(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        path, args, kwargs = super().deconstruct()
        kwargs |= {
            "fields": self.fields,
            "to": self.to,
            "to_fields": self.to_fields,
            "on_delete": self.on_delete,
        }
        return path, tuple(args), kwargs

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ForeignKeyConstraint) and self.deconstruct() == other.deconstruct()

    def __hash__(self) -> int:
        return hash((self.name, self.fields, self.to, self.to_fields))

    def __repr__(self) -> str:
        return f"<ForeignKeyConstraint: {self.name} ({', '.join(self.fields)}) -> {self.to}>"


def _column(model: type[models.Model], field_name: str) -> str:
    return str(model._meta.get_field(field_name).column)  # type: ignore[union-attr]

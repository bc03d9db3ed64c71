"""Django's schema editor, whose tables are closed from the moment they are made."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.schema import DatabaseSchemaEditor

from .. import closing


class SchemaEditor(DatabaseSchemaEditor):
    """Closes the tables that others than our own operations make: ``django_migrations`` and those of Django's apps."""

    def create_model(self, model: Any) -> None:
        super().create_model(model)
        for statement in closing.statements(model._meta.db_table):
            self.execute(statement, None)

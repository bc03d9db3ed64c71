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

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        if exc_type is None:
            try:
                while self.deferred_sql:
                    self.execute(self.deferred_sql.pop(0), None)
            except BaseException as error:
                # Django's would leave the transaction open, and whatever comes next inside it.
                super().__exit__(type(error), error, error.__traceback__)
                raise
        super().__exit__(exc_type, exc_value, traceback)

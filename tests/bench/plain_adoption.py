"""The adoption of a *core* database the ordinary Django way, as a process: `python -m tests.bench.plain_adoption`.

Django's own schema editor does what AddField, AlterField, AddConstraint and AddIndex would: each app's change is one
atomic migration, as Django runs it unless told otherwise. New columns have their default in the database from the
first moment, which is kinder to old clients than the three migrations that Django's manual advises for unique fields.
DATABASE_URL names the database.
"""

import copy
import os
import tempfile
from pathlib import Path

from tests.bench import plain

PROJECT = Path(__file__).resolve().parents[2]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BENCH_PLAIN"] = folder
        plain.configure()
        import django

        django.setup()
        adopt_all()


def adopt_all() -> None:
    from django.apps import apps
    from django.db import connection

    for app, names in {
        "sysadmin": ["User"],
        "healthcare": ["Patient", "Doctor", "Appointment", "Session", "InsuranceClaim"],
    }.items():
        if stands(connection, apps.get_model(app, names[0])._meta.db_table):
            continue  # this app's migration was applied before a deadlock ended the next one's
        with connection.schema_editor() as editor:
            if app == "sysadmin":
                editor.execute((PROJECT / "sysadmin" / "sql" / "0001_functions.sql").read_text(encoding="utf-8"), None)
                editor.execute("UPDATE users SET role = 'patient' WHERE role = 'user'")
            for name in names:
                adopt(editor, apps.get_model(app, name))
            editor.execute((PROJECT / app / "sql" / "0001_updated_at.sql").read_text(encoding="utf-8"), None)


def stands(connection, table: str) -> bool:
    with connection.cursor() as cursor:
        columns = connection.introspection.get_table_description(cursor, table)
    return any(column.name == "public_id" for column in columns)


def adopt(editor, model) -> None:
    with editor.connection.cursor() as cursor:
        cursor.execute(
            "SELECT attname, format_type(atttypid, NULL), attnotnull FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
            [model._meta.db_table],
        )
        live = {name: (kind, required) for name, kind, required in cursor}
    for field in model._meta.local_concrete_fields:
        if field.column not in live:
            editor.add_field(model, field)
        elif not field.primary_key:
            editor.alter_field(model, as_it_stands(model, field, *live[field.column]), field)
    for constraint in model._meta.constraints:
        editor.add_constraint(model, constraint)
    for index in model._meta.indexes:
        editor.add_index(model, index)


def as_it_stands(model, field, kind: str, required: bool):
    from django.db.models import ForeignKey
    from django.db.models.fields import NOT_PROVIDED

    old = copy.copy(field)  # a clone would not be bound to its models
    old.__dict__.pop("_db_default_expression", None)
    old.null, old.db_default, old.db_comment = not required, NOT_PROVIDED, None
    if isinstance(field, ForeignKey):
        old.db_index = False
    if kind == "timestamp without time zone":
        old.db_type = lambda connection: "timestamp"
    return old


if __name__ == "__main__":
    main()

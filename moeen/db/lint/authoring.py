"""Migrations as makemigrations writes them: with our converging operations in place of Django's plain ones.

New indexes become raw SQL, ``<app>/sql/NNNN_indexes.sql`` and its way back, run by one RunIndexFile.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.apps import apps
from django.db import connection, migrations
from django.db.migrations import Migration
from django.db.migrations.operations.base import Operation
from django.db.migrations.writer import MigrationWriter

from moeen.db import sql, sql_files
from moeen.db.lint.project import project_apps
from moeen.db.lint.rules import REPLACEMENTS
from moeen.db.operations import CONVERGING, CreateTable, RunIndexFile

_CLASS = "class Migration(migrations.Migration):\n"
_ONLINE = "    atomic = False  # works online, in transactions of its own\n"
#: A text, which stays as it is, or a quoted name, which needs no quotes unless it is a word of SQL.
_QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?P<name>[a-z_][a-z0-9_]*)\"""")
#: Words that PostgreSQL reserves (its manual, appendix "SQL Key Words"; pg_get_keywords() with catcode R or T).
_RESERVED = """
    all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation
    column concurrently constraint create cross current_catalog current_date current_role current_schema current_time
    current_timestamp current_user default deferrable desc distinct do else end except false fetch for foreign freeze
    from full grant group having ilike in initially inner intersect into is isnull join lateral leading left like limit
    localtime localtimestamp natural not notnull null offset on only or order outer overlaps placing primary references
    returning right select session_user similar some symmetric system_user table tablesample then to trailing true union
    unique user using variadic verbose when where window with
"""
RESERVED = frozenset(_RESERVED.split())


def converge(changes: Mapping[str, Iterable[Migration]]) -> None:
    """Put our operations in the place of Django's, in new migrations (app label -> migrations) of the project's apps.

    A migration with one of them stops being atomic: they work in short transactions of their own.
    """
    ours = {config.label for config in project_apps()}
    for label in ours & changes.keys():
        for migration in changes[label]:
            added = [operation for operation in migration.operations if isinstance(operation, migrations.AddIndex)]
            operations = [replacement(operation) for operation in migration.operations if operation not in added]
            for operation in operations:
                if isinstance(operation, CreateTable):
                    indexes = operation.options.pop("indexes", [])
                    added += [migrations.AddIndex(operation.name_lower, index) for index in indexes]
            if added:
                operations.append(index_file(label, f"{migration.name[:4]}_indexes", added))
            migration.operations = operations  # type: ignore[misc]
            if any(isinstance(operation, CONVERGING) for operation in operations):
                migration.atomic = False  # type: ignore[misc]


def replacement(operation: Operation) -> Operation:
    """Our operation for Django's plain one, or the operation itself."""
    ours = REPLACEMENTS.get(type(operation))
    if ours is None:
        return operation
    _, args, kwargs = operation.deconstruct()
    made: Operation = ours(*args, **kwargs)
    return made


def index_file(app_label: str, name: str, added: Sequence[migrations.AddIndex]) -> RunIndexFile:
    """The operation that runs the SQL of these indexes of today's models; its files are yet to be written."""
    creates = []
    # An atomic editor would connect.
    with connection.schema_editor(collect_sql=True, atomic=False) as editor:
        for operation in added:
            model = apps.get_model(app_label, operation.model_name)
            creates.append(unquoted(str(operation.index.create_sql(model, editor, concurrently=True))))
    drops = [
        unquoted(sql.compose("DROP INDEX CONCURRENTLY IF EXISTS {n}", n=operation.index.name)) for operation in added
    ]
    texts = ("".join(f"{line};\n" for line in creates), "".join(f"{line};\n" for line in reversed(drops)))
    return RunIndexFile(app_label, name, added, texts=texts)


def unquoted(statement: str) -> str:
    """The statement without the quotes that its names do not need."""
    return _QUOTED.sub(lambda m: m[0] if m["name"] is None or m["name"] in RESERVED else m["name"], statement)


def write_sql(migration: Migration) -> list[Path]:
    """Write the SQL files of a new migration's indexes. Returns their paths."""
    written = []
    for operation in migration.operations:
        if isinstance(operation, RunIndexFile):
            for path, text in zip(sql_files.paths(operation.app_label, operation.name), operation.texts, strict=True):
                path.parent.mkdir(exist_ok=True)
                path.write_text(text, encoding="utf-8")
                written.append(path)
    return written


def tidy(paths: Iterable[str]) -> None:
    """Sort imports and lay the files out as `make check` wants them, where ruff is installed."""
    program = shutil.which("ruff", path=str(Path(sys.executable).parent)) or shutil.which("ruff")
    files = list(paths)
    if program and files:
        for words in (["check", "--quiet", "--fix-only", "--select", "I"], ["format", "--quiet"]):
            subprocess.run([program, *words, *files], check=False)


class Writer(MigrationWriter):
    """Django's writer, which has no words for ``atomic = False``."""

    def as_string(self) -> str:
        text = super().as_string()
        return text if self.migration.atomic else text.replace(_CLASS, _CLASS + _ONLINE, 1)


@contextmanager
def our_writer(command_module: Any) -> Iterator[None]:
    """Within it, Django's makemigrations command (its module is given) writes with our writer."""
    djangos = command_module.MigrationWriter
    command_module.MigrationWriter = Writer
    try:
        yield
    finally:
        command_module.MigrationWriter = djangos

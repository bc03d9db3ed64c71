"""Migrations as makemigrations writes them: with our converging operations in place of Django's plain ones.

Indexes become raw SQL, ``<app>/sql/NNNN_indexes.sql`` and its way back, run by one RunIndexFile; likewise indexes that
go or get another name. A new table is closed by ``<app>/sql/NNNN_rls.sql``, to which a person adds who may do what.
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
from django.apps.registry import Apps
from django.db import connection, migrations
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.writer import MigrationWriter

from moeen.db import registry, sql, sql_files
from moeen.db.lint.project import project_apps
from moeen.db.lint.rules import REPLACEMENTS
from moeen.db.operations import ONLINE, CreateTable, DropIndexFile, RunIndexFile, RunSQLFile
from moeen.db.public_ids import PublicIdField

_CLASS = "class Migration(migrations.Migration):\n"
_ONLINE = "    atomic = False  # works online, in transactions of its own\n"
_POLICIES = """\
-- Who may see and do what: S select, I insert, U update, D delete. What no line allows is refused. A line for each
-- cell: roles, commands, the rows (and what a written row must be, where that is not the same), such as
-- SELECT app.allow('{table}', 'staff supervisor', 'SIU', 'true');
"""
_CLOSED = """\
BEGIN; -- {table}
SELECT app.lock_away('{table}');
SELECT app.signed_only('{table}');
SELECT app.guard('{table}', '{prefix}');
COMMIT;
"""
_OPENED = """\
SELECT app.lock_away('{table}');
SELECT app.unguard('{table}');
"""
# Nobody asks for an index by its name.
_NAMELESS = "-- squawk-ignore renaming-object\n"
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
            migration.operations = _ours(label, migration)  # type: ignore[misc]
            if any(isinstance(operation, ONLINE) for operation in migration.operations):
                migration.atomic = False  # type: ignore[misc]


def _ours(label: str, migration: Migration) -> list[Operation]:
    """The operations of a new migration as the project has them: what goes, tables, indexes, policies."""
    added: list[migrations.AddIndex] = []
    removed: list[migrations.RemoveIndex] = []
    renamed: list[migrations.RenameIndex] = []
    operations: list[Operation] = []
    for operation in migration.operations:
        if isinstance(operation, migrations.AddIndex):
            added.append(operation)
        elif isinstance(operation, migrations.RemoveIndex):
            removed.append(operation)
        elif isinstance(operation, migrations.RenameIndex) and operation.old_name:
            renamed.append(operation)
        else:
            operations.append(replacement(operation))
    tables = [operation for operation in operations if isinstance(operation, CreateTable)]
    for table in tables:
        indexes = table.options.pop("indexes", [])
        added += [migrations.AddIndex(table.name_lower, index) for index in indexes]
    number = migration.name[:4]
    first: list[Operation] = []
    if removed:
        first.append(drop_file(label, f"{number}_dropped_indexes", removed))
    if renamed:
        first.append(rename_file(label, f"{number}_renamed_indexes", renamed))
    if added:
        operations.append(index_file(label, f"{number}_indexes", added))
    if policies := policy_file(label, f"{number}_rls", tables):
        operations.append(policies)
        given = migration.dependencies
        needed = [key for key in registry.facts().policies_stand_on if key[0] != label and key not in given]
        migration.dependencies = [*given, *needed]  # type: ignore[misc]
    return [*first, *operations]


def replacement(operation: Operation) -> Operation:
    """Our operation for Django's plain one on a table or column, or the operation itself."""
    ours = REPLACEMENTS.get(type(operation))
    if ours is None or issubclass(ours, RunSQLFile):
        return operation
    _, args, kwargs = operation.deconstruct()
    made: Operation = ours(*args, **kwargs)
    return made


def index_file(app_label: str, name: str, added: Sequence[migrations.AddIndex]) -> RunIndexFile:
    """The operation that runs the SQL of these indexes of today's models; its files are yet to be written."""
    return RunIndexFile(app_label, name, added, texts=_index_texts(app_label, added, apps))


def drop_file(app_label: str, name: str, removed: Sequence[migrations.RemoveIndex]) -> DropIndexFile:
    """The operation that drops these indexes of the models before the migration; its files are yet to be written."""
    state = MigrationLoader(None, ignore_no_migrations=True).project_state()
    gone = [
        migrations.AddIndex(r.model_name, state.models[app_label, r.model_name_lower].get_index_by_name(r.name))
        for r in removed
    ]
    return DropIndexFile(app_label, name, gone, texts=_index_texts(app_label, gone, state.apps)[::-1])


def rename_file(app_label: str, name: str, renamed: Sequence[migrations.RenameIndex]) -> RunSQLFile:
    """The operation that renames these indexes; its files are yet to be written."""
    pairs = [(str(operation.old_name), str(operation.new_name)) for operation in renamed]
    back = [(new, old) for old, new in reversed(pairs)]
    texts = tuple(
        _lines(
            _NAMELESS + unquoted(sql.compose("ALTER INDEX IF EXISTS {o} RENAME TO {n}", o=old, n=new))
            for old, new in each
        )
        for each in (pairs, back)
    )
    return RunSQLFile(app_label, name, texts=(texts[0], texts[1]), state_operations=list(renamed))


def _index_texts(app_label: str, added: Sequence[migrations.AddIndex], known: Apps) -> tuple[str, str]:
    """SQL that makes these indexes of the known models, and SQL that drops them."""
    creates = []
    # An atomic editor would connect.
    with connection.schema_editor(collect_sql=True, atomic=False) as editor:
        for operation in added:
            model = known.get_model(app_label, operation.model_name)
            creates.append(unquoted(str(operation.index.create_sql(model, editor, concurrently=True))))
    drops = [
        unquoted(sql.compose("DROP INDEX CONCURRENTLY IF EXISTS {n}", n=operation.index.name)) for operation in added
    ]
    return _lines(creates), _lines(reversed(drops))


def policy_file(app_label: str, name: str, tables: Sequence[CreateTable]) -> RunSQLFile | None:
    """The operation that closes these new tables; its files are yet to be written, and a person adds who may do what.

    A table that bears no public ids, or is made by no migration, is left out.
    """
    prefixes = {}
    for table in tables:
        found = [field.prefix for _, field in table.fields if isinstance(field, PublicIdField)]
        if found and table.options.get("managed", True):
            prefixes[table.options.get("db_table") or f"{app_label}_{table.name_lower}"] = found[0]
    if not prefixes:
        return None
    closed = "\n".join(_CLOSED.format(table=table, prefix=prefix) for table, prefix in prefixes.items())
    back = "".join(_OPENED.format(table=table) for table in reversed(prefixes))
    return RunSQLFile(app_label, name, texts=(f"{_POLICIES.format(table=next(iter(prefixes)))}\n{closed}", back))


def _lines(statements: Iterable[str]) -> str:
    return "".join(f"{statement};\n" for statement in statements)


def unquoted(statement: str) -> str:
    """The statement without the quotes that its names do not need."""
    return _QUOTED.sub(lambda m: m[0] if m["name"] is None or m["name"] in RESERVED else m["name"], statement)


def write_sql(migration: Migration) -> list[Path]:
    """Write the SQL files that a new migration runs. Returns their paths."""
    written = []
    for operation in migration.operations:
        if isinstance(operation, RunSQLFile):
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

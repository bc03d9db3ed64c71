"""System checks of the project's migrations and their SQL: what squawk does not see. Nothing is started or connected.

==========  ==============================================================================================
moeen.E101  row security is switched off
moeen.E102  a policy for PUBLIC, or for a role of the hosting platform that everybody shares
moeen.E103  a policy that shows every row (``true``) to a role not trusted with that table
moeen.E104  a grant on data or functions to PUBLIC or to an anonymous role
moeen.E105  a view that reads with its owner's rights
moeen.E106  a function of ours, or a SECURITY DEFINER one, that does not say SET search_path = pg_catalog, pg_temp
moeen.E107  a SECURITY DEFINER function that PUBLIC may execute
moeen.W108  a table without policies; a warning, because row security keeps it closed until it has some
moeen.W109  a table whose updated_at nothing moves
moeen.E111  RunPython beside DDL in one transaction
moeen.E112  an UPDATE or DELETE of a whole table
moeen.E113  Django's CreateModel, AddField, AlterField, AddConstraint, RemoveConstraint, AddIndex, RemoveIndex or
            RenameIndex: ours converge and work online
moeen.E114  one of our online operations in an atomic migration
moeen.E115  an index among the options of CreateTable: it is raw SQL, run by RunIndexFile
moeen.W116  edits.toml tells of an edited migration what is not so
==========  ==============================================================================================

Read is what runs forwards: SQL files and texts, the bodies of DO blocks, and calls of ``app.allow``. A reason makes an
exception: ``-- lint: allow moeen.E103: the reason`` above the statement, or ``lint_allow = {"moeen.E111": "the
reason"}`` in the Migration class.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from django.core import checks
from django.core.checks import CheckMessage
from django.db import migrations
from django.db.migrations import Migration

from moeen.db import registry
from moeen.db.errors import MoeenError
from moeen.db.history import edits, ledger
from moeen.db.lint.scripts import scripts
from moeen.db.operations import (
    ONLINE,
    AddColumn,
    AddTableConstraint,
    AlterColumn,
    CreateTable,
    DropIndexFile,
    RemoveTableConstraint,
    RunIndexFile,
    RunSQLFile,
)
from moeen.db.roles import PREFIX
from moeen.db.statements import PATH, Statement, parts_of, reasons, without_brackets

#: A name, in quotes or not; or what a text for EXECUTE has in its place.
_TARGET = rf"({PATH}|\S+)"
#: Everybody, by whatever name: PUBLIC, and the roles that a hosting platform gives to every request.
EVERYBODY = frozenset({"public", "anon", "authenticated"})


ANONYMOUS = EVERYBODY | {"moeen_anon"}


#: Roles that may see every row of a table, by "who may see and do what".
TRUSTED = frozenset(PREFIX + name for name in ("staff", "supervisor", "admin", "service", "auth"))


#: Django's operation -> ours.
REPLACEMENTS: Mapping[type[Any], type[Any]] = {
    migrations.CreateModel: CreateTable,
    migrations.AddField: AddColumn,
    migrations.AlterField: AlterColumn,
    migrations.AddConstraint: AddTableConstraint,
    migrations.RemoveConstraint: RemoveTableConstraint,
    migrations.AddIndex: RunIndexFile,
    migrations.RemoveIndex: DropIndexFile,
    migrations.RenameIndex: RunSQLFile,
}


HINTS: Mapping[str, str] = {
    "moeen.E101": "Leave it enabled: the owner is not bound by it. A role that shall see every row gets a policy: "
    "SELECT app.allow('table', 'admin', 'S', 'true').",
    "moeen.E102": "Name the role: SELECT app.allow('table', 'staff', 'S', 'condition') makes one policy for each "
    "command and role.",
    "moeen.E103": "Say which rows: 'user_id = (SELECT app.user_id())'. Who may see a whole table stands in "
    "moeen.db.lint.TRUSTED, and in whole_table_roles of an app's database_facts where they are fewer.",
    "moeen.E104": "Grant to the role that needs it: SELECT app.allow(...) for tables, GRANT EXECUTE ... TO moeen_staff "
    "for functions.",
    "moeen.E105": "CREATE VIEW ... WITH (security_invoker = true) AS ... (PostgreSQL 15); a materialized view keeps "
    "rows outside row security: make a table with policies instead.",
    "moeen.E106": "Add SET search_path = pg_catalog, pg_temp and write schemas out: public.<table>, app.user_id(). "
    "With '', the caller's temporary schema comes first for tables and types.",
    "moeen.E107": "REVOKE EXECUTE ON FUNCTION name(arguments) FROM PUBLIC in the same file, then GRANT it to the roles "
    "that need it.",
    "moeen.W108": "SELECT app.lock_away('table') in <app>/sql/NNNN_rls.sql, and app.allow('table', ...) for each cell "
    "of who may see and do what; lock_away alone says: nobody.",
    "moeen.W109": "SELECT app.guard('table', 'prefix_') in <app>/sql/NNNN_rls.sql: it keeps id, public_id and "
    "created_at as they were made, and moves updated_at with every change. For a table without public ids: CREATE "
    "TRIGGER ... BEFORE UPDATE ON table FOR EACH ROW EXECUTE FUNCTION app.set_updated_at().",
    "moeen.E111": "Move RunPython into a migration of its own; rows that it changed make a later ALTER TABLE in the "
    "same transaction fail, and its locks last as long as it runs.",
    "moeen.E112": "Fill rows in batches beside the running application: a moeen.db.backfill.Backfill. Of a small "
    "table: WHERE, or say so with a lint: allow comment.",
    "moeen.E113": "makemigrations writes ours; by hand: moeen.db.operations.{ours}, with atomic = False.",
    "moeen.E114": "Say atomic = False in the Migration class: the operation works online, in transactions of its own.",
    "moeen.E115": "makemigrations writes it; by hand: a line CREATE INDEX CONCURRENTLY in <app>/sql/NNNN_indexes.sql, "
    "its DROP in NNNN_indexes.reverse.sql, and moeen.db.operations.RunIndexFile after the table.",
    "moeen.W116": "After an edit that leaves every database with the same catalog: the checksum that databases have "
    "recorded in replaces, the file's own in by, and why in reason. Otherwise restore the file, and write a new "
    "migration.",
}


def check(found: Iterable[Migration]) -> list[CheckMessage]:
    """The findings on these migrations, together: policies of a table may come in a later one."""
    known = list(found)
    messages: list[CheckMessage] = []
    for migration in known:
        label = f"{migration.app_label}.{migration.name}"
        allowed = reasons(getattr(migration, "lint_allow", {}))
        for id_, text, values in _operation_findings(migration):
            if id_ not in allowed:
                messages.append(_message(id_, text, label, **values))
        for script in scripts(migration):
            for id_, text in _sql_findings(script.statements):
                if id_ not in allowed:
                    messages.append(_message(id_, text, script.name))
    return [
        *messages,
        *_tables_without_policies(known),
        *_unmoved_times(known),
        *_hijackable_functions(known),
        *_untrue_edits(known),
    ]


def _sql_findings(statements: Sequence[Statement]) -> Iterator[tuple[str, str]]:
    revoked = " ".join(s.words for s in statements if s.matches(r"^REVOKE\b.*\bFROM PUBLIC\b"))
    for statement in statements:
        for id_, text in (
            *_row_security(statement),
            *_policies(statement),
            *_grants(statement),
            *_views(statement),
            *_functions(statement, revoked),
            *_whole_tables(statement),
        ):
            if id_ not in statement.allowed:
                yield id_, text


def _row_security(statement: Statement) -> Iterator[tuple[str, str]]:
    found = statement.matches(rf"^ALTER TABLE (?:IF EXISTS )?(?:ONLY )?{_TARGET} .*\bDISABLE ROW LEVEL SECURITY")
    if found:
        yield "moeen.E101", f"Row security of {_bare(found[1])} is switched off."


def _policies(statement: Statement) -> Iterator[tuple[str, str]]:
    if found := statement.matches(rf"^CREATE POLICY {_TARGET} ON {_TARGET}"):
        table, rest = _bare(found[2]), statement.words[found.end() :]
        to = re.search(r"\bTO (.+?)(?: USING\b| WITH CHECK\b|$)", rest, re.IGNORECASE)
        roles = _names(to[1]) if to else frozenset({"public"})
        if roles & EVERYBODY:
            yield "moeen.E102", f"Policy {_bare(found[1])} on {table} is for {', '.join(sorted(roles & EVERYBODY))}."
        if re.search(r"(USING|WITH CHECK) \(+ ?true ?\)", rest, re.IGNORECASE):
            yield from _every_row(table, roles)
    elif statement.matches(r"^(SELECT|PERFORM) app\.allow ?\(") and len(statement.literals) >= 3:
        tables, people, _, *conditions = statement.literals
        roles = frozenset(f"moeen_{name}" for name in people.split())
        if any(condition.strip().lower() == "true" for condition in conditions):
            for table in tables.split():
                yield from _every_row(table, roles)


def _every_row(table: str, roles: frozenset[str]) -> Iterator[tuple[str, str]]:
    fewer = registry.facts().whole_table_roles.get(table)
    strangers = roles - (TRUSTED if fewer is None else {PREFIX + name for name in fewer})
    if strangers:
        yield "moeen.E103", f"Every row of {table} is open to {', '.join(sorted(strangers))}."


def _grants(statement: Statement) -> Iterator[tuple[str, str]]:
    found = statement.matches(r"^GRANT (.+?) TO (.+?)(?: WITH GRANT OPTION| GRANTED BY .*)?$")
    # To use a schema's name is no access to anything in it.
    if found and not re.fullmatch(r"USAGE ON SCHEMA .*", found[1], re.IGNORECASE):
        strangers = _names(found[2]) & ANONYMOUS
        if strangers:
            yield "moeen.E104", f"GRANT {found[1]} is for {', '.join(sorted(strangers))}."
    default = statement.matches(r"^ALTER DEFAULT PRIVILEGES .*\bGRANT (.+?) TO (.+)$")
    if default and _names(default[2]) & ANONYMOUS:
        yield "moeen.E104", f"Default privileges: {default[1]} for {', '.join(sorted(_names(default[2]) & ANONYMOUS))}."


def _views(statement: Statement) -> Iterator[tuple[str, str]]:
    found = statement.matches(
        r"^CREATE (?:OR REPLACE )?(?:TEMP(?:ORARY)? )?(?:RECURSIVE )?(MATERIALIZED )?VIEW (?:IF NOT EXISTS )?" + _TARGET
    )
    if found and (
        found[1] or not statement.matches(r"WITH \([^)]*security_invoker(?: ?= ?(?:true|on|1))? ?[,)].*?\bAS\b")
    ):
        yield "moeen.E105", f"View {_bare(found[2])} reads with its owner's rights, past row security."


_MAKES_FUNCTION = r"^CREATE (?:OR REPLACE )?(?:FUNCTION|PROCEDURE) ([\w.\"]+)"


def _functions(statement: Statement, revoked: str) -> Iterator[tuple[str, str]]:
    found = statement.matches(_MAKES_FUNCTION)
    if not found or not statement.matches(r"\bSECURITY DEFINER\b"):
        return
    if not re.search(rf"(?<![\w.]){re.escape(found[1])} ?(\(|,| FROM)", revoked):
        yield "moeen.E107", f"Function {found[1]} runs with its owner's rights, and PUBLIC may execute it."


def _whole_tables(statement: Statement) -> Iterator[tuple[str, str]]:
    found = statement.matches(rf"^(UPDATE|DELETE FROM) (?:ONLY )?{_TARGET}")
    # What stands in brackets limits a question within, not the statement.
    if found and not re.search(r"\bWHERE\b(?! true$)", without_brackets(statement.shape), re.IGNORECASE):
        yield "moeen.E112", f"{found[1].split()[0].upper()} of every row of {_bare(found[2])}."


def _operation_findings(migration: Migration) -> Iterator[tuple[str, str, dict[str, str]]]:
    operations = list(migration.operations)
    codes = [operation for operation in operations if isinstance(operation, migrations.RunPython)]
    others = [o for o in operations if not isinstance(o, migrations.RunPython | migrations.SeparateDatabaseAndState)]
    if codes and others and migration.atomic:
        yield "moeen.E111", f"RunPython beside {type(others[0]).__name__} in one transaction.", {}
    for code in codes:
        function: Any = code.code
        if re.search(r"\.objects\.(all\(\)\.)?(update|delete)\(", _source(function)):
            yield "moeen.E112", f"{function.__name__} changes every row of a table.", {}
    for operation in operations:
        ours = REPLACEMENTS.get(type(operation))
        if ours:
            name = type(operation).__name__
            yield "moeen.E113", f"{name} ({operation.describe()}) is Django's plain one.", {"ours": ours.__name__}
        if isinstance(operation, CreateTable) and operation.options.get("indexes"):
            names = ", ".join(index.name for index in operation.options["indexes"])
            yield "moeen.E115", f"{operation.describe()} makes the index {names}.", {}
    if migration.atomic and any(isinstance(operation, ONLINE) for operation in operations):
        yield "moeen.E114", "An online operation stands in an atomic migration.", {}


def _tables_without_policies(found: Sequence[Migration]) -> Iterator[CheckMessage]:
    made: dict[str, str] = {}
    named: set[str] = set()
    for migration in found:
        label = f"{migration.app_label}.{migration.name}"
        excused = "moeen.W108" in reasons(getattr(migration, "lint_allow", {}))
        for operation in migration.operations:
            if not excused and isinstance(operation, migrations.CreateModel) and _is_table(operation.options):
                made[operation.options.get("db_table") or f"{migration.app_label}_{operation.name_lower}"] = label
        for script in scripts(migration):
            for statement in script.statements:
                creates = statement.matches(rf"^CREATE (?:UNLOGGED )?TABLE (?:IF NOT EXISTS )?{_TARGET}")
                if creates and not excused and "moeen.W108" not in statement.allowed:
                    made[_bare(creates[1])] = script.name
                if statement.matches(r"\bapp\.(allow|lock_away) ?\("):
                    # Adjacent literals are one.
                    named.update(word for literal in statement.literals for word in literal.split())
                if policy := statement.matches(rf"^CREATE POLICY {_TARGET} ON {_TARGET}"):
                    named.add(_bare(policy[2]))
    for table in sorted(made.keys() - named):
        yield _message("moeen.W108", f"Table {table} has no policies.", made[table])


def _unmoved_times(found: Sequence[Migration]) -> Iterator[CheckMessage]:
    tables: dict[tuple[str, str], str] = {}
    timed: dict[str, str] = {}
    moved: set[str] = set()
    for migration in found:
        label = f"{migration.app_label}.{migration.name}"
        for operation in migration.operations:
            if isinstance(operation, migrations.CreateModel) and _is_table(operation.options):
                table = operation.options.get("db_table") or f"{migration.app_label}_{operation.name_lower}"
                tables[migration.app_label, operation.name_lower] = table
                columns = {name for name, _ in operation.fields}
            elif isinstance(operation, migrations.AddField):
                table = tables.get((migration.app_label, operation.model_name_lower), "")
                columns = {operation.name}
            else:
                continue
            if "updated_at" in columns and "moeen.W109" not in reasons(getattr(migration, "lint_allow", {})):
                timed.setdefault(table, label)
        for statement in (statement for script in scripts(migration) for statement in script.statements):
            if statement.matches(r"\bapp\.guard ?\(") and statement.literals:
                moved.add(statement.literals[0])
            elif trigger := statement.matches(
                rf"^CREATE (?:OR REPLACE )?TRIGGER .*? ON {_TARGET} .*EXECUTE FUNCTION app\.set_updated_at"
            ):
                moved.add(_bare(trigger[1]))
    for table in sorted(timed.keys() - moved):
        yield _message("moeen.W109", f"Nothing moves updated_at of table {table}.", timed[table])


def _hijackable_functions(found: Sequence[Migration]) -> Iterator[CheckMessage]:
    """Functions that a caller's names can lead astray, as their last mention leaves them."""
    open_: dict[str, str] = {}
    for script in (script for migration in found for script in scripts(migration)):
        for statement in script.statements:
            made = statement.matches(_MAKES_FUNCTION)
            mended = statement.matches(
                r"^(?:CREATE (?:OR REPLACE )?|ALTER )(?:FUNCTION|PROCEDURE|ROUTINE) ([\w.\"]+)"
                r".*\bSET search_path (?:=|TO) pg_catalog, ?pg_temp\b"
                r"|^DROP (?:FUNCTION|PROCEDURE|ROUTINE) (?:IF EXISTS )?([\w.\"]+)"
            )
            ours = made and (made[1].startswith("app.") or statement.matches(r"\bSECURITY DEFINER\b"))
            if mended:
                open_.pop(mended[1] or mended[2], None)
            elif made and ours and "moeen.E106" not in statement.allowed:
                open_[made[1]] = script.name
    for name, script_name in open_.items():
        text = f"Function {name} resolves names as its caller likes."
        yield _message("moeen.E106", text, script_name)


def _untrue_edits(found: Sequence[Migration]) -> Iterator[CheckMessage]:
    folders: dict[Path, dict[str, Migration]] = {}
    for migration in found:
        path = Path(inspect.getfile(type(migration)))
        if path.stem == migration.name:
            folders.setdefault(path.parent, {})[migration.name] = migration
    for folder, known in folders.items():
        where = f"{folder.parent.name}/migrations/{edits.FILE}"
        try:
            told = edits.read(folder)
        except MoeenError as error:
            yield _message("moeen.W116", str(error), where)
            continue
        for name, edit in told.items():
            current = ledger.file_checksum(known[name]) if name in known else ""
            if edit.by != current:
                is_now = f"its checksum is {current}" if current else "there is no such migration"
                yield _message("moeen.W116", f"{name} is not the file that edits.toml tells of: {is_now}.", where)
            elif len(edit.reason.split()) < 2 or edit.by in edit.replaces or not edit.replaces:
                yield _message("moeen.W116", f"{name} needs the checksums it replaces, and the reason in words.", where)


def _is_table(options: Mapping[str, Any]) -> bool:
    return bool(options.get("managed", True)) and not options.get("proxy")


def _message(id_: str, text: str, where: str, **values: str) -> CheckMessage:
    kind = checks.Warning if id_.startswith("moeen.W") else checks.Error
    return kind(f"{where}: {text}", hint=HINTS[id_].format(**values) if values else HINTS[id_], id=id_)


def _names(listed: str) -> frozenset[str]:
    """The role names of a list, ``GROUP`` and quotes aside."""
    return frozenset(name.strip().strip('"').removeprefix("GROUP ").lower() for name in listed.split(","))


def _bare(name: str) -> str:
    """The name without schema public and quotes."""
    return ".".join(parts_of(name)).removeprefix("public.") or name


def _source(code: Any) -> str:
    try:
        return inspect.getsource(code)
    except (OSError, TypeError):
        return ""

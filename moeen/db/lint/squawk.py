"""squawk over the SQL of the project's migrations, as the runner would run it on tables that stand and hold rows.

squawk reads one script at a time; put together, scripts would hide findings. A script says what the runner does
beside the statements: its timeouts, and which of them share a transaction. An index of a table that stands is built
CONCURRENTLY, a column is added by the steps of an adoption. No database is needed, except where Django looks the name
of a constraint up (RemoveField, an AlterField that drops one).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import connection
from django.db.backends.postgresql.schema import DatabaseSchemaEditor
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState
from psycopg import sql

from moeen.db.actions import Action, BuildIndex, DropConstraint, Mode, SwapForeignKey
from moeen.db.codes import Code
from moeen.db.converge import locks, offline
from moeen.db.errors import FAILED, MoeenError
from moeen.db.lint.project import project_apps
from moeen.db.operations import CONVERGING, CreateTable, DropIndexFile, RunSQLFile

_OWN = "-- squawk-ignore ban-drop-constraint\n"
_EXCEPTIONS: dict[type[Action], str] = {
    # DROP INDEX CONCURRENTLY stands before it: IF NOT EXISTS would accept an invalid leftover.
    BuildIndex: "-- squawk-ignore prefer-robust-stmts\n",
    # The steps drop no constraint but their own proofs, and those that they make anew.
    DropConstraint: _OWN,
    SwapForeignKey: _OWN,
}


@dataclass(frozen=True)
class Violation:
    """What squawk found in a migration's script; ``line`` counts from 1 in the script."""

    migration: str
    rule: str
    level: str
    line: int
    message: str
    help: str

    def pretty(self) -> str:
        advice = f"\n      {self.help}" if self.help else ""
        return f"{self.migration}:{self.line}: {self.rule}: {self.message}{advice}"


def scripts() -> Iterator[tuple[str, str]]:
    """(APP.NAME, SQL) of every migration of the project's apps, in the order in which they are applied."""
    ours = {config.label for config in project_apps()}
    loader = MigrationLoader(None)
    seen: set[tuple[str, str]] = set()
    for leaf in sorted(loader.graph.leaf_nodes()):
        for key in loader.graph.forwards_plan(leaf):
            if key[0] in ours and key not in seen:
                seen.add(key)
                state = loader.project_state(key, at_end=False)
                yield ".".join(key), script(loader.disk_migrations[key], state)


def script(migration: Migration, state: ProjectState) -> str:
    """The SQL of one migration; ``state`` is that before it."""
    rule = locks.DEFAULT
    limits = {"lock_timeout": rule.lock_timeout_ms, "statement_timeout": rule.statement_timeout_ms}
    lines = [f"SET {name} = '{milliseconds}ms'" for name, milliseconds in limits.items()]
    parts: list[list[str]] = []
    for operation in migration.operations:
        after = state.clone()
        operation.state_forwards(migration.app_label, after)
        parts += _transactions(migration, operation, state, after)
        state = after
    if migration.atomic:
        parts = [
            ["BEGIN", *(statement for part in parts for statement in part if statement not in _BRACKETS), "COMMIT"]
        ]
    lines += [statement for part in parts for statement in part]
    return "".join(f"{line.rstrip().rstrip(';')};\n" for line in lines if line.strip())


_BRACKETS = ("BEGIN", "COMMIT")


def _transactions(
    migration: Migration, operation: Any, before: ProjectState, after: ProjectState
) -> Iterator[list[str]]:
    """The statements of an operation, grouped by transaction; a group without BEGIN is run statement by statement."""
    if isinstance(operation, CONVERGING) and not isinstance(operation, CreateTable):
        with _editor() as editor:
            shapes = list(operation.shapes(migration.app_label, editor, before, after))
        for step in (step for shape in shapes for step in offline.plan(*shape)):
            statements = [_excepted(action, s) for action in step.actions for s in action.statements()]
            yield ["BEGIN", *statements, "COMMIT"] if step.mode is Mode.TRANSACTION else statements
        return
    with _editor() as editor:
        operation.database_forwards(migration.app_label, editor, before, after)
        collected = [str(statement) for statement in editor.collected_sql]
    if isinstance(operation, DropIndexFile):
        yield collected
    elif isinstance(operation, RunSQLFile):
        yield from (["BEGIN", script, "COMMIT"] for script in collected)
    else:
        yield ["BEGIN", *collected, "COMMIT"] if isinstance(operation, CreateTable) else collected


def _excepted(action: Action, statement: str) -> str:
    """The statement after what squawk is told of it."""
    return next((words for kind, words in _EXCEPTIONS.items() if isinstance(action, kind)), "") + statement


class _Offline(DatabaseSchemaEditor):
    """Django's editor puts parameters in with the help of a connection."""

    def execute(self, statement: Any, params: Any = ()) -> None:
        text = str(statement)
        if params is not None:
            text %= tuple(sql.Literal(value).as_string(None) for value in params)
        super().execute(text, None)


def _editor() -> Any:
    # An atomic one would connect.
    return _Offline(connection, collect_sql=True, atomic=False)


def run(name: str, text: str, *, config: Path) -> list[Violation]:
    """squawk's findings on one script. Raises MoeenError when squawk is not there or fails."""
    program = shutil.which("squawk", path=str(Path(sys.executable).parent)) or shutil.which("squawk")
    if program is None:
        raise MoeenError(
            "squawk is not installed.",
            next_step="pip install -r requirements-dev.txt, or run it through `make check`.",
            exit_code=FAILED,
            code=Code.LINT,
        )
    command: Sequence[str] = [program, "--config", str(config), "--reporter", "json", "--stdin-filepath", f"{name}.sql"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    try:
        found = json.loads(done.stdout)
    except ValueError:
        raise MoeenError(
            f"squawk failed on {name}: {done.stderr.strip()}",
            next_step=f"`manage.py lint_migrations {name} --sql` prints what it was given.",
            exit_code=FAILED,
            code=Code.LINT,
        ) from None
    return [
        Violation(name, v["rule_name"], v["level"], v["line"] + 1, v["message"], v.get("help") or "") for v in found
    ]

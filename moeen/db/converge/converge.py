"""A model's table is made, or the one that stands is brought to its shape."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from moeen.db import catalog
from moeen.db.adoption import Legacy
from moeen.db.codes import Code
from moeen.db.converge import declared, execution, locks, obstacles, release, steps, subject
from moeen.db.errors import MoeenError
from moeen.db.findings import unique


def converge(
    want: declared.Table,
    editor: BaseDatabaseSchemaEditor,
    *,
    legacy: Legacy,
    was: declared.Table | None = None,
    later: frozenset[str] = frozenset(),
) -> None:
    """Make the table, or bring the one that stands to its shape.

    What ``was`` asked for and ``want`` does not is taken away. ``later``: definitions of indexes that a later migration
    asks for. Raises Refused when the table holds what cannot be carried over; nothing is changed then.
    """
    connection = editor.connection
    live = None if editor.collect_sql else catalog.read_tables(connection, [want.name]).get(want.name)
    if live is None:
        locks.patiently(
            connection, partial(run_together, editor, declared.create_table(want)), purpose=f"create {want.name}"
        )
        return
    item = subject.examine(connection, want, live, legacy, later=later)
    references = {key.to_table for key in obstacles.standing_keys(item)}
    others = catalog.read_tables(connection, references)
    found = obstacles.findings(connection, [item], others)
    if found:
        raise Refused(want.name, tuple(finding.pretty() for finding in unique(found)))
    # Read anew in between: the plan is made for the table as it stands then.
    was = was or want
    for step in release.relax(live, was, want):
        execution.execute(connection, step)
    if was != want:
        live = catalog.read_tables(connection, [want.name])[want.name]
        item = subject.examine(connection, want, live, legacy, later=later)
    for step in steps.plan(connection, item):
        execution.execute(connection, step)


def run_together(editor: BaseDatabaseSchemaEditor, statements: Sequence[str]) -> None:
    if editor.collect_sql:
        for statement in statements:
            editor.execute(statement, None)
    else:
        with locks.short_transaction(editor.connection):
            editor.execute(";\n".join(statements), None)


class Refused(MoeenError):
    """A table cannot be adopted; the findings say why."""

    default_code = Code.NOT_ADOPTABLE

    def __init__(self, table: str, findings: tuple[str, ...]) -> None:
        lines = "\n  ".join(findings)
        super().__init__(
            f"Table {table} cannot be adopted:\n  {lines}",
            next_step="Mend these rows or columns, then run migrate again.",
            exit_code=3,
        )

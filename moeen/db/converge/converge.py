"""A model's table is made, or the one that stands is brought to its shape."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from moeen.db import catalog
from moeen.db.adoption import Legacy
from moeen.db.converge import declared, execution, locks, obstacles, offline, release, steps, subject
from moeen.db.errors import MoeenError
from moeen.db.findings import unique


def converge(
    model: type[models.Model],
    editor: BaseDatabaseSchemaEditor,
    *,
    legacy: Legacy,
    before: type[models.Model] | None = None,
) -> None:
    """Make the model's table, or bring the one that stands to its shape.

    What ``before``, the model as it was, asked for and the model does not is taken away. Raises Refused when the table
    holds what cannot be carried over; nothing is changed then.
    """
    connection = editor.connection
    want = declared.compile_table(model, editor)
    was = want if before is None else declared.compile_table(before, editor)
    if editor.collect_sql and before is not None:
        for step in offline.plan(was, want):
            for statement in step.statements:
                editor.execute(statement, None)
        return
    live = None if editor.collect_sql else catalog.read_tables(connection, [want.name]).get(want.name)
    if live is None:
        locks.patiently(
            connection, partial(run_together, editor, declared.create_table(want)), purpose=f"create {want.name}"
        )
        return
    item = subject.examine(connection, want, live, legacy)
    references = {key.to_table for key in want.foreign_keys}
    found = obstacles.findings(connection, [item], catalog.read_tables(connection, references))
    if found:
        raise Refused(want.name, tuple(finding.pretty() for finding in unique(found)))
    # Read anew in between: the plan is made for the table as it stands then.
    for step in release.relax(live, was, want):
        execution.execute(connection, step)
    if was != want:
        live = catalog.read_tables(connection, [want.name])[want.name]
        item = subject.examine(connection, want, live, legacy)
    for step in steps.plan(connection, item):
        execution.execute(connection, step)


def run_together(editor: BaseDatabaseSchemaEditor, statements: Sequence[str]) -> None:
    with nullcontext() if editor.collect_sql else locks.short_transaction(editor.connection):
        for statement in statements:
            editor.execute(statement, None)


class Refused(MoeenError):
    """A table cannot be adopted; the findings say why."""

    def __init__(self, table: str, findings: tuple[str, ...]) -> None:
        lines = "\n  ".join(findings)
        super().__init__(
            f"Table {table} cannot be adopted:\n  {lines}",
            next_step="Mend these rows or columns, then run migrate again.",
            exit_code=3,
        )

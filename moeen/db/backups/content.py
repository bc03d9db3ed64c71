"""What a database holds, counted, digested and described, to be compared with what a restore gives."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from moeen.db import schema
from moeen.db.backups import digests, encryption, inventory, manifest, outside
from moeen.db.backups.digests import Digest
from moeen.db.backups.manifest import Content
from moeen.db.codes import Code
from moeen.db.errors import FINDINGS, MoeenError

Connection = psycopg.Connection[tuple[Any, ...]]


def refuse_if_blind(connection: Connection, schemas: list[str]) -> None:
    """Raise MoeenError (3) where row security or a missing grant hides rows of a table from this role."""
    rows = connection.execute(
        """
        SELECT format('%%I.%%I', n.nspname, c.relname), row_security_active(c.oid), has_table_privilege(c.oid, 'SELECT')
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = ANY (%s) AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
          AND has_schema_privilege(n.oid, 'USAGE') ORDER BY 1
        """,
        [schemas],
    ).fetchall()
    user = connection.info.user
    hidden = [label for label, active, _ in rows if active]
    if hidden:
        raise MoeenError(
            f"Row security hides rows from role {user}: {_some(hidden)}. Nothing was backed up: what it does not see "
            "would be missing without a word.",
            next_step="Connect as the owner of the tables (row security not forced), or as a role with BYPASSRLS.",
            exit_code=FINDINGS,
            code=Code.HIDDEN_ROWS,
        )
    closed = [label for label, _, readable in rows if not readable]
    if closed:
        raise MoeenError(
            f"Role {user} may not read {_some(closed)}. Nothing was backed up.",
            next_step=f"Connect as their owner, or GRANT SELECT on them TO {user}.",
            exit_code=FINDINGS,
            code=Code.PRIVILEGE,
        )


@dataclass(frozen=True)
class Rows:
    """What is read of tables. `recorded`: what the database records as the clinic's own objects.

    Whoever reads a table runs code of its owner's: the planner computes conditions of its indexes, and a cast may be a
    function. The catalog can be read without.
    """

    tables: Mapping[str, Digest]
    recorded: frozenset[str]


def read_rows(
    connection: Connection, schemas: list[str], *, told: Callable[[int, int], None] = lambda done, total: None
) -> Rows:
    """Count and digest every table; the caller has prepared the session."""
    tables = digests.of_tables(connection, digests.tables(connection, schemas), told=told)
    return Rows(tables, schema.recorded_with(connection.cursor()))


def read_content(
    connection: Connection,
    scope: inventory.Scope,
    *,
    rows: Rows | None = None,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> Content:
    """Count, digest and describe everything in scope; the caller has prepared the session.

    `rows`: what was read of them already, by somebody with less power; then none is read.
    """
    rows = rows or read_rows(connection, scope.schemas, told=told)
    return Content(
        tables=dict(rows.tables),
        sequences={label: [value, value] for label, value in digests.of_sequences(connection, scope.schemas).items()},
        large_objects=digests.of_large_objects(connection),
        inventory=inventory.read(connection, scope.schemas),
        roles=inventory.roles(connection),
        settings=inventory.settings(connection),
        stubs=outside.functions(connection, scope.left_out),
        outside=outside.read(connection, scope.schemas, scope.left_out),
        fingerprint=schema.fingerprint_with(psycopg.ClientCursor(connection), recorded=rows.recorded),
    )


class ContentReader(threading.Thread):
    """Reads the content while pg_dump runs."""

    def __init__(self, connection: Connection, scope: inventory.Scope) -> None:
        super().__init__(name="digests", daemon=True)
        self._connection = connection
        self._scope = scope
        self._content: Content | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._content = read_content(self._connection, self._scope)
        except BaseException as error:
            self.error = error

    def finished(self) -> bool:
        return not self.is_alive()

    def result(self) -> Content:
        self.join()
        if self.error is not None:
            raise self.error
        assert self._content is not None
        return self._content


def write_content(staging: Path, content: Content, keys: Sequence[Any]) -> None:
    data = manifest.content_to_json(content)
    if not keys:
        (staging / manifest.CONTENT).write_bytes(data)
        return
    # From memory: the plain text never is a file.
    with (staging / f"{manifest.CONTENT}.age").open("wb") as target:
        encryption.encrypt(io.BytesIO(data), target, keys)


def _some(names: list[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"

"""The rows of a table as they will be once it is adopted, before anything is done."""

from __future__ import annotations

from psycopg import sql

from moeen.db.converge import zones
from moeen.db.converge.conversions import mapped, way
from moeen.db.converge.subject import Subject
from moeen.db.sql import fragment


def future_rows(item: Subject) -> sql.Composable:
    """The table's rows as they will be, under the table's own name, as a FROM item.

    Values are mapped and NULLs filled as the steps will do; a column that cannot be converted counts as NULL.
    The clinic's own stand beside.
    """
    parts: list[sql.Composable] = [sql.Identifier(name) for name in item.live.columns if name not in item.want.names]
    for column in item.want.columns:
        stands = item.live.columns.get(column.name)
        found = way(item, column.name) if stands else None
        value: sql.Composable = sql.SQL("NULL")
        if found and not found.voids:
            value = mapped(item, column)
            value = zones.placed(item, column, value) or value
        elif stands is None and column.constant:
            value = fragment(column.default)
        # A cast to varchar(n) cuts silently, and one to a number that is too small fails: misfits keep their type.
        texts = column.type.startswith("varchar")
        kind = "text" if texts else stands.type if stands and found and found.misfit else column.type
        parts.append(sql.SQL("({})::{} AS {}").format(value, fragment(kind), sql.Identifier(column.name)))
    table = sql.Identifier(item.name)
    return sql.SQL("(SELECT {} FROM {}) AS {}").format(sql.SQL(", ").join(parts), table, table)

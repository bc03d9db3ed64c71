"""The rows of a table as they will be once it is adopted, before anything is done; and which of them are in the way."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from moeen.db.converge import declared, zones
from moeen.db.converge.conversions import mapped, way
from moeen.db.converge.subject import Subject
from moeen.db.sql import compose, fragment

#: So many rows are named by their keys.
_NAMED = 5
_KEY = sql.Identifier("row_key")


def future_rows(item: Subject, only: Collection[str] | None = None) -> sql.Composable:
    """The table's rows as they will be, under the table's own name, as a FROM item; of some columns ``only``.

    Values are mapped and NULLs filled as the steps will do; a column that cannot be converted counts as NULL, and so
    does a value, beside which `misfits` is true. The clinic's own columns stand beside, and what names the row.
    """
    own = [name for name in item.live.columns if name not in item.want.names]
    parts: list[sql.Composable] = [sql.SQL("{} AS {}").format(_key_of(item), _KEY)]
    parts += [sql.Identifier(name) for name in own if only is None or name in only]
    for column in item.want.columns:
        if only is None or column.name in only:
            parts += _parts(item, column)
    table = sql.Identifier(item.name)
    return sql.SQL("(SELECT {} FROM {}) AS {}").format(sql.SQL(", ").join(parts), table, table)


def _parts(item: Subject, column: declared.Column) -> list[sql.Composable]:
    stands, name = item.live.columns.get(column.name), sql.Identifier(column.name)
    found = way(item, column.name) if stands else None
    value: sql.Composable = sql.SQL("NULL")
    if found and not found.voids:
        value = mapped(item, column)
        value = zones.placed(item, column, value) or value
    elif stands is None and column.constant:
        value = fragment(column.default)
    if stands and value == name and stands.type == item.pattern.columns[column.name].type:
        return [name]
    # A cast to varchar(n) cuts silently, and one to a number that is too small fails: misfits keep their type.
    kept = stands and found and found.misfit and not found.using
    kind = "text" if column.type.startswith("varchar") else stands.type if stands and kept else column.type
    parts: list[sql.Composable] = [sql.SQL("({})::{} AS {}").format(value, fragment(kind), name)]
    if found and found.misfit:
        misfit = fragment(found.misfit).format(name)
        parts.append(sql.SQL("coalesce({}, false) AS {}").format(misfit, misfits(column.name)))
    return parts


def misfits(column: str) -> sql.Composable:
    """Of a future row: whether the value of this column cannot be converted."""
    return sql.Identifier(f"{column} misfits")


def _key_of(item: Subject) -> sql.Composable:
    columns = _key_columns(item)
    if not columns:
        return sql.SQL("ctid::text")
    listed = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL("{}::text" if len(columns) == 1 else "ROW({})::text").format(listed)


def _key_columns(item: Subject) -> tuple[str, ...]:
    """The live table's primary key; of one without, nothing."""
    return next((c.columns for c in item.live.constraints.values() if c.kind == "p"), ())


def name_rows(
    connection: BaseDatabaseWrapper,
    item: Subject,
    condition: sql.Composable,
    *,
    only: Collection[str],
    as_they_are: bool = False,
) -> tuple[str, str]:
    """Of the future rows that meet a condition: the keys of a few, in brackets, and the query for all.

    ``only``: the columns that the condition looks at. ``as_they_are``: it is one of the rows as they stand.
    """
    looked_at = [column for column in item.want.columns if column.name in only]
    if as_they_are or all(_parts(item, column) == [sql.Identifier(column.name)] for column in looked_at):
        query = compose(
            "SELECT {k} AS row_key FROM {t} WHERE {c} ORDER BY 1", k=_key_of(item), t=item.name, c=condition
        )
    else:
        query = compose("SELECT row_key FROM {r} WHERE {c} ORDER BY 1", r=future_rows(item, only), c=condition)
    with connection.cursor() as cursor:
        cursor.execute(f"{query} LIMIT {_NAMED}")
        return _named(item, [value for (value,) in cursor.fetchall()]), query


def name_repeated(
    connection: BaseDatabaseWrapper, item: Subject, expressions: sql.Composable, condition: sql.Composable
) -> tuple[str, str]:
    """The same of future rows that share a value: the keys of one such group, and the query for all of them."""
    query = compose(
        "SELECT array_agg(row_key ORDER BY row_key) AS row_keys FROM {r} WHERE ROW({e}) IS NOT NULL AND ({c})"
        " GROUP BY {e} HAVING count(*) > 1 ORDER BY 1",
        r=future_rows(item),
        e=expressions,
        c=condition,
    )
    with connection.cursor() as cursor:
        cursor.execute(f"{query} LIMIT 1")
        return _named(item, [value for (group,) in cursor.fetchall() for value in group[:_NAMED]]), query


def _named(item: Subject, keys: Sequence[str]) -> str:
    return f" ({', '.join(_key_columns(item)) or 'ctid'} {', '.join(keys)})" if keys else ""

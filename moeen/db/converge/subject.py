"""One table under examination: as its model declares it, as it stands, and as a pattern says it should.

The *pattern* is a temporary table made from the model in a transaction that is rolled back, so that PostgreSQL itself
puts types, defaults and expressions into the form in which it shows the live ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from django.db import DatabaseError, ProgrammingError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import errors

from moeen.db import catalog
from moeen.db.adoption import Legacy
from moeen.db.catalog.sizes import has_rows
from moeen.db.converge import declared
from moeen.db.names import PUBLIC, ObjectName
from moeen.db.sql import compose, fragment

#: What PostgreSQL says of a call where the function, or its schema, is not there.
_NO_FUNCTION = (errors.UndefinedFunction, errors.InvalidSchemaName)


@dataclass(frozen=True)
class Subject:
    """One table under examination: as its model declares it, as it stands, and as the pattern says it should.

    ``later``: definitions of indexes that a later migration asks for; older ones like them are left for it.
    ``plain``: live column of an enum or a domain -> the built-in type that holds the same. ``empty``: it has no rows.
    """

    want: declared.Table
    live: catalog.Table
    pattern: catalog.Table
    legacy: Legacy
    later: frozenset[str] = frozenset()
    plain: Mapping[str, str] = field(default_factory=dict)
    empty: bool = False

    @property
    def name(self) -> str:
        return self.want.name

    @property
    def table(self) -> ObjectName:
        return ObjectName(PUBLIC, self.name)

    def has(self, part: str) -> ObjectName:
        """A part of the table: a column, a constraint, an index..."""
        return self.table.has(part)

    @property
    def columns(self) -> Iterator[tuple[declared.Column, catalog.Column, catalog.Column]]:
        """(declared, live, pattern) of the columns that stand already."""
        for column in self.want.columns:
            if column.name in self.live.columns:
                yield column, self.live.columns[column.name], self.pattern.columns[column.name]

    @property
    def missing(self) -> tuple[declared.Column, ...]:
        return tuple(column for column in self.want.columns if column.name not in self.live.columns)


def examine(
    connection: BaseDatabaseWrapper,
    want: declared.Table,
    live: catalog.Table,
    legacy: Legacy,
    *,
    defaults: bool = True,
    later: frozenset[str] = frozenset(),
) -> Subject:
    """Make the pattern and put the three together; without ``defaults`` no function of ours need exist yet."""
    pattern = make_pattern(connection, want, defaults=defaults)
    empty = live.kind == "r" and not has_rows(connection, live.name)
    return Subject(want, live, pattern, legacy, later, plain=_plain_types(connection, live), empty=empty)


def _plain_types(connection: BaseDatabaseWrapper, live: catalog.Table) -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH RECURSIVE held (name, type, modifier, typtype, typname) AS (
                SELECT a.attname, t.oid, a.atttypmod, t.typtype, t.typname
                FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
                WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
                  AND (t.typtype IN ('d', 'e') OR t.typname = 'citext')
                UNION ALL
                SELECT h.name, b.oid, t.typtypmod, b.typtype, b.typname
                FROM held AS h JOIN pg_type AS t ON t.oid = h.type AND t.typtype = 'd'
                JOIN pg_type AS b ON b.oid = t.typbasetype
            )
            SELECT name, CASE WHEN typtype = 'e' OR typname = 'citext' THEN 'text'
                              ELSE format_type(type, modifier) END
            FROM held WHERE typtype <> 'd'
            """,
            [live.oid],
        )
        return dict(cursor.fetchall())


def make_pattern(connection: BaseDatabaseWrapper, want: declared.Table, *, defaults: bool = True) -> catalog.Table:
    """The table as PostgreSQL shows it when it is made as declared, foreign keys aside; nothing of it stays.

    An index over a function of ours that the database does not have yet is as it is declared.
    """
    shape = want if defaults else want.without_defaults()
    try:
        return _made(connection, shape)
    except ProgrammingError as error:
        if not isinstance(error.__cause__, _NO_FUNCTION):
            raise
    later = [i for i in want.indexes if isinstance(tried_index(connection, want, i.body), _NO_FUNCTION)]
    table = _made(connection, replace(shape, indexes=tuple(i for i in want.indexes if i not in later)))
    told = {i.name: catalog.Index(i.name, i.unique, i.definition, valid=True, constraint="") for i in later}
    return replace(table, indexes={**table.indexes, **told})


def _made(connection: BaseDatabaseWrapper, want: declared.Table) -> catalog.Table:
    with catalog.looking(), transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        for statement in declared.create_table(want, temporary=True):
            cursor.execute(statement)
        table = catalog.read_temporary_table(connection, want.name)
        transaction.set_rollback(True, using=connection.alias)
    return table


def tried_index(connection: BaseDatabaseWrapper, want: declared.Table, body: str) -> BaseException | None:
    """What PostgreSQL says when an index is made on the pattern, None where it can be; nothing of it stays.

    ``body``: what follows the table's name in CREATE INDEX.
    """
    said: BaseException | None = None
    want = replace(want, indexes=())
    with catalog.looking(), transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        for statement in declared.create_table(want.without_defaults(), temporary=True):
            cursor.execute(statement)
        create = compose("CREATE INDEX ON pg_temp.{t} {b}", t=want.name, b=fragment(body))
        try:
            cursor.execute(create)
        except DatabaseError as error:
            said = error.__cause__
        transaction.set_rollback(True, using=connection.alias)
    return said


def same_reference(live: catalog.Constraint, key: declared.ForeignKey) -> bool:
    return (live.columns, live.references, live.references_columns) == (key.columns, key.to_table, key.to_columns)


def is_retyped(live: catalog.Column, pattern: catalog.Column) -> bool:
    return (live.type, live.collation) != (pattern.type, pattern.collation)

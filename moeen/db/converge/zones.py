"""Which time zone the times of an older table are in, where its columns hold none.

Such a value means what whoever wrote it meant. Read as UTC it is right where sessions count in UTC; elsewhere each time
would move, and nobody would be told. So what speaks against UTC is gathered, and an operator says what is meant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass

from django.apps import apps
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from moeen.db.catalog.sizes import has_rows
from moeen.db.converge import declared
from moeen.db.converge.subject import Subject
from moeen.db.errors import USAGE, MoeenError
from moeen.db.findings import Finding, Fix
from moeen.db.kinds import Kind
from moeen.db.scoped import scoped

UTC = "UTC"
_BARE, _ZONED = "without time zone", "with time zone"
_HOW = "manage.py migrate --times-are ZONE (such as Asia/Riyadh, or UTC), or --times-are TABLE.COLUMN=ZONE"


@dataclass(frozen=True)
class Zones:
    """What the operator says: a zone for all columns, or for some, by `table.column`."""

    everywhere: str = ""
    columns: tuple[tuple[str, str], ...] = ()

    def of(self, table: str, column: str) -> str:
        """The zone that is said for a column, "" where none is."""
        return dict(self.columns).get(f"{table}.{column}", self.everywhere)

    @classmethod
    def parse(cls, said: list[str]) -> Zones:
        """`ZONE` and `TABLE.COLUMN=ZONE`, any number of them. Raises MoeenError."""
        everywhere, columns = "", dict[str, str]()
        for words in said:
            column, named, zone = words.rpartition("=")
            if not zone or (named and column.count(".") != 1) or (not named and everywhere):
                raise MoeenError(
                    f"--times-are {words} is neither one ZONE for all columns nor TABLE.COLUMN=ZONE.",
                    next_step=f"The wanted form: {_HOW}.",
                    exit_code=USAGE,
                )
            if named:
                columns[column] = zone
            else:
                everywhere = zone
        return cls(everywhere, tuple(columns.items()))


NOTHING_SAID = Zones()
told: ContextVar[Zones] = ContextVar("zones", default=NOTHING_SAID)


def zoneless(item: Subject) -> list[declared.Column]:
    """The columns whose values hold no zone and will hold one."""
    return [
        column
        for column, live, pattern in item.columns
        if live.type.startswith("timestamp") and live.type.endswith(_BARE) and pattern.type.endswith(_ZONED)
    ]


def placed(item: Subject, column: declared.Column, value: sql.Composable) -> sql.Composable | None:
    """A value of the column with the zone that is said for it; None where that is UTC, or nothing is said."""
    zone = told.get().of(item.name, column.name)
    if not zone or zone == UTC or column not in zoneless(item):
        return None
    return sql.SQL("({})::timestamp AT TIME ZONE {}").format(value, sql.Literal(zone))


def in_the_future(item: Subject) -> Iterator[tuple[declared.Column, sql.Composable]]:
    """Columns that are set when a row is made or changed, and the condition of values that cannot be in UTC."""
    for column in zoneless(item):
        if column.is_clock and not told.get().of(item.name, column.name):
            ahead = "{0} > now() + interval '10 minutes' AND {0} < '10000-01-01'"  # what lies beyond is told apart
            yield column, sql.SQL(ahead).format(sql.Identifier(column.name))


def findings(connection: BaseDatabaseWrapper, items: Sequence[Subject]) -> Iterator[Finding]:
    """Where sessions count in another zone than UTC: each table with rows whose times are in a zone nobody has said.

    Asked of the database itself, not of its twin, whose server has a default of its own.
    """
    unsaid = {
        item.name: names
        for item in items
        if (names := [c.name for c in zoneless(item) if not told.get().of(item.name, c.name)])
    }
    if not unsaid:
        return
    zones = others(connection)
    if not zones:
        return
    found = ", ".join(f"{zone} ({where})" for where, zone in zones.items())
    for table, columns in unsaid.items():
        if has_rows(connection, table):
            where = f"{table}.{', '.join(columns)}"
            yield Finding(where, Kind.TIME_ZONE, UTC, f"sessions in {found}", fix=Fix(advice=_HOW))


def others(connection: BaseDatabaseWrapper) -> dict[str, str]:
    """Where a session's zone is set, in words -> that zone, for all that are not UTC's time of day."""
    with connection.cursor() as cursor:
        cursor.execute(_SETTINGS)
        return dict(cursor.fetchall())


def said(zones: Zones) -> AbstractContextManager[Zones]:
    """Within it, times are read so."""
    return scoped(told, zones)


def check_names(connection: BaseDatabaseWrapper, zones: Zones) -> None:
    """Raises MoeenError for a zone that the server does not know, or a column that no table of ours has."""
    if zones == NOTHING_SAID:
        return
    columns = {f"{m._meta.db_table}.{f.column}" for m in apps.get_models() for f in m._meta.concrete_fields}
    wanted = {zone for zone in (zones.everywhere, *dict(zones.columns).values()) if zone and zone != UTC}
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_timezone_names WHERE name = ANY (%s)", [sorted(wanted)])
        unknown = sorted(wanted - {name for (name,) in cursor.fetchall()})
    unknown_columns = sorted(dict(zones.columns).keys() - columns)
    if unknown or unknown_columns:
        what = f"time zone {unknown[0]}" if unknown else f"column {unknown_columns[0]}"
        raise MoeenError(
            f"--times-are names the {what}, which is not known.",
            next_step="SELECT name FROM pg_timezone_names lists the zones, manage.py describe_schema the columns.",
            exit_code=USAGE,
        )


# reset_val is what this login's sessions begin with: the server's own setting, where nothing else is said. PGTZ in the
# environment would hide that.
_SETTINGS = """
    WITH said AS (
        SELECT concat_ws(', ', 'database ' || d.datname, 'role ' || r.rolname) AS place, substr(entry, 10) AS zone
        FROM pg_db_role_setting AS s CROSS JOIN unnest(s.setconfig) AS entry
        LEFT JOIN pg_database AS d ON d.oid = s.setdatabase
        LEFT JOIN pg_roles AS r ON r.oid = s.setrole
        WHERE lower(entry) LIKE 'timezone=%' AND (s.setdatabase = 0 OR d.datname = current_database())
        UNION ALL
        SELECT 'by default', reset_val FROM pg_settings WHERE name = 'TimeZone'
    )
    SELECT min(place), zone FROM said
    WHERE EXISTS (SELECT FROM (VALUES (timestamptz '2020-01-15 00:00Z'), ('2020-07-15 00:00Z')) AS t (moment)
                  WHERE moment AT TIME ZONE zone <> moment AT TIME ZONE 'UTC')
    GROUP BY zone ORDER BY 1
"""

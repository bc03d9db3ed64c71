"""What a database of a clinic's own must come to, and what is looked at to tell."""

from __future__ import annotations

import re
import subprocess

import psycopg
from psycopg import sql

from moeen.db.backups import tools
from moeen.db.findings import Finding, Severity
from moeen.db.kinds import Kind
from moeen.db.statements import split
from tests.states import snapshots

#: By what the names of a clinic's own can be told, and the names of columns that hold what is theirs.
MARK = "clinic_"
#: Settings that a clinic gave a table of ours.
_SETTINGS = re.compile(
    r"SET STORAGE|SET COMPRESSION|SET STATISTICS|SET \(|CLUSTER ON|REPLICA IDENTITY|INHERIT|UNLOGGED"
)
_CASTS = re.compile(r'::(pg_catalog\.)?("char"|[a-z]+)( varying| with(out)? time zone)?(\(\d+\))?(\[\])?|[()]')
_NAME = re.compile(r'"([^"]|"")*"|\S+')
#: What is said of settings and grants of a clinic's own on tables of ours once they are adopted: they stay.
_SAID_OF_SETTINGS = {
    Kind.TABLE_REPLICA_IDENTITY, Kind.TABLE_OPTIONS, Kind.TABLE_AUTOVACUUM, Kind.TABLE_GRANTS, Kind.TABLE_FORCED,
    Kind.COLUMN_STORAGE, Kind.COLUMN_COMPRESSION, Kind.COLUMN_STATISTICS, Kind.COLUMN_OPTIONS, Kind.COLUMN_GRANTS,
    Kind.PUBLICATION, Kind.DUPLICATE_INDEX,
}  # fmt: skip
#: These are told of for ever, since they may work past row security: rules, functions with their owner's rights,
#: and rights that whatever is made from then on comes with.
_TOLD_ALWAYS = {Kind.UNEXPECTED_RULE, Kind.UNEXPECTED_FUNCTION, Kind.UNEXPECTED_DEFAULT_PRIVILEGES}


def dump(database) -> str:
    """The whole schema as pg_dump writes it, without what it makes up anew each time."""
    with database.admin() as connection:
        programs = tools.find(connection.info.server_version // 10000, tls=False)
    command = [programs.program("pg_dump"), "--schema-only", "--encoding=UTF8", database.target.url(database.name)]
    written = subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout
    return "\n".join(line for line in written.splitlines() if not line.startswith(("--", "\\", "SET ", "SELECT ")))


def everything(database) -> tuple[object, ...]:
    """Equal before and after: nothing at all was changed."""
    with database.admin() as connection:
        return dump(database), snapshots.everything(connection)


def own(database) -> set[str]:
    """What is the clinic's own: statements, lines of a table of ours, and what its tables and columns hold.

    Casts and brackets aside, for casts follow the types of our columns.
    """
    found = set()
    for statement in split(dump(database)):
        words = " ".join(statement.text.split())
        if re.match(r"CREATE (UNLOGGED )?TABLE public\.\w+ \(", words) and MARK not in words.partition("(")[0].lower():
            # A column of ours is not the clinic's for having had a type of theirs.
            parts = [line.strip().rstrip(",") for line in statement.text.splitlines()]
            names = [part if part.startswith("CONSTRAINT") else _NAME.match(part)[0] for part in parts if part]
            found |= {part for part, name in zip(filter(None, parts), names, strict=True) if MARK in name.lower()}
        elif MARK in words.lower() or _SETTINGS.search(words):
            found.add(words)
    with database.admin() as connection:
        return {_CASTS.sub("", part) for part in found} | set(_contents(connection))


def _contents(connection: psycopg.Connection) -> list[str]:
    """How many rows each table has, and what is in the columns of the clinic's own."""
    columns = connection.execute(
        """SELECT n.nspname, c.relname, array_agg(a.attname::text ORDER BY a.attname) FILTER (
                      WHERE concat(n.nspname, c.relname, a.attname) ~* %s)
           FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
           JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
           WHERE c.relkind = 'r' AND n.nspname !~ '^(pg_|information_schema$)'
           GROUP BY 1, 2 HAVING bool_or(concat(n.nspname, c.relname, a.attname) ~* %s)""",
        [MARK, MARK],
    ).fetchall()
    found = []
    for schema, table, names in columns:
        row = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in names)
        query = "SELECT count(*), md5(string_agg(r, E'\\n' ORDER BY r)) FROM (SELECT ROW({})::text AS r FROM {}) AS _"
        told = connection.execute(sql.SQL(query).format(row, sql.Identifier(schema, table))).fetchone()
        found.append(f"{schema}.{table} holds {told}")
    return found


def told(findings: list[Finding]) -> list[str]:
    """Of the findings about an adopted database those that it must not have."""
    return [
        finding.pretty()
        for finding in findings
        if finding.severity is Severity.BREAKS
        or (finding.kind.startswith("unexpected") and finding.kind not in _TOLD_ALWAYS)
        or (MARK not in finding.pretty().lower() and finding.kind not in _SAID_OF_SETTINGS)
    ]

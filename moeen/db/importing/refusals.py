"""What of the source would not be written: counted, with keys and a query that finds all, and in a file of its own."""

from __future__ import annotations

import io
import json
import os
import stat
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import psycopg
from psycopg import sql

from moeen.db.backups import encryption
from moeen.db.codes import Code
from moeen.db.errors import USAGE, MoeenError, of_file
from moeen.db.findings import Finding, Fix, Severity
from moeen.db.importing import mapping as mappings
from moeen.db.importing.judgement import NO_ROW, NO_SUCH_VALUE, TWICE, rules
from moeen.db.importing.mapping import UNDECIDED
from moeen.db.importing.selection import UNMAPPED, Selection
from moeen.db.importing.source import Source
from moeen.db.importing.staging import Counts, Staging, why
from moeen.db.kinds import Kind


def findings(staging: Staging, others: Mapping[str, Selection]) -> list[Finding]:
    """One a column and reason: how many rows, five of their keys, and the query that finds all of them.

    ``others``: the tables of the import, by name.
    """
    queries = {(rule.column, rule.reason): rule.query for rule in rules(staging)}
    found = []
    for column, reason, count, keys in staging.rows(_REFUSED):
        condition = queries.get((column, reason))
        told = staging.selection.table.columns.get(column)
        if told and told.constant == UNDECIDED:
            continue  # the line is open, and is told of as such
        advice = "correct them in the source, or in the mapping" + (f" (line {told.line})" if told else "")
        if reason.startswith(NO_ROW):
            query = staging.selection.lost(column, others[staging.selection.references[column]])
            advice += f"; those whose row is not there, either: {query.as_string(None)}"
        elif reason == TWICE or condition:
            query = staging.selection.value(column, condition) if condition else staging.selection.twice()
            advice += f"; to find them there: {query.as_string(None)}"
        what = f"{reason}{_values(staging, column) if reason == NO_SUCH_VALUE else ''}"
        more = ", ..." if count > len(keys) else ""
        found.append(
            Finding(
                object=f"{staging.table}.{column}",
                kind=Kind.IMPORT_REFUSES,
                expected="a value that the table takes",
                found=f"{what}: {count:,} {'row' if count == 1 else 'rows'}, keys {', '.join(keys)}{more}",
                severity=Severity.BREAKS,
                fix=Fix(advice=advice),
                why="not written, and neither is what refers to them",
            )
        )
    return found


def _values(staging: Staging, column: str) -> str:
    """Some of those that a map lacks: the words of a list, not of a person."""
    rows = staging.rows(
        "SELECT DISTINCT substr({c}, {start}, 40) FROM {stage} WHERE starts_with({c}::text, {mark}) ORDER BY 1 LIMIT 5",
        c=sql.Identifier(column), start=sql.Literal(len(UNMAPPED) + 1), mark=sql.Literal(UNMAPPED),
    )  # fmt: skip
    return f" as {', '.join(repr(value) for (value,) in rows)}"


def undecided(source: Source, selections: Sequence[Selection], mapping: mappings.Mapping) -> Iterator[Finding]:
    """Columns and tables of the source that hold something, and of which the mapping does not tell.

    Its `left_out` names tables, columns as `table.column`, those of other schemas as `schema.table` or `schema.*`. A
    column that one of the tables takes, or leaves out with a reason, is told of, whichever other tables read it.
    """
    tables, left_out = source.tables(), mapping.left_out
    for one in selections:
        if one.table.is_query:
            bare = {name for other in one.reads(tables) for name in tables[other].columns}
            left = [name for name in one.known if name not in bare | one.named and name not in one.table.left_out]
            yield from _columns(source, one, f"the SELECT of {one.table.name}", left, mapping)
        elif one.table.source not in tables or tables[one.table.source].kind not in ("r", "p"):
            left = [name for name in one.known if name not in one.named and name not in one.table.left_out]
            yield from _columns(source, one, one.table.source, left, mapping)
    for name, table in tables.items():
        if table.kind not in ("r", "p") or name in left_out:
            continue
        readers = [one for one in selections if one.reads({name})]
        told = {column for one in readers for column in table.columns if one.tells_of(table, column, source)}
        relation = sql.Identifier(table.schema, name)
        if readers:
            left = [one for one in table.columns if one not in told and f"{name}.{one}" not in left_out]
            where = next((one.table.name for one in readers if one.table.source == name), readers[0].table.name)
            if table.readable:
                yield from _columns_of(source, relation, name, left, f"[tables.{where}]")
            else:
                yield from (_left(f"{name}.{one}", _HIDDEN, f"[tables.{where}]") for one in left)
        elif not table.readable:
            yield _left(name, _HIDDEN, "the mapping")
        elif source.holds_rows(table):
            yield _left(name, "rows", "the mapping")
    for schema, names in source.elsewhere(left_out).items():
        dotted = [f"{schema}.{name}" for name in names]
        left = [one for one in dotted if one not in left_out and not any(other.reads({one}) for other in selections)]
        if left:
            what = "table that holds" if len(left) == 1 else "tables that hold"
            yield _left(f"{schema}.*", f"{len(left)} {what} rows: {', '.join(left)}", "the mapping")


def _columns(
    source: Source, one: Selection, what: str, left: Sequence[str], mapping: mappings.Mapping
) -> Iterator[Finding]:
    try:
        yield from _columns_of(source, one.rows, what, left, f"[tables.{one.table.name}]")
    except psycopg.Error as error:  # what it gives and nobody takes was not asked for before
        raise mapping.error(one.table.lines["from"], f"{what} fails at some row: {why(error)}.") from error


def _columns_of(source: Source, rows: sql.Composable, what: str, left: Sequence[str], where: str) -> Iterator[Finding]:
    if not left:
        return
    counts = sql.SQL(", ").join(sql.SQL("count({})").format(sql.Identifier("s", name)) for name in left)
    (numbers,) = source.rows(sql.SQL("SELECT {} FROM {} AS s").format(counts, rows))
    for name, count in zip(left, numbers, strict=True):
        if count:
            yield _left(f"{what}.{name}", f"{count:,} values", where)


def open_lines(mapping: mappings.Mapping) -> Iterator[Finding]:
    """Lines of the mapping where somebody has yet to decide."""
    for what, line in mapping.undecided.items():
        yield _left(what, f'"{UNDECIDED}" in line {line}', f"line {line}")


#: Of what the source's role may not read: it may hold something.
_HIDDEN = "what its role may not read"


def lost(table: str, counts: Counts) -> Finding:
    """Most rows of a table that came before are not there any more."""
    return Finding(
        object=table,
        kind=Kind.IMPORT_LOSES,
        expected="most of the rows that came before",
        found=f"{counts.gone:,} of {counts.gone + counts.changed + counts.same:,} are gone",
        severity=Severity.BREAKS,
        fix=Fix(advice=f"if they were deleted there, and shall be here, say --max-gone {counts.gone}"),
        why="it may be another database under the same name: the source of the mapping",
    )


def held(staging: Staging, imported: Container[str]) -> Iterator[Finding]:
    """Rows of ours that came by no import and keep one from going: by a foreign key that lets none go."""
    refers = staging.rows(_REFERRING, name=sql.Literal(staging.selection.target.relation.as_string(None)))
    for table, column in refers:
        if table in imported:
            continue
        ((count, keys),) = staging.rows(_HELD, other=sql.Identifier("public", table), c=sql.Identifier(column))
        if count:
            yield Finding(
                object=staging.table,
                kind=Kind.IMPORT_LOSES,
                expected=f"no row of {table} that refers to one that is gone from the source",
                found=f"{count:,} {'row' if count == 1 else 'rows'} of {table}, old keys {', '.join(keys)}",
                severity=Severity.BREAKS,
                fix=Fix(advice=f"delete these rows of {table}, or let them refer to others"),
                why="they were made here, and a row that they refer to cannot go",
            )


def _left(what: str, found: str, where: str) -> Finding:
    return Finding(
        object=what,
        kind=Kind.IMPORT_LEAVES_OUT,
        expected=f"a place in {where}, or a reason under left_out",
        found=found,
        severity=Severity.UNSAFE,
        why="it would be lost without anybody having said so",
    )


def write(path: Path, stagings: Sequence[Staging], *, recipients: Sequence[str]) -> Path | None:
    """The refused rows as JSON lines, encrypted where backups are; None where there are none.

    They are a clinic's: nobody but the owner of the file reads it. Raises OSError.
    """
    lines = [json.dumps(line, ensure_ascii=False) for staging in stagings for line in _lines(staging)]
    if not lines:
        return None
    path = path.with_name(f"{path.name}.age") if recipients else path
    content = io.BytesIO("".join(f"{line}\n" for line in lines).encode())
    with _own(path) as file:
        if recipients:
            encryption.encrypt(content, file, encryption.recipients(recipients))
        else:
            file.write(content.getbuffer())
    return path


def _own(path: Path) -> BinaryIO:
    """The file to write to, made or emptied; one that others could read is theirs no more."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        raise MoeenError(f"{path} cannot be written: {of_file(error)}.", exit_code=USAGE, code=Code.FILE) from error
    if stat.S_ISREG(os.fstat(handle).st_mode):
        os.fchmod(handle, 0o600)
    return open(handle, "wb")


def _lines(staging: Staging) -> Iterator[dict[str, Any]]:
    for key, column, reason, row in staging.rows(_ROWS):
        yield {"table": staging.table, "key": key, "column": column, "reason": reason, "row": row}


_REFUSED = """
    SELECT c, reason, sum(n)::bigint, (array_agg(key ORDER BY length(key), key))[1:5]
    FROM (SELECT c, reason, coalesce(k, 'NULL') AS key, count(*) AS n FROM {refused} GROUP BY 1, 2, 3) AS by_key
    GROUP BY 1, 2 ORDER BY 1, 2
"""
_ROWS = """
    SELECT x.k, x.c, x.reason, to_jsonb(s) - 'k' - 'd'
    FROM (SELECT DISTINCT k, c, reason FROM {refused} WHERE k IS NOT NULL) AS x LEFT JOIN {stage} AS s ON s.k = x.k
    UNION ALL
    SELECT NULL, x.c, x.reason, to_jsonb(s) - 'k' - 'd'
    FROM (SELECT DISTINCT c, reason FROM {refused} WHERE k IS NULL) AS x JOIN {stage} AS s ON s.k IS NULL
    ORDER BY 2, 3, 1
"""
_REFERRING = """
    SELECT t.relname::text, a.attname::text
    FROM pg_constraint AS k JOIN pg_class AS t ON t.oid = k.conrelid
    JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = k.conkey[1]
    WHERE k.contype = 'f' AND k.confrelid = {name}::regclass AND k.confdeltype IN ('a', 'r')
      AND t.relnamespace = 'public'::regnamespace AND cardinality(k.conkey) = 1
    ORDER BY 1, 2
"""
_HELD = """
    SELECT count(*), (array_agg(DISTINCT w.k))[1:5] FROM {other} AS t JOIN {keys} AS w ON w.id = t.{c}
    WHERE w.verb = 'gone' AND NOT w.matched
"""

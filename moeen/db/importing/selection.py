"""What is asked of the source for one table of ours: its key, a digest of the row, and a text for each column.

Expressions are the mapping's own; each is tried alone beforehand, so that a mistake is told with its line.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import psycopg
from psycopg import sql

from moeen.db.importing import conversions, mapping
from moeen.db.importing.source import Source, SourceTable
from moeen.db.importing.target import PUBLIC_ID, Target
from moeen.db.sql import fragment


@dataclass(frozen=True)
class Selection:
    """The rows of one table. ``columns``: column of ours -> SQL for its text, over the source's row.

    ``references``: column -> the table whose old key it holds. ``keeps_keys``: the old keys are uuids and stay.
    ``known``: the columns that the source gives, name -> type; ``named``: those of them that the mapping names.
    """

    table: mapping.Table
    target: Target
    rows: sql.Composable
    key: sql.Composable
    keeps_keys: bool
    columns: dict[str, sql.Composable]
    public_id: sql.Composable | None
    references: dict[str, str]
    known: dict[str, str]
    named: frozenset[str]

    def all(self) -> sql.Composed:
        """Key, digest, old public id if there is one, and the columns, in their order."""
        return self._digested(_WHOLE)

    def only(self, keys: Sequence[str]) -> sql.Composed:
        """The same as `all`, of these keys."""
        return self._digested(_WHOLE, self.key, keys)

    def some(self, count: int, total: int) -> sql.Composed:
        """The same as `all`, of so many rows of about ``total``: from all over a large table, else the first."""
        pages: sql.Composable = sql.SQL("")
        if total > 100 * count:
            pages = sql.SQL(" TABLESAMPLE SYSTEM ({})").format(sql.Literal(200.0 * count / total))
        rows = sql.SQL("(SELECT * FROM {} AS s{} LIMIT {})").format(self.rows, pages, sql.Literal(count))
        return self._digested(_WHOLE, rows=rows)

    def blocks(self) -> sql.Composed:
        """Of all rows, by blocks of keys: block, how many, and the sum of their digests."""
        return sql.SQL("SELECT {}, count(*), sum({}) FROM ({}) AS every GROUP BY 1").format(
            self.block(sql.Identifier("k")), part_of_digest(sql.Identifier("d")), self._digested(_KEYS)
        )

    def keys(self, blocks: Sequence[str]) -> sql.Composed:
        """Key and digest, of these blocks."""
        return self._digested(_KEYS, self.block(self.key), blocks)

    def block(self, key: sql.Composable) -> sql.Composed:
        """SQL for the block that a key, as text, is in: numbers and codes that differ in their last character, uuids
        that begin alike. What changes at a time is often of few blocks."""
        return sql.SQL("coalesce(left({}, {}), '')").format(key, sql.Literal(4 if self.keeps_keys else -1))

    def value(self, column: str, condition: sql.Composable) -> sql.Composed:
        """A query for people: the keys of all rows whose text for the column, `v`, fits the condition."""
        expression = self.public_id if column == PUBLIC_ID else self.columns.get(column)
        return sql.SQL(
            "SELECT k FROM (SELECT {key} AS k, {value} AS v FROM {rows} AS s) AS t WHERE {condition}"
        ).format(key=self.key, value=expression or sql.NULL, rows=self.rows, condition=condition)

    def twice(self) -> sql.Composed:
        """A query for people: the keys that two rows have."""
        return sql.SQL("SELECT {} AS k FROM {} AS s GROUP BY 1 HAVING count(*) > 1").format(self.key, self.rows)

    def lost(self, column: str, other: Selection) -> sql.Composed:
        """A query for people: the keys of the rows whose reference leads to no row of the other table."""
        keys = sql.SQL("SELECT {key} FROM {rows} AS s WHERE {key} IS NOT NULL").format(key=other.key, rows=other.rows)
        return self.value(column, sql.SQL("v NOT IN ({})").format(keys))

    def reads(self, tables: Iterable[str]) -> list[str]:
        """Those of the source's tables that its SQL reads: by their letters, which is enough to not ask about them."""
        texts = [text.replace('"', "") for text in self._texts]
        return [name for name in tables if self.table.source == name or any(fits(name, text) for text in texts)]

    def tells_of(self, table: SourceTable, column: str, source: Source) -> bool:
        """Whether the mapping takes this column of the source's table, or leaves it out with a reason."""
        said = column in self.named or column in self.table.left_out
        if said and self.table.source == table.name:
            return True
        asked: list[tuple[str, sql.Composable]] = [
            (one.sql, _tried(_bracketed(fragment(one.sql)), self.rows)) for one in self.table.expressions
        ]
        if self.table.is_query:
            asked.append((self.table.source, _query(self.table)))
        for text, statement in asked:
            may = fits(column, text) or (said and "*" in text)
            if may and fits(table.name, text) and _takes(statement, table, column, source, said=said):
                return True
        return False

    @property
    def _texts(self) -> list[str]:
        """The SQL that the mapping gives for this table."""
        query = [self.table.source] if self.table.is_query else []
        return [*query, *(one.sql for one in self.table.expressions)]

    def _digested(
        self,
        what: sql.SQL,
        of: sql.Composable = sql.NULL,
        wanted: Sequence[str] | None = None,
        *,
        rows: sql.Composable | None = None,
    ) -> sql.Composed:
        """``wanted``: only rows of which ``of`` is one of these; ``rows``: others than all."""
        parts = [self.key, *([self.public_id] if self.public_id else []), *self.columns.values()]
        names = [sql.Identifier("k"), *(sql.Identifier(f"c{n}") for n in range(1, len(parts)))]
        inner = [sql.SQL("{} AS {}").format(part, name) for part, name in zip(parts, names, strict=True)]
        values = sql.SQL("").join(sql.SQL(", {}").format(name) for name in names[1:])
        # With what it is made for: a row of a changed mapping is another row.
        purpose = f"{list(self.columns)} {self.references}"
        digest = sql.SQL("md5(ROW({}, {})::text)").format(
            sql.Literal(hashlib.md5(purpose.encode(), usedforsecurity=False).hexdigest()[:8]), sql.SQL(", ").join(names)
        )
        rows = sql.SQL("{} AS s").format(rows or self.rows)
        if wanted is not None:
            # A name that no column has, since expressions name columns alone.
            rows = sql.SQL("{} JOIN unnest({}::text[]) AS {w} ({w}) ON {w}.{w} = {}").format(
                rows, sql.Literal(list(wanted)), of, w=sql.Identifier("import_wanted")
            )
        # OFFSET 0: each expression is computed once, and not again for the digest.
        return sql.SQL("SELECT {what} FROM (SELECT {inner} FROM {rows} OFFSET 0) AS t").format(
            what=what.format(digest=digest, values=values), inner=sql.SQL(", ").join(inner), rows=rows
        )


_WHOLE, _KEYS = sql.SQL("k, {digest}{values}"), sql.SQL("k, {digest} AS d")


def part_of_digest(digest: sql.Composable) -> sql.Composed:
    """SQL for the number that the first half of a digest is, written in hexadecimal digits."""
    return sql.SQL("('x' || left({}, 16))::bit(64)::bigint").format(digest)


def of_table(whole: mapping.Mapping, table: mapping.Table, target: Target, source: Source) -> Selection:
    """Compose it. Raises MappingError, with the line, for what the source or the target does not have."""
    return _Composer(whole, table, target, source).selection()


def in_order(whole: mapping.Mapping, selections: Iterable[Selection]) -> list[Selection]:
    """Those that are referred to first. Raises MappingError for a circle, with a line of it."""
    left = {one.target.name: one for one in selections}
    found: list[Selection] = []
    while left:
        waiting = {
            name: [column for column, other in one.references.items() if other in left and other != name]
            for name, one in left.items()
        }
        free = [name for name, columns in waiting.items() if not columns]
        if not free:
            name, columns = next(iter(waiting.items()))
            raise whole.error(
                left[name].table.columns[columns[0]].line,
                f"these tables refer to each other in a circle: {', '.join(sorted(left))}.",
                next_step="Leave out the column that closes the circle, and fill it by SQL afterwards.",
            )
        found += [left.pop(name) for name in free]
    return found


class _Composer:
    def __init__(self, whole: mapping.Mapping, table: mapping.Table, target: Target, source: Source) -> None:
        self.whole, self.table, self.target, self.source = whole, table, target, source
        self.rows = self._rows()
        line = table.lines["from"]
        try:
            if table.is_query:  # without its brackets as well, so that it closes none that it did not open
                source.described(_query(table))
            described = source.described(sql.SQL("SELECT * FROM {} AS s").format(self.rows))
        except psycopg.OperationalError as error:
            raise source.lost(error) from error
        except psycopg.Error as error:
            raise whole.error(line, f"the source has no such rows: {_said(error)}.") from error
        self.known = dict(described)
        for name in self.known:
            if [one for one, _ in described].count(name) > 1:
                raise whole.error(line, f"the SELECT gives two columns named {name}.", next_step="Name them with AS.")

    def _rows(self) -> sql.Composable:
        if self.table.is_query:
            return _bracketed(_query(self.table))
        name = self.table.source
        if name in self.source.tables():  # whatever dots are in it
            return sql.Identifier(self.whole.schema, name)
        schema, _, name = name.rpartition(".")
        return sql.Identifier(schema or self.whole.schema, name)

    def selection(self) -> Selection:
        table, target = self.table, self.target
        for name in self.table.key:
            if name not in self.known:
                raise self._error(table.lines["key"], f"the key {name} is no column of {self._what}.{self._near(name)}")
        for column in table.columns.values():
            if column.name not in target.writable:
                raise self._error(column.line, f"{table.name} has no column {column.name} to be filled.")
        if table.public_id and not target.prefix:
            raise self._error(table.public_id.line, f"{table.name} has no public ids.")
        if table.match and table.match not in table.columns:
            raise self._error(table.lines["match"], f"match names {table.match}, which the mapping does not fill.")
        for name in target.writable:
            column_of_ours = target.columns[name]
            if column_of_ours.not_null and not column_of_ours.default and name not in table.columns:
                raise self._error(table.line, f"{table.name}.{name} needs a value, and the mapping gives none.")
        columns = {name: self._expression(column) for name, column in table.columns.items()}
        parts = [sql.SQL("{}::text").format(sql.Identifier("s", name)) for name in table.key]
        named = {column.column for column in table.columns.values()} | set(table.key)
        named |= {table.public_id.column} if table.public_id else set()
        return Selection(
            table=table,
            target=target,
            rows=self.rows,
            key=parts[0] if len(parts) == 1 else sql.SQL(" || '|' || ").join(parts),
            keeps_keys=len(parts) == 1 and self.known[table.key[0]] == "uuid",
            columns=columns,
            public_id=sql.SQL("nullif({}, '')").format(self._expression(table.public_id)) if table.public_id else None,
            references=self._references(),
            known=self.known,
            named=frozenset(named | {name for name in self.known if self._is_read(name)}),
        )

    def _references(self) -> dict[str, str]:
        found = {}
        for name, column in self.table.columns.items():
            other = column.references or self.target.references.get(name, "")
            if other and column.constant is None:
                if other not in self.whole.tables:
                    raise self._error(column.line, f"{name} refers to {other}, of which the mapping does not tell.")
                if self.target.columns[name].type != "uuid":
                    raise self._error(column.line, f"{name} holds no id.")
                found[name] = other
        return found

    def _is_read(self, name: str) -> bool:
        """Whether an expression reads the column: whether it is none over rows that lack it."""
        others = sql.SQL(", ").join(sql.Identifier("s", one) for one in self.known if one != name)
        rows = sql.SQL("(SELECT {} FROM {} AS s)").format(others, self.rows)
        for one in self.table.expressions:
            if fits(name, one.sql):
                try:
                    self.source.described(_tried(_bracketed(fragment(one.sql)), rows))
                except psycopg.Error:
                    return True
        return False

    def _expression(self, column: mapping.Column) -> sql.Composable:
        if column.constant is not None:
            return sql.SQL("{}::text").format(sql.Literal(column.constant))
        if column.column:
            if column.column not in self.known:
                raise self._error(
                    column.line, f"{self._what} has no column {column.column}.{self._near(column.column)}"
                )
            value: sql.Composable = sql.Identifier("s", column.column)
        else:
            value = _bracketed(fragment(column.sql))
        live = self._type(column, value)
        refers = column.references or self.target.references.get(column.name, "")
        is_id = column.name == PUBLIC_ID or refers
        want = "text" if is_id or column.values else self.target.columns[column.name].type
        try:
            value = conversions.as_text(value, live, want, zone=self.whole.zone)
        except conversions.ZoneNeeded as error:
            raise self._error(
                column.line, f"{column.name} takes a moment from {live}, and in which time zone is not said.",
                next_step='Say it at the top of the mapping: zone = "Asia/Riyadh", or UTC.',
            ) from error  # fmt: skip
        return self._mapped(column, value)

    def _mapped(self, column: mapping.Column, value: sql.Composable) -> sql.Composable:
        if column.values is None and column.null is None:
            return value
        whens = [
            sql.SQL("WHEN {} THEN {}::text").format(sql.Literal(one), sql.Literal(other))
            for one, other in (column.values or {}).items()
        ]
        rest: sql.Composable = sql.SQL("v")
        if column.values is not None:
            # What the map does not hold stays told apart from all that may stand: the judge looks for the mark.
            rest = sql.SQL("{} || v").format(sql.Literal(UNMAPPED))
        if column.null is not None:
            rest = sql.SQL("CASE WHEN v IS NULL THEN {}::text ELSE {} END").format(sql.Literal(column.null), rest)
        case = sql.SQL("CASE v {} ELSE {} END").format(sql.SQL(" ").join(whens), rest) if whens else rest
        return sql.SQL("(SELECT {} FROM (SELECT {} AS v) AS m)").format(case, value)

    def _type(self, column: mapping.Column, value: sql.Composable) -> str:
        """The type of an expression, which is tried so. A domain counts as what it stands for."""
        try:
            described = self.source.described(_tried(value, self.rows))
        except psycopg.OperationalError as error:
            raise self.source.lost(error) from error
        except psycopg.Error as error:
            cause = f"the expression for {column.name} is refused by the source: {_said(error)}."
            step = "It is to give one value for each row, of that row alone."
            raise self._error(column.line, cause, next_step=step) from error
        if len(described) != 1 or described[0][1] == "record":
            raise self._error(column.line, f"the expression for {column.name} gives several values, not one.")
        return described[0][1]

    @property
    def _what(self) -> str:
        return "the SELECT" if self.table.is_query else self.table.source

    def _near(self, name: str) -> str:
        near = get_close_matches(name, self.known, n=3, cutoff=0.6)
        return f" It has {', '.join(near)}." if near else ""

    def _error(self, line: int, cause: str, *, next_step: str = "") -> mapping.MappingError:
        return self.whole.error(line, cause, next_step=next_step)


#: Stands before a value that a map does not hold, in the place of what would stand for it.
UNMAPPED = "no such value in the map: "


def fits(name: str, text: str) -> bool:
    """Whether SQL may name a table or a column: by its letters."""
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE) is not None


def _query(table: mapping.Table) -> sql.SQL:
    return fragment(table.source.strip().rstrip(";"))


def _bracketed(text: sql.SQL) -> sql.Composed:
    """SQL as a part of other; it may end in a comment."""
    return sql.SQL("({}\n)" if "--" in text.as_string(None) else "({})").format(text)


def _tried(value: sql.Composable, rows: sql.Composable) -> sql.Composed:
    """A query that is one only where the value is whole, one for each row, and of that row: what closes a bracket that
    it did not open, sums rows up, or gives several for one or none, is refused here."""
    return sql.SQL("SELECT CASE WHEN true THEN {v} END AS v FROM {rows} AS s WHERE {v} IS NULL").format(
        v=value, rows=rows
    )


def _takes(query: sql.Composable, table: SourceTable, column: str, source: Source, *, said: bool) -> bool:
    """Whether a query needs a column of a table, or gives what is ``said`` to be taken or left: whether it is another
    one without the column."""
    whole = source.given(query, table, table.columns)
    if source.given(query, table, []) == whole:
        return True  # the table is named with its schema, or taken as one value: its letters are enough
    rest = source.given(query, table, [one for one in table.columns if one != column])
    return rest is None or (said and column not in rest)


def _said(error: psycopg.Error) -> str:
    """The server's word about the SQL. It was tried on no row, so it holds nothing of one."""
    return (error.diag.message_primary or type(error).__name__).rstrip(".")

"""One guess: where a column of ours comes from, in which words and form, by what occurs in the source."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql

from moeen.db.importing import conversions
from moeen.db.importing.mapping import UNDECIDED
from moeen.db.importing.source import Source, SourceTable
from moeen.db.importing.target import Target
from moeen.db.importing.words import BOOLEAN, Words

#: More than so many, or longer ones, are no list of words.
_MOST_WORDS, _LONGEST_WORD = 30, 60
_WORDS_OF_CHECK = re.compile(r"'((?:[^']|'')*)'::(?:character varying|text)")
_GROUPS = {
    "text": ("text", "character varying", "character", "citext", "name", "uuid"),
    "integer": ("smallint", "integer", "bigint"),
    "number": ("numeric", "double precision", "real", "money"),
    "moment": ("timestamp without time zone", "timestamp with time zone"),
    "date": ("date",),
    "time": ("time without time zone", "time with time zone"),
    "boolean": ("boolean",),
    "json": ("json", "jsonb"),
}
#: (theirs, ours) -> how likely one stands for the other; what is not here does not.
_FITS = {
    ("integer", "number"): 1.0, ("number", "integer"): 0.8, ("moment", "date"): 0.97, ("moment", "time"): 0.95,
    ("date", "moment"): 0.85, ("text", "date"): 0.85, ("text", "time"): 0.8, ("text", "integer"): 0.3,
    ("text", "number"): 0.4, ("integer", "boolean"): 0.95, ("text", "boolean"): 0.75, ("json", "text"): 0.95,
    ("text", "json"): 0.4,
    ("integer", "text"): 0.7, ("number", "text"): 0.4, ("date", "text"): 0.4, ("moment", "text"): 0.3,
    ("boolean", "text"): 0.3,
}  # fmt: skip
#: A date as text: what it looks like, and how PostgreSQL calls that.
_DATES = {
    r"^\d{4}-\d{2}-\d{2}$": "YYYY-MM-DD", r"^\d{4}/\d{2}/\d{2}$": "YYYY/MM/DD", r"^\d{8}$": "YYYYMMDD",
    r"^\d{2}\.\d{2}\.\d{4}$": "DD.MM.YYYY", r"^\d{1,2}-\d{1,2}-\d{4}$": "DD-MM-YYYY",
}  # fmt: skip
_SLASHED = r"^\d{1,2}/\d{1,2}/\d{4}$"


@dataclass(frozen=True, kw_only=True)
class Guess:
    """From a column, an expression or a constant, as in the mapping. ``uses``: the source's columns that it takes."""

    sure: float
    why: str
    column: str = ""
    sql: str = ""
    constant: str | None = None
    values: Mapping[str, str] | None = None
    null: str | None = None
    uses: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The right side of its line of TOML."""
        if self.column and self.values is None and self.null is None:
            return quoted(self.column)
        parts = [f"{name} = {quoted(said)}" for name, said in (("column", self.column), ("sql", self.sql)) if said]
        if self.constant is not None:
            parts.append(f"constant = {quoted(self.constant)}")
        if self.values is not None:
            parts.append(f"values = {{ {', '.join(f'{quoted(a)} = {quoted(b)}' for a, b in self.values.items())} }}")
        if self.null is not None:
            parts.append(f"null = {quoted(self.null)}")
        return f"{{ {', '.join(parts)} }}"

    @property
    def open(self) -> bool:
        """Whether some of it is to be decided."""
        return UNDECIDED in (self.constant, self.null, *(self.values or {}).values())


def quoted(text: str) -> str:
    """As TOML writes a text."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def group(kind: str) -> str:
    """The kind of a type, "" for one that nothing of ours holds; enums are text."""
    if kind.endswith("[]"):
        return "array"
    base = conversions.base(kind)
    return next((name for name, types in _GROUPS.items() if base in types), "")


def fits(theirs: str, ours: str, *, is_enum: bool) -> float:
    """How likely a column of one type stands for one of another: from 0 to 1."""
    of, to = "text" if is_enum else group(theirs), group(ours)
    if of == "array":
        return {"text": 0.95, "json": 0.9}.get(to, 0.0)
    return 1.0 if of and of == to else _FITS.get((of, to), 0.0)


class Values:
    """Guesses for a column whose source is found: with the words that occur, and the form of what is written."""

    def __init__(self, source: Source, words: Words) -> None:
        self.source, self.words = source, words

    def guess(self, ours: Target, name: str, of: SourceTable, column: str, *, sure: float, why: str) -> Guess:
        """Their column for ours; ``sure`` and ``why`` tell of the names."""
        want, kind = ours.columns[name], group(of.columns[column])
        key = f"{ours.name}.{name}"
        values: dict[str, str] | None = None
        listed = self._allowed(ours, name)
        allowed = listed or tuple(self.words.values_of(key))
        if group(want.type) == BOOLEAN and kind in ("integer", "number"):
            return Guess(sql=f"{self.source.identifier(column)} <> 0", sure=sure, why=why, uses=(column,))
        if group(want.type) == BOOLEAN and kind != BOOLEAN:
            key, allowed, listed = BOOLEAN, ("true", "false"), ("true", "false")
        if group(want.type) == "date" and kind == "text":
            return self._date(of, column, sure, why)
        leads = any(one.columns == (column,) for one in of.foreign_keys)
        if (allowed or leads) and (found := self._meant(of, column)) is not None:
            meant = self.words.meant(key, allowed, found)
            values = {one: meant[one] or (UNDECIDED if allowed else word) for one, word in found.items()}
            unknown = sum(one == UNDECIDED for one in values.values())
            sure *= 1 - 0.5 * unknown / max(len(values), 1)
            if all(one == other for one, other in values.items()):
                values = None
        null = None
        if (
            want.not_null
            and self.source.rows(self._select("SELECT EXISTS (SELECT FROM {t} WHERE {c} IS NULL)", of, column))[0][0]
        ):
            null = "" if group(want.type) == "text" and not listed else UNDECIDED
            why += "; NULL is to become something"
        return Guess(column=column, values=values, null=null, sure=sure, why=why, uses=(column,))

    def _allowed(self, ours: Target, name: str) -> tuple[str, ...]:
        """The words that a check lets a column of ours hold."""
        for check in ours.checks:
            if check.columns == (name,) and "= ANY" in check.condition:
                return tuple(_WORDS_OF_CHECK.findall(check.condition))
        return ()

    def _meant(self, of: SourceTable, column: str) -> dict[str, str] | None:
        """What stands in a list of words -> the word itself; for another table's key, what that table calls it."""
        for key in of.foreign_keys:
            other = self.source.tables().get(key.table)
            if key.columns == (column,) and other and other.readable:
                named = self._word_of(other)
                if not named:
                    return None
                query = "SELECT {k}::text, {c}::text FROM {t} WHERE {c} IS NOT NULL ORDER BY 1"
                return dict(self.source.rows(self._select(query, other, named, k=sql.Identifier(key.table_columns[0]))))
        found = self._words(of, column)
        return None if found is None else {one: one for one in (*of.labels.get(column, ()), *found)}

    def leads_to_words(self, of: SourceTable, column: str) -> bool:
        """Whether a column is the key of a table that is a list of words."""
        others = [self.source.tables().get(key.table) for key in of.foreign_keys if key.columns == (column,)]
        return any(other is not None and other.readable and self._word_of(other) for other in others)

    def _word_of(self, of: SourceTable) -> str:
        """The column of a table's words, where it is a list of them; "" where it is none."""
        texts = [one for one in of.columns if one not in of.key and group(of.columns[one]) == "text"]
        return texts[0] if texts and self.count(of) <= _MOST_WORDS else ""

    def _words(self, of: SourceTable, column: str) -> list[str] | None:
        query = "SELECT DISTINCT left({c}::text, {n}) FROM {t} WHERE {c} IS NOT NULL ORDER BY 1 LIMIT {m}"
        rows = self.source.rows(
            self._select(query, of, column, n=sql.Literal(_LONGEST_WORD + 1), m=sql.Literal(_MOST_WORDS + 1))
        )
        found = [word for (word,) in rows]
        return None if len(found) > _MOST_WORDS or any(len(word) > _LONGEST_WORD for word in found) else found

    def _date(self, of: SourceTable, column: str, sure: float, why: str) -> Guess:
        """A date that is written as text, by what all of them look like."""
        form = next((form for pattern, form in _DATES.items() if self._all(of, column, pattern)), "")
        if not form and self._all(of, column, _SLASHED):
            form = "DD/MM/YYYY"
            if self._all(of, column, r"^(0?[1-9]|1[0-2])/"):
                # No day over 12 comes first, so it may be the month.
                form, sure = "MM/DD/YYYY", sure * 0.6
        if not form:
            return Guess(column=column, sure=sure * 0.5, why=f"{why}; text of several forms", uses=(column,))
        query = f"to_date({self.source.identifier(column)}, '{form}')"
        return Guess(sql=query, sure=sure, why=f"{why}; text", uses=(column,))

    def _all(self, of: SourceTable, column: str, pattern: str) -> bool:
        query = "SELECT coalesce(bool_and({c}::text ~ {p}), false) FROM {t} WHERE {c} IS NOT NULL"
        return bool(self.source.rows(self._select(query, of, column, p=sql.Literal(pattern)))[0][0])

    def looks_like(self, of: SourceTable, column: str, name: str) -> bool:
        """Whether all that stands in a column of theirs looks like a value of this column of ours."""
        pattern = self.words.contents.get(name, "")
        return bool(pattern) and group(of.columns[column]) == "text" and self._all(of, column, pattern)

    def count(self, of: SourceTable) -> int:
        """How many rows it holds."""
        return int(self.source.rows(self._select("SELECT count(*) FROM {t}", of, ""))[0][0])

    def filled(self, of: SourceTable, column: str) -> int:
        """How many values it holds."""
        return int(self.source.rows(self._select("SELECT count({c}) FROM {t}", of, column))[0][0])

    def tells_rows_apart(self, of: SourceTable, column: str) -> bool:
        """Whether no two rows have the same, and none has none."""
        query = "SELECT count(*) = count(DISTINCT {c}) AND count(*) > 0 FROM {t}"
        return bool(self.source.rows(self._select(query, of, column))[0][0])

    def _select(self, template: LiteralString, of: SourceTable, column: str, **more: sql.Composable) -> sql.Composed:
        parts = {"t": sql.Identifier(of.schema, of.name), "c": sql.Identifier(column or "x"), **more}
        return sql.SQL(template).format(**parts)


def listed(values: Sequence[str]) -> str:
    """As SQL writes the texts of a list."""
    return ", ".join(sql.Literal(value).as_string(None) for value in values)

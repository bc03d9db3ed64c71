"""How a live type, and a value, becomes the declared one."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from psycopg import sql

from moeen.db.converge import declared
from moeen.db.converge.subject import Subject
from moeen.db.sql import fragment


@dataclass(frozen=True)
class Conversion:
    """How a live type becomes the declared one.

    ``misfit`` is the SQL condition, of ``{}``, for values that cannot; ``rewrites``: every row is touched under a lock.
    ``voids``: no value is carried over, for there is none.
    """

    misfit: str = ""
    rewrites: bool = False
    voids: bool = False


def way(item: Subject, name: str) -> Conversion | None:
    """The way of a live column to its declared type; None where there is none that keeps every value."""
    live, want = item.live.columns[name].type, item.pattern.columns[name].type
    found = conversion(live, want)
    if found is None and name in item.plain:
        found = conversion(item.plain[name], want)
        # A domain is stored as what it stands for, an enum as a number.
        rewrites = item.plain[name] == "text" or (found is not None and found.rewrites)
        found = found and replace(found, rewrites=rewrites)
    return Conversion(voids=True) if found is None and item.empty else found


def current(item: Subject, name: str) -> sql.Composable:
    """The value of a live column, of an enum as text."""
    value = sql.Identifier(name)
    return sql.SQL("{}::text").format(value) if item.plain.get(name) == "text" else value


def conversion(live: str, want: str) -> Conversion | None:
    """The way from one type to another that keeps every value; None where there is none."""
    one, other = _Type.parse(live), _Type.parse(want)
    if live == want or (one.name == other.name == "numeric" and not other.arguments):
        return Conversion()
    texts = {"character varying", "text"}
    if one.name in texts and other.name in texts:
        if not other.arguments or (one.arguments and one.arguments <= other.arguments):
            return Conversion()
        return Conversion(misfit=f"length({{}}) > {other.arguments[0]}", rewrites=True)
    if {one.name, other.name} <= {"timestamp without time zone", "timestamp with time zone"}:
        # Without USING, and in a session whose TimeZone is UTC, PostgreSQL 12+ keeps the stored values as they are.
        return Conversion() if other.name == "timestamp with time zone" else None
    integers = ["smallint", "integer", "bigint"]
    if one.name in integers and other.name in integers:
        if integers.index(one.name) <= integers.index(other.name):
            return Conversion(rewrites=True)
        limit = {"smallint": 2**15, "integer": 2**31}[other.name]
        return Conversion(misfit=f"{{}} NOT BETWEEN {-limit} AND {limit - 1}", rewrites=True)
    if one.name == other.name == "numeric" and other.arguments:
        precision, scale = other.arguments
        if one.arguments and one.arguments[0] <= precision and one.arguments[1] == scale:
            return Conversion()
        misfit = f"({{0}} <> round({{0}}, {scale}) OR abs({{0}}) >= 1e{precision - scale})"
        return Conversion(misfit=misfit, rewrites=True)
    return None


@dataclass(frozen=True)
class _Type:
    name: str
    arguments: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> _Type:
        """``numeric(10,2)`` -> numeric, (10, 2); ``timestamp(3) without time zone`` keeps its name whole."""
        arguments = re.search(r"\(([\d,]+)\)", text)
        name = re.sub(r"\([\d,]+\)", "", text)
        return cls(name, tuple(map(int, arguments[1].split(","))) if arguments else ())


def carried_over(item: Subject) -> Subject:
    """The table without the columns whose type cannot be converted, nor the constraints that stand on them.

    Of a table that is free of findings that is all of it; of another, what migrate would do if those were mended.
    """
    refused = {column.name for column, _, _ in item.columns if way(item, column.name) is None}
    if not refused:
        return item
    want = replace(
        item.want,
        columns=tuple(column for column in item.want.columns if column.name not in refused),
        constraints=tuple(c for c in item.want.constraints if refused.isdisjoint(c.columns)),
        foreign_keys=tuple(key for key in item.want.foreign_keys if refused.isdisjoint(key.columns)),
    )
    return replace(item, want=want)


def mapped(item: Subject, column: declared.Column) -> sql.Composable:
    """The value a row will have in this column, in terms of what it has now."""
    value: sql.Composable = (
        current(item, column.name) if column.name in item.live.columns else sql.Identifier(column.name)
    )
    mapping = item.legacy.values.get(column.name)
    if mapping:
        whens = [sql.SQL("WHEN {} THEN {}").format(sql.Literal(a), sql.Literal(b)) for a, b in mapping.items()]
        value = sql.SQL("CASE {} {} ELSE {} END").format(value, sql.SQL(" ").join(whens), value)
    substitutes = _substitutes(item, column)
    return sql.SQL("coalesce({})").format(sql.SQL(", ").join([value, *substitutes])) if substitutes else value


def _substitutes(item: Subject, column: declared.Column) -> list[sql.Composable]:
    """What a NULL becomes where none is allowed: the constant default; for a time, the row's other times."""
    if not column.not_null or not column.constant:
        return []
    if not column.is_clock:
        return [fragment(column.default)]
    others = [c.name for c in item.want.columns if c.is_clock and c.name != column.name]
    return [sql.Identifier(name) for name in others if name in item.live.columns]

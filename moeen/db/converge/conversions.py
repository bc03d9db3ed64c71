"""How a live type, and a value, becomes the declared one."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from psycopg import sql

from moeen.db.converge import declared
from moeen.db.converge.subject import Subject
from moeen.db.sql import fragment


@dataclass(frozen=True)
class Conversion:
    """How a live type becomes the declared one.

    ``misfit``: the SQL condition, of ``{}``, for values that cannot. ``using``: the new value, of ``{}``; "" where
    assigning the old one does. Both mean the same of a value that has the new type already, for what is written while
    columns are converted holds before and after. ``rewrites``: every row is touched under a lock. ``voids``: no value
    is carried over, for there is none.
    """

    misfit: str = ""
    using: str = ""
    rewrites: bool = False
    voids: bool = False


def way(item: Subject, name: str) -> Conversion | None:
    """The way of a live column to its declared type; None where there is none that keeps every value."""
    live, want = item.live.columns[name].type, item.pattern.columns[name].type
    # A key has the type of what it refers to, in tables that change one after the other.
    found = None if want == "uuid" != live and _is_key(item, name) else conversion(live, want)
    if found is None and name in item.plain:
        found = conversion(item.plain[name], want)
        if found and item.plain[name] == "text":
            # A domain is stored as what it stands for, an enum as a number.
            found = replace(found, using=found.using or "{}::text", rewrites=True)
    return Conversion(voids=True) if found is None and item.empty else found


def _is_key(item: Subject, name: str) -> bool:
    return any(c.kind in "pf" and name in c.columns for c in item.live.constraints.values())


def current(item: Subject, name: str) -> sql.Composable:
    """The value of a live column as the declared type, and its collation, will hold it; NULL of one that cannot be."""
    value, found, want = sql.Identifier(name), way(item, name), item.pattern.columns[name]
    if found is None:
        return value
    new = fragment(found.using).format(value) if found.using else value
    if want.type.startswith(_TEXTS) and want.collation != item.live.columns[name].collation:
        # By the clinic's own, words that differ for ours may be the same.
        new = sql.SQL("({} COLLATE {})").format(new, sql.Identifier(want.collation or "default"))
    if not (found.using and found.misfit):
        return new
    return sql.SQL("CASE WHEN {} THEN NULL ELSE {} END").format(fragment(found.misfit).format(value), new)


def conversion(live: str, want: str) -> Conversion | None:
    """The way from one type to another that keeps every value; None where there is none."""
    if live == want:
        return Conversion()
    one, other = _Type.parse(live), _Type.parse(want)
    make = _WAYS.get(other.name)
    found = make(one, other) if make else None
    # Another collation may know no regular expressions.
    return replace(found, misfit=found.misfit.replace("::text", '::text COLLATE "C"')) if found else None


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


_TEXTS = ("character varying", "text")
#: Padded, or cut to the length of a name.
_OTHER_TEXTS = ("character", "bpchar", "name")
#: The largest number of each, and how many digits always fit.
_INTEGERS = {"smallint": (2**15 - 1, 4), "integer": (2**31 - 1, 9), "bigint": (2**63 - 1, 18)}
_DAY = r"(?!0000)\d\d\d\d-(0[1-9]|1[0-2])-[0-3]\d"
_TIME = r"([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{{1,6}})?)?"
_OFFSET = r"(Z|[+-](0\d|1[0-4])(:?[0-5]\d)?)"
#: As JavaScript writes a day that it takes for a moment.
_MIDNIGHT = r"([T ]00:00(:00(\.0+)?)?Z?)?"
_TRUTHS = "'0', '1', 't', 'f', 'true', 'false', 'y', 'n', 'yes', 'no', 'on', 'off'"


def _to_text(one: _Type, other: _Type) -> Conversion | None:
    # length() of a column of another text type counts no blanks that pad it.
    fits = not other.arguments or (one.arguments and one.arguments <= other.arguments)
    misfit = "" if fits else f"length({{}}::text) > {other.arguments[0]}"
    if one.name in _TEXTS:
        return Conversion(misfit, rewrites=not fits)
    if one.name in (*_OTHER_TEXTS, *_INTEGERS, "uuid"):
        return Conversion(misfit, using="{}::text", rewrites=True)
    return None


def _to_boolean(one: _Type, _: _Type) -> Conversion | None:
    if one.name in (*_TEXTS, *_OTHER_TEXTS, *_INTEGERS):
        return Conversion(f"lower({{}}::text) NOT IN ({_TRUTHS})", using="{}::text::boolean", rewrites=True)
    return None


def _to_integer(one: _Type, other: _Type) -> Conversion | None:
    largest, digits = _INTEGERS[other.name]
    between = f"NOT BETWEEN {-largest - 1} AND {largest}"
    if one.name in _INTEGERS:
        return Conversion("" if _INTEGERS[one.name][0] <= largest else f"{{}} {between}", rewrites=True)
    if one.name in ("numeric", "double precision", "real"):
        whole = "{0}::numeric <> trunc({0}::numeric)"
        return Conversion(f"({{0}}::numeric {between} OR {whole})", using=f"{{}}::{other.name}", rewrites=True)
    if one.name in _TEXTS:
        misfit = f"{{}}::text !~ '^[+-]?\\d{{{{1,{digits}}}}}$'"
        return Conversion(misfit, using=f"{{}}::text::{other.name}", rewrites=True)
    return None


def _to_numeric(one: _Type, other: _Type) -> Conversion | None:
    if not other.arguments:
        return Conversion() if one.name == "numeric" else None
    precision, scale = other.arguments
    if one.name == "numeric" and one.arguments and one.arguments[0] <= precision and one.arguments[1] == scale:
        return Conversion()
    # A double holds 15 digits for certain, which is how PostgreSQL makes a number of it; a real is best read as shown.
    values = {
        "numeric": "{0}",
        "real": "{0}::text::numeric",
        "double precision": "{0}::numeric",
        "money": "{0}::numeric",
    }
    values |= dict.fromkeys(_INTEGERS, "{0}")
    if one.name in values:
        value = values[one.name]
        misfit = f"({value} <> round({value}, {scale}) OR abs({value}) >= 1e{precision - scale})"
        return Conversion(misfit, using="" if value == "{0}" else value, rewrites=True)
    if one.name in _TEXTS:
        digits = f"\\d{{{{1,{precision - scale}}}}}(\\.\\d{{{{1,{scale}}}}})?" if scale else f"\\d{{{{1,{precision}}}}}"
        return Conversion(f"{{}}::text !~ '^[+-]?{digits}$'", using="{}::text::numeric", rewrites=True)
    return None


def _to_date(one: _Type, _: _Type) -> Conversion | None:
    if one.name.startswith("timestamp"):
        at_midnight = "{0}::timestamp = date_trunc('day', {0}::timestamp)"
        return Conversion(f"NOT ({at_midnight})", using="{}::date", rewrites=True)
    if one.name in _TEXTS:
        return Conversion(_no_day(_DAY + _MIDNIGHT), using="{}::text::date", rewrites=True)
    return None


def _to_time(one: _Type, other: _Type) -> Conversion | None:
    if one.name == other.name:
        return Conversion()
    if one.name in _TEXTS:
        return Conversion(f"{{}}::text !~ '^{_TIME}$'", using="{}::text::time", rewrites=True)
    return None


def _to_moment(one: _Type, other: _Type) -> Conversion | None:
    # Without USING, and in a session whose TimeZone is UTC, PostgreSQL 12+ keeps the stored values as they are.
    if one.name.startswith("timestamp"):
        return Conversion()
    if one.name in _TEXTS:
        return Conversion(_no_day(f"{_DAY}[T ]{_TIME}{_OFFSET}"), using="{}::text::timestamptz", rewrites=True)
    return None


def _to_jsonb(one: _Type, _: _Type) -> Conversion | None:
    if one.name != "json":
        return None
    # jsonb knows no NUL, and no half of a pair; escaped backslashes and whole pairs are no such thing.
    half = "[0-9a-fA-F][0-9a-fA-F]"
    fine = rf"\\\\|\\u[dD][89abAB]{half}\\u[dD][c-fC-F]{half}"
    misfit = rf"regexp_replace({{}}::text, '{fine}', '', 'g') ~ '\\u(0000|[dD][89a-fA-F])'"
    return Conversion(misfit, using="{}::jsonb", rewrites=True)


def _to_uuid(one: _Type, _: _Type) -> Conversion | None:
    if one.name not in _TEXTS:
        return None
    hexadecimal = "[0-9a-fA-F]"
    form = "-".join(f"{hexadecimal}{{{{{count}}}}}" for count in (8, 4, 4, 4, 12))
    return Conversion(f"{{}}::text !~ '^{form}$'", using="{}::text::uuid", rewrites=True)


def _no_day(form: str) -> str:
    """The condition of text that is not of this form, which begins with a day, or whose day no calendar has."""
    first = "make_date(substr({0}::text, 1, 4)::int, substr({0}::text, 6, 2)::int, 1)"
    last = f"extract(day FROM {first} + interval '1 month' - interval '1 day')"
    day = "substr({0}::text, 9, 2)::int"
    # CASE is sure to look at the form first.
    return f"(CASE WHEN {{0}}::text ~ '^{form}$' THEN {day} NOT BETWEEN 1 AND {last} ELSE {{0}} IS NOT NULL END)"


_WAYS: dict[str, Callable[[_Type, _Type], Conversion | None]] = {
    **dict.fromkeys(_TEXTS, _to_text),
    **dict.fromkeys(_INTEGERS, _to_integer),
    "boolean": _to_boolean,
    "numeric": _to_numeric,
    "date": _to_date,
    "time without time zone": _to_time,
    "timestamp with time zone": _to_moment,
    "jsonb": _to_jsonb,
    "uuid": _to_uuid,
}


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
    value = current(item, column.name) if column.name in item.live.columns else sql.Identifier(column.name)
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

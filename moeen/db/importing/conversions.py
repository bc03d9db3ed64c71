"""How a value of one type is written so that a column of another type can read it, computed by the source."""

from __future__ import annotations

import re
from typing import LiteralString

from psycopg import sql

_ZONELESS, _ZONED = "timestamp without time zone", "timestamp with time zone"
_FLOATS = ("double precision", "real")
_NUMBERS = ("numeric", *_FLOATS, "money")
_INTEGERS = ("smallint", "integer", "bigint")
_JSON = ("json", "jsonb")
_TEXTS = ("text", "character varying", "character", "citext", "name")


class ZoneNeeded(ValueError):
    """The value means another moment or another day in each time zone."""


def base(kind: str) -> str:
    """A type without its modifier: `numeric(10,2)` as `numeric`."""
    return re.sub(r"\s*\(\s*\d+\s*(,\s*-?\d+\s*)?\)", "", kind)


def as_text(value: sql.Composable, live: str, want: str, *, zone: str) -> sql.Composable:
    """SQL for the text that stands for the value in the wanted type; NULL stays NULL. Raises ZoneNeeded."""
    live, want = base(live), base(want)
    template: LiteralString = "({v})::text"
    if (live == _ZONELESS and want == _ZONED) or (live == "date" and want == _ZONED):
        template = "(({v})::timestamp AT TIME ZONE {z})::text"
    elif live == _ZONED and want == "date":
        template = "(({v}) AT TIME ZONE {z})::date::text"
    elif live == _ZONED and want == "time without time zone":
        template = "(({v}) AT TIME ZONE {z})::time::text"
    elif live == _ZONELESS and want in ("date", "time without time zone"):
        template = "({v})::date::text" if want == "date" else "({v})::time::text"
    elif live.endswith("[]"):
        template = "to_jsonb({v})::text" if want in _JSON else "array_to_string({v}, ', ')"
    elif live in _TEXTS and want in _JSON:
        template = "({v})::text"
    elif want in _JSON and live not in _JSON:
        template = "to_jsonb({v})::text"
    elif live in _NUMBERS and want in (*_INTEGERS, "numeric"):
        template = _NUMBER_AS_INTEGER if want in _INTEGERS else _NUMBER
    if "{z}" in template and not zone:
        raise ZoneNeeded
    return sql.SQL(template).format(v=value, z=sql.Literal(zone))


# A double of 150.1 is 150.1 as numeric, whatever the server's version writes it as. Infinity is no numeric before 14.
_NUMBER: LiteralString = (
    "CASE WHEN ({v})::text IN ('Infinity', '-Infinity', 'NaN') THEN ({v})::text ELSE ({v})::numeric::text END"
)
_NUMBER_AS_INTEGER: LiteralString = """
    CASE WHEN ({v})::text IN ('Infinity', '-Infinity', 'NaN') THEN ({v})::text
         WHEN ({v})::numeric = trunc(({v})::numeric) THEN trunc(({v})::numeric)::text ELSE ({v})::numeric::text END
"""

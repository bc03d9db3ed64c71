"""Types that are carried over: which values are kept, and which are told as misfits, on every server."""

import pytest
from psycopg import sql

from moeen.db.converge.conversions import conversion

#: (live type, declared type) -> values with what they become, and values that have no place there.
WAYS = {
    ("character(8)", "character varying(5)"): ({"ab": "ab", "غ": "غ", "": ""}, ["abcdef"]),
    ("name", "text"): ({"a b": "a b"}, []),
    ("bigint", "character varying(10)"): ({"966500": "966500"}, ["96650000000"]),
    ("integer", "boolean"): ({"0": "false", "1": "true"}, ["2", "-1"]),
    ("bigint", "boolean"): ({"1": "true"}, ["4294967297"]),
    ("character varying(9)", "boolean"): ({"Yes": "true", "off": "false", "F": "false"}, ["", "maybe"]),
    ("text", "integer"): ({"30": "30", "-5": "-5"}, ["", "1.5", "12345678901", "٣٠"]),
    ("numeric", "integer"): ({"30": "30", "30.00": "30"}, ["0.5", "2147483648"]),
    ("double precision", "integer"): ({"45": "45"}, ["45.5", "NaN", "Infinity", "1e300"]),
    ("double precision", "numeric(10,2)"): (
        {"99.99": "99.99", "0.1": "0.10", "299.96999999999997": "299.97"}, ["0.005", "1e8", "NaN", "-Infinity"],
    ),
    ("real", "numeric(10,2)"): ({"123456.78": "123456.78", "-0.05": "-0.05"}, ["0.125", "1e9", "NaN"]),
    ("integer", "numeric(10,2)"): ({"150": "150.00"}, ["100000000"]),
    ("text", "numeric(10,2)"): ({"150.5": "150.50", "-1": "-1.00"}, ["1,5", "", "0.001", "100000000", "NaN"]),
    ("numeric(12,4)", "numeric(10,2)"): ({"1.2500": "1.25"}, ["1.2345"]),
    ("timestamp without time zone", "date"): (
        {"2024-02-29 00:00": "2024-02-29", "infinity": "infinity"}, ["2024-02-29 00:00:01"],
    ),
    ("timestamp with time zone", "date"): ({"2024-02-29 00:00Z": "2024-02-29"}, ["2024-02-29 00:00+03"]),
    ("text", "date"): (
        {"2024-02-29": "2024-02-29", "1990-05-01T00:00:00.000Z": "1990-05-01"},
        ["2023-02-29", "0000-01-01", "29/02/2024", "2024-13-01", "2024-04-31", "1990-05-01T21:00:00.000Z", "", "soon"],
    ),
    ("character varying(20)", "time without time zone"): (
        {"9:30": "09:30:00", "23:59:59.5": "23:59:59.5"}, ["24:00", "9.30", "noon"],
    ),
    ("time(2) without time zone", "time without time zone"): ({"09:30:00.25": "09:30:00.25"}, []),
    ("text", "timestamp with time zone"): (
        {"2024-01-15T10:20:30.123Z": "2024-01-15 10:20:30.123+00", "2024-01-15 10:20+03": "2024-01-15 07:20:00+00"},
        ["2024-01-15 10:20", "2024-02-30T10:20:30Z", "2024-01-15"],
    ),
    ("json", "jsonb"): (
        {'{"a": "\\ud83d\\ude00 \\\\u0000"}': '{"a": "😀 \\\\u0000"}'}, ['"\\u0000"', '"\\ud83d"', '["\\\\\\u0000"]'],
    ),
    ("text", "uuid"): ({"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}, ["1", ""]),
}  # fmt: skip


@pytest.mark.parametrize(("live", "want"), WAYS)
def test_conversion__values__are_kept_or_told(server_versions, live, want):
    kept, misfits = WAYS[live, want]
    way = conversion(live, want)
    with server_versions.connect_as_superuser(server_versions.ensure_running(), database="postgres") as connection:
        connection.execute("SET TimeZone = 'UTC'; SET DateStyle = ISO")
        connection.execute(f"CREATE TEMPORARY TABLE t (v {live}); INSERT INTO t VALUES (NULL)")
        connection.cursor().executemany(f"INSERT INTO t VALUES (%s::{live})", [(it,) for it in (*kept, *misfits)])
        value = sql.Identifier("v")
        misfit = sql.SQL(way.misfit or "false").format(value)
        using = sql.SQL(way.using or "{}").format(value)
        found = connection.execute(sql.SQL("DELETE FROM t WHERE {} RETURNING v").format(misfit)).fetchall()
        assert len(found) == len(misfits), found
        connection.execute(sql.SQL("ALTER TABLE t ALTER v TYPE {} USING {}").format(sql.SQL(want), using))
        # What is written while columns are converted means the same of a converted value.
        after = sql.SQL("SELECT ({})::text FROM t WHERE v IS NULL OR NOT ({})").format(using, misfit)
        assert sorted(map(str, (None, *kept.values()))) == sorted(str(it) for (it,) in connection.execute(after))


@pytest.mark.parametrize(
    ("live", "want"),
    [("boolean", "integer"), ("date", "timestamp with time zone"), ("text", "jsonb"), ("json", "text"),
     ("timestamp with time zone", "time without time zone"), ("bytea", "text"), ("text[]", "text")],
)  # fmt: skip
def test_conversion__another_meaning__there_is_no_way(live, want):
    assert conversion(live, want) is None

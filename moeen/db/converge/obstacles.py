"""What is in the way of adopting a table of an older database.

Findings count what cannot be carried over; they never hold a row's contents.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from moeen.db import catalog
from moeen.db.actions import DropNotNull, FillValues, RunSQL, SetLogged
from moeen.db.catalog.sizes import has_rows
from moeen.db.converge import conflicts, declared, histories, subject, triggers, zones
from moeen.db.converge.conversions import carried_over, way
from moeen.db.converge.future import future_rows, misfits, name_repeated, name_rows
from moeen.db.converge.subject import Subject, is_retyped
from moeen.db.converge.values import fill_values
from moeen.db.findings import NO_FIX, Finding, Fix
from moeen.db.kinds import Kind
from moeen.db.sql import compose, fragment

#: MaxHeapAttributeNumber of PostgreSQL.
MOST_COLUMNS = 1600
_ELSEWHERE = "its rows stand elsewhere: rename it, or let manage.py import_database bring them into a new database"


def structural_findings(connection: BaseDatabaseWrapper, item: Subject) -> list[Finding]:
    """Mismatches of shape that no step can mend."""
    live, name = item.live, item.name
    if live.kind != "r":
        kinds = {"v": "a view", "m": "a materialized view", "p": "a partitioned table", "f": "a foreign table"}
        fix = _in_one_piece(item) if live.kind == "p" else Fix(advice=_ELSEWHERE)
        return [Finding(name, Kind.TABLE_KIND, "a table", kinds.get(live.kind, live.kind), fix=fix)]
    found = []
    if live.unlogged:
        fix = Fix.by(SetLogged(item.table), advice="it writes the table anew, under a lock")
        words = "a table that outlives a crash, and is in backups of the server"
        found.append(Finding(name, Kind.TABLE_UNLOGGED, words, "UNLOGGED", fix=fix))
    keys = [c for c in live.constraints.values() if c.kind == "p"]
    wanted_key = next(c.columns for c in item.want.constraints if c.kind == "p")
    key = keys[0].columns if keys else ()
    if key != wanted_key:
        found.append(
            Finding(name, Kind.PRIMARY_KEY, f"({', '.join(wanted_key)})", f"({', '.join(key)})" if key else "none")
        )
    elif keys[0].definition != (plain := f"PRIMARY KEY ({', '.join(wanted_key)})"):
        anew = "ALTER TABLE {t} DROP CONSTRAINT {k}, ADD CONSTRAINT {k} {b}"
        change = compose(anew, t=name, k=keys[0].name, b=fragment(plain))
        fix = Fix.by(RunSQL(item.has(keys[0].name), change), advice="with the foreign keys on it made anew")
        found.append(Finding(name, Kind.PRIMARY_KEY, plain, keys[0].definition, fix=fix))
    for column, stands, pattern in item.columns:
        where = f"{name}.{column.name}"
        if stands.generated:
            found.append(Finding(where, Kind.COLUMN_GENERATED, "a plain column", "GENERATED ALWAYS"))
        if way(item, column.name) is None:
            fix = _way_round(item, column.name, stands.type, pattern.type)
            found.append(Finding(where, Kind.COLUMN_TYPE, pattern.type, stands.type, fix=fix))
    found += expression_findings(connection, item)
    found += _full_of_columns(connection, item)
    populated = has_rows(connection, name)
    for column in item.missing:
        if column.not_null and not column.default and populated:
            wanted = "present already, or a db_default or null=True in the model: the table holds rows"
            found.append(Finding(f"{name}.{column.name}", Kind.NEW_COLUMN, wanted, "missing, NOT NULL without default"))
    for extra in live.columns.keys() - item.want.names:
        stands = live.columns[extra]
        if stands.not_null and not (stands.default or stands.identity or stands.generated):
            found.append(
                Finding(
                    f"{name}.{extra}",
                    Kind.UNKNOWN_COLUMN,
                    "a default, or no NOT NULL: new rows would be refused",
                    "NOT NULL without default",
                    fix=Fix.by(DropNotNull(item.has(extra))),
                )
            )
    return found


def _in_one_piece(item: Subject) -> Fix:
    """How a partitioned table becomes one; the older one stays beside it, with what refers to it."""
    names = {"t": item.name, "o": f"own_{item.name}"[:63]}
    key = next(c for c in item.want.constraints if c.kind == "p")
    script = [compose("ALTER TABLE {t} RENAME TO {o}", **names)]
    script += [
        compose("ALTER TABLE {o} RENAME CONSTRAINT {c} TO {n}", c=c.name, n=f"own_{c.name}"[:63], **names)
        for c in item.live.constraints.values()
        if c.name in item.pattern.constraints
    ]
    script += [
        compose("ALTER INDEX {i} RENAME TO {n}", i=i.name, n=f"own_{i.name}"[:63])
        for i in item.live.indexes.values()
        if i.name in item.pattern.indexes and not i.constraint
    ]
    script += [
        compose("CREATE TABLE {t} (LIKE {o} INCLUDING DEFAULTS INCLUDING COMMENTS)", **names),
        compose("INSERT INTO {t} SELECT * FROM {o}", **names),
        compose("ALTER TABLE {t} ADD CONSTRAINT {c} {b}", c=key.name, b=fragment(key.body), **names),
    ]
    actions = [RunSQL(item.table, statement) for statement in script]
    advice = "in one transaction, and make the keys that refer to it anew; the older one stays until nobody needs it"
    return Fix.by(*actions, advice=advice)


def _full_of_columns(connection: BaseDatabaseWrapper, item: Subject) -> Iterator[Finding]:
    """No room for what is missing: a table counts each column that it ever had, which a twin made of a dump does not.

    Generated columns are counted once more, since they may have to be dropped and made again.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(attnum)::int FROM pg_attribute WHERE attrelid = %s", [item.live.oid])
        (had,) = cursor.fetchone()
    wanted = len(item.missing) + sum(bool(column.generated) for column in item.live.columns.values())
    if had + wanted > MOST_COLUMNS:
        dropped = had - len(item.live.columns)
        advice = (
            "a table that is made anew begins to count anew: dump and restore the database, or copy the rows into a "
            "table of the same shape and let it take this one's name, with what depends on it"
        )
        yield Finding(
            item.name, Kind.NEW_COLUMN, f"room for {wanted} columns, of {MOST_COLUMNS} at most",
            f"{had}, {dropped} of them dropped ones", fix=Fix(advice=advice),
        )  # fmt: skip


def _way_round(item: Subject, column: str, live: str, want: str) -> Fix:
    """What its owner may do where migrate may not: a person has to say whether it fits."""
    if not live.startswith(("text", "character varying")) or want not in ("uuid", "jsonb"):
        return NO_FIX
    change = compose(
        "ALTER TABLE {t} ALTER COLUMN {c} TYPE {w} USING {c}::text::{w}", t=item.name, c=column, w=fragment(want)
    )
    advice = (
        "text need not be JSON. Where each value is, as PostgreSQL 16 tells by IS JSON, this keeps it; where none is, "
        "USING to_jsonb does, as a string"
        if want == "jsonb"
        else "a key changes together with what refers to it. Where each value is a uuid: in one transaction drop the "
        "foreign keys on it, change it and every column that refers to it, and make them again; otherwise use "
        "manage.py import_database"
    )
    return Fix.by(RunSQL(item.has(column), change), advice=advice)


def expression_findings(connection: BaseDatabaseWrapper, item: Subject) -> Iterator[Finding]:
    """Indexes on an expression that is not immutable any more once a time has a zone: nothing can put them back.

    Tried on the pattern, which goes again: what a day is depends on the session from then on.
    """
    clocks = [
        column.name
        for column, stands, pattern in item.columns
        if is_retyped(stands, pattern) and pattern.type == "timestamp with time zone"
    ]
    for index in item.live.indexes.values():
        named = [name for name in clocks if re.search(rf"\b{re.escape(name)}\b", index.definition)]
        if not named or re.fullmatch(r"\w+ \([\w, ]+\)", index.definition):
            continue
        says = psycopg.errors.InvalidObjectDefinition
        if not isinstance(subject.tried_index(connection, item.want, f"USING {index.definition}"), says):
            continue
        body = index.definition
        for name in named:
            body = re.sub(rf"\b{re.escape(name)}\b", f"({name} AT TIME ZONE 'UTC')", body)
        create = compose(
            "CREATE {unique}INDEX CONCURRENTLY {i} ON {t} USING {body}",
            unique=fragment("UNIQUE " if index.unique else ""),
            i=index.name,
            t=item.name,
            body=fragment(body),
        )
        yield Finding(
            f"{item.name}.{index.name}",
            Kind.INDEX_DEFINITION,
            f"an expression that stays immutable when {', '.join(named)} has a time zone",
            index.definition,
            fix=Fix(advice=f"{compose('DROP INDEX CONCURRENTLY {i}', i=index.name)}; migrate; then: {create}"),
        )


def trigger_findings(connection: BaseDatabaseWrapper, item: Subject) -> Iterator[Finding]:
    """Triggers of others that the filling in of values would set off, with the rows at which."""
    for step in fill_values(connection, carried_over(item)) if item.live.kind == "r" else ():
        for action in step.actions:
            if not isinstance(action, FillValues):
                continue
            firing = [
                it for it in triggers.look(connection, item.name) if not it.is_idle and it.fires_for(action.columns)
            ]
            if firing:
                with connection.cursor() as cursor:
                    cursor.execute(
                        compose("SELECT count(*) FROM {t} WHERE {c}", t=item.name, c=fragment(action.condition))
                    )
                    (rows,) = cursor.fetchone()
                for it in firing:
                    yield it.finding(rows)


def value_findings(
    connection: BaseDatabaseWrapper, item: Subject, live_tables: Mapping[str, catalog.Table]
) -> list[Finding]:
    """Rows that the declared constraints would refuse, counted; never their contents."""
    if item.live.kind != "r":
        return []
    conditions = list(_conditions(item))
    found = []
    with connection.cursor() as cursor:
        if conditions:
            counts = sql.SQL(", ").join(sql.SQL("count(*) FILTER (WHERE {})").format(it.condition) for it in conditions)
            cursor.execute(compose("SELECT {counts} FROM {rows}", counts=counts, rows=future_rows(item)))
            for it, count in zip(conditions, cursor.fetchone(), strict=True):
                if count:
                    asked, live = it.standing or it.condition, it.standing is not None
                    keys, query = name_rows(connection, item, asked, only=it.columns, as_they_are=live)
                    said, fix = f"{count} {_rows(count)}{keys}", _all_of_them(query, first=_way_for_ids(item, it.where))
                    found.append(Finding(it.where, it.kind, it.expected, said, fix=fix))
        for where, expressions, condition in _unproven_uniques(item):
            cursor.execute(
                compose(
                    "SELECT count(*) FROM (SELECT FROM {rows} WHERE ROW({e}) IS NOT NULL AND ({c})"
                    " GROUP BY {e} HAVING count(*) > 1) AS repeated",
                    rows=future_rows(item),
                    e=expressions,
                    c=condition,
                )
            )
            (count,) = cursor.fetchone()
            if count:
                keys, query = name_repeated(connection, item, expressions, condition)
                said, fix = f"{count} repeated{keys}", _all_of_them(query)
                found.append(Finding(where, Kind.DUPLICATES, "every value once", said, fix=fix))
        for key, condition in _orphans(item, live_tables):
            cursor.execute(compose("SELECT count(*) FROM {t} WHERE {c}", t=item.name, c=condition))
            (count,) = cursor.fetchone()
            if count:
                where = f"{item.name}.{', '.join(key.columns)}"
                keys, query = name_rows(connection, item, condition, only=key.columns, as_they_are=True)
                said, fix = f"{count} {_rows(count)} without one{keys}", _all_of_them(query)
                found.append(Finding(where, Kind.ORPHANS, f"a row of {key.to_table}", said, fix=fix))
    return found


def _all_of_them(query: str, *, first: str = "") -> Fix:
    return Fix(advice=f"{first}{'; ' if first else ''}all of them: {query}")


def _way_for_ids(item: Subject, where: str) -> str:
    """Public ids of another form cannot be kept as such, but beside ours they can."""
    for column in item.want.columns:
        if column.prefix and where == f"{item.name}.{column.name}":
            renames = [f"RENAME COLUMN {compose('{c} TO {o}', c=column.name, o=f'old_{column.name}')}"]
            renames += [
                f"RENAME CONSTRAINT {compose('{c} TO {o}', c=c.name, o=f'old_{c.name}'[:63])}"
                for c in item.live.constraints.values()
                if c.columns == (column.name,)
            ]
            statements = [compose("ALTER TABLE {t} {r}", t=item.name, r=fragment(rename)) for rename in renames]
            script = "; ".join(statements)
            return f"{script}; then every row gets a public id of ours, and keeps the old one beside it"
    return ""


@dataclass(frozen=True)
class _Condition:
    """What of a future row is in the way: the condition, the columns that it looks at, and the finding's words.

    ``standing``: the same of a row as it stands, where that is simpler to say.
    """

    where: str
    kind: Kind
    expected: str
    condition: sql.Composable
    columns: tuple[str, ...]
    standing: sql.Composable | None = None


def _conditions(item: Subject) -> Iterator[_Condition]:
    for column, stands, pattern in item.columns:
        found, name = way(item, column.name), sql.Identifier(column.name)
        where, only = f"{item.name}.{column.name}", (column.name,)
        if found is None:
            continue
        if found.misfit:
            kind = Kind.VALUES_NOT_CONVERTIBLE if found.using else Kind.VALUES_TOO_LARGE
            live, future = fragment(found.misfit).format(name), misfits(column.name)
            yield _Condition(where, kind, pattern.type, future, only, live)
        if column.not_null and not column.prefix and not stands.not_null:
            empty = sql.SQL("{} IS NULL").format(name)
            if found.misfit:
                empty = sql.SQL("{} AND NOT {}").format(empty, misfits(column.name))
            yield _Condition(where, Kind.VALUES_EMPTY, "a value in every row", empty, only)
        if pattern.type == "date" or pattern.type.startswith("timestamp"):
            beyond = sql.SQL("{0} < '0001-01-01' OR {0} >= '10000-01-01'").format(name)
            expected = "a year from 1 to 9999, as Python reads"
            yield _Condition(where, Kind.VALUES_NOT_ALLOWED, expected, beyond, only)
        if pattern.type == "time without time zone":
            expected = "a time before 24:00, as Python reads"
            at_end = sql.SQL("{} = '24:00'").format(name)
            yield _Condition(where, Kind.VALUES_NOT_ALLOWED, expected, at_end, only)
    for column, condition in zones.in_the_future(item):
        expected = "times that have been, read as UTC"
        yield _Condition(f"{item.name}.{column.name}", Kind.TIMES_AHEAD, expected, condition, (column.name,))
    for constraint in item.want.constraints:
        standing, pattern_of = item.live.constraints.get(constraint.name), item.pattern.constraints[constraint.name]
        proven = standing and standing.validated and standing.definition == pattern_of.definition
        if constraint.kind == "c" and not proven:
            refused = sql.SQL("NOT ({})").format(fragment(constraint.condition))
            where = f"{item.name}.{constraint.name.removeprefix(item.name + '_').removesuffix('_check')}"
            yield _Condition(where, Kind.VALUES_NOT_ALLOWED, constraint.body, refused, pattern_of.columns)


def _rows(count: int) -> str:
    return "row" if count == 1 else "rows"


def _unproven_uniques(item: Subject) -> Iterator[tuple[str, sql.Composable, sql.Composable]]:
    """Uniques that nothing live guarantees yet: where, the expressions to group by, and which rows count."""
    proven = {c.columns for c in item.live.constraints.values() if c.kind in "pu"}
    for constraint in item.want.constraints:
        names = constraint.columns
        if constraint.kind == "u" and names not in proven and set(names) <= item.live.columns.keys():
            yield f"{item.name}.{', '.join(names)}", sql.SQL(", ").join(map(sql.Identifier, names)), sql.SQL("true")
    for index in item.want.indexes:
        pattern = item.pattern.indexes[index.name]
        live = item.live.indexes.get(index.name)
        if index.unique and not (live and live.valid and live.definition == pattern.definition):
            keys, _, condition = pattern.definition.removeprefix("btree ").partition(" WHERE ")
            yield f"{item.name}.{index.name}", fragment(_first_bracket(keys)), fragment(condition or "true")


def _first_bracket(text: str) -> str:
    """``(lower(name), id) INCLUDE (x)`` -> ``lower(name), id``."""
    depth = 0
    for place, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0:
            return text[1:place]
    return text


def _orphans(
    item: Subject, live_tables: Mapping[str, catalog.Table]
) -> Iterator[tuple[declared.ForeignKey, sql.Composable]]:
    """Foreign keys with the condition that finds orphans, which a key that calls itself valid may have as well: rows
    come past it where triggers are off. A key that is made anew would fail at them, and so would a restore.
    """
    for key in standing_keys(item):
        there = live_tables.get(key.to_table)
        filled = [sql.SQL("{} IS NOT NULL").format(sql.Identifier(item.name, name)) for name in key.columns]
        given = sql.SQL(" AND ").join(filled)
        if there is None or there.kind not in "rp" or not set(key.to_columns) <= there.columns.keys():
            yield key, given
            continue
        pairs = list(zip(key.columns, key.to_columns, strict=True))
        if any(item.live.columns[a].type != there.columns[b].type for a, b in pairs):
            continue  # a mismatch of types is a finding of its own
        same = sql.SQL(" AND ").join(
            sql.SQL("{} = {}").format(sql.Identifier("there", b), sql.Identifier(item.name, a)) for a, b in pairs
        )
        yield (
            key,
            sql.SQL("{} AND NOT EXISTS (SELECT FROM {} AS there WHERE {})").format(
                given, sql.Identifier(key.to_table), same
            ),
        )


def standing_keys(item: Subject) -> list[declared.ForeignKey]:
    """The foreign keys of columns that stand."""
    return [key for key in item.want.foreign_keys if set(key.columns) <= item.live.columns.keys()]


def findings(
    connection: BaseDatabaseWrapper, items: Sequence[Subject], live_tables: Mapping[str, catalog.Table]
) -> list[Finding]:
    """Everything that is in the way of adopting these tables."""
    found: list[Finding] = []
    for item in items:
        found += structural_findings(connection, item)
        found += conflicts.findings(connection, item)
        found += histories.findings(connection, item)
        found += value_findings(connection, item, live_tables)
    return found

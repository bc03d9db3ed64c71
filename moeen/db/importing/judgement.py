"""Which of the rows that were read may not be written, and why: asked of all rows at once, before anything is written.

The tables are judged in the order of their references, so that what refers to a refused row is refused as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from moeen.db.importing import conversions
from moeen.db.importing.selection import UNMAPPED
from moeen.db.importing.staging import Staging
from moeen.db.importing.target import PUBLIC_ID, Unique
from moeen.db.public_ids import MAX_LENGTH
from moeen.db.sql import fragment

NO_SUCH_VALUE = "the map has no such value"
NO_ROW = "refers to no row of"
TWICE = "two rows have this key"
_TEXTS = ("text", "character varying", "character")
_MODIFIER = re.compile(r"\((\d+)(?:,\s*(-?\d+))?\)")
Parents = dict[str, Staging]


@dataclass(frozen=True)
class Rule:
    """What makes a value of a column impossible. ``condition``: over `{v}`, the value as its column's wide type.

    ``query``: the same over the source's text `v`, for people; None where the source cannot tell.
    """

    column: str
    reason: str
    condition: sql.Composable
    query: sql.Composable | None = None


def judge(staging: Staging, parents: Parents) -> None:
    """Fill `refused` and make `ready`, once the keys are judged, and the values of what was read as a whole.

    ``parents``: those judged before, by table.
    """
    _Judge(staging, parents).run()


def judge_keys(staging: Staging) -> bool:
    """Fill `refused` by what the keys tell, and say whether rows share one."""
    return _Judge(staging, {}).keys()


def judge_values(staging: Staging) -> None:
    """Fill `refused` by what each row tells alone."""
    _Judge(staging, {}).values()


def rules(staging: Staging) -> list[Rule]:
    """Of each column that the mapping fills."""
    found, raw = [], staging.raw
    for name in staging.selection.columns:
        column = staging.selection.target.columns[name]
        value = sql.Identifier("s", name)
        v = sql.SQL("v")
        if column.not_null:
            found.append(Rule(name, "a value is missing", sql.SQL("{} IS NULL").format(value), sql.SQL("v IS NULL")))
        if name in staging.selection.references:
            continue
        kind = conversions.base(column.type)
        has_map = staging.selection.table.columns[name].values is not None
        if has_map and (raw or kind in _TEXTS):
            marked = sql.SQL("starts_with({}, {})").format(value, sql.Literal(UNMAPPED))
            # starts_with is PostgreSQL 11's.
            of_source = sql.SQL("strpos(v, {}) = 1").format(sql.Literal(UNMAPPED))
            found.append(Rule(name, NO_SUCH_VALUE, marked, of_source))
        checked, there = sql.Composed([value]), sql.SQL("v::{}").format(fragment(kind))
        if raw and kind not in _TEXTS:
            said = {"k": sql.Literal(kind), "kind": fragment(kind), "v": value}
            wrong = sql.SQL("NOT pg_temp.import_is_valid({v}, {k})").format(**said)
            checked = sql.SQL("CASE WHEN pg_temp.import_is_valid({v}, {k}) THEN {v}::{kind} END").format(**said)
            valid = _valid_in_source(kind, staging.sides.source.connection.info.server_version)
            if valid:
                there = sql.SQL("CASE WHEN {} THEN {} END").format(valid, there)
                valid = sql.SQL("NOT {}").format(valid)
            if has_map:  # what it lacks is told already
                known = sql.SQL("strpos({}, {}) <> 1 AND {}")
                wrong = known.format(value, sql.Literal(UNMAPPED), wrong)
                valid = valid and known.format(sql.SQL("v"), sql.Literal(UNMAPPED), valid)
            found.append(Rule(name, f"no {kind}", wrong, valid))
        found += [
            Rule(name, reason, condition.format(v=checked, t=checked), condition.format(v=there, t=v))
            for reason, condition in _limits(column.type)
        ]
    return found


def _valid_in_source(kind: str, version: int) -> sql.Composed | None:
    """SQL for whether the text `v` is a value of the type; None where a server of that version cannot tell."""
    if version >= 160000:
        return sql.SQL("pg_input_is_valid(v, {})").format(sql.Literal(kind))
    number = r"^\s*([-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?|NaN|[-+]?Infinity)\s*$"
    return sql.SQL("(v ~ {})").format(sql.Literal(number)) if kind == "numeric" else None


def _limits(kind: str) -> list[tuple[str, sql.SQL]]:
    """Reason and condition: over `{v}`, the value, and `{t}`, which is the same or its text."""
    modifier = _MODIFIER.search(kind)
    base = conversions.base(kind)
    if base in ("character varying", "character") and modifier:
        return [(f"longer than {modifier[1]} characters", _template("char_length({v}) > " + modifier[1]))]
    if base == "numeric":
        # Infinity is no numeric before 14: a source may write it as text alone.
        found = [("no number", _template("{t} IN ('NaN', 'Infinity', '-Infinity')"))]
        if modifier:
            digits, scale = int(modifier[1]), int(modifier[2] or 0)
            limit = 10 ** (digits - scale)
            finite = "CASE WHEN {t} NOT IN ('NaN', 'Infinity', '-Infinity') THEN"
            found += [
                (f"too large for {kind}", _template(f"{finite} abs(round({{v}}, {scale})) >= {limit} END")),
                (
                    f"more than {scale} digits after the point",
                    _template(f"{finite} {{v}} <> round({{v}}, {scale}) END"),
                ),
            ]
        return found
    if base == "date" or base.startswith("timestamp"):
        # What Python, and so Django, cannot read.
        return [("a year before 1 or after 9999, or no end", _template(
            "NOT isfinite({v}) OR {v} < '0001-01-01' OR {v} >= '10000-01-01'"
        ))]  # fmt: skip
    if base == "time without time zone":
        return [("24:00, which Python cannot read", _template("{v} = '24:00'"))]
    if base in ("double precision", "real"):
        return [("no number", _template("{v} IN ('NaN', 'Infinity', '-Infinity')"))]
    return []


def _template(text: str) -> sql.SQL:
    return fragment(text)


class _Judge:
    def __init__(self, staging: Staging, parents: Parents) -> None:
        self.staging, self.parents = staging, parents
        self.selection, self.target = staging.selection, staging.selection.target

    def run(self) -> None:
        if not self.staging.is_whole:
            self.values()
        self._make_ready()
        self._references()
        self._checks()
        self._forget()
        # Each may leave something to the next: a row that stays as it stood keeps what another one wants to take on.
        while self._uniques() + self._public_ids() + self._own_references():
            self._forget()

    def keys(self) -> bool:
        self._refuse("(key)", "no key", "FROM {incoming} AS s WHERE s.k IS NULL")
        twice = "SELECT k FROM {incoming} WHERE k IS NOT NULL GROUP BY k HAVING count(*) > 1"
        shared = self._refuse("(key)", TWICE, f"FROM {{incoming}} AS s WHERE s.k IN ({twice})")
        # An entry of an index holds some 2,700 bytes.
        self._refuse("(key)", "longer than 2,000 bytes", "FROM {incoming} AS s WHERE octet_length(s.k) > 2000")
        return bool(shared)

    def values(self) -> None:
        if self.staging.raw:
            self.staging.run(_VALID)
        found = rules(self.staging)
        if not found:
            return
        # One look at all; only where there is something, one at each.
        any_of = sql.SQL(" OR ").join(sql.SQL("({})").format(rule.condition) for rule in found)
        if self.staging.any("{stage} AS s WHERE {any_of}", any_of=any_of):
            for rule in found:
                self._refuse(rule.column, rule.reason, "FROM {stage} AS s WHERE {c}", c=rule.condition)

    def _make_ready(self) -> None:
        """The rows that are left, in our types. ``orphan``: a reference that leads nowhere."""
        parts: list[sql.Composable] = [sql.SQL("w.k, w.verb, s.d, w.id, s.new_id")]
        joins: list[sql.Composable] = []
        orphans: list[sql.Composable] = []
        if self.target.prefix:
            parts.append(sql.SQL("s.new_public_id"))
        if self.selection.public_id is not None:
            parts.append(sql.SQL("s.p"))
        for name in self.selection.columns:
            column = sql.Identifier(name)
            if name in self.selection.references:
                alias = sql.Identifier(f"parent_{len(joins)}")
                parent = self.parents.get(self.selection.references[name], self.staging)
                joins.append(sql.SQL("LEFT JOIN {} AS {a} ON {a}.k = s.{c} AND {a}.verb <> 'gone'").format(
                    parent.keys, a=alias, c=column))  # fmt: skip
                parts.append(sql.SQL("{}.id AS {}").format(alias, column))
                orphans.append(sql.SQL("(s.{c} IS NOT NULL AND {a}.id IS NULL)").format(c=column, a=alias))
            else:
                kind = fragment(self.target.columns[name].type)
                parts.append(sql.SQL("s.{c}::{k} AS {c}").format(c=column, k=kind))
        orphan = sql.SQL(" OR ").join(orphans) if orphans else sql.SQL("false")
        # Of a first run what `keys` says of a row is known without a look.
        keys: sql.Composable = sql.SQL("JOIN {} AS w ON w.k = s.k").format(self.staging.keys)
        if self.staging.is_first:
            first = "CROSS JOIN LATERAL (SELECT s.k, {} AS id, 'new' AS verb, false AS matched) AS w"
            keys = sql.SQL(first).format(self.staging.new_id("s"))
        self.staging.run(
            """
            CREATE UNLOGGED TABLE {ready} AS SELECT {parts}, {orphan} AS orphan
            FROM {stage} AS s {known} {joins}
            WHERE s.k IS NOT NULL AND NOT w.matched AND NOT EXISTS (SELECT FROM {refused} AS x WHERE x.k = s.k)
            """,
            known=keys, parts=sql.SQL(", ").join(parts), joins=sql.SQL(" ").join(joins), orphan=orphan,
        )  # fmt: skip

    def _references(self) -> None:
        if not self.staging.any("{ready} WHERE orphan"):
            return
        for name, other in self.selection.references.items():
            self._refuse(
                name, f"{NO_ROW} {other} that is imported",
                """FROM {ready} AS r JOIN {stage} AS s ON s.k = r.k
                   WHERE r.orphan AND s.{c} IS NOT NULL AND r.{c} IS NULL""",
                c=sql.Identifier(name),
            )  # fmt: skip

    def _checks(self) -> None:
        filled = set(self.selection.columns)
        chosen = [check for check in self.target.checks if check.columns and filled >= set(check.columns)]
        if not chosen:
            return
        broken = sql.SQL(" OR ").join(sql.SQL("NOT ({})").format(fragment(check.condition)) for check in chosen)
        if self.staging.any("{ready} WHERE {broken}", broken=broken):
            for check in chosen:
                self._refuse(
                    ", ".join(check.columns), f"against the rule {check.name}", "FROM {ready} AS s WHERE NOT ({c})",
                    c=fragment(check.condition),
                )  # fmt: skip

    def _uniques(self) -> int:
        filled = set(self.selection.columns)
        chosen = [unique for unique in self.target.uniques if unique.columns and filled >= set(unique.columns)]
        return sum(self._unique(unique) for unique in chosen)

    def _unique(self, unique: Unique) -> int:
        parts = sql.SQL(", ").join(sql.SQL("({})").format(fragment(part)) for part in unique.expressions)
        present = sql.SQL(" AND ").join(sql.SQL("({}) IS NOT NULL").format(fragment(p)) for p in unique.expressions)
        where = sql.SQL("({})").format(fragment(unique.condition or "true"))
        twice = """
            FROM {ready} AS s WHERE ({parts}) IN (
                SELECT {parts} FROM (SELECT {columns} FROM {ready} UNION ALL
                                     SELECT {columns} FROM {target} AS t
                                     WHERE ({parts}) IN (SELECT {parts} FROM {ready}) AND NOT EXISTS (
                                         SELECT FROM {keys} AS w WHERE w.id = t.id
                                         AND (w.verb NOT IN ('same', 'kept') OR w.matched))) AS every
                WHERE {where} AND {present} GROUP BY {parts} HAVING count(*) > 1) AND {where}
        """
        columns = sql.SQL(", ").join(map(sql.Identifier, unique.columns))
        return self._refuse(
            ", ".join(unique.columns), "another row has the same", twice,
            parts=parts, columns=columns, where=where, present=present,
        )  # fmt: skip

    def _public_ids(self) -> int:
        """An old public id leads to one row, here and among the aliases that stand."""
        if self.selection.public_id is None:
            return 0
        others = [parent for parent in self.parents.values() if parent.selection.public_id is not None]
        every = sql.SQL(" UNION ALL ").join(
            [sql.SQL("SELECT p FROM {}").format(one.ready) for one in (*others, self.staging)]
        )
        long = f"longer than {MAX_LENGTH} characters"
        rules: list[tuple[str, Any]] = [
            (long, "FROM {ready} AS s WHERE char_length(s.p) > {n}"),
            ("another row has the same", """
                FROM {ready} AS s WHERE s.p IN (SELECT p FROM ({every}) AS e WHERE p IS NOT NULL GROUP BY p
                                                HAVING count(*) > 1)"""),
            ("another row has it", """
                FROM {ready} AS s JOIN {target} AS t ON t.public_id = s.p AND t.id <> s.id
                WHERE NOT EXISTS (SELECT FROM {keys} AS w WHERE w.id = t.id AND w.verb NOT IN ('same', 'kept'))"""),
            ("another row had it before", """
                FROM {ready} AS s JOIN public.public_id_aliases AS a ON a.alias = s.p AND a.row_id <> s.id
                WHERE NOT EXISTS (SELECT FROM {keys} AS w
                                  WHERE w.id = a.row_id AND a.table_name = {table} AND w.verb = 'gone')"""),
        ]  # fmt: skip
        return sum(
            self._refuse(PUBLIC_ID, reason, rows, every=every, n=sql.Literal(MAX_LENGTH), **self.staging.named())
            for reason, rows in rules
        )

    def _own_references(self) -> int:
        """Of a table that refers to itself, what refers to a row that is none, or to one that goes."""
        reason = f"{NO_ROW} {self.target.name} that is imported"
        own = [name for name, other in self.selection.references.items() if other == self.target.name]
        nowhere = """
            FROM {ready} AS s WHERE s.{c} IS NOT NULL
            AND NOT EXISTS (SELECT FROM {keys} AS w WHERE w.id = s.{c} AND w.verb <> 'gone')"""
        alone = """
            FROM {keys} AS s JOIN {target} AS t ON t.id = s.id JOIN {keys} AS w ON w.id = t.{c}
            WHERE s.verb = 'same' AND w.verb = 'gone'"""
        return sum(
            self._refuse(name, reason, rows, c=sql.Identifier(name)) for name in own for rows in (nowhere, alone)
        )

    def _forget(self) -> None:
        """What is refused is no row any more. One that stood stays as it stood, unless what it refers to is gone."""
        if not self.staging.any("{refused}"):
            return
        self.staging.run("DELETE FROM {ready} AS r USING {refused} AS x WHERE x.k = r.k")
        self.staging.run("DELETE FROM {keys} AS w USING {refused} AS x WHERE x.k = w.k AND w.verb = 'new'")
        self.staging.run(
            """
            UPDATE {keys} AS w SET verb = CASE WHEN x.is_alone THEN 'gone' ELSE 'kept' END
            FROM (SELECT k, bool_or(starts_with(reason, {no_row})) AS is_alone FROM {refused} GROUP BY k) AS x
            WHERE x.k = w.k AND (w.verb = 'changed' OR w.verb = 'same' AND x.is_alone)
            """,
            no_row=sql.Literal(NO_ROW),
        )  # fmt: skip
        self.staging.unmoor(self.parents, verb="kept", becomes="gone")

    def _refuse(self, column: str, reason: str, rows: Any, **parts: sql.Composable) -> int:
        query = "INSERT INTO {refused} SELECT s.k, {column}, {reason} " + rows
        return self.staging.run(query, column=sql.Literal(column), reason=sql.Literal(reason), **parts)


# pg_input_is_valid is PostgreSQL 16's; this one does the same, and is asked only where some value is known to be wrong.
_VALID = """
    CREATE OR REPLACE FUNCTION pg_temp.import_is_valid(value text, kind text) RETURNS boolean
    LANGUAGE plpgsql STABLE AS $$
    BEGIN
        EXECUTE format('SELECT %L::%s', value, kind);
        RETURN true;
    EXCEPTION WHEN data_exception OR invalid_text_representation OR feature_not_supported THEN
        RETURN false;
    END
    $$
"""

"""What stands between a role and the rows of a table: privileges, policies and triggers, read in one query."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db.errors import USAGE, MoeenError

#: Command letter -> pg_policy.polcmd, and its bit of pg_trigger.tgtype.
_POLICY_COMMANDS = {"S": "r", "I": "a", "U": "w", "D": "d"}
_TRIGGER_BITS = {"S": 0, "I": 4, "D": 8, "U": 16}


@dataclass(frozen=True)
class Column:
    """`rights`: letters of SIU that the role holds on it. `shown`: whoever asks may read it."""

    name: str
    type: str
    rights: str
    shown: bool


@dataclass(frozen=True)
class Policy:
    """A policy that is for the role. `columns` of the table and `functions` without arguments are what it asks."""

    name: str
    permissive: bool
    command: str
    using: str | None
    check: str | None
    columns: tuple[str, ...]
    functions: tuple[str, ...]

    def is_for(self, letter: str) -> bool:
        return self.command in ("*", _POLICY_COMMANDS[letter])

    def condition(self, *, written: bool) -> str:
        """Of rows as they stand, or of rows as they are written: without a WITH CHECK, USING holds for both.

        A policy without either lets nothing through, and a restrictive one keeps nothing back.
        """
        said = self.check if written and self.check is not None else self.using
        return said if said is not None else str(not self.permissive).lower()


@dataclass(frozen=True)
class Trigger:
    """A trigger that fires for the command. `function` is its signature; `about` what its comment says."""

    name: str
    function: str
    about: str


@dataclass(frozen=True)
class Barriers:
    """`secured`: row security binds the role. `schema`, `delete`: it may use the schema, and delete from the table."""

    table: str
    role: str
    key: str
    schema: bool
    secured: bool
    delete: bool
    columns: dict[str, Column]
    policies: tuple[Policy, ...]
    triggers: tuple[Trigger, ...]

    def allowed(self, letter: str) -> tuple[str, ...]:
        """The columns that the role holds the command's privilege on; all of them where it may delete."""
        if letter == "D":
            return tuple(self.columns) if self.delete else ()
        return tuple(column.name for column in self.columns.values() if letter in column.rights)


def read(
    connection: BaseDatabaseWrapper, *, table: str, role: str, letter: str, written: tuple[str, ...] = ()
) -> Barriers:
    """Of a table of schema public, for a command's letter. `written`: the columns that an UPDATE sets, () for any.

    Raises MoeenError where there is no such table.
    """
    words: dict[str, Any] = {"table": table, "role": role, "event": _TRIGGER_BITS[letter], "written": list(written)}
    with connection.cursor() as cursor:
        cursor.execute(_BARRIERS, words)
        row = cursor.fetchone()
    if row is None:
        raise MoeenError(
            f"There is no table {table!r}, or no role {role}.",
            next_step="`manage.py access_matrix` lists them.",
            exit_code=USAGE,
        )
    found: dict[str, Any] = json.loads(row[0])
    columns = (Column(**column) for column in found["columns"])
    policies = (
        Policy(**policy | {name: tuple(policy[name]) for name in ("columns", "functions")})
        for policy in found["policies"]
    )
    return Barriers(
        table, role, found["key"], found["schema"], found["secured"], found["delete"],
        {column.name: column for column in columns}, tuple(policies),
        tuple(Trigger(**trigger) for trigger in found["triggers"]),
    )  # fmt: skip


_TOKENS = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[()]|\bCASE\b| (?:AND|OR) """)


def parts_of(condition: str) -> tuple[str, ...]:
    """The conditions that AND or OR joins in PostgreSQL's text of one; () where it is one alone."""
    text = condition[1:-1] if condition.startswith("(") and condition.endswith(")") else condition
    depth = begin = 0
    found = []
    for token in _TOKENS.finditer(text):
        word = token[0]
        depth += (word == "(") - (word == ")")
        if depth < 0 or (depth == 0 and word == "CASE"):  # the outer pair was none; what CASE holds is no part
            return ()
        if depth == 0 and word in (" AND ", " OR "):
            found.append(text[begin : token.start()])
            begin = token.end()
    return (*found, text[begin:]) if found else ()


# Triggers that are switched off, or that fire on replicas alone, are left out.
_BARRIERS = """
    SELECT json_build_object(
        'schema', has_schema_privilege(r.oid, c.relnamespace, 'USAGE'),
        'secured', c.relrowsecurity AND NOT r.rolsuper AND NOT r.rolbypassrls
                   AND (c.relforcerowsecurity OR NOT pg_has_role(r.oid, c.relowner, 'USAGE')),
        'delete', has_table_privilege(r.oid, c.oid, 'DELETE'),
        'key', (SELECT a.attname FROM pg_index i
                JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                WHERE i.indrelid = c.oid AND i.indisprimary),
        'columns', (
            SELECT json_agg(json_build_object(
                'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
                'rights', concat(CASE WHEN has_column_privilege(r.oid, c.oid, a.attnum, 'SELECT') THEN 'S' END,
                                 CASE WHEN has_column_privilege(r.oid, c.oid, a.attnum, 'INSERT') THEN 'I' END,
                                 CASE WHEN has_column_privilege(r.oid, c.oid, a.attnum, 'UPDATE') THEN 'U' END),
                'shown', has_column_privilege(c.oid, a.attnum, 'SELECT')) ORDER BY a.attnum)
            FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
        'policies', (
            SELECT coalesce(json_agg(json_build_object(
                'name', p.polname, 'permissive', p.polpermissive, 'command', p.polcmd,
                'using', pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid),
                'columns', ARRAY(SELECT DISTINCT a.attname FROM pg_depend d
                                 JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                                 WHERE d.classid = 'pg_policy'::regclass AND d.objid = p.oid
                                   AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid > 0
                                 ORDER BY a.attname),
                'functions', ARRAY(SELECT DISTINCT format('%%I.%%I()', n.nspname, f.proname) FROM pg_depend d
                                   JOIN pg_proc f ON f.oid = d.refobjid JOIN pg_namespace n ON n.oid = f.pronamespace
                                   WHERE d.classid = 'pg_policy'::regclass AND d.objid = p.oid
                                     AND d.refclassid = 'pg_proc'::regclass AND f.pronargs = 0 ORDER BY 1)
                ) ORDER BY NOT p.polpermissive, p.polname), '[]')
            FROM pg_policy p WHERE p.polrelid = c.oid
              AND EXISTS (SELECT FROM unnest(p.polroles) AS o WHERE o = 0 OR pg_has_role(r.oid, o, 'USAGE'))),
        'triggers', (
            SELECT coalesce(json_agg(json_build_object(
                'name', t.tgname, 'function', t.tgfoid::regprocedure::text,
                'about', coalesce(obj_description(t.tgfoid, 'pg_proc'), '')) ORDER BY t.tgname), '[]')
            FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')
              AND t.tgtype::int & %(event)s::int <> 0
              AND (t.tgattr::text = '' OR cardinality(%(written)s::text[]) = 0 OR EXISTS (
                   SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (t.tgattr)
                     AND a.attname = ANY (%(written)s::text[]))))
    )::text
    FROM pg_class c CROSS JOIN pg_roles r
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND c.relname = %(table)s
      AND r.rolname = %(role)s
"""

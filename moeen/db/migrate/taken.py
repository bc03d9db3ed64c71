"""Names of ours that something of the clinic's own bears on a table of theirs: it would be replaced without a word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from moeen.db.actions import RunSQL
from moeen.db.converge.subject import Subject, same_reference
from moeen.db.findings import Finding, Fix
from moeen.db.kinds import Kind
from moeen.db.names import ObjectName
from moeen.db.roles import ROLES
from moeen.db.schema import load_expected

_RENAMES = {
    Kind.CONSTRAINT_DEFINITION: "ALTER TABLE {t} RENAME CONSTRAINT {n} TO {to}",
    Kind.INDEX_DEFINITION: "ALTER INDEX {n} RENAME TO {to}",
    Kind.TRIGGER_DEFINITION: "ALTER TRIGGER {n} ON {t} RENAME TO {to}",
    Kind.POLICY_DEFINITION: "ALTER POLICY {n} ON {t} RENAME TO {to}",
}


def findings(items: Sequence[Subject]) -> Iterator[Finding]:
    """For tables that are to be adopted; what is there just as we make it, we made, in a run that was stopped."""
    expected = load_expected()
    for item in items:
        if item.live.kind != "r":
            continue  # it is no table to be adopted, which is a finding of its own
        yield from _parts(item)
        yield from _guards(item, expected)


def captures(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    """Functions and operators of schema public that our columns fit better than PostgreSQL's own of the same name.

    Theirs take text, and a varchar is cast for them; one that takes a varchar is called in their place, wherever the
    search path names public: in a constraint, in an index, in a policy.
    """
    with connection.cursor() as cursor:
        cursor.execute(_CAPTURES)
        for kind, name, moved in cursor.fetchall():
            fix = Fix.by(
                RunSQL(ObjectName("public"), moved), advice="where something else stands by it, rename it there"
            )
            yield Finding(f"{kind} {name}", Kind.UNEXPECTED_FUNCTION, "PostgreSQL's own", "one beside it", fix=fix)


_CAPTURES = """
    WITH cast_for (type) AS (VALUES ('varchar'::regtype), ('bpchar'), ('name'), ('date'), ('time'), ('int2'))
    SELECT 'function', p.oid::regprocedure::text,
           format('CREATE SCHEMA IF NOT EXISTS own; ALTER ROUTINE %s SET SCHEMA own', p.oid::regprocedure)
    FROM pg_proc AS p
    WHERE p.pronamespace = 'public'::regnamespace AND EXISTS (SELECT FROM cast_for WHERE type = ANY (p.proargtypes))
      AND EXISTS (SELECT FROM pg_proc AS theirs WHERE theirs.pronamespace = 'pg_catalog'::regnamespace
                  AND theirs.proname = p.proname AND theirs.pronargs = p.pronargs)
      AND NOT EXISTS (SELECT FROM pg_proc AS theirs WHERE theirs.pronamespace = 'pg_catalog'::regnamespace
                      AND theirs.proname = p.proname AND theirs.proargtypes = p.proargtypes)
      AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e')
    UNION ALL
    SELECT 'operator', o.oid::regoperator::text,
           format('CREATE SCHEMA IF NOT EXISTS own; ALTER OPERATOR %s SET SCHEMA own', o.oid::regoperator)
    FROM pg_operator AS o
    WHERE o.oprnamespace = 'public'::regnamespace
      AND EXISTS (SELECT FROM cast_for WHERE type IN (o.oprleft, o.oprright))
      AND EXISTS (SELECT FROM pg_operator AS theirs WHERE theirs.oprnamespace = 'pg_catalog'::regnamespace
                  AND theirs.oprname = o.oprname)
      AND NOT EXISTS (SELECT FROM pg_operator AS theirs WHERE theirs.oprnamespace = 'pg_catalog'::regnamespace
                      AND theirs.oprname = o.oprname AND theirs.oprleft = o.oprleft AND theirs.oprright = o.oprright)
      AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_operator'::regclass AND objid = o.oid AND deptype = 'e')
    ORDER BY 1, 2
"""


def _parts(item: Subject) -> Iterator[Finding]:
    """Constraints and indexes, beside what the model says."""
    for constraint in item.want.constraints:
        live, pattern = item.live.constraints.get(constraint.name), item.pattern.constraints[constraint.name]
        # Of a primary key there is one alone, so another one is an obstacle of its own.
        same = live and (live.definition == pattern.definition or live.kind == pattern.kind == "p")
        if live and not same and live.name not in item.legacy.constraints:
            yield _taken(item, Kind.CONSTRAINT_DEFINITION, live.name, pattern.definition, live.definition)
    for key in item.want.foreign_keys:
        live = item.live.constraints.get(key.name)
        if live and not same_reference(live, key) and live.name not in item.legacy.constraints:
            yield _taken(item, Kind.CONSTRAINT_DEFINITION, live.name, key.body, live.definition)
    for index in item.want.indexes:
        stands, pattern_of = item.live.indexes.get(index.name), item.pattern.indexes[index.name]
        if stands and stands.definition != pattern_of.definition:
            yield _taken(item, Kind.INDEX_DEFINITION, index.name, pattern_of.definition, stands.definition)


def _guards(item: Subject, expected: Mapping[str, Mapping[ObjectName, Mapping[str, Any]]]) -> Iterator[Finding]:
    """Triggers and policies, which later migrations make."""
    for trigger in item.live.triggers.values():
        want = expected["trigger"].get(item.has(trigger.name))
        if want and f"EXECUTE FUNCTION {trigger.function}(" not in want["definition"]:
            yield _taken(item, Kind.TRIGGER_DEFINITION, trigger.name, want["definition"], trigger.definition)
    for policy in item.live.policies.values():
        if item.has(policy.name) in expected["policy"] and not set(policy.roles) <= set(ROLES):
            yield _taken(item, Kind.POLICY_DEFINITION, policy.name, "one of ours", f"one to {', '.join(policy.roles)}")


def _taken(item: Subject, kind: Kind, name: str, expected: str, found: str) -> Finding:
    to, text = f"own_{name}"[:63], sql.SQL(_RENAMES[kind])
    rename = text.format(t=sql.Identifier(item.name), n=sql.Identifier(name), to=sql.Identifier(to)).as_string(None)
    fix = Fix.by(RunSQL(item.has(name), rename), advice="it stays, under another name")
    return Finding(f"{item.name}.{name}", kind, f"the name free for ours: {expected}", found, fix=fix)

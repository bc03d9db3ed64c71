"""Schemas of our names that somebody else owns: what runs in them runs, or decides who is asking, for everybody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from uuid import uuid4

from django.db import DatabaseError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db.actions import Drop, Revoke, RunSQL
from moeen.db.findings import Finding, Fix, Severity
from moeen.db.kinds import Kind
from moeen.db.names import ObjectName
from moeen.db.roles import ROLES
from moeen.db.security.trust import AUTH_OWNERS
from moeen.db.sql import compose

_UID = (
    "CREATE OR REPLACE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS "
    "$$SELECT nullif(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub', '')::uuid$$"
)
_WHY = "every policy asks auth.uid() who is asking, and our own definer functions call it as the owner of the tables"


def strange_schemas(connection: BaseDatabaseWrapper, *, viewer: str | None = None) -> Iterator[Finding]:
    """Of schemas `auth` and `app`: an owner, a function's owner or a right to create that is neither ours nor trusted.

    Trusted are superusers and, for `auth`, the hosting platform's own role; ours are roles whose rights we have, or
    ``viewer`` has. Each fix is for whoever owns what is found.
    """
    with connection.cursor() as cursor:
        cursor.execute(_QUERY, {"trusted": list(AUTH_OWNERS), "people": list(ROLES), "viewer": viewer})
        for schema, owner, is_strange, creators, functions, definers in cursor.fetchall():
            at, on = ObjectName(schema), compose("SCHEMA {s}", s=schema)
            if is_strange:
                advice = f"look at what is in it; if nobody needs it, as {owner}"
                fix = Fix.by(Drop(at, "SCHEMA", compose("{s} CASCADE", s=schema)), advice=advice)
                yield _finding(f"schema {schema}", Kind.STRANGERS_SCHEMA, "ours or the platform's", owner, fix)
            for role in creators:
                fix = Fix.by(Revoke(at, "CREATE", on, (role,)), advice=f"as {owner}")
                yield _finding(f"schema {schema}", Kind.STRANGERS_RIGHT, "nobody else's", role, fix)
            for function, of in functions:
                drop = Drop(ObjectName.of("function", function), "ROUTINE", function)
                fix = Fix.by(drop, advice=f"as {of}, if nobody needs it")
                yield _finding(function, Kind.STRANGERS_FUNCTION, "ours or the platform's", of, fix)
            for function, of in definers:
                text = f"ALTER FUNCTION {function} SECURITY INVOKER"
                fix = Fix.by(RunSQL(ObjectName.of("function", function), text), advice=f"as {of}")
                made = "SECURITY DEFINER, made by no migration"
                yield _finding(function, Kind.STRANGE_DEFINER, "SECURITY INVOKER", made, fix)


def wrong_identity(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    """Of an auth.uid() that stands: that it does not tell whom `request.jwt.claims` names. It is called to find out.

    Without it: others of the three, which ours would be made beside.
    """
    asked = str(uuid4())
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT f FROM unnest(ARRAY['auth.uid()', 'auth.jwt()', 'auth.role()']) AS f"
            " WHERE to_regprocedure(f) IS NOT NULL"
        )
        standing = [name for (name,) in cursor.fetchall()]
    if "auth.uid()" not in standing:
        for name in standing:
            fix = Fix.by(Drop(ObjectName.of("function", name), "FUNCTION", name), advice="if nobody needs it")
            yield _finding(name, Kind.UNEXPECTED_AUTH_FUNCTION, "beside auth.uid()", "without it", fix)
        return
    try:
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('request.jwt.claims', %s, true)", [json.dumps({"sub": asked})])
            cursor.execute("SELECT pg_typeof(auth.uid())::text, auth.uid()::text")
            kind, answer = cursor.fetchone()
            transaction.set_rollback(True, using=connection.alias)
            if kind == "uuid" and answer == asked:
                return
            said = f"{kind}, and " + (
                "nobody" if answer is None else "the same" if answer == asked else "somebody else"
            )
    except DatabaseError as error:
        said = f"an error: {type(error.__cause__ or error).__name__}"
    fix = Fix(advice=f"drop it, for ours to be made, or as its owner: {_UID}")
    expected = "uuid, and the sub of request.jwt.claims"
    yield Finding("auth.uid()", Kind.FUNCTION_BODY, expected, said, Severity.UNSAFE, fix, _WHY)


def _finding(where: str, kind: Kind, expected: str, found: str, fix: Fix) -> Finding:
    return Finding(where, kind, expected, found, Severity.UNSAFE, fix, _WHY)


# Whatever a schema's owner did not make can be dropped and made anew by them, so the schema's owner counts like the
# function's. In a schema auth of a platform's, functions of SECURITY DEFINER are the platform's affair.
_QUERY = """
    WITH trusted AS (
        SELECT n.oid AS schema, r.oid, r.rolname::text AS name,
               -- Before 16 an owner has the rights of the roles that people act in; a superuser has everybody's.
               r.rolname <> ALL (%(people)s) AND pg_has_role(i.oid, r.oid, 'USAGE') AND (
                   NOT i.rolsuper OR r.oid IN (i.oid, d.datdba)
                   OR EXISTS (SELECT FROM pg_class
                              WHERE oid = to_regclass('public.django_migrations') AND relowner = r.oid)
               ) AS is_ours,
               r.rolsuper OR n.nspname = 'auth' AND r.rolname = ANY (%(trusted)s) AS is_trusted
        FROM pg_namespace AS n CROSS JOIN pg_roles AS r
        JOIN pg_roles AS i ON i.rolname = coalesce(%(viewer)s, current_user)
        JOIN pg_database AS d ON d.datname = current_database()
        WHERE n.nspname IN ('auth', 'app')
    )
    SELECT n.nspname::text, o.name, NOT (o.is_ours OR o.is_trusted),
           ARRAY(SELECT DISTINCT CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(t.name) END
                 FROM aclexplode(n.nspacl) AS x
                 LEFT JOIN trusted AS t ON t.oid = x.grantee AND t.schema = n.oid
                 WHERE x.privilege_type = 'CREATE' AND x.grantee <> n.nspowner
                   AND NOT coalesce(t.is_ours OR t.is_trusted, false)
                   -- A platform may let whom it likes into a schema of its own.
                   AND NOT (o.is_trusted AND NOT o.is_ours) ORDER BY 1),
           ARRAY(SELECT ARRAY[p.oid::regprocedure::text, t.name]
                     FROM pg_proc AS p JOIN trusted AS t ON t.oid = p.proowner AND t.schema = n.oid
                     WHERE p.pronamespace = n.oid AND NOT (t.is_ours OR t.is_trusted) ORDER BY 1),
           ARRAY(SELECT ARRAY[p.oid::regprocedure::text, t.name]
                     FROM pg_proc AS p JOIN trusted AS t ON t.oid = p.proowner AND t.schema = n.oid
                     WHERE p.pronamespace = n.oid AND n.nspname = 'auth' AND p.prosecdef
                       AND t.is_ours AND NOT (o.is_trusted AND NOT o.is_ours) ORDER BY 1)
    FROM pg_namespace AS n JOIN trusted AS o ON o.oid = n.nspowner AND o.schema = n.oid
    WHERE n.nspname IN ('auth', 'app')
"""

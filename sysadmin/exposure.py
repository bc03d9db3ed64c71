"""What must hold in the tables of this app for row security to hold (moeen.db.security.exposure)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db.actions import RunSQL
from moeen.db.findings import Finding, Fix, Severity
from moeen.db.kinds import Kind
from moeen.db.names import ObjectName
from moeen.db.roles import PEOPLE
from moeen.db.seals import guards
from sysadmin.declared_settings import declared
from sysadmin.models.settings import is_secret


def system_roles(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    """The five roles that app.role_of knows by name are there, and are the system's."""
    with connection.cursor() as cursor:
        if not _is_there(cursor, "roles", since="0007_rls"):  # they are seeded together with the policies
            return
        cursor.execute("SELECT name, coalesce(is_system, false) FROM roles WHERE name = ANY (%s)", [list(PEOPLE)])
        found = dict(cursor.fetchall())
    for name in PEOPLE:
        if not found.get(name):
            # A clinic's own role of that name gave its holders nothing so far; made a system's, it would.
            mend = f"UPDATE roles SET is_system = true WHERE name = '{name}'"  # noqa: S608 - one of PEOPLE
            run = RunSQL(ObjectName("public", "roles"), mend)
            weighed = Fix.by(run, advice="if nobody holds it who should not act in it")
            fix = weighed if name in found else Fix(advice="restore its row")
            told = "a role of the clinic's own" if name in found else "missing"
            why = "the policies know it by name; whoever may write other roles may give, change or delete this one"
            yield Finding(f"roles.{name}", Kind.SYSTEM_ROLE, "is_system", told, Severity.UNSAFE, fix, why)


def settings(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    """No setting whose name tells of a secret is public; a declared one holds what it is declared to hold."""
    known = declared()
    with connection.cursor() as cursor:
        if not _is_there(cursor, "settings", since="0025_settings"):
            return
        cursor.execute("SELECT key, is_public, category, value::text FROM settings ORDER BY key")
        rows = cursor.fetchall()
    for key, is_public, category, text in rows:
        told = known.get(key)
        if is_public and is_secret(key):
            fix = Fix(advice="on its page: take the mark away; if others may have read it, have a new one made")
            why = "the mark hides it from who reads public settings, and says that somebody meant to show it"
            yield Finding(f"settings.{key}", Kind.PUBLIC_SECRET, "not public", "public", Severity.UNSAFE, fix, why)
        if told is None:
            continue
        fits = told.kind.fits(json.loads(text))
        if not fits or category != told.category:
            expected = f"{told.kind} in {told.category}"
            found = f"in {category}" if fits else "a value of another type"
            fix = Fix(advice="on its page: write what it is declared to be")
            why = "the application takes the default in its place"
            yield Finding(f"settings.{key}", Kind.SETTING_VALUE, expected, found, Severity.BREAKS, fix, why)


def _is_there(cursor: Any, table: str, *, since: str) -> bool:
    """Whether all rows of the table can be read, as the migration left it.

    Whoever may not read them is told so by validation, which lists the tables.
    """
    cursor.execute(
        """SELECT coalesce(has_table_privilege(to_regclass('public.django_migrations'), 'SELECT')
                           AND has_table_privilege(to_regclass('public.' || %s), 'SELECT')
                           AND NOT row_security_active(to_regclass('public.' || %s)), false)""",
        [table, table],
    )
    if cursor.fetchone() != (True,):
        return False
    cursor.execute("SELECT FROM django_migrations WHERE (app, name) = ('sysadmin', %s)", [since])
    return cursor.fetchone() is not None


def suspended_audits(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    """The audit trail records every table; what app.suspend_audit() took out comes back with app.resume_audit()."""
    with connection.cursor() as cursor:
        # By pg_class: to_regclass() fails for a login that may not use the schema.
        cursor.execute(
            """SELECT has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
               FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
               WHERE n.nspname = 'app' AND c.relname = 'audit_suspensions'"""
        )
        if cursor.fetchone() != (True,):
            return
        cursor.execute(
            "SELECT id::text, table_name, work, to_char(since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') "
            "FROM app.audit_suspensions ORDER BY since"
        )
        for id_, table, work, since in cursor.fetchall():
            resume = RunSQL(ObjectName("app", "audit_suspensions"), f"SELECT app.resume_audit('{id_}')")
            fix = Fix.by(resume, advice="unless that work is still going on")
            why = "the changes that this work makes leave no entries of their own"
            found = f"suspended for {work} since {since} UTC"
            yield Finding(table, Kind.AUDIT_SUSPENDED, "recorded", found, Severity.UNSAFE, fix, why)


def subscribed_tables(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    """What a subscription applies fires no statement trigger, which the audit trail is made of."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT c.relname::text, s.subname::text FROM pg_subscription_rel AS r
               JOIN pg_subscription AS s ON s.oid = r.srsubid JOIN pg_class AS c ON c.oid = r.srrelid
               WHERE EXISTS (SELECT FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid
                             WHERE t.tgrelid = c.oid AND p.proname = 'audit_statement') ORDER BY 1, 2"""
        )
        for table, name in cursor.fetchall():
            fix = Fix(
                advice=f"ALTER SUBSCRIPTION {name} DISABLE, and DROP it, once this database is the one that is used"
            )
            why = "whatever it applies leaves no entry"
            found = f"written by subscription {name}"
            yield Finding(table, Kind.AUDIT_SUSPENDED, "recorded", found, Severity.UNSAFE, fix, why)


def touched_trail(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    """Nobody switched a trigger of the log off, or replaced what it calls, since the seals say how they stood."""
    with connection.cursor() as cursor:
        if not _is_there(cursor, "audit_seals", since="0026_trail"):
            return
    yield from guards.look(connection)

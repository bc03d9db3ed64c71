"""Policies of others on tables of ours: a permissive one that binds a role of ours opens what our own close."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from django.db import DatabaseError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db.converge import locks
from moeen.db.converge.leftovers import LEGACY_POLICIES
from moeen.db.findings import Finding, Fix, Severity
from moeen.db.history import ledger
from moeen.db.kinds import Kind
from moeen.db.names import PUBLIC, ObjectName
from moeen.db.roles import ROLES
from moeen.db.schema import load_expected
from moeen.db.sql import compose, fragment

#: Milliseconds in which the rows are counted that a policy lets through.
COUNT_MS = 5000


@dataclass(frozen=True)
class ForeignPolicy:
    """``opens``: how many rows it lets the owner through to now; None where that could not be counted.

    ``by_login``: it asks which login comes, and nothing that a request says of a person.
    """

    table: str
    name: str
    command: str
    roles: tuple[str, ...]
    condition: str
    opens: int | None
    by_login: bool

    @property
    def words(self) -> str:
        """As `schema.own` records it."""
        return f"policy {ObjectName(PUBLIC, self.table, self.name).pretty()}"

    @property
    def is_named(self) -> frozenset[str]:
        """What the operator may call it."""
        return frozenset({self.name, f"{self.table}.{self.name}"})

    @property
    def opens_nothing(self) -> bool:
        """Whether it is for logins that no role of ours is. Of any other one, rows and people to come decide."""
        return self.opens == 0 and self.by_login

    def finding(self) -> Finding:
        opened = "an unknown number of rows" if self.opens is None else f"{self.opens:,} rows"
        return Finding(
            f"{self.table}.{compose('{n}', n=self.name)}",
            Kind.FOREIGN_POLICY,
            "none that applies to roles of ours",
            f"{self.command} to {', '.join(self.roles)} where {self.condition}: it opens {opened}",
            Severity.BREAKS,
            Fix(advice=f'manage.py migrate --drop-policy "{self.name}", or --keep-policy "{self.name}" --reason TEXT'),
            "policies add up: whoever acts in a role of ours would see what this one opens",
        )


def undecided(connection: BaseDatabaseWrapper, said: Collection[str]) -> Iterator[ForeignPolicy]:
    """Those of which nothing was ``said``, by their name or as TABLE.NAME, now or at adoption.

    One for logins that are none of ours stays without a word at adoption. One that was made since is asked about.
    """
    adopted = ledger.records_own_objects(connection)
    with connection.cursor() as cursor:
        recorded = ledger.own_objects(cursor)
    for policy in foreign(connection):
        if policy.words not in recorded and policy.is_named.isdisjoint(said) and (adopted or not policy.opens_nothing):
            yield policy


def foreign(connection: BaseDatabaseWrapper) -> list[ForeignPolicy]:
    """The permissive ones on tables of ours that bind a role of ours; neither ours nor of the older scripts."""
    expected = load_expected()
    ours = {(name.table, name.part) for name in expected.get("policy", {})}
    tables = [name.table for name in expected["table"] if name.schema == PUBLIC]
    with connection.cursor() as cursor:
        cursor.execute(_QUERY, [list(ROLES), tables])
        rows = cursor.fetchall()
    found = []
    for table, name, command, roles, by_login, using, check in rows:
        older = name.startswith(LEGACY_POLICIES) and roles == ["public"]
        if (table, name) not in ours and not older:
            condition = using or check or "true"
            opens = _count(connection, table, condition)
            found.append(ForeignPolicy(table, name, command, tuple(roles), condition, opens, by_login))
    return found


def drop(connection: BaseDatabaseWrapper, names: Collection[str]) -> list[ForeignPolicy]:
    """Drop those of these names, each in a short transaction; they are returned."""
    dropped = [policy for policy in foreign(connection) if not policy.is_named.isdisjoint(names)]
    for policy in dropped:
        statement = compose("DROP POLICY IF EXISTS {n} ON public.{t}", n=policy.name, t=policy.table)

        def run(text: str = statement) -> None:
            with locks.short_transaction(connection), connection.cursor() as cursor:
                cursor.execute(text)

        locks.patiently(connection, run, purpose=f"drop policy {policy.name}", table=policy.table)
    return dropped


def said(drops: Collection[str], keeps: Mapping[str, str]) -> list[str]:
    """What was decided, as the ledger keeps it."""
    return [
        *(f"policy dropped: {name}" for name in drops),
        *(f"policy kept: {name}: {reason}" for name, reason in keeps.items()),
    ]


def _count(connection: BaseDatabaseWrapper, table: str, condition: str) -> int | None:
    try:
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(COUNT_MS)])
            cursor.execute(compose("SELECT count(*) FROM public.{t} WHERE {c}", t=table, c=fragment(f"({condition})")))
            (count,) = cursor.fetchone()
            return int(count)
    except DatabaseError:
        return None


_QUERY = r"""
    SELECT c.relname::text, p.polname::text,
           CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE'
                         ELSE 'ALL' END,
           ARRAY(SELECT CASE r WHEN 0 THEN 'public' ELSE pg_get_userbyid(r)::text END FROM unnest(p.polroles) AS r
                 ORDER BY 1),
           -- A function, or a view, may ask whom the claims name.
           concat_ws(' ', pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
               ~ '\m(CURRENT_USER|SESSION_USER|CURRENT_ROLE|USER)\M'
               AND concat_ws(' ', pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
                   !~ 'current_setting'
               AND NOT EXISTS (
                   SELECT FROM pg_depend AS d LEFT JOIN pg_class AS v
                       ON d.refclassid = 'pg_class'::regclass AND v.oid = d.refobjid AND v.relkind IN ('v', 'm', 'f')
                   WHERE d.classid = 'pg_policy'::regclass AND d.objid = p.oid
                     AND (d.refclassid = 'pg_proc'::regclass OR v.oid IS NOT NULL)),
           pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)
    FROM pg_policy AS p JOIN pg_class AS c ON c.oid = p.polrelid
    WHERE p.polpermissive AND c.relnamespace = 'public'::regnamespace
      AND EXISTS (SELECT FROM unnest(p.polroles) AS r LEFT JOIN pg_roles AS o ON o.rolname = ANY (%s)
                  WHERE r = 0 OR pg_has_role(o.oid, r, 'USAGE'))
      AND c.relname = ANY (%s)
    ORDER BY 1, 2
"""

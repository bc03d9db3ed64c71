"""Who else holds rights on tables of ours today, and what they lose when row security closes these.

Their grants stay, but without a policy they meet no row: an application with a login of its own would find every table
empty, and no error. What a hosting platform's roles and PUBLIC hold is revoked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db.actions import CreatePolicy, Grant
from moeen.db.catalog import neighbours
from moeen.db.catalog.sizes import estimate_sizes
from moeen.db.converge import execution
from moeen.db.converge.leftovers import LEGACY_POLICIES
from moeen.db.converge.step import Step
from moeen.db.errors import USAGE, MoeenError
from moeen.db.findings import Finding, Fix
from moeen.db.kinds import Kind
from moeen.db.names import PUBLIC, ObjectName
from moeen.db.operations import RunSQLFile
from moeen.db.roles import ROLES, right_to_become
from moeen.db.schema import load_expected
from moeen.db.security.access import locked_away
from moeen.db.security.trust import AUTHENTICATOR, PLATFORM_OWNERS, PLATFORM_ROLES

EVERYBODY = "PUBLIC"


@dataclass(frozen=True)
class Policy:
    """A permissive one, as PostgreSQL tells it."""

    name: str
    command: str
    using: str
    check: str

    def is_for(self, right: str) -> bool:
        return self.command in (right, "ALL")

    def opens_all(self, right: str) -> bool:
        """Whether every row may be read or written by it with that right."""
        written = self.check or self.using
        asked = {"INSERT": [written], "UPDATE": [self.using, written]}.get(right, [self.using])
        return self.is_for(right) and set(asked) == {"true"}


@dataclass(frozen=True)
class Loss:
    """``rights`` on one table, of ``rows`` (an estimate): all of them, or those that these ``policies`` let through."""

    table: str
    rights: tuple[str, ...]
    rows: int
    policies: tuple[Policy, ...] = ()

    def pretty(self) -> str:
        names = ", ".join(policy.name for policy in self.policies)
        which = f"of {self.rows:,} rows those by {names}" if names else f"{self.rows:,} rows"
        return f"{self.table}: {', '.join(self.rights)}; {which}"


@dataclass(frozen=True)
class Grantee:
    """A role that is not ours, PUBLIC included, and what it loses. ``logins``: who comes as it.

    ``used``: a policy names it, so that somebody meant it to see rows.
    """

    name: str
    logins: tuple[str, ...]
    used: bool
    losses: tuple[Loss, ...]

    @property
    def is_kept_out(self) -> bool:
        """Whether the grants themselves are revoked."""
        return self.name in (EVERYBODY, *PLATFORM_ROLES)

    @property
    def asks(self) -> bool:
        """Whether somebody has to say that it may lose them.

        A platform grants everything to its three roles, used or not, and their requests have a road of their own.
        """
        return bool(self.logins) and (self.used or self.name not in PLATFORM_ROLES)

    def way(self) -> list[CreatePolicy]:
        """The policies by which it goes on meeting the rows that it meets today; grants of its own say what it may."""
        return [policy for loss in self.losses for policy in self._policies(loss)]

    def _policies(self, loss: Loss) -> Iterator[CreatePolicy]:
        at, roles = ObjectName(PUBLIC, loss.table), (self.name,)
        if not loss.policies:
            yield CreatePolicy(at.has(_named(f"{self.name}_keeps")), roles=roles, using="true", check="true")
        for number, old in enumerate(loss.policies, 1):
            name = _named(f"{self.name}_keeps_{number}")
            yield CreatePolicy(at.has(name), old.command, roles, old.using, old.check)

    def as_dict(self) -> dict[str, Any]:
        losses = [vars(loss) | {"policies": [policy.name for policy in loss.policies]} for loss in self.losses]
        return vars(self) | {"losses": losses}

    def finding(self) -> Finding:
        tables = "1 table" if len(self.losses) == 1 else f"{len(self.losses)} tables"
        lines = [f"today {loss.pretty()}" for loss in self.losses]
        lines.append(f"manage.py migrate --closes-to {self.name}: nothing that comes as it is needed any more")
        if not self.is_kept_out:
            lines.append(
                f"manage.py migrate --keeps {self.name} --reason TEXT: it goes on as before, by what is made first"
            )
        elif self.name == EVERYBODY:
            lines.append("Or grant by name to whoever needs it, and run migrate again.")
        else:
            lines.append("Its requests come through app.bind_request() from then on (docs/row-security.md).")
        way = () if self.is_kept_out else self.way()
        return Finding(
            f"role {self.name}",
            Kind.GOES_BLIND,
            "told that it loses them, or kept",
            f"rights on {tables} that will show it nothing; it is used by {', '.join(self.logins)}",
            fix=Fix.by(*way, advice="\n".join(lines)),
            why="an application that connects so would find its tables empty, and no error",
        )

    def pretty(self, *, kept: bool = False) -> str:
        """For a report: what it loses, a line for each table, or by which policies it keeps that."""
        who = f"used by {', '.join(self.logins)}" if self.logins else "used by no login"
        if kept and not self.is_kept_out:
            statements = [statement for policy in self.way() for statement in policy.statements()]
            return "\n".join([f"{self.name}, {who}, keeps its rows by:", *(f"  {it};" for it in statements)])
        road = "; its requests come through app.bind_request()" if self.name in PLATFORM_ROLES else ""
        return "\n".join([f"{self.name}, {who}, loses{road}:", *(f"  {loss.pretty()}" for loss in self.losses)])


@dataclass(frozen=True)
class Kept:
    """A role that goes on as before, and the policies for it; ``writes``: it makes rows."""

    role: str
    policies: tuple[CreatePolicy, ...]
    writes: bool


def closed_by(operations: Collection[Any]) -> set[str]:
    """The tables that these operations of migrations close."""
    files = [operation for operation in operations if isinstance(operation, RunSQLFile)]
    return {table for file in files for table in locked_away(file.texts[0])}


def look(connection: BaseDatabaseWrapper, tables: Collection[str], *, gone: Collection[str]) -> list[Grantee]:
    """Who loses what on those of the tables that stand. ``gone``: policies, by name or as TABLE.NAME, that will go."""
    if not tables:
        return []
    version = connection.cursor().connection.info.server_version
    words: dict[str, Any] = {
        "tables": sorted(tables),
        "older": list(LEGACY_POLICIES),
        "ours": list(ROLES),
        "platform": list(PLATFORM_ROLES),
        "known": list(PLATFORM_OWNERS),
        "api": AUTHENTICATOR,
        "web": settings.WEB_LOGIN,
        "right": right_to_become(version),
    }
    with connection.cursor() as cursor:
        cursor.execute(_GRANTED, words)
        granted = cursor.fetchall()
        cursor.execute(_POLICIES, words | {"grantees": sorted({name for name, *_ in granted})})
        policies = cursor.fetchall()
    sizes = estimate_sizes(connection, {table for _, table, *_ in granted}) if granted else {}
    found: dict[str, list[Loss]] = {}
    logins: dict[str, set[str]] = {}
    for name, table, rights, bound, who in granted:
        applying = [(Policy(*parts), older) for at, *parts, older, to, _ in policies if at == table and name in to]
        stays = [it for it, older in applying if not older and {it.name, f"{table}.{it.name}"}.isdisjoint(gone)]
        loss = _loss(table, rights, sizes[table][0], bound, [it for it, _ in applying], stays, name)
        if loss is not None:
            found.setdefault(name, []).append(loss)
            logins.setdefault(name, set()).update(who)
    named = {name for *_, names in policies for name in names}
    return [Grantee(name, tuple(sorted(logins[name])), name in named, tuple(found[name])) for name in sorted(found)]


def _loss(
    table: str,
    rights: Sequence[str],
    rows: int,
    bound: bool,
    applying: Sequence[Policy],
    stays: Sequence[Policy],
    name: str,
) -> Loss | None:
    """``bound``: row security binds it today; ``applying``: by these policies, of which the second list stays."""
    if name in (EVERYBODY, *PLATFORM_ROLES):
        stays = ()  # the grant goes
    same = {(it.command, it.using, it.check) for it in stays}
    lost: dict[Policy, None] = {}
    some = []
    for right in rights:
        if any(it.opens_all(right) for it in stays):
            continue
        going = [it for it in applying if it.is_for(right) and (it.command, it.using, it.check) not in same]
        if going or not bound:
            some.append(right)
            lost |= dict.fromkeys(going)
    return Loss(table, tuple(some), rows, tuple(lost) if bound else ()) if some else None


def check_names(connection: BaseDatabaseWrapper, closes_to: Collection[str], keeps: Collection[str]) -> None:
    """Raises MoeenError for a role that is to be closed to and kept, for one that cannot be kept, and for none."""
    unknown = sorted({*closes_to, *keeps} - {EVERYBODY, "public"})
    if unknown:
        with connection.cursor() as cursor:
            cursor.execute("SELECT rolname::text FROM pg_roles WHERE rolname = ANY (%s)", [unknown])
            standing = {name for (name,) in cursor.fetchall()}
        unknown = [name for name in unknown if name not in standing]
    if unknown:
        raise MoeenError(
            f"--closes-to or --keeps names no role: {', '.join(unknown)}.",
            next_step="manage.py migrate --plan names those that lose something.",
            exit_code=USAGE,
        )
    both = sorted(set(closes_to) & set(keeps))
    if both:
        raise MoeenError(f"--closes-to and --keeps name the same role: {', '.join(both)}.", exit_code=USAGE)
    ours = sorted({EVERYBODY, "public", *PLATFORM_ROLES, *ROLES} & set(keeps))
    if ours:
        raise MoeenError(
            f"--keeps cannot keep {', '.join(ours)}.",
            next_step="A policy for everybody would open rows to every role; a platform's requests come through "
            "app.bind_request() (docs/row-security.md). Grant to a role of the application's own, and keep that.",
            exit_code=USAGE,
        )


def kept(found: Collection[Grantee], names: Collection[str]) -> tuple[Kept, ...]:
    """Those of these names, with the policies to be made."""
    return tuple(
        Kept(it.name, tuple(it.way()), any("INSERT" in loss.rights for loss in it.losses))
        for it in found
        if it.name in names and not it.is_kept_out
    )


def keep(connection: BaseDatabaseWrapper, role: Kept) -> None:
    """Make its policies, each in a short transaction. Until its table is closed one of them opens nothing."""
    for policy in role.policies:
        execution.execute(connection, Step(f"keep {role.role}", (policy,)))


def let_write(connection: BaseDatabaseWrapper, roles: Collection[Kept]) -> None:
    """Let those that make rows call what the defaults of our columns call, as soon as such a function stands."""
    writing = [role.role for role in roles if role.writes]
    if not writing:
        return
    expected = load_expected()
    defaults = {str(entry["default"]) for entry in expected["column"].values() if entry.get("default")}
    called = {f"{name.schema}.{name.part}" for name in expected["function"]}
    called = {name for name in called if any(default.startswith(f"{name}(") for default in defaults)}
    with connection.cursor() as cursor:
        cursor.execute(_UNCALLED, [sorted(called), writing])
        for schema, function, arguments, role in cursor.fetchall():
            at = ObjectName(schema, part=function, arguments=arguments)
            on = f"FUNCTION {at.identifier().as_string(None)}"
            for statement in Grant(at, "EXECUTE", on, (role,)).statements():
                cursor.execute(statement)


def own(standing: Collection[str], roles: Collection[Kept]) -> set[str]:
    """Of what stands, in the words of `schema.own`, what was made for these roles."""
    made = {f"policy {policy.target.pretty()}" for role in roles for policy in role.policies}
    granted = [f" {role.role} " for role in roles]
    return {
        words
        for words in standing
        if words in made or (words.startswith("grant ") and any(part in words for part in granted))
    }


def said(closes_to: Collection[str], keeps: Mapping[str, str]) -> list[str]:
    """What was decided, as the ledger keeps it."""
    return [
        *(f"closed to: {name}" for name in closes_to),
        *(f"kept for {name}: {reason}" for name, reason in keeps.items()),
    ]


def _named(text: str) -> str:
    return text.encode()[:63].decode(errors="ignore")


# What is granted on a table or on columns of it, and what PostgreSQL's own roles for everything give their members. Who
# has the owner's rights, or passes row security by, loses nothing but what is revoked.
_GRANTED = f"""
    WITH standing AS (
        SELECT c.oid, c.relname::text AS name, c.relowner, c.relacl, c.relrowsecurity FROM pg_class AS c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND c.relname = ANY (%(tables)s)
    ), granted AS (
        SELECT s.oid, a.grantee, a.privilege_type AS word FROM standing AS s CROSS JOIN aclexplode(s.relacl) AS a
        UNION
        SELECT s.oid, a.grantee, a.privilege_type
        FROM standing AS s JOIN pg_attribute AS t ON t.attrelid = s.oid AND NOT t.attisdropped
        CROSS JOIN aclexplode(t.attacl) AS a
        UNION
        SELECT s.oid, r.oid, k.word FROM standing AS s
        CROSS JOIN (VALUES ('pg_read_all_data', 'SELECT'), ('pg_write_all_data', 'INSERT'),
                           ('pg_write_all_data', 'UPDATE'), ('pg_write_all_data', 'DELETE')) AS k (role, word)
        JOIN pg_roles AS r ON r.rolname = k.role
        WHERE EXISTS (SELECT FROM pg_auth_members AS m WHERE m.roleid = r.oid)
    )
    SELECT coalesce(r.rolname::text, 'PUBLIC') AS grantee, s.name, array_agg(DISTINCT g.word ORDER BY g.word),
           s.relrowsecurity AND NOT coalesce(r.rolbypassrls, false),
           ARRAY(SELECT l.rolname::text FROM pg_roles AS l
                 WHERE l.rolcanlogin AND NOT l.rolsuper AND NOT pg_has_role(l.oid, s.relowner, 'USAGE')
                   AND l.rolname <> %(web)s AND l.rolname <> ALL (%(known)s) AND {neighbours.reaches("l.oid")}
                   AND CASE WHEN g.grantee = 0
                            THEN l.rolname <> %(api)s AND NOT {neighbours.is_neighbours("l.oid")}
                            ELSE (pg_has_role(l.oid, g.grantee, 'USAGE') OR pg_has_role(l.oid, g.grantee, %(right)s))
                                 AND (NOT l.rolbypassrls OR r.rolname = ANY (%(platform)s)) END
                 ORDER BY 1)
    FROM granted AS g JOIN standing AS s ON s.oid = g.oid LEFT JOIN pg_roles AS r ON r.oid = g.grantee
    WHERE g.word IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE') AND g.grantee <> s.relowner
      AND (g.grantee = 0 OR r.rolname <> ALL (%(ours)s) AND NOT r.rolsuper
           AND (NOT r.rolbypassrls OR r.rolname = ANY (%(platform)s))
           AND NOT pg_has_role(g.grantee, s.relowner, 'USAGE'))
    GROUP BY g.grantee, r.rolname, r.rolbypassrls, s.oid, s.name, s.relowner, s.relrowsecurity
    ORDER BY 1, 2
"""  # noqa: S608 - our own words
# The permissive policies with those of the grantees to whom each applies, and those that it names.
_POLICIES = """
    SELECT c.relname::text, p.polname::text,
           CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE'
                         ELSE 'ALL' END,
           coalesce(pg_get_expr(p.polqual, p.polrelid), ''), coalesce(pg_get_expr(p.polwithcheck, p.polrelid), ''),
           p.polroles = ARRAY[0::oid] AND EXISTS (
               SELECT FROM unnest(%(older)s::text[]) AS w WHERE starts_with(p.polname::text, w)),
           ARRAY(SELECT g FROM unnest(%(grantees)s::text[]) AS g
                 WHERE 0 = ANY (p.polroles) OR g <> 'PUBLIC' AND EXISTS (
                     SELECT FROM unnest(p.polroles) AS o WHERE pg_has_role(g::name, o, 'USAGE'))),
           ARRAY(SELECT g FROM unnest(%(grantees)s::text[]) AS g JOIN pg_roles AS r ON r.rolname = g
                 WHERE r.oid = ANY (p.polroles))
    FROM pg_policy AS p JOIN pg_class AS c ON c.oid = p.polrelid
    WHERE p.polpermissive AND c.relnamespace = 'public'::regnamespace AND c.relname = ANY (%(tables)s)
    ORDER BY 1, 2
"""
_UNCALLED = """
    SELECT n.nspname::text, p.proname::text, pg_get_function_identity_arguments(p.oid), r.rolname::text
    FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace CROSS JOIN pg_roles AS r
    WHERE n.nspname || '.' || p.proname = ANY (%s) AND r.rolname = ANY (%s)
      AND NOT EXISTS (SELECT FROM aclexplode(p.proacl) AS a WHERE a.grantee = r.oid)
    ORDER BY 1, 2, 4
"""

"""Who may connect to this database: its own logins by name, and nobody because everybody may.

The roles of row security belong to the server. A login of another database there may hold them for its own work, and
what keeps it from this database's rows is that it cannot connect. TEMPORARY goes as well: a table in a session's own
temporary schema stays behind in a pool, and takes the place of ours for whoever comes next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db import notes
from moeen.db.actions import Action, Grant, Revoke
from moeen.db.catalog import neighbours
from moeen.db.findings import Finding, Fix, Severity
from moeen.db.kinds import Kind
from moeen.db.names import ObjectName
from moeen.db.roles import ROLES
from moeen.db.security.trust import AUTHENTICATOR, PLATFORM_OWNERS, PLATFORM_ROLES
from moeen.db.server_operation import ServerOperation
from moeen.db.sql import compose

#: A right on the database that PUBLIC has -> the kind of finding, and what it matters for.
_OPEN = {
    "CONNECT": (
        Kind.DATABASE_CONNECT,
        "roles belong to the server: a login of a neighbour's that holds ours can read every row here",
    ),
    "TEMPORARY": (
        Kind.DATABASE_TEMPORARY,
        "a temporary table or function can take the place of ours, and in a pool it meets the next person",
    ),
    "CREATE": (Kind.DATABASE_CREATE, "anybody can put a schema of their own here, with what looks like ours"),
}


@dataclass(frozen=True)
class Entrance:
    """``public``: what PUBLIC may do to the database. ``ours``: whether the connected role may change that.

    ``own``: logins that use the database and get in as PUBLIC only; ``losing``: the others that do.
    """

    database: str
    owner: str
    ours: bool
    public: tuple[str, ...]
    own: tuple[str, ...]
    losing: tuple[str, ...]

    def actions(self) -> list[Action]:
        """What closes it, nothing where nothing is open: first its own logins are let in by name."""
        taken = [right for right in ("CONNECT", "TEMPORARY") if right in self.public]
        if not taken:
            return []
        let_in = [self.grant(*self.own)] if self.own and "CONNECT" in taken else []
        return [*let_in, self.revoke(*taken)]

    def revoke(self, *rights: str) -> Action:
        return Revoke(self._target, ", ".join(rights), self._on, ("PUBLIC",))

    def grant(self, *roles: str, rights: str = "CONNECT") -> Action:
        return Grant(self._target, rights, self._on, roles)

    @property
    def _target(self) -> ObjectName:
        return ObjectName("", part=self.database)

    @property
    def _on(self) -> str:
        return compose("DATABASE {d}", d=self.database)

    def told(self) -> str:
        """One line on what closing it means, "" where it is closed."""
        closing = Fix.by(*self.actions())
        if not closing:
            return ""
        if not self.ours:
            who, how = f"its owner {self.owner} or an administrator", "; ".join(closing.statements())
            return f"Database {self.database} stays open to every login of the server; {who} closes it: {how};"
        text = f"Database {self.database} is closed to PUBLIC."
        if "CONNECT" in self.public:
            text += f" Let in by name: {', '.join(self.own) or 'nobody besides its owner'}."
            if self.losing:
                grant = compose("GRANT CONNECT ON DATABASE {d} TO ...", d=self.database)
                text += f" May connect no more: {', '.join(self.losing)}; {grant} lets one in again."
        return text


def look(connection: BaseDatabaseWrapper) -> Entrance:
    """The entrance of the connected database as it is."""
    words: dict[str, Any] = {
        "ours": list(ROLES),
        "platform": list(PLATFORM_ROLES),
        "known": [AUTHENTICATOR, *PLATFORM_OWNERS],
        "web": settings.WEB_LOGIN,
    }
    with connection.cursor() as cursor:
        cursor.execute(_LOOK, words)
        database, owner, ours, public, own, losing = cursor.fetchone()
    return Entrance(database, owner, ours, tuple(public), tuple(own), tuple(losing))


def findings(entrance: Entrance) -> Iterator[Finding]:
    """One for each right on the database that PUBLIC has; where it is not ours, the fix is for whoever may."""
    for right in entrance.public:
        actions = entrance.actions() if right == "CONNECT" else [entrance.revoke(right)]
        whose = "" if entrance.ours else f"as {entrance.owner}, who owns the database, or an administrator"
        fix = Fix.by(*actions, advice=whose)
        found = "PUBLIC may" + (
            f", so {', '.join(entrance.losing)} as well" if right == "CONNECT" and entrance.losing else ""
        )
        kind, why = _OPEN[right]
        yield Finding(entrance.database, kind, "granted by name", found, Severity.UNSAFE, fix, why)


class CloseDatabase(ServerOperation):
    """CONNECT and TEMPORARY on the database are taken from PUBLIC; who uses it is let in by name first.

    Where the database is another's, nothing is changed and the statements are told. Backwards PUBLIC gets both again.
    """

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if schema_editor.collect_sql:
            # sqlmigrate and squawk are answered without a look at the database, which alone knows the logins.
            schema_editor.execute("-- REVOKE CONNECT, TEMPORARY ON DATABASE FROM PUBLIC, where it is the owner's", None)
            return
        entrance = look(schema_editor.connection)
        if entrance.told():
            notes.note(entrance.told())
        if entrance.ours:
            for statement in Fix.by(*entrance.actions()).statements():
                schema_editor.execute(statement, None)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        entrance = look(schema_editor.connection)
        if entrance.ours:
            for statement in entrance.grant("PUBLIC", rights="CONNECT, TEMPORARY").statements():
                schema_editor.execute(statement, None)

    def describe(self) -> str:
        return "Close the database to logins that are not its own"


# Who uses the database. pg_shdepend knows which roles own or were granted something in it, whatever that is.
_LOOK = f"""
    WITH here AS (
        SELECT d.oid, d.datname, d.datdba, coalesce(d.datacl, acldefault('d', d.datdba)) AS acl,
               pg_has_role(d.datdba, 'USAGE') AS ours
        FROM pg_database AS d WHERE d.datname = current_database()
    ), public AS (
        SELECT x.privilege_type AS word FROM here CROSS JOIN aclexplode(here.acl) AS x WHERE x.grantee = 0
    ), named AS (
        SELECT x.grantee FROM here CROSS JOIN aclexplode(here.acl) AS x
        WHERE x.grantee <> 0 AND x.privilege_type = 'CONNECT'
    ), of_cluster AS (
        SELECT count(*) FILTER (WHERE rolname = ANY (%(platform)s)) = cardinality(%(platform)s::text[]) AS is_platform,
               EXISTS (SELECT FROM pg_shdepend AS s JOIN pg_roles AS o ON o.oid = s.refobjid
                       WHERE s.refclassid = 'pg_authid'::regclass AND o.rolname = ANY (%(ours)s)
                         AND s.dbid NOT IN (SELECT oid FROM here UNION ALL SELECT 0)) AS has_other_clinic
        FROM pg_roles
    ), own_logins AS (
        SELECT DISTINCT r.oid FROM pg_shdepend AS s JOIN pg_roles AS r ON r.oid = s.refobjid
        WHERE s.refclassid = 'pg_authid'::regclass AND s.dbid = (SELECT oid FROM here)
          AND r.rolname <> ALL (%(ours)s::text[] || %(platform)s::text[])
        UNION SELECT datdba FROM here
    ), outside AS (  -- logins that get in as PUBLIC only
        SELECT l.oid, l.rolname::text AS name, {neighbours.is_neighbours("l.oid")} AS is_neighbours
        FROM pg_roles AS l CROSS JOIN here
        WHERE l.rolcanlogin AND NOT l.rolsuper AND EXISTS (SELECT FROM public WHERE word = 'CONNECT')
          AND NOT pg_has_role(l.oid, here.datdba, 'USAGE')
          AND NOT EXISTS (SELECT FROM named WHERE pg_has_role(l.oid, named.grantee, 'USAGE'))
    ), weighed AS (
        SELECT o.name,
               o.name IN (%(web)s, current_user, session_user)
               OR NOT o.is_neighbours AND EXISTS (SELECT FROM own_logins AS u WHERE pg_has_role(o.oid, u.oid, 'MEMBER'))
               -- Who holds our roles works with them here, unless it may be with those of another clinic.
               OR NOT o.is_neighbours AND NOT c.has_other_clinic
                  AND EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = ANY (%(ours)s)
                              AND pg_has_role(o.oid, r.oid, 'MEMBER'))
               OR c.is_platform AND (o.name = ANY (%(known)s) OR NOT o.is_neighbours) AS is_own
        FROM outside AS o CROSS JOIN of_cluster AS c
    )
    SELECT here.datname::text, pg_get_userbyid(here.datdba)::text, here.ours,
           ARRAY(SELECT word FROM public ORDER BY word), ARRAY(SELECT name FROM weighed WHERE is_own ORDER BY name),
           ARRAY(SELECT name FROM weighed WHERE NOT is_own ORDER BY name)
    FROM here
"""  # noqa: S608 - our own words

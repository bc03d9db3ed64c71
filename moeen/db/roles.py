"""The roles of the cluster that policies speak of: made by a migration, shared by all databases of the cluster.

They are NOLOGIN and flat: none is a member of another. The owner of the database may become each of them, so that it
can serve requests and run checks as they do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from django.db import DatabaseError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from moeen.db.codes import Code
from moeen.db.errors import FAILED, FINDINGS, MoeenError
from moeen.db.server_operation import ServerOperation

#: The roles a person acts in, by the name that a user's `role` holds.
PEOPLE = ("patient", "doctor", "staff", "supervisor", "admin")
#: Nobody in particular; the bot and integrations; sign-in and sessions.
OTHERS = ("anon", "service", "auth")
PREFIX = "moeen_"
ROLES = tuple(PREFIX + name for name in (*OTHERS, *PEOPLE))
#: What PostgREST's login may become: everything but the role that reads password hashes.
API_ROLES = tuple(name for name in ROLES if name != "moeen_auth")
# Another database of the cluster may be migrated at this moment, which makes the same roles.
_TRIES = 20


class RolesMissing(MoeenError):
    """The connecting role may not make the roles, or may not become them."""

    default_code = Code.ROLES

    def __init__(self, role: str, statements: Sequence[sql.Composable]) -> None:
        lines = "\n".join(f"  {statement.as_string(None)};" for statement in statements)
        super().__init__(
            f"Role {role} may not make the database roles that row security needs, or may not become them.",
            next_step=f"Let an administrator of the server run this, then run migrate again:\n{lines}",
            exit_code=FAILED,
        )


class UnsafeRoles(MoeenError):
    """Roles of our names stand already and are not bound by row security."""

    default_code = Code.ROLES

    def __init__(self, names: Sequence[str]) -> None:
        lines = "\n".join(f"  ALTER ROLE {name} NOSUPERUSER NOBYPASSRLS;" for name in names)
        super().__init__(
            f"Row security does not bind these roles of the cluster: {', '.join(names)}.",
            next_step=f"Let an administrator of the server run:\n{lines}",
            exit_code=FINDINGS,
        )


def right_to_become(version: int) -> str:
    """What pg_has_role is asked, of a server of that version, for whether a role may act as another: from 16 on a
    member may lack that."""
    return "SET" if version >= 160000 else "MEMBER"


def ensure(connection: BaseDatabaseWrapper) -> None:
    """Make the roles that are missing, and let the connected role become them; PostgREST's login as well.

    Cheap and harmless to repeat, also at the same time from several databases of one cluster. Raises RolesMissing with
    the statements for an administrator, or UnsafeRoles.
    """
    for attempt in range(_TRIES):
        role, statements = missing(connection)
        if not statements:
            return
        script = sql.SQL("; ").join(statements).as_string(None)
        try:
            with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
                cursor.execute(script)
        except DatabaseError as error:
            state = getattr(error.__cause__, "sqlstate", None)
            if state == psycopg.errors.InsufficientPrivilege.sqlstate:
                raise RolesMissing(role, statements) from None
            # Made by another migration meanwhile: unique violation, duplicate object, "tuple concurrently updated".
            if state not in ("23505", "42710", "XX000") or attempt == _TRIES - 1:
                raise


def missing(connection: BaseDatabaseWrapper) -> tuple[str, list[sql.Composable]]:
    """The connected role, and the statements that make what is missing; raises UnsafeRoles."""
    version = connection.cursor().connection.info.server_version
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT current_user, ARRAY(SELECT rolname::text FROM pg_roles),
                   ARRAY(SELECT rolname::text FROM pg_roles
                         WHERE rolname = ANY (%(ours)s) AND (rolsuper OR rolbypassrls)),
                   ARRAY(SELECT rolname::text FROM pg_roles
                         WHERE rolname = ANY (%(ours)s) AND pg_has_role(oid, %(right)s)),
                   ARRAY(SELECT r.rolname::text FROM pg_roles r JOIN pg_auth_members m ON m.roleid = r.oid
                         JOIN pg_roles a ON a.oid = m.member WHERE a.rolname = 'authenticator')
            """,
            {"ours": list(ROLES), "right": right_to_become(version)},
        )
        role, standing, unsafe, reachable, of_api = cursor.fetchone()
    if unsafe:
        raise UnsafeRoles(sorted(unsafe))
    # A member that inherited would hold all these roles' rights at once. Before 16 that is the member's own setting.
    options = sql.SQL(" WITH INHERIT FALSE, SET TRUE" if version >= 160000 else "")
    found: list[sql.Composable] = [
        sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(name)) for name in ROLES if name not in standing
    ]
    unreached = [name for name in ROLES if name not in reachable]
    if unreached:
        found.append(_grant(unreached, role, options))
    if "authenticator" in standing and set(API_ROLES) - set(of_api):
        found.append(_grant([name for name in API_ROLES if name not in of_api], "authenticator", options))
    return role, found


def _grant(names: Sequence[str], member: str, options: sql.SQL) -> sql.Composable:
    listed = sql.SQL(", ").join(map(sql.Identifier, names))
    return sql.SQL("GRANT {} TO {}{}").format(listed, sql.Identifier(member), options)


def drop(connection: BaseDatabaseWrapper) -> None:
    """Drop the roles that nothing in the cluster depends on, and that the connected role may drop."""
    script = sql.SQL("""
        DO $do$
        DECLARE
            name text;
        BEGIN
            FOREACH name IN ARRAY {names}::text[] LOOP
                BEGIN
                    EXECUTE format('DROP ROLE IF EXISTS %I', name);
                EXCEPTION WHEN dependent_objects_still_exist OR insufficient_privilege THEN
                    NULL;  -- another database uses it, or another owner made it
                END;
            END LOOP;
        END
        $do$""").format(names=sql.Literal(list(ROLES)))
    with connection.cursor() as cursor:
        cursor.execute(script.as_string(None))


class CreateRoles(ServerOperation):
    """The cluster's roles, made if they are missing; backwards, dropped if nothing else uses them."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if not schema_editor.collect_sql:
            ensure(schema_editor.connection)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if not schema_editor.collect_sql:
            drop(schema_editor.connection)

    def describe(self) -> str:
        return "Create the database roles of row security"

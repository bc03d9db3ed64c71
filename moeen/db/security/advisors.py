"""Rules of good row security, asked of the live catalog: what a hosting platform's advisors warn of, and our own.

Most follow splinter, the linter of Supabase's database advisors; its numbers stand beside each rule. Rules about
extensions, the platform's own schemas and API settings do not apply to this database.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db import catalog, registry
from moeen.db.actions import (
    BuildIndex,
    FixSearchPath,
    ForceRowSecurity,
    Revoke,
    SetParameters,
    SetRowSecurity,
    TakeAttributes,
)
from moeen.db.actions.tables import INVOKER
from moeen.db.catalog import Catalog, Table
from moeen.db.findings import NO_FIX, Finding, Fix, Severity, unique
from moeen.db.kinds import Kind
from moeen.db.names import ObjectName
from moeen.db.roles import PREFIX, ROLES
from moeen.db.security import access
from moeen.db.sql import compose

#: Roles whose cells say "all rows" on purpose; for others a policy that is always true is a mistake.
_WIDE = {PREFIX + name for name in ("staff", "supervisor", "admin", "service")}
_SENSITIVE = re.compile(r"password|secret|token|api_key|credit_card|ssn", re.I)
#: A call that stands outside a sub-select is made once a row.
_CALLS = re.compile(r"\b(?:auth|app)\.\w+\(|\bcurrent_setting\(")
#: Columns that a condition compares; text in quotes is cut out first.
_WORD = re.compile(r"[a-z_][a-z0-9_]*")

#: How a function of ours resolves names: what PostgreSQL brings first, temporary objects last.
HERMETIC = "search_path=pg_catalog, pg_temp"
#: The conditions of a role's restrictive policy, as PostgreSQL writes them: of rows that stand, and of written ones.
_SIGNED = "( SELECT app.is_bound('{role}'::text) AS is_bound)"
_SIGNED_ROW = "app.is_bound('{role}'::text)"

Rule = Callable[[Catalog], Iterator[Finding]]


def advise(connection: BaseDatabaseWrapper, *, live: Catalog | None = None) -> list[Finding]:
    """What the rules find, what apps accept aside, sorted. Functions and tables of schemas `public` and `app`.

    ``live``: the catalog, where it has been read already.
    """
    with transaction.atomic(using=connection.alias):
        live = live or catalog.read(connection)
        found = [finding for rule in RULES for finding in rule(live)]
        found += _open_functions(connection)
        found += _sensitive_columns(connection, live)
        found += _unsafe_roles(connection)
        found += _foreign_grants(connection)
    accepted = registry.facts().accepted_advice
    return [f for f in unique(found) if f"{f.kind} {f.name.part if f.name else f.object}" not in accepted]


def unindexed_foreign_keys(live: Catalog) -> Iterator[Finding]:
    """splinter 0001"""
    for table in live.tables.values():
        for key in table.constraints.values():
            # In the key's own order, as splinter compares them.
            if key.kind == "f" and not any(index[: len(key.columns)] == key.columns for index in _indexes(table)):
                at = table.identity
                fix = Fix.by(BuildIndex(at, compose("({c})", c=key.columns)))
                yield _finding(at.has(key.name), Kind.UNINDEXED_FOREIGN_KEY, "an index", "none", Severity.SLOW, fix)


def calls_per_row(live: Catalog) -> Iterator[Finding]:
    """splinter 0003, and the same of our own helpers: a call is wrapped as (SELECT f())."""
    signed = {_SIGNED_ROW.format(role=role) for role in ROLES}  # of every written row: see app.signed_only()
    for table, name, text in _expressions(live):
        if text not in signed and _CALLS.search(_without_selects(text)):
            yield _finding(table.identity.has(name), Kind.CALL_PER_ROW, "(SELECT f())", "a bare call", Severity.SLOW)


def several_permissive(live: Catalog) -> Iterator[Finding]:
    """splinter 0006: their conditions add up."""
    for table in live.tables.values():
        cells: dict[tuple[str, str], list[str]] = {}
        for policy in table.policies.values():
            if not policy.restrictive:
                commands = ("SELECT", "INSERT", "UPDATE", "DELETE") if policy.command == "ALL" else (policy.command,)
                for role in ROLES if "public" in policy.roles else policy.roles:
                    for command in commands:
                        cells.setdefault((role, command), []).append(policy.name)
        for (role, command), names in cells.items():
            if len(names) > 1:
                where, found = table.identity.has(role), ", ".join(sorted(names))
                yield _finding(where, Kind.SEVERAL_POLICIES, f"one for {command}", found, Severity.UNSAFE)


def row_security_off(live: Catalog) -> Iterator[Finding]:
    """splinter 0007 and 0013: policies without row security, or a table without it."""
    for table in live.tables.values():
        if table.kind in ("r", "p") and table.schema == "public" and not table.row_security:
            fix = Fix.by(SetRowSecurity(table.identity))
            yield _finding(table.identity, Kind.TABLE_ROW_SECURITY, "enabled", "disabled", Severity.UNSAFE, fix)
        if table.forced:
            fix = Fix.by(ForceRowSecurity(table.identity))
            yield _finding(table.identity, Kind.TABLE_FORCED, "not forced", "forced", Severity.UNSAFE, fix)


def duplicate_indexes(live: Catalog) -> Iterator[Finding]:
    """splinter 0009"""
    for table in live.tables.values():
        seen: dict[tuple[str, bool], str] = {}
        for index in table.indexes.values():
            twin = seen.setdefault((index.definition, index.unique), index.name)
            if twin != index.name:
                yield _finding(
                    table.identity.has(index.name), Kind.DUPLICATE_INDEX, "one", f"also {twin}", Severity.SLOW
                )


def owners_views(live: Catalog) -> Iterator[Finding]:
    """splinter 0010 and 0016: a view shows what its owner sees; a materialized one has no policies at all."""
    for table in live.tables.values():
        if table.kind == "m":
            yield _finding(table.identity, Kind.MATERIALIZED_VIEW, "out of reach", "in schema public", Severity.UNSAFE)


def hijackable_names(live: Catalog) -> Iterator[Finding]:
    """splinter 0011, and more: with '' the caller's temporary schema comes first for tables and types."""
    for function in live.functions.values():
        if function.schema == "app" and HERMETIC not in function.settings:
            fix = Fix.by(FixSearchPath(function.identity))
            found = ", ".join(s for s in function.settings if s.startswith("search_path=")) or "the caller's"
            yield _finding(function.identity, Kind.SEARCH_PATH, HERMETIC, found, Severity.UNSAFE, fix)


def unsigned_identities(live: Catalog) -> Iterator[Finding]:
    """Each role has a restrictive policy on every table that lets nothing but its signed identities through."""
    for table in live.tables.values():
        if table.kind not in ("r", "p") or table.schema != "public" or not table.row_security:
            continue
        found = {
            (*policy.roles, policy.using, policy.check)
            for policy in table.policies.values()
            if policy.restrictive and policy.command == "ALL"
        }
        wanted = {(role, _SIGNED.format(role=role), _SIGNED_ROW.format(role=role)) for role in ROLES}
        if not wanted <= found:
            at = table.identity
            yield _finding(at, Kind.UNSIGNED_IDENTITIES, "let through by no one", "let through", Severity.UNSAFE)


def always_true(live: Catalog) -> Iterator[Finding]:
    """splinter 0024: a write policy that lets anybody write anything."""
    for table in live.tables.values():
        for policy in table.policies.values():
            writes = policy.command != "SELECT" and "true" in (policy.using, policy.check)
            # What may be changed is limited, and what it may become is not.
            lopsided = policy.command == "UPDATE" and policy.using != policy.check
            if writes and (lopsided or not set(policy.roles) <= _WIDE):
                yield _finding(
                    table.identity.has(policy.name), Kind.ALWAYS_TRUE, "a condition", "true", Severity.UNSAFE
                )


def policies_for_everybody(live: Catalog) -> Iterator[Finding]:
    """A policy TO PUBLIC, or of a platform's role, widens every role's."""
    for table in live.tables.values():
        for policy in table.policies.values():
            if not set(policy.roles) <= set(ROLES):
                yield _finding(
                    table.identity.has(policy.name),
                    Kind.POLICY_ROLE,
                    "one of ours",
                    ", ".join(policy.roles),
                    Severity.UNSAFE,
                )


def unindexed_conditions(live: Catalog) -> Iterator[Finding]:
    """Every column that a condition compares begins an index."""
    for table in live.tables.values():
        first = {index[0] for index in _indexes(table) if index}
        for policy in table.policies.values():
            words = set(_WORD.findall(re.sub(r"'[^']*'", "", _without_selects(policy.using))))
            for column in sorted(words & table.columns.keys() - first):
                yield _finding(
                    table.identity.has(column),
                    Kind.UNINDEXED_CONDITION,
                    "an index",
                    f"none, for {policy.name}",
                    Severity.SLOW,
                )


def volatile_helpers(live: Catalog) -> Iterator[Finding]:
    """A helper of policies that is not STABLE cannot be called once a statement."""
    policies = "\n".join(text for _, _, text in _expressions(live))
    for function in live.functions.values():
        used = f"app.{function.name}(" in policies
        if used and (function.volatility != "STABLE" or not function.security_definer):
            yield _finding(
                function.identity, Kind.POLICY_HELPER, "STABLE SECURITY DEFINER", "otherwise", Severity.UNSAFE
            )


RULES: tuple[Rule, ...] = (
    unindexed_foreign_keys,
    calls_per_row,
    several_permissive,
    row_security_off,
    duplicate_indexes,
    owners_views,
    hijackable_names,
    unsigned_identities,
    always_true,
    policies_for_everybody,
    unindexed_conditions,
    volatile_helpers,
)


def _open_functions(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    """splinter 0028 and 0029: definer functions, and all of schema app, are called by whom they are granted to.

    But for what an index is made of: whoever writes a row calls it, in their own name, for the row's entry.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT n.nspname::text, p.proname::text, pg_get_function_identity_arguments(p.oid)
            FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
            CROSS JOIN aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
            WHERE a.grantee = 0 AND (n.nspname = 'app' OR (n.nspname = 'public' AND p.prosecdef))
              AND (p.prosecdef OR NOT EXISTS (
                SELECT FROM pg_depend d JOIN pg_index i ON i.indexrelid = d.objid
                WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_proc'::regclass AND d.refobjid = p.oid))
            """
        )
        for schema, name, arguments in cursor.fetchall():
            function = ObjectName(schema, part=name, arguments=arguments)
            fix = Fix.by(Revoke(function, "EXECUTE", compose("FUNCTION {f}", f=function.identifier()), ("PUBLIC",)))
            yield Finding(
                function.pretty(), Kind.OPEN_FUNCTION, "granted by name", "open to PUBLIC", Severity.UNSAFE, fix
            )
        cursor.execute(
            """
            SELECT c.oid::regclass::text FROM pg_class c
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'v'
              AND NOT EXISTS (SELECT FROM unnest(c.reloptions) o
                              WHERE o IN ('security_invoker=true', 'security_invoker=on'))
            """
        )
        for (name,) in cursor.fetchall():
            fix = Fix.by(SetParameters(ObjectName.of("table", name), INVOKER))
            yield Finding(name, Kind.OWNERS_VIEW, "security_invoker", "its owner's rights", Severity.UNSAFE, fix)


def _sensitive_columns(connection: BaseDatabaseWrapper, live: Catalog) -> Iterator[Finding]:
    """splinter 0023: secrets are read by those roles that work with them."""
    readers = registry.facts().secret_readers
    secret = {name: table for name, table in live.tables.items() if any(map(_SENSITIVE.search, table.columns))}
    for cell in access.effective(connection, tables=secret):
        if cell.command == "S" and cell.role not in readers.get(cell.table, ()):
            for column in cell.columns or secret[cell.table].columns:
                if _SENSITIVE.search(column):
                    where = secret[cell.table].identity.has(column)
                    yield _finding(where, Kind.SENSITIVE_COLUMN, "not readable", f"by {cell.role}", Severity.UNSAFE)


def _unsafe_roles(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT rolname, rolsuper OR rolbypassrls OR rolcanlogin,
                   EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid)
            FROM pg_roles r WHERE rolname = ANY (%s)
            """,
            [list(ROLES)],
        )
        for name, unsafe, member in cursor.fetchall():
            if unsafe:
                fix = Fix.by(TakeAttributes(ObjectName("", part=name), ("SUPERUSER", "BYPASSRLS", "LOGIN")))
                yield Finding(name, Kind.ROLE_ATTRIBUTES, "bound, without login", "otherwise", Severity.UNSAFE, fix)
            if member:
                yield Finding(name, Kind.ROLE_MEMBER_OF, "in no other role", "in another", Severity.UNSAFE)


def _foreign_grants(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    """Grants on our tables to others than our roles, or beyond the four commands."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT DISTINCT c.relname, coalesce(r.rolname::text, 'PUBLIC'), a.privilege_type
            FROM pg_class c CROSS JOIN aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND c.relrowsecurity
              AND a.grantee <> c.relowner
              AND (r.rolname IS NULL OR r.rolname <> ALL (%s)
                   OR a.privilege_type NOT IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE'))
            """,
            [list(ROLES)],
        )
        for table, role, privilege in cursor.fetchall():
            where = ObjectName("public", table)
            fix = Fix.by(Revoke(where, privilege, compose("{t}", t=where.identifier()), (role,)))
            yield _finding(where, Kind.TABLE_GRANTS, f"{privilege} to nobody", f"to {role}", Severity.UNSAFE, fix)


def _finding(name: ObjectName, kind: Kind, expected: str, found: str, severity: Severity, fix: Fix = NO_FIX) -> Finding:
    return Finding(name.pretty(), kind, expected, found, severity, fix, name=name)


def _expressions(live: Catalog) -> Iterator[tuple[Table, str, str]]:
    for table in live.tables.values():
        for policy in table.policies.values():
            for text in (policy.using, policy.check):
                if text:
                    yield table, policy.name, text


@functools.lru_cache(maxsize=1024)  # most tables have the same few expressions, which several rules look at
def _without_selects(text: str) -> str:
    """The expression with every bracket that begins with SELECT cut out."""
    kept, skipped = [], 0
    for part in re.split(r"(\(\s*SELECT\b|[()])", text):
        if skipped:
            skipped += part.count("(") - part.count(")")
        elif part.startswith("(") and part != "(":
            skipped = 1
        else:
            kept.append(part)
    return "".join(kept)


def _indexes(table: Table) -> Iterator[tuple[str, ...]]:
    """The columns of each whole, valid index, in order; expressions as they are written."""
    for index in table.indexes.values():
        found = re.match(r"\w+ \((.*)\)(?: INCLUDE.*)?$", index.definition)
        if index.valid and found and " WHERE " not in index.definition:
            yield tuple(re.split(r"[ ]", part.strip(), maxsplit=1)[0] for part in found[1].split(","))

"""Every read of pg_catalog, returned as frozen dataclasses.

Definitions are PostgreSQL's own normal forms (``pg_get_expr``, ``pg_get_constraintdef``, ...), read with an empty
search path so that every name is qualified and the text does not depend on the session.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any

import psycopg
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from psycopg import sql

from moeen.db.catalog.normal import expression
from moeen.db.catalog.objects import (
    SCHEMAS,
    Catalog,
    Column,
    Constraint,
    Function,
    Grants,
    Index,
    Policy,
    Role,
    Schema,
    Sequence,
    Table,
    Trigger,
    Type,
)
from moeen.db.catalog.queries import (
    COLUMN_GRANTS,
    COLUMNS,
    CONSTRAINTS,
    DEFAULTS,
    FUNCTIONS,
    INDEXES,
    NAMESPACES,
    POLICIES,
    REST,
    ROLES,
    RULES,
    SEQUENCES,
    TABLE_GRANTS,
    TABLES,
    TRIGGERS,
    TYPES,
)
from moeen.db.names import ObjectName
from moeen.db.scoped import scoped
from moeen.db.sql import compose

_looking: ContextVar[bool] = ContextVar("looking", default=False)


def looking() -> AbstractContextManager[bool]:
    """Meanwhile statements only find something out: what they make is temporary or rolled back."""
    return scoped(_looking, value=True)


def is_looking() -> bool:
    return _looking.get()


def read(connection: BaseDatabaseWrapper, *, schemas: Collection[str] = SCHEMAS) -> Catalog:
    """The whole catalog of these schemas, in a handful of queries."""
    with _reading(connection) as cursor:
        tables = _tables(cursor, _oids(cursor, compose(_STANDING, schemas=_literal(schemas))))
        functions = _functions(cursor, schemas)
    names = {t.identity.pretty(): t for t in tables}
    return Catalog(tables=dict(sorted(names.items())), functions={f.signature: f for f in functions})


def read_whole(
    connection: BaseDatabaseWrapper,
    *,
    roles: Collection[str],
    platform_roles: Collection[str] = (),
    only: Collection[str] | None = None,
) -> Catalog:
    """The catalog with everything else that decides what the database is and who may do what.

    ``roles``: those of the cluster to describe. With ``only``, the names of relations, other relations come without
    their parts, so that their number hardly costs anything. Reads pg_catalog alone; writes nothing.
    """
    with _reading(connection) as cursor:
        return read_whole_with(cursor, roles=roles, platform_roles=platform_roles, only=only)


def read_whole_with(
    cursor: Any,
    *,
    roles: Collection[str],
    platform_roles: Collection[str] = (),
    only: Collection[str] | None = None,
) -> Catalog:
    """`read_whole` by any cursor that composes on the client, of a session whose search path is empty."""
    schemas = list(SCHEMAS)
    cursor.execute(
        """
        SELECT c.oid, n.nspname, c.relname
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = ANY (%s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
          AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                          AND d.deptype = 'e')
        """,
        [schemas],
    )
    standing = [(oid, ObjectName(schema, name).pretty()) for oid, schema, name in cursor.fetchall()]
    known = [oid for oid, name in standing if only is None or name in only]
    beside = [oid for oid, name in standing if only is not None and name not in only]
    tables = _tables(cursor, known, beside=beside, whole=True)
    functions = _functions(cursor, [*schemas, "auth"], grants=True)
    cursor.execute(NAMESPACES, [schemas])
    found_schemas = {row[0]: Schema(row[0], row[1], row[2], _grants(row[3])) for row in cursor.fetchall()}
    cursor.execute(SEQUENCES, [schemas])
    sequences = [
        Sequence(*(*row[:10], ObjectName(*row[10]) if row[10] else None, row[11], _grants(row[12])))
        for row in cursor.fetchall()
    ]
    cursor.execute(TYPES, [schemas])
    types = [Type(*(*_normal(row, 3)[:6], _grants(row[6]))) for row in cursor.fetchall()]
    cursor.execute(ROLES, [list(roles)])
    found_roles = {r[0]: Role(r[0], tuple(r[1]), tuple(r[2]), tuple(r[3])) for r in cursor.fetchall()}
    cursor.execute(DEFAULTS, [schemas])
    defaults = {(role, schema, what): _grants(grants) for role, schema, what, grants in cursor.fetchall()}
    cursor.execute(REST, {"schemas": schemas, "platform": list(platform_roles)})
    extensions, others, superusers, found_platform, ours, owner, version, events = cursor.fetchone()
    names = {t.identity.pretty(): t for t in tables}
    return Catalog(
        tables=dict(sorted(names.items())),
        functions={f.signature: f for f in functions if f.schema != "auth"},
        owner=owner or "",
        version=version,
        schemas=found_schemas,
        sequences={sequence.identity.pretty(): sequence for sequence in sequences},
        types={kind.identity.pretty(): kind for kind in types},
        extensions=tuple(extensions),
        others=tuple(ObjectName("", what, identity) for what, identity in others),
        roles=found_roles,
        defaults=defaults,
        platform={f.signature: f for f in functions if f.schema == "auth"},
        platform_is_ours=ours,
        superusers=frozenset(superusers),
        platform_roles=frozenset(found_platform),
        event_triggers=tuple(events),
    )


def read_tables(connection: BaseDatabaseWrapper, names: Iterable[str], *, schema: str = "public") -> dict[str, Table]:
    """Those of the named relations that exist, by name."""
    which = compose(f"{_STANDING} AND c.relname = ANY ({{names}})", schemas=_literal([schema]), names=_literal(names))
    with _reading(connection) as cursor:
        return {t.name: t for t in _tables(cursor, _oids(cursor, which))}


def read_temporary_table(connection: BaseDatabaseWrapper, name: str) -> Table:
    """A temporary table of this session; LookupError when there is none of the name."""
    which = "SELECT oid FROM pg_class WHERE relname = {n} AND relnamespace = pg_my_temp_schema()"
    with _reading(connection) as cursor:
        for table in _tables(cursor, _oids(cursor, compose(which, n=sql.Literal(name)))):
            return table
    raise LookupError(f"No temporary table {name}.")


#: Relations with rows or a query, of some schemas.
_STANDING = """SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = ANY ({schemas}) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"""


def _literal(words: Iterable[str]) -> sql.Literal:
    return sql.Literal(list(words))


def _oids(cursor: Any, query: str) -> list[int]:
    cursor.execute(query)
    return [oid for (oid,) in cursor.fetchall()]


@contextmanager
def _reading(connection: BaseDatabaseWrapper) -> Iterator[CursorWrapper]:
    """A cursor that reads with an empty search path, and leaves the caller's as it was.

    RELEASE SAVEPOINT keeps what was set inside, so a nested reading puts the path back by hand.
    """
    nested = connection.in_atomic_block
    with looking(), transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('search_path'), set_config('search_path', '', true)")
        (path, _) = cursor.fetchone()
        yield cursor
        if nested:
            cursor.execute("SELECT set_config('search_path', %s, true)", [path])


def _tables(cursor: Any, oids: list[int], *, beside: Collection[int] = (), whole: bool = False) -> list[Table]:
    """These tables with their parts, and those ``beside`` them without; ``whole``: grants and rules as well."""
    if not oids and not beside:
        return []
    both = [*oids, *beside]
    asked = dict.fromkeys((COLUMNS, CONSTRAINTS, INDEXES, TRIGGERS, POLICIES), oids) | {TABLES: both}
    if whole:
        asked |= {RULES: oids, COLUMN_GRANTS: oids, TABLE_GRANTS: both}
    # In one go: there are many such readings, and each is short. Several statements go without parameters beside them.
    filled = psycopg.ClientCursor(cursor.connection).mogrify
    cursor.execute(";".join(filled(query, [list(these)]) for query, these in asked.items()))
    answers = {}
    for query in asked:
        answers[query] = cursor.fetchall()
        cursor.nextset()
    columns, constraints, indexes, triggers, policies = map(_grouped, [answers[query] for query in list(asked)[:5]])
    rules = _grouped(answers.get(RULES, ()))
    granted = {(oid, name): given for oid, name, given in answers.get(COLUMN_GRANTS, ())}
    on_tables = dict(answers.get(TABLE_GRANTS, ()))
    return [
        Table(
            oid=oid,
            schema=schema,
            name=name,
            kind=kind,
            owner=owner,
            row_security=row_security,
            forced=forced,
            comment=comment,
            columns={row[0]: _column(row, granted.get((oid, row[0]), ())) for row in columns[oid]},
            constraints={row[0]: _constraint(row) for row in constraints[oid]},
            indexes={row[0]: Index(*_normal(row, 2)) for row in indexes[oid]},
            triggers={row[0]: Trigger(*_normal(row, 1)) for row in triggers[oid]},
            policies={row[0]: _policy(row) for row in policies[oid]},
            grants=_grants(on_tables.get(oid, ())),
            rules={name: expression(definition) for name, definition in rules[oid]},
            options=tuple(sorted(options)),
            unlogged=unlogged,
            definition=expression(definition),
            replica_identity=replica_identity,
            parents=tuple(ObjectName(*parent) for parent in parents),
        )
        for (
            oid, schema, name, kind, owner, row_security, forced, comment, options, unlogged, definition,
            replica_identity, parents,
        ) in answers[TABLES]
    ]  # fmt: skip


def _grants(given: Iterable[str]) -> Grants:
    """``role=PRIVILEGE`` words, in any order, as a mapping."""
    found: dict[str, list[str]] = defaultdict(list)
    for word in given:
        role, _, privilege = word.rpartition("=")
        found[role].append(privilege)
    return {role: tuple(sorted(privileges)) for role, privileges in sorted(found.items())}


def _normal(row: tuple[Any, ...], *places: int) -> tuple[Any, ...]:
    """The row with the expressions at these places in their normal form."""
    return tuple(expression(value) if place in places else value for place, value in enumerate(row))


def _column(row: tuple[Any, ...], granted: Iterable[str]) -> Column:
    parts = (*_normal(row, 3, 5)[:-1], tuple(sorted(row[-1])), _grants(granted))
    return Column(*parts)


def _policy(row: tuple[Any, ...]) -> Policy:
    parts = (*row[:3], tuple(sorted(row[3])), *_normal(row, 4, 5)[4:])
    return Policy(*parts)


def _constraint(row: tuple[Any, ...]) -> Constraint:
    parts = (*row[:2], tuple(row[2]), expression(row[3]), *row[4:7], tuple(row[7]), *row[8:])
    return Constraint(*parts)


def _grouped(rows: Iterable[tuple[Any, ...]]) -> dict[int, list[tuple[Any, ...]]]:
    """Rows by their first column, the table's oid, which is cut off."""
    groups: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for oid, *rest in rows:
        groups[oid].append(tuple(rest))
    return groups


def _functions(cursor: CursorWrapper, schemas: Collection[str], *, grants: bool = False) -> list[Function]:
    cursor.execute(FUNCTIONS, [list(schemas)])
    parts: list[tuple[Any, ...]] = [
        (*row[:7], tuple(sorted(row[7])), row[8].replace("\r\n", "\n"), *row[9:-1], _grants(row[-1] if grants else ()))
        for row in cursor.fetchall()
    ]
    return [Function(*part) for part in parts]

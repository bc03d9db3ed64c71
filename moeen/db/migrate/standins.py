"""What a twin cannot have as it is, and gets a stand-in for: roles, extensions, tables that may not be read."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from moeen.db.sql import fragment

Connection = psycopg.Connection[tuple[Any, ...]]


def make_roles(source: Connection, server: Connection) -> None:
    """The source's roles with what they may do and whose members they are; only the connected one may log in."""
    known = {name for (name,) in server.execute("SELECT rolname FROM pg_roles")}
    roles = source.execute(
        """SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolbypassrls, rolname = current_user
           FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY oid"""
    ).fetchall()
    for name, *powers, connected in roles:
        words = ("SUPERUSER", "INHERIT", "CREATEROLE", "CREATEDB", "BYPASSRLS")
        given = [word if has else f"NO{word}" for word, has in zip(words, powers, strict=True)]
        given.append("LOGIN" if connected else "NOLOGIN")
        server.execute(
            sql.SQL("{} ROLE {} {}").format(
                fragment("ALTER" if name in known else "CREATE"), sql.Identifier(name), fragment(" ".join(given))
            )
        )
    options = source.info.server_version >= 160000
    # From 16 on several may grant the same membership, each with options of their own, and all of them count.
    ways = fragment("bool_or(a.inherit_option), bool_or(a.set_option)" if options else "true, true")
    members = source.execute(
        sql.SQL(
            """SELECT r.rolname, m.rolname, bool_or(a.admin_option), {} FROM pg_auth_members AS a
               JOIN pg_roles AS r ON r.oid = a.roleid JOIN pg_roles AS m ON m.oid = a.member
               WHERE m.rolname !~ '^pg_' GROUP BY 1, 2"""
        ).format(ways)
    ).fetchall()
    standing = {name for (name,) in server.execute("SELECT rolname FROM pg_roles")}
    for role, member, admin, inherits, sets in members:
        if role not in standing:
            continue  # of a newer version's own
        with_ = [f"ADMIN {str(admin).upper()}"]
        if options:
            with_ += [f"INHERIT {str(inherits).upper()}", f"SET {str(sets).upper()}"]
        ending = fragment(f" WITH {', '.join(with_)}" if options else " WITH ADMIN OPTION" if admin else "")
        server.execute(sql.SQL("GRANT {} TO {}{}").format(sql.Identifier(role), sql.Identifier(member), ending))


def make_objects(source: Connection, made: Connection) -> frozenset[str]:
    """The source's extensions; in the place of those whose programs are not here, what they hold, without its work.

    Returns the names of the latter.
    """
    rows = source.execute(
        """SELECT e.extname, n.nspname FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
           WHERE e.extname <> 'plpgsql' ORDER BY e.oid"""
    ).fetchall()
    stood_in = set()
    for name, schema in rows:
        made.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
        if not _tried(
            made,
            sql.SQL("CREATE EXTENSION {} SCHEMA {} CASCADE").format(sql.Identifier(name), sql.Identifier(schema)),
        ):
            stood_in.add(name)
            _stand_in(source, made, name)
    return frozenset(stood_in)


def _stand_in(source: Connection, made: Connection, extension: str) -> None:
    """Its types as domains over text, its functions without a body; what cannot be made so is left out."""
    schemas = source.execute(
        """SELECT DISTINCT n.nspname FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
           LEFT JOIN pg_type AS t ON d.classid = 'pg_type'::regclass AND t.oid = d.objid
           LEFT JOIN pg_proc AS p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
           JOIN pg_namespace AS n ON n.oid IN (t.typnamespace, p.pronamespace)
           WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = %s""",
        [extension],
    ).fetchall()
    for (schema,) in schemas:
        made.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
    types = source.execute(
        """SELECT n.nspname, t.typname FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
           JOIN pg_type AS t ON t.oid = d.objid JOIN pg_namespace AS n ON n.oid = t.typnamespace
           WHERE d.classid = 'pg_type'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
             AND e.extname = %s AND t.typtype IN ('b', 'e', 'd') AND t.typelem = 0 ORDER BY t.oid""",
        [extension],
    ).fetchall()
    for schema, name in types:
        _tried(made, sql.SQL("CREATE DOMAIN {} AS text").format(sql.Identifier(schema, name)))
    functions = source.execute(
        """SELECT n.nspname, p.proname, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid), p.provolatile
           FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
           JOIN pg_proc AS p ON p.oid = d.objid JOIN pg_namespace AS n ON n.oid = p.pronamespace
           WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
             AND e.extname = %s AND p.prokind = 'f' ORDER BY p.oid""",
        [extension],
    ).fetchall()
    made.execute("SET check_function_bodies = off")
    kinds = {"i": "IMMUTABLE", "s": "STABLE", "v": "VOLATILE"}
    for schema, name, arguments, result, volatility in functions:
        _tried(
            made,
            sql.SQL("CREATE FUNCTION {}({}) RETURNS {} {} LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'").format(
                sql.Identifier(schema, name), fragment(arguments), fragment(result), fragment(kinds[volatility])
            ),
        )
    made.execute("RESET check_function_bodies")


def unreadable(source: Connection) -> list[str]:
    """The tables, as pg_dump takes patterns, that the connected role may not lock to read them."""
    return [f'"{schema}"."{name}"' for schema, name, _ in _unreadable(source)]


def make_unreadable(source: Connection, made: Connection) -> None:
    """In their place views as they are, which anybody may look up, and tables of the same columns and keys: what
    refers to them is to be made.
    """
    hidden = _unreadable(source)
    for schema, name, oid in hidden:
        table = sql.Identifier(schema, name)
        made.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
        if _made_view(source, made, oid, name=table):
            continue
        columns = source.execute(
            """SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
               WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped ORDER BY attnum""",
            [oid],
        ).fetchall()
        parts: list[sql.Composable] = [
            sql.SQL("{} {}").format(sql.Identifier(column), fragment(kind)) for column, kind in columns
        ]
        keys = source.execute(
            """SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
               WHERE conrelid = %s AND contype IN ('p', 'u')""",
            [oid],
        ).fetchall()
        parts += [sql.SQL("CONSTRAINT {} {}").format(sql.Identifier(key), fragment(words)) for key, words in keys]
        _tried(made, sql.SQL("CREATE TABLE IF NOT EXISTS {} ({})").format(table, sql.SQL(", ").join(parts)))
    # Both ends stand by now.
    foreign = source.execute(
        """SELECT n.nspname, c.relname, k.conname, pg_get_constraintdef(k.oid) FROM pg_constraint AS k
           JOIN pg_class AS c ON c.oid = k.conrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
           WHERE k.contype = 'f' AND k.conparentid = 0 AND (k.conrelid = ANY (%(of)s) OR k.confrelid = ANY (%(of)s))""",
        {"of": [oid for *_, oid in hidden]},
    ).fetchall()
    for schema, name, key, words in foreign:
        add = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}")
        _tried(made, add.format(sql.Identifier(schema, name), sql.Identifier(key), fragment(words)))


def _made_view(source: Connection, made: Connection, oid: int, *, name: sql.Identifier) -> bool:
    view = source.execute(
        """SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'MATERIALIZED VIEW' END, r.rolname,
                  (SELECT array_agg(attname ORDER BY attnum) FROM pg_attribute
                   WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped), rtrim(pg_get_viewdef(c.oid), '; ')
           FROM pg_class AS c JOIN pg_roles AS r ON r.oid = c.relowner WHERE c.oid = %s AND c.relkind IN ('v', 'm')""",
        [oid],
    ).fetchone()
    if view is None:
        return False
    kind, owner, columns, query = view
    create = sql.SQL("CREATE {kind} {name} ({columns}) AS {query}; ALTER {kind} {name} OWNER TO {owner}").format(
        kind=fragment(kind),
        name=name,
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
        query=fragment(query),
        owner=sql.Identifier(owner),
    )
    return _tried(made, create)


def _unreadable(source: Connection) -> list[tuple[str, str, int]]:
    rows = source.execute(
        """SELECT n.nspname, c.relname, c.oid FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
           WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname !~ '^pg_'
             AND n.nspname <> 'information_schema'
             AND NOT (has_schema_privilege(n.oid, 'USAGE') AND CASE c.relkind
                      WHEN 'S' THEN has_sequence_privilege(c.oid, 'SELECT')
                      ELSE has_table_privilege(c.oid, 'SELECT') END)
           ORDER BY c.oid"""
    ).fetchall()
    return [(schema, name, oid) for schema, name, oid in rows]


def _tried(made: Connection, statement: sql.SQL | sql.Composed) -> bool:
    """Whether it could be done; nothing of it stays where not."""
    try:
        with made.transaction():
            made.execute(statement)
    except psycopg.Error:
        return False
    return True

"""The two roads on which a person reaches the database, and the probe that finds out what they may do there."""

import json
import re
import uuid
from contextlib import contextmanager

import psycopg
from django.db import DatabaseError, connections, transaction
from psycopg.rows import tuple_row

from moeen.db.security import identity, signing
from tests.access import surroundings
from tests.access.matrix import ACTORS, KEPT, MATRIX, NEW, ROLES

COMMANDS = "SIUD"
REFUSED = psycopg.errors.InsufficientPrivilege
#: What stands in the way only after row security let the row through.
LATER = (psycopg.errors.UniqueViolation, psycopg.errors.ForeignKeyViolation, psycopg.errors.RestrictViolation)


class DjangoRoad:
    """Through the engine, in the scope of an identity."""

    roles = ("anon", "patient", "doctor", "staff", "supervisor", "admin", "service", "auth")

    def __init__(self, database, world):
        self.database, self.world = database, world

    def identity(self, role):
        if role in ACTORS:
            return identity.person(self.world.keys["users"][ACTORS[role]], role)
        return {"anon": identity.ANONYMOUS, "service": identity.SERVICE, "auth": identity.AUTH}[role]

    @contextmanager
    def acting(self, role):
        alias = self.database.alias

        def execute(query, params=None):
            cursor = connections[alias].cursor()
            try:
                cursor.execute(query, params)
            except DatabaseError as error:
                raise error.__cause__ from None
            return cursor

        with identity.bound(self.identity(role)), transaction.atomic(using=alias):
            yield execute
            transaction.set_rollback(True, using=alias)


class ApiRoad:
    """As PostgREST comes: its own login, the platform's role, the claims, then the pre-request function."""

    roles = ("anon", "patient", "doctor", "staff", "supervisor", "admin", "service")

    def __init__(self, database, world):
        self.database, self.world = database, world
        self.connection = None

    def claims(self, role):
        if role not in ACTORS:
            return {"role": {"anon": "anon", "service": "service_role"}[role]}
        return {"sub": self.world.keys["users"][ACTORS[role]], "role": "authenticated"}

    @contextmanager
    def acting(self, role):
        with self.request(self.claims(role)) as connection:
            yield connection.execute

    @contextmanager
    def request(self, claims, *, text=None):
        """A request's transaction, rolled back. `text`: the claims as they are, instead of as JSON."""
        if self.connection is None or self.connection.closed:
            self.connection = self.database.connect(user="authenticator", row_factory=tuple_row)
        with self.connection.transaction(force_rollback=True):
            platform = claims.get("role", "anon")
            self.connection.execute(
                "SELECT set_config('role', %s, true), set_config('request.jwt.claims', %s, true)",
                [platform, json.dumps(claims) if text is None else text],
            )
            self.connection.execute("SELECT app.bind_request()")
            yield self.connection

    def close(self):
        if self.connection is not None:
            self.connection.close()


class OwnerRoad(DjangoRoad):
    """Inside one transaction of the owner's, so that it also sees what that transaction has changed."""

    def __init__(self, connection, world):
        self.connection, self.world = connection, world
        self.signer = signing.signer_for(connection, configured=None)

    @contextmanager
    def acting(self, role):
        who = self.identity(role)
        signature = self.signer.sign(role=who.role, claims=who.claims)
        query = """SELECT set_config('role', %s, true), set_config('request.jwt.claims', %s, true),
                          set_config('moeen.signature', %s, true)"""
        self.connection.execute(query, [who.role, who.claims, signature])
        try:
            yield self.connection.execute
        finally:
            self.connection.execute(query, ["none", "", ""])


def parse(cell):
    """`S(-a b) x y; I *; D -` -> {"S": (frozenset of columns or None, inverted, labels or None for all), ...}"""
    found = {}
    for part in filter(None, (part.strip() for part in cell.split(";"))):
        match = re.fullmatch(r"([SIUD])(?:\((-?)([a-z_ ]+)\))? (.+)", part)
        assert match, part
        columns = frozenset(match[3].split()) if match[3] else None
        labels = frozenset(match[4].split(" ")) - {"-"} if match[4] != "*" else None
        found[match[1]] = (columns, match[2] == "-", labels)
    return found


class Probe:
    """Finds out by trying. Rows and columns are read as the owner, once."""

    def __init__(self, database, world):
        self.world = world
        self.tables = {}
        with database.connect() as owner:
            for (table,) in owner.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
            ).fetchall():
                self.tables[table] = self._read(owner, table)

    def _read(self, owner, table):
        columns = [
            name
            for (name,) in owner.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
                [f'public."{table}"'],
            ).fetchall()
        ]
        (key,) = owner.execute(
            """SELECT attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
               WHERE i.indrelid = %s::regclass AND i.indisprimary""",
            [f'public."{table}"'],
        ).fetchone()
        rows = dict(owner.execute(f'SELECT "{key}"::text, to_jsonb(t) FROM "{table}" AS t').fetchall())
        return key, columns, rows

    def differences(self, road, role, tables=None, commands=COMMANDS):
        """What differs from the matrix, as lines; empty when the role may do exactly what is written there."""
        found = []
        with road.acting(role) as execute:
            for table in tables or self.tables:
                wanted = parse(MATRIX[table].get(role, ""))
                for command in commands:
                    for line in getattr(self, f"_probe_{command}")(execute, table, wanted.get(command)):
                        found.append(f"{role} {command} {table}: {line}")
        return found

    def catalog_differences(self, owner):
        """Grants, column by column, and row security itself, as the catalog has them; lines as above.

        A grant without a policy lets nobody see anything, so that trying does not find it.
        """
        found = []
        rows = owner.execute(
            """
            SELECT c.relname, substr(r.rolname, 7), k.letter,
                   CASE WHEN k.letter = 'D' THEN ARRAY(SELECT '*' WHERE has_table_privilege(r.oid, c.oid, 'DELETE'))
                   ELSE ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
                              AND NOT a.attisdropped AND has_column_privilege(r.oid, c.oid, a.attnum, k.name)) END
            FROM pg_class c CROSS JOIN pg_roles r
            CROSS JOIN (VALUES ('S', 'SELECT'), ('I', 'INSERT'), ('U', 'UPDATE'), ('D', 'DELETE')) AS k (letter, name)
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND r.rolname = ANY (%s)
            """,
            [[f"moeen_{role}" for role in ROLES]],
        ).fetchall()
        for table, role, command, granted in rows:
            wanted = parse(MATRIX[table].get(role, "")).get(command)
            if command == "D":
                wanted, granted = wanted and (None, False, None), set(self.tables[table][1]) if granted else set()
            for line in self._compare_columns(table, wanted, set(granted)):
                found.append(f"{role} {command} {table}: {line} by grants")
        for table, problem in owner.execute(
            """SELECT relname, CASE WHEN relrowsecurity THEN 'forced' ELSE 'off' END FROM pg_class
               WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
                 AND (NOT relrowsecurity OR relforcerowsecurity)"""
        ).fetchall():
            found.append(f"{table}: row security is {problem}")
        # Column grants often leave nothing to check; so that none is forgotten, a row stays what it had to be before.
        for (policy,) in owner.execute(
            """SELECT policyname FROM pg_policies WHERE cmd = 'UPDATE' AND with_check IS DISTINCT FROM qual
                 AND permissive = 'PERMISSIVE'
                 AND NOT starts_with(with_check, '(' || qual || ' AND ')"""  # narrower still
        ).fetchall():
            found.append(f"{policy}: a row may become what it may not be before")
        # A trigger often refuses it as well. What one sends is not what one receives.
        for (policy,) in owner.execute(
            """SELECT i.policyname FROM pg_policies AS i JOIN pg_policies AS u USING (tablename, roles)
               WHERE i.cmd = 'INSERT' AND u.cmd = 'UPDATE' AND i.with_check <> u.with_check
                 AND NOT starts_with(i.with_check, '(' || u.with_check || ' AND ')
                 AND tablename <> 'internal_messages'"""
        ).fetchall():
            found.append(f"{policy}: a row may be made that it may not become")
        return found + surroundings.differences(owner)

    def _probe_S(self, execute, table, wanted):  # noqa: N802
        key, columns, _ = self.tables[table]
        yield from self._compare_columns(
            table, wanted, {c for c in columns if _may(execute, f'SELECT "{c}" FROM "{table}" WHERE false')}
        )
        outcome = _tried(execute, f'SELECT "{key}"::text FROM "{table}"')
        seen = set() if outcome is REFUSED else {row[0] for row in outcome}
        yield from self._compare_rows(table, wanted, seen)

    def _probe_U(self, execute, table, wanted):  # noqa: N802
        key, columns, rows = self.tables[table]
        allowed = {c for c in columns if _may(execute, f'UPDATE "{table}" SET "{c}" = DEFAULT WHERE false')}
        yield from self._compare_columns(table, wanted, allowed)
        readable = [c for c in allowed if _may(execute, f'SELECT "{c}" FROM "{table}" WHERE false')]
        changed = set()
        for key_value in rows if readable else ():
            c = readable[0]
            outcome = _tried(execute, f'UPDATE "{table}" SET "{c}" = "{c}" WHERE "{key}"::text = %s', [key_value])
            if outcome is LATER or (outcome is not REFUSED and outcome == 1):
                changed.add(key_value)
        yield from self._compare_rows(table, wanted, changed)
        for c in sorted(allowed - KEPT):  # without a condition: what may be seen does not matter then
            outcome = _tried(execute, f'UPDATE "{table}" SET "{c}" = DEFAULT')
            if outcome is not LATER:
                yield from self._compare_number(table, wanted, outcome)
                break

    def _probe_D(self, execute, table, wanted):  # noqa: N802
        key, _, rows = self.tables[table]
        gone = set()
        # Without the right to read the key, the condition itself would be refused.
        blind = not _may(execute, f'SELECT "{key}" FROM "{table}" WHERE false')
        for key_value in [None] if blind else rows:
            condition = "" if blind else f' WHERE "{key}"::text = %s'
            outcome = _tried(execute, f'DELETE FROM "{table}"{condition}', None if blind else [key_value])
            if outcome is LATER or (outcome is not REFUSED and outcome > 0):
                gone |= rows.keys() if blind else {key_value}
        yield from self._compare_rows(table, wanted, gone)
        outcome = _tried(execute, f'DELETE FROM "{table}"')
        if outcome is not LATER:
            yield from self._compare_number(table, wanted, 0 if outcome is REFUSED else outcome)

    def _probe_I(self, execute, table, wanted):  # noqa: N802
        _, _, rows = self.tables[table]
        only = wanted and wanted[0]  # the columns that are granted, where not all
        made = {key for key in rows if self.insert_like(execute, table, key, only=only) is not REFUSED}
        if not rows and _may(execute, f'INSERT INTO "{table}" DEFAULT VALUES'):
            yield "no row to be made like, but it may be inserted into"
        yield from self._compare_rows(table, wanted, made)

    def strays(self, road, role, references):
        """References that the role may point to rows it does not see, or that tell it whether there is such a row.

        As lines; and how often each was tried, by table and column. `references`: (table, columns, table referred to).
        """
        found, tried = [], {}
        with road.acting(role) as execute:
            for table, columns, seen in references:
                column, key = columns[-1], self.tables[seen][0]
                outcome = _tried(execute, f'SELECT "{key}"::text FROM "{seen}"')
                hidden = self.tables[seen][2].keys() - {row[0] for row in (() if outcome is REFUSED else outcome)}
                for stray in (min(hidden), str(uuid.uuid4())) if hidden else ():
                    for command, row, outcome in self._pointed(execute, table, column, stray):
                        tried[table, column] = tried.get((table, column), 0) + 1
                        # A trigger may say who it is instead.
                        if outcome is LATER or (outcome is not REFUSED and [stray] in map(list, outcome)):
                            label = self.world.labels(table).get(row, row)
                            found.append(f"{role} {command} {table}.{column} of {label} to {seen} {stray}")
        return found, tried

    def _pointed(self, execute, table, column, stray):
        key, _, rows = self.tables[table]
        for row in rows:
            update = f'UPDATE "{table}" SET "{column}" = %s WHERE "{key}"::text = %s RETURNING "{column}"::text'
            if rows[row][column] != stray:  # what somebody else pointed there stays
                yield "U", row, _tried(execute, update, [stray, row])
            query, values = self._like(table, row, {column: stray})
            yield "I", row, _tried(execute, f'{query} RETURNING "{column}"::text', values)

    def insert_like(self, execute, table, key_value, only=None, **changes):
        """Try a new row like an existing one, in all of its columns or `only` these: REFUSED, LATER or 1."""
        return _tried(execute, *self._like(table, key_value, changes, only))

    def _like(self, table, key_value, changes, only=None):
        key, columns, rows = self.tables[table]
        row = {**rows[key_value], **NEW.get(table, {}), **changes}
        if isinstance(row[key], str):
            row[key] = str(uuid.uuid4())[:40]
        else:
            row[key] += 1_000_000
        if "public_id" in row:
            digits = uuid.uuid4().hex[:23]
            row["public_id"] = row["public_id"][:4] + "a" + digits
        names = ", ".join(f'"{c}"' for c in columns if only is None or c in only)
        query = f'INSERT INTO "{table}" ({names}) SELECT {names} FROM jsonb_populate_record(NULL::"{table}", %s)'
        return query, [json.dumps(row)]

    def _compare_columns(self, table, wanted, found):
        columns = set(self.tables[table][1])
        expected = set()
        if wanted is not None:
            named, inverted, _ = wanted
            expected = columns if named is None else columns - named if inverted else set(named)
        for column in sorted(found - expected):
            yield f"column {column} is allowed"
        for column in sorted(expected - found):
            yield f"column {column} is refused"

    def _expected(self, table, wanted):
        rows, labels = self.tables[table][2], self.world.labels(table)
        if wanted is None:
            return set()
        unknown = (wanted[2] or set()) - set(labels.values())
        assert not unknown, f"{table} has no row {unknown}"
        return {key for key in rows if wanted[2] is None or labels.get(key) in wanted[2]}

    def _compare_number(self, table, wanted, number):
        expected = len(self._expected(table, wanted))
        if number != expected:
            yield f"{number} rows are reached without a condition, not {expected}"

    def _compare_rows(self, table, wanted, found):
        labels, expected = self.world.labels(table), self._expected(table, wanted)
        for key in sorted(found - expected):
            yield f"row {labels.get(key, key)} is allowed"
        for key in sorted(expected - found):
            yield f"row {labels.get(key, key)} is refused"


def _may(execute, query):
    return _tried(execute, query) is not REFUSED


def _tried(execute, query, params=None):
    """REFUSED, LATER, the rows that came back, or the number of rows changed; whatever was done is undone."""
    execute("SAVEPOINT probe")
    try:
        cursor = execute(query, params)
        return cursor.fetchall() if cursor.description else cursor.rowcount
    except REFUSED:
        return REFUSED
    except LATER:
        return LATER
    except (psycopg.errors.NotNullViolation, psycopg.errors.CheckViolation):
        return LATER
    finally:
        execute("ROLLBACK TO SAVEPOINT probe")
        execute("RELEASE SAVEPOINT probe")

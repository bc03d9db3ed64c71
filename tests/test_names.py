"""Names with dots, quotes, spaces and upper case, of every kind of object: what is printed mends them and no other."""

from itertools import product

import pytest
from django.db import transaction
from django.db.migrations.loader import MigrationLoader
from psycopg import sql

from moeen.db import schema
from moeen.db.names import ObjectKind, ObjectName
from moeen.db.schema import canonical, fix_script
from tests.test_drift import as_it_stands, run, superuser_of

ODD = [
    "pay.roll",
    'say "x".',
    "two words",
    "Upper",
    "o'clock; x",
    "a(b)",
    "user",
    "new\nline",
    "100% --{n}",
    "pg_class",
]

#: {n} is the name, {s} the schema of the tables, {l} the name in a literal.
OBJECTS = """
    CREATE TABLE {s}.{n} (id int PRIMARY KEY, {n} varchar(10) NOT NULL DEFAULT 'x', {m} int);
    ALTER TABLE {s}.{n} ADD CONSTRAINT {n} CHECK (id > 0);
    CREATE TABLE {s}.{m} (id int, CONSTRAINT {m} FOREIGN KEY (id) REFERENCES {s}.{n} (id));
    CREATE INDEX {i} ON {s}.{n} ({n});
    ALTER TABLE {s}.{n} ADD CONSTRAINT {u} UNIQUE ({n}, id);
    CREATE FUNCTION {s}.{n}({n} int) RETURNS int LANGUAGE sql AS 'SELECT 1';
    CREATE FUNCTION {s}.{m}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER {n} BEFORE UPDATE ON {s}.{n} FOR EACH ROW EXECUTE FUNCTION {s}.{m}();
    CREATE TRIGGER {m} BEFORE UPDATE ON {s}.{n} FOR EACH ROW EXECUTE FUNCTION {s}.{m}();
    ALTER TABLE {s}.{n} ENABLE ROW LEVEL SECURITY;
    CREATE POLICY {n} ON {s}.{n} FOR SELECT TO moeen_staff USING ({n} <> {l});
    CREATE POLICY {m} ON {s}.{n} FOR SELECT TO moeen_staff USING (true);
    CREATE RULE {n} AS ON DELETE TO {s}.{n} DO INSTEAD NOTHING;
    CREATE SEQUENCE {s}.{q};
    CREATE TYPE {s}.{t} AS ENUM ('a');
    COMMENT ON TABLE {s}.{n} IS {l};
    COMMENT ON COLUMN {s}.{n}.{n} IS {l};
    COMMENT ON CONSTRAINT {n} ON {s}.{n} IS {l};
    COMMENT ON INDEX {s}.{i} IS {l};
    COMMENT ON TRIGGER {n} ON {s}.{n} IS {l};
    COMMENT ON POLICY {n} ON {s}.{n} IS {l};
    COMMENT ON FUNCTION {s}.{n}(int) IS {l};
    GRANT SELECT ON {s}.{n} TO moeen_staff;
    GRANT UPDATE ({n}) ON {s}.{n} TO moeen_staff;
    GRANT EXECUTE ON FUNCTION {s}.{n}(int) TO moeen_staff;
    GRANT USAGE ON SEQUENCE {s}.{q} TO moeen_staff;
    REVOKE USAGE ON TYPE {s}.{t} FROM PUBLIC;
"""
CHANGES = {
    "parts dropped": """
        ALTER TABLE {s}.{n} DROP CONSTRAINT {n}, DROP CONSTRAINT {u}, DROP COLUMN {m};
        ALTER TABLE {s}.{m} DROP CONSTRAINT {m};
        DROP INDEX {s}.{i}; DROP TRIGGER {n} ON {s}.{n}; DROP POLICY {n} ON {s}.{n}; DROP RULE {n} ON {s}.{n};
        DROP FUNCTION {s}.{n}(int);
    """,
    "parts changed": """
        ALTER TABLE {s}.{n} DROP CONSTRAINT {n}, ADD CONSTRAINT {n} CHECK (id > 1), ALTER {n} DROP NOT NULL,
            ALTER {n} SET DEFAULT 'y', ALTER {m} TYPE bigint, DISABLE TRIGGER {n};
        DROP INDEX {s}.{i}; CREATE INDEX {i} ON {s}.{n} (id);
        ALTER POLICY {n} ON {s}.{n} USING (true);
        DROP POLICY {m} ON {s}.{n}; CREATE POLICY {m} ON {s}.{n} FOR ALL TO moeen_staff USING (true);
        DROP TRIGGER {m} ON {s}.{n};
        CREATE TRIGGER {m} BEFORE INSERT ON {s}.{n} FOR EACH ROW EXECUTE FUNCTION {s}.{m}();
        CREATE OR REPLACE FUNCTION {s}.{n}({n} int) RETURNS int LANGUAGE sql AS 'SELECT 2';
        ALTER SEQUENCE {s}.{q} INCREMENT 5;
        ALTER TABLE {s}.{n} DISABLE ROW LEVEL SECURITY; ALTER TABLE {s}.{n} FORCE ROW LEVEL SECURITY;
    """,
    "comments and rights changed": """
        COMMENT ON TABLE {s}.{n} IS NULL; COMMENT ON COLUMN {s}.{n}.{n} IS 'x'; COMMENT ON INDEX {s}.{i} IS NULL;
        COMMENT ON CONSTRAINT {n} ON {s}.{n} IS NULL; COMMENT ON TRIGGER {n} ON {s}.{n} IS NULL;
        COMMENT ON POLICY {n} ON {s}.{n} IS NULL; COMMENT ON FUNCTION {s}.{n}(int) IS NULL;
        COMMENT ON SEQUENCE {s}.{q} IS 'x'; COMMENT ON TYPE {s}.{t} IS 'x';
        REVOKE SELECT ON {s}.{n} FROM moeen_staff; GRANT INSERT ON {s}.{n} TO moeen_anon;
        REVOKE UPDATE ({n}) ON {s}.{n} FROM moeen_staff; GRANT SELECT ({m}) ON {s}.{n} TO moeen_anon;
        REVOKE EXECUTE ON FUNCTION {s}.{n}(int) FROM moeen_staff; GRANT USAGE ON SEQUENCE {s}.{q} TO moeen_anon;
        GRANT USAGE ON TYPE {s}.{t} TO moeen_anon;
    """,
    "parts added": """
        ALTER TABLE {s}.{n} ADD CONSTRAINT {x} CHECK (id > 1);
        CREATE INDEX {x} ON {s}.{n} (id); CREATE POLICY {x} ON {s}.{n} USING (true);
        CREATE TRIGGER {x} BEFORE UPDATE ON {s}.{n} FOR EACH ROW EXECUTE FUNCTION {s}.{m}();
        CREATE RULE {x} AS ON INSERT TO {s}.{n} DO INSTEAD NOTHING;
        CREATE FUNCTION {s}.{x}({n} int) RETURNS int LANGUAGE sql AS 'SELECT 1';
        CREATE PROCEDURE {s}.{p}() LANGUAGE sql AS 'SELECT 1';
        CREATE VIEW {s}.{v} AS SELECT 1 AS {n}; CREATE SEQUENCE {s}.{y}; CREATE TYPE {s}.{z} AS ENUM ('a');
        CREATE DOMAIN {s}.{d} AS int; CREATE COLLATION {s}.{c} FROM "C";
    """,
    "owners changed": """
        ALTER TABLE {s}.{n} OWNER TO postgres; ALTER FUNCTION {s}.{n}(int) OWNER TO postgres;
        ALTER SEQUENCE {s}.{q} OWNER TO postgres; ALTER TYPE {s}.{t} OWNER TO postgres;
    """,
}


def filled(text, inside):
    """The text for every odd name, in this schema."""
    parts = []
    for name in ODD:
        words = {letter: sql.Identifier(f"{name} {letter}") for letter in "cdimpqtuvxyz"}
        words |= {"n": sql.Identifier(name), "l": sql.Literal(name), "s": sql.Identifier(inside)}
        parts.append(sql.SQL(text).format(**words).as_string(None))
    return ";".join(parts)


@pytest.fixture(scope="module")
def connection(new_database):
    database = new_database.migrated()
    with superuser_of(database) as made:
        yield made


@pytest.fixture(scope="module")
def loader(connection):
    return MigrationLoader(connection)


@pytest.mark.parametrize("inside", ["public", "app"])
def test_fix_script__odd_names__mends_exactly_them(connection, loader, inside):
    with transaction.atomic(using=connection.alias):
        run(connection, filled(OBJECTS, inside))
        with as_it_stands(connection):
            clean = schema.validate(connection, loader=loader)
            assert clean.findings == ()
            for what, change in CHANGES.items():
                superuser = what == "owners changed"
                run(connection, filled(change, inside), superuser=superuser)
                found = schema.validate(connection, loader=loader).findings
                assert len(found) >= 4 * len(ODD), what
                assert {f.name.schema for f in found if f.kind.about is not ObjectKind.OBJECT} == {inside}
                run(connection, fix_script.script(found), superuser=superuser)
                left = schema.validate(connection, loader=loader)
                assert left.findings == (), what
                assert left.fingerprint == clean.fingerprint
        transaction.set_rollback(True, using=connection.alias)


def test_fix_script__view_whose_name_holds_a_dot__drops_it_and_not_its_namesake(connection, loader):
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        run(connection, 'CREATE SCHEMA pay; CREATE VIEW pay.roll AS SELECT 1; CREATE VIEW "pay.roll" AS SELECT 1')
        run(connection, 'CREATE VIEW app.roll AS SELECT 1; CREATE VIEW "app.roll" AS SELECT 1')
        found = schema.validate(connection, loader=loader).findings
        assert {f.object for f in found} == {'"pay.roll"', '"app.roll"', "app.roll"}
        alone = [f for f in found if f.name == ObjectName("public", "app.roll")]
        for findings, left in ((alone, ["app.roll", '"pay.roll"', "pay.roll"]), (found, ["pay.roll"])):
            run(connection, fix_script.script(findings).replace("DROP VIEW", "DROP VIEW IF EXISTS"))
            cursor.execute(
                "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'v' AND relname LIKE '%roll' ORDER BY 1"
            )
            assert sorted(name for (name,) in cursor.fetchall()) == sorted(left)
        transaction.set_rollback(True, using=connection.alias)


def test_fix_script__advice_on_names_with_line_breaks__stays_a_comment(connection, loader):
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        run(connection, 'CREATE TABLE "x\n; DROP TABLE messages; --" (id int); ALTER TABLE messages ADD "\nDROP y" int')
        found = schema.validate(connection, loader=loader).findings
        assert len(found) == 2
        run(connection, fix_script.script(found))
        cursor.execute("SELECT to_regclass('messages') IS NOT NULL")
        assert cursor.fetchone() == (True,)
        transaction.set_rollback(True, using=connection.alias)


@pytest.mark.parametrize("one", ODD)
@pytest.mark.parametrize(
    ("kind", "make"),
    [
        ("table", lambda one: ObjectName("public", one)),
        ("type", lambda one: ObjectName(one, one)),
        ("policy", lambda one: ObjectName("public", one, one)),
        ("index", lambda one: ObjectName(one, one, one)),
        ("function", lambda one: ObjectName("app", part=one, arguments=f'"{one}" int, text')),
        ("auth function", lambda one: ObjectName("auth", part=one, arguments="")),
        ("schema", ObjectName),
        ("role", lambda one: ObjectName("", part=one)),
        ("object", lambda one: ObjectName("", "operator class", f"public.{one} USING btree")),
    ],
)
def test_of__pretty_form__is_the_same_name(kind, make, one):
    assert ObjectName.of(kind, make(one).pretty()) == make(one)


def test_pretty__different_names__differ():
    parts = ["a", "a.b", 'a"', "a.b.c", "b", '"a"', "public"]
    names = {ObjectName(*path) for n in (2, 3) for path in product(parts, repeat=n)}
    tables = {name for name in names if not name.part}
    assert len({name.pretty() for name in tables}) == len(tables)
    assert len({name.pretty() for name in names - tables}) == len(names - tables)


def test_expected__names_of_a_normal_database__are_as_they_were():
    text = schema.expected_path().read_text(encoding="utf-8")
    assert canonical.write(canonical.load(text)) == text

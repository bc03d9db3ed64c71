# ruff: noqa: E501 - SQL and what is found, side by side
"""What a restore could not bring back is found in the live database, by reading it alone."""

import pytest
from django.db import connections, transaction

from moeen.db import schema
from moeen.db.kinds import Kind
from moeen.db.schema import orphans, restorable

#: What a function does that an index, a check or a generated column runs.
BODIES = {
    "unqualified function": "CREATE OR REPLACE FUNCTION public.f(x text) RETURNS text LANGUAGE {language} IMMUTABLE AS $${begin} SELECT helper(x){end} $$",
    "unqualified table": "CREATE OR REPLACE FUNCTION public.f(x text) RETURNS text LANGUAGE {language} IMMUTABLE AS $${begin} SELECT x FROM others LIMIT 1{end} $$",
    "unqualified type": "CREATE OR REPLACE FUNCTION public.f(x text) RETURNS text LANGUAGE {language} IMMUTABLE AS $${begin} SELECT (x::mood)::text{end} $$",
    "qualified": "CREATE OR REPLACE FUNCTION public.f(x text) RETURNS text LANGUAGE {language} IMMUTABLE AS $${begin} SELECT public.helper((x::public.mood)::text) || 'helper(x) FROM others' /* helper(x) */{end} $$",
    "function in FROM": "CREATE OR REPLACE FUNCTION public.f(x text) RETURNS text LANGUAGE {language} IMMUTABLE AS $${begin} SELECT y FROM helper(x) y{end} $$",
    "path": "CREATE OR REPLACE FUNCTION public.f(x text) RETURNS text LANGUAGE {language} IMMUTABLE SET search_path = public, pg_temp AS $${begin} SELECT helper(x){end} $$",
    "by another": "CREATE FUNCTION public.g(x text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT helper(x)'; CREATE OR REPLACE FUNCTION public.f(x text) RETURNS text LANGUAGE {language} IMMUTABLE AS $${begin} SELECT public.g(x){end} $$",
    "reads by qualified name": "CREATE OR REPLACE FUNCTION public.f(x text) RETURNS text LANGUAGE {language} IMMUTABLE SET search_path = '' AS $${begin} SELECT min(o.x) FROM public.others o{end} $$",
}
BEFORE = """
    CREATE TYPE mood AS ENUM ('calm'); CREATE TABLE others (x text); CREATE TABLE own (x text, y text);
    -- What an index runs is made with a path of its own from 17 on; it can lose it afterwards.
    CREATE FUNCTION public.f(x text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT x';
    CREATE FUNCTION helper(x text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper(x)';
"""
NAME, READS = Kind.NAME_LOST_ON_RESTORE, Kind.ROWS_READ_ON_RESTORE
INDEX = "CREATE INDEX own_f ON own (public.f(x))"
CHECK = "ALTER TABLE own ADD CONSTRAINT own_f CHECK (public.f(x) IS NULL OR x > '')"


@pytest.fixture(scope="module")
def database(new_database):
    database = new_database.migrated()
    yield database
    new_database.drop(database)


@pytest.fixture
def connection(database):
    return connections[database.alias]


@pytest.fixture
def found(connection):
    """`found(*statements)`: (kind, object) of what is found after them; all is undone."""

    def look(*statements):
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            findings, _ = restorable.findings(connection)
            transaction.set_rollback(True, using=connection.alias)
        return {(f.kind, f.object): f for f in findings}

    return look


def test_restorable__schema_of_the_project__nothing(found):
    assert found() == {}


@pytest.mark.parametrize("language", ["sql", "plpgsql"])
@pytest.mark.parametrize(
    ("body", "use", "kind"),
    [
        ("unqualified function", INDEX, NAME), ("unqualified table", INDEX, NAME), ("unqualified type", CHECK, NAME),
        ("by another", INDEX, NAME), ("function in FROM", INDEX, NAME), ("qualified", INDEX, None), ("path", INDEX, None), ("path", CHECK, None),
        ("reads by qualified name", CHECK, READS), ("reads by qualified name", INDEX, None),
        ("unqualified table", CHECK, READS),
    ],
)  # fmt: skip
def test_function__that_a_restore_runs__is_judged_by_what_it_names(found, language, body, use, kind):
    begin, end = ("BEGIN RETURN (", "); END") if language == "plpgsql" else ("", "")
    made = BODIES[body].format(language=language, begin=begin, end=end)
    findings = found(BEFORE, use, made)
    assert set(findings) == ({(kind, "own.own_f")} if kind else set())
    if kind is NAME:
        function = "g" if body == "by another" else "f"
        (finding,) = findings.values()
        assert (
            finding.fix.pretty() == f'ALTER FUNCTION "public"."{function}"(x text) SET search_path = "public", pg_temp'
        )
        # What it says mends it.
        assert found(BEFORE, use, made, finding.fix.pretty()) == {}


def test_function__of_a_generated_column_a_domain_and_a_materialized_view__is_judged_too(found):
    made = BODIES["unqualified function"].format(language="sql", begin="", end="")
    reads = "CREATE FUNCTION public.r(x text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT x FROM public.others'"
    uses = (
        "ALTER TABLE own ADD z text GENERATED ALWAYS AS (public.f(x)) STORED",
        "ALTER TABLE own ADD w text GENERATED ALWAYS AS (public.r(x)) STORED",
        "CREATE DOMAIN short AS text CONSTRAINT is_short CHECK (public.f(VALUE) > '')",
        "CREATE MATERIALIZED VIEW seen AS SELECT public.f(x) FROM own",
    )
    assert set(found(BEFORE, reads, *uses, made)) == {
        (NAME, "own.z"), (READS, "own.w"), (NAME, "short.is_short"), (NAME, "seen")
    }  # fmt: skip


KEYS = """
    CREATE TABLE parents (a int, b text, PRIMARY KEY (a, b)); INSERT INTO parents VALUES (1, 'x');
    CREATE TABLE children (a int, b text, CONSTRAINT children_key FOREIGN KEY (a, b) REFERENCES parents);
    INSERT INTO children VALUES (1, 'x'), (NULL, 'y'), (2, NULL);
"""
ORPHANS = """
    SET session_replication_role = replica; INSERT INTO children VALUES (7, 'x'), (8, 'x');
    RESET session_replication_role
"""


def test_key__orphans_that_came_while_it_was_off__are_counted(new_database, monkeypatch):
    database = new_database.migrated()

    def found(**options):
        return restorable.findings(connections[database.alias], **options)

    with database.connect() as owner, database.admin() as admin:
        owner.execute(KEYS)
        assert found() == ([], [])
        admin.execute(ORPHANS)
        (finding,), large = found()
        assert (finding.kind, finding.object, large) == (Kind.ORPHANS_UNDER_KEY, "children.children_key", [])
        assert finding.found == "2 rows refer to none of parents"
        query = finding.fix.pretty().partition(": ")[2]
        assert sorted(owner.execute(query).fetchall()) == [(7, "x"), (8, "x")]
        monkeypatch.setattr(orphans, "LARGE_BYTES", 0)
        none, large = found()
        assert (none, "children" in large) == ([], True)
        assert found(deep=True) == ([finding], [])
        monkeypatch.undo()
        result = schema.validate(connections[database.alias], advice=True)
        assert finding in result.findings
        owner.execute("ALTER TABLE children DROP CONSTRAINT children_key; ALTER TABLE children ADD FOREIGN KEY (a, b)"
                      " REFERENCES parents NOT VALID")  # fmt: skip
        assert found() == ([], [])
    new_database.drop(database)

"""The operations on a table that stands and holds rows: there, there again, and back, online."""

from dataclasses import replace

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections, models
from django.db.migrations import AddIndex
from django.db.migrations.loader import MigrationLoader

from moeen.db import catalog, registry
from moeen.db.constraints import ForeignKeyConstraint, Index
from moeen.db.converge import locks
from moeen.db.converge.converge import Refused
from moeen.db.errors import MoeenError
from moeen.db.operations import (
    AddTableConstraint,
    AlterColumn,
    CheckPublicIds,
    RemoveTableConstraint,
    RunIndexFile,
    RunSQLFile,
)
from moeen.db.sql_files import Script, read_scripts
from tests import states

TEXT = {"max_length": 50}
INDEX_SQL = """
-- One of Django's plain ones, and one whose words it would choose otherwise.
CREATE INDEX CONCURRENTLY patients_phone_idx ON patients (phone);
CREATE INDEX CONCURRENTLY patients_given_idx ON patients USING btree (last_name DESC)
    WHERE phone <> ';';
CREATE INDEX CONCURRENTLY doctors_phone_idx ON doctors (phone);
"""
INDEX_REVERSE = """
DROP INDEX CONCURRENTLY IF EXISTS doctors_phone_idx;
DROP INDEX CONCURRENTLY IF EXISTS patients_given_idx;
DROP INDEX CONCURRENTLY IF EXISTS patients_phone_idx;
"""
ADDED = [
    AddIndex("patient", Index(fields=["phone"], name="patients_phone_idx")),
    AddIndex("patient", Index(fields=["-last_name"], condition=~models.Q(phone=";"), name="patients_given_idx")),
    AddIndex("doctor", Index(fields=["phone"], name="doctors_phone_idx")),
]
INDEXES = RunIndexFile("healthcare", "0099_indexes", ADDED, texts=(INDEX_SQL, INDEX_REVERSE))
OPERATIONS = {
    "indexes": INDEXES,
    "no check": RemoveTableConstraint("appointment", "appointments_status_check"),
    "required": AlterColumn("patient", "phone", models.CharField(**TEXT, db_default="")),
    "unique": AlterColumn("patient", "phone", models.CharField(**TEXT, null=True, unique=True)),
    "indexed": AlterColumn("patient", "phone", models.CharField(**TEXT, null=True, db_index=True)),
    "longer": AlterColumn("patient", "phone", models.CharField(max_length=80, null=True, db_comment="With its code")),
    "default": AlterColumn("patient", "phone", models.CharField(**TEXT, null=True, db_default="none")),
    "optional": AlterColumn("patient", "first_name", models.CharField(max_length=100, null=True)),
    "reference": AlterColumn(
        "appointment", "doctor", models.ForeignKey("healthcare.doctor", models.SET_NULL, null=True, related_name="+")
    ),
    "check": AddTableConstraint(
        "patient", models.CheckConstraint(condition=~models.Q(phone="0"), name="patients_phone_check")
    ),
    "unique together": AddTableConstraint(
        "patient", models.UniqueConstraint(fields=["phone", "last_name"], name="patients_phone_last_name_key")
    ),
    "unique in part": AddTableConstraint(
        "patient",
        models.UniqueConstraint(fields=["phone"], condition=~models.Q(phone=""), name="patients_phone_given_key"),
    ),
    "foreign key": AddTableConstraint(
        "session",
        ForeignKeyConstraint(
            name="sessions_session_doctor_fkey",
            fields=["doctor"],
            to="sysadmin.User",
            to_fields=["id"],
            on_delete=models.RESTRICT,
        ),
    ),
}
#: What each must be refused for, when a row stands that it cannot keep.
MISFITS = {
    "check": "UPDATE patients SET phone = '0' WHERE ctid = '(0,1)'",
    "unique": "UPDATE patients SET phone = '1'",
    "unique together": "UPDATE patients SET phone = '1'",
    "unique in part": "UPDATE patients SET phone = '1'",
}
FILL = """
INSERT INTO users (id, email, name, password_hash, role)
SELECT md5(n::text)::uuid, n || '@example.test', 'n', 'x', 'doctor' FROM generate_series(1, 3) AS n;
INSERT INTO patients (first_name, last_name, phone, email)
SELECT 'First', 'Last', nullif(n, 2)::text, n || '@example.test' FROM generate_series(1, 3) AS n;
INSERT INTO doctors (id, user_id, first_name, last_name, specialization, license_number)
SELECT md5(n::text)::uuid, md5(n::text)::uuid, 'First', 'Last', 'x', n::text FROM generate_series(1, 3) AS n;
"""


@pytest.fixture(scope="module")
def migrated(new_database):
    database = new_database.migrated()
    with database.connect() as connection:
        connection.execute(FILL)
    connections[database.alias].close()
    return database


@pytest.fixture
def copy(new_database, migrated):
    connections[migrated.alias].close()
    database = states.copy(new_database, migrated)
    yield database
    new_database.drop(database)


@pytest.fixture(scope="module")
def state():
    """The models as after the newest migrations."""
    return MigrationLoader(None).project_state()


def run(operation, state, database, *, backwards=False):
    """Run an operation as a migration that is not atomic does."""
    after = state.clone()
    operation.state_forwards("healthcare", after)
    connection = connections[database.alias]
    with connection.schema_editor(atomic=False) as editor:
        if backwards:
            operation.database_backwards("healthcare", editor, after, state)
        else:
            operation.database_forwards("healthcare", editor, state, after)


def tables(database):
    return {
        name: (t.columns, t.constraints, t.indexes, t.triggers, t.policies)
        for name, t in catalog.read(connections[database.alias]).tables.items()
    }


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation__forwards_again_and_back__changes_the_table_and_leaves_no_trace(copy, state, name):
    before = tables(copy)
    run(OPERATIONS[name], state, copy)
    after = tables(copy)
    assert after != before
    assert all(c.validated for _, constraints, *_ in after.values() for c in constraints.values())
    assert all(index.valid for _, _, indexes, *_ in after.values() for index in indexes.values())
    run(OPERATIONS[name], state, copy)
    assert tables(copy) == after
    run(OPERATIONS[name], state, copy, backwards=True)
    assert tables(copy) == before


@pytest.mark.parametrize("name", MISFITS)
def test_operation__rows_that_it_cannot_keep__is_refused_and_changes_nothing(copy, state, name):
    with copy.connect() as connection:
        connection.execute(MISFITS[name])
    before = tables(copy)
    with pytest.raises(Refused):
        run(OPERATIONS[name], state, copy)
    assert tables(copy) == before


#: The check of patients' ids in the forms that it had before.
OLDER_CHECKS = [
    "^pat_([a-z][0-9a-z]{23}|c[0-9a-z]{14,31}|[0-9]{8}_[0-9]{6})$",
    "^pat_([a-z][0-9a-z]{23}|c[0-9a-z]{14,31}|[0-9]{8}_[0-9]{6,12})$",
]


@pytest.mark.parametrize("check", OLDER_CHECKS)
def test_check_public_ids__a_check_as_it_was_before__is_brought_to_todays(copy, state, check):
    before = tables(copy)
    with copy.connect() as connection:
        connection.execute(
            f"""ALTER TABLE patients DROP CONSTRAINT patients_public_id_check, ADD CONSTRAINT patients_public_id_check
                CHECK (public_id ~ '{check}')"""
        )
    assert tables(copy) != before
    for backwards in (False, True):
        run(CheckPublicIds(["doctor", "patient"]), state, copy, backwards=backwards)
        assert tables(copy) == before


def test_check_public_ids__as_sqlmigrate_prints_it__takes_the_older_check_away_and_proves_todays(state):
    with connections["default"].schema_editor(collect_sql=True, atomic=False) as editor:
        CheckPublicIds(["patient"]).database_forwards("healthcare", editor, state, state)
    dropped, added, proven = editor.collected_sql
    name = '"patients_public_id_check"'
    assert dropped == f'ALTER TABLE "patients" DROP CONSTRAINT IF EXISTS {name};'
    assert added.startswith(f'ALTER TABLE "patients" ADD CONSTRAINT {name} CHECK ("public_id" ~ ')
    assert added.endswith(" NOT VALID;")
    assert proven == f'ALTER TABLE "patients" VALIDATE CONSTRAINT {name};'


def test_alter_column__another_column_name__is_refused_with_the_reason(copy, state):
    before = tables(copy)
    field = models.CharField(**TEXT, null=True, db_column="telephone")
    with pytest.raises(MoeenError, match="does not rename"):
        run(AlterColumn("patient", "phone", field), state, copy)
    assert tables(copy) == before


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation__as_sqlmigrate_prints_it__says_what_runs(state, name):
    after = state.clone()
    OPERATIONS[name].state_forwards("healthcare", after)
    with connections["default"].schema_editor(collect_sql=True, atomic=False) as editor:
        OPERATIONS[name].database_forwards("healthcare", editor, state, after)
    assert editor.collected_sql
    assert not [sql for sql in editor.collected_sql if sql.startswith("CREATE TABLE")]


def test_read_scripts__transactions_and_what_stands_between__are_told_apart():
    text = """-- A heading.

BEGIN; -- patients
SELECT 1;
COMMIT;
-- Between.
SELECT 2;
BEGIN;
DO $do$
BEGIN
    PERFORM 3;
END
$do$;
COMMIT;
-- The end.
"""
    assert read_scripts(text) == (
        Script("SELECT 1;\n", "patients"),
        Script("-- Between.\nSELECT 2;\n"),
        Script("DO $do$\nBEGIN\n    PERFORM 3;\nEND\n$do$;\n"),
    )


def test_sql_file__one_of_its_tables_is_locked__the_others_are_done_and_none_waits(new_database):
    """Policies of one table need a lock on it alone, so a lock on another is nobody's concern."""
    database = new_database()
    call_command("migrate", "crm", "0002", database=database.alias, verbosity=0, no_backup="test", no_rehearsal="test")
    call_command("migrate", "sysadmin", database=database.alias, verbosity=0, no_backup="test", no_rehearsal="test")
    operation = RunSQLFile("crm", "0003_rls")
    token = locks.patience.set(locks.Patience(lock_timeout_ms=50, tries=3, longest_pause_s=0.1))
    try:
        with database.connect() as holder, holder.transaction():
            holder.execute("LOCK TABLE crm_deals IN ACCESS SHARE MODE")
            with pytest.raises(locks.GaveUp, match="on crm_deals"):
                run(operation, MigrationLoader(None).project_state(), database)
    finally:
        locks.patience.reset(token)
    with database.connect() as connection:
        counts = connection.execute(
            "SELECT tablename, count(*) > 0 FROM pg_policies WHERE tablename LIKE 'crm%' GROUP BY 1"
        )
        assert dict(counts.fetchall()) == {"crm_leads": True}


def test_index_file__on_a_table_with_rows__takes_over_renews_and_builds_online(copy, state, monkeypatch):
    facts = registry.facts()
    older = facts.older_indexes | {"idx_patients_phone", "idx_patients_redundant"}
    monkeypatch.setattr(registry, "facts", lambda: replace(facts, older_indexes=older))
    with copy.connect() as connection:
        connection.execute("CREATE INDEX idx_patients_phone ON patients (phone)")
        with copy.connect() as writer, writer.transaction():
            writer.execute("UPDATE patients SET phone = phone")
            connection.execute("SET statement_timeout = '200ms'")
            with pytest.raises(psycopg.errors.QueryCanceled):  # waits for the writer, and leaves an invalid index
                connection.execute(*INDEXES.indexes[1].build().statements())
        connection.execute("RESET statement_timeout")
        connection.execute("CREATE INDEX idx_patients_redundant ON patients (id)")
        stood = dict(connection.execute("SELECT relname, oid FROM pg_class WHERE relkind = 'i'").fetchall())
    said = []

    def listen(execute, sql, params, many, context):
        if " INDEX " in str(sql) and "pg_" not in str(sql):
            said.append(str(sql))
        return execute(sql, params, many, context)

    with connections[copy.alias].execute_wrapper(listen):
        run(INDEXES, state, copy)
    with copy.connect() as connection:
        stands = dict(connection.execute("SELECT relname, oid FROM pg_class WHERE relkind = 'i'").fetchall())
        (valid,) = connection.execute("SELECT bool_and(indisvalid) FROM pg_index").fetchone()
    assert valid
    assert stands["patients_phone_idx"] == stood["idx_patients_phone"]  # renamed, not built
    assert stands["patients_given_idx"] != stood["patients_given_idx"]
    assert {"idx_patients_phone", "idx_patients_redundant"}.isdisjoint(stands)
    # What is built on a table with rows is built as the file says it.
    built = [sql for sql in said if sql.startswith("CREATE INDEX") and "pg_temp" not in sql and "CONCURRENTLY" in sql]
    assert built == [sql for index in INDEXES.indexes[1:] for sql in index.build().statements()]


def test_index_file__on_tables_without_rows__is_one_short_transaction_a_table(copy, state):
    with copy.connect() as connection:
        connection.execute("TRUNCATE patients, doctors CASCADE")
    said = []

    def listen(execute, sql, params, many, context):
        said.append(str(sql))
        return execute(sql, params, many, context)

    with connections[copy.alias].execute_wrapper(listen):
        run(INDEXES, state, copy)
    wanted = [sql for index in INDEXES.indexes for sql in index.build(online=False).statements()]
    assert [part for sql in said if sql.startswith("CREATE ") for part in sql.split(";\n")] == wanted


def test_index_file__as_sqlmigrate_prints_it__is_the_file_there_and_back(state):
    after = state.clone()
    INDEXES.state_forwards("healthcare", after)
    with connections["default"].schema_editor(collect_sql=True, atomic=False) as editor:
        INDEXES.database_forwards("healthcare", editor, state, after)
        INDEXES.database_backwards("healthcare", editor, after, state)
    told = "\n".join(editor.collected_sql).split()
    lines = [line for line in (INDEX_SQL + INDEX_REVERSE).splitlines() if not line.startswith("--")]
    assert told == "\n".join(lines).split()


@pytest.mark.parametrize(
    ("added", "texts"),
    [
        (ADDED[:2], (INDEX_SQL, INDEX_REVERSE)),
        (ADDED, (INDEX_SQL, INDEX_REVERSE.replace("doctors_phone_idx", "doctors_phone_key"))),
        (ADDED, (INDEX_SQL.replace("patients_given_idx", "patients_given"), INDEX_REVERSE)),
        (ADDED, (INDEX_SQL + "DROP TABLE patients;", INDEX_REVERSE)),
        (ADDED, (INDEX_SQL.replace("CONCURRENTLY doctors", "doctors"), INDEX_REVERSE)),
        (ADDED, (INDEX_SQL.replace("CONCURRENTLY doctors", "CONCURRENTLY IF NOT EXISTS doctors"), INDEX_REVERSE)),
    ],
    ids=["models know fewer", "drops another", "another name", "something else", "blocks", "accepts what is invalid"],
)
def test_index_file__its_parts_disagree__is_refused_when_it_is_read(added, texts):
    with pytest.raises(MoeenError, match="0099_indexes"):
        RunIndexFile("healthcare", "0099_indexes", added, texts=texts)


def test_index_file__of_another_table_than_its_models__is_refused_before_anything_runs(copy, state):
    operation = RunIndexFile(
        "healthcare", "0099_indexes", ADDED, texts=(INDEX_SQL.replace("ON doctors", "ON appointments"), INDEX_REVERSE)
    )
    before = tables(copy)
    with pytest.raises(MoeenError, match="doctors_phone_idx"):
        run(operation, state, copy)
    assert tables(copy) == before

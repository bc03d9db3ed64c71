"""Databases that cannot be adopted: refused whole, every mismatch said, nothing changed."""

import re

import pytest
from django.core.management import call_command

from moeen.db.kinds import Kind
from moeen.db.migrate.refusals import AdoptionRefused, MissingPrivileges
from moeen.db.security.identity import acting_as_operator
from tests import servers, states
from tests.states import snapshots

#: State -> what the report must say: the object, and what is wrong with it.
CASES = {
    "foreign_integer_keys": [
        (r"users\.id\b", r"uuid.*bigint"),
        (r"patients\.id\b", r"uuid.*integer"),
        (r"doctors\.id\b", r"uuid.*integer"),
        (r"doctors\.user_id\b", r"uuid.*bigint"),
        (r"appointments\.id\b", r"uuid.*integer"),
        (r"appointments\.patient_id\b", r"uuid.*integer"),
        (r"appointments\.doctor_id\b", r"uuid.*integer"),
    ],
    "foreign_columns": [
        (r"appointments\.appointment_date\b", r"date.*\b400 rows"),
        (r"sessions\.session_time\b", r"time.*interval"),
        (r"doctors\.is_active\b", r"boolean.*double"),
        (r"patients\.national_id\b", r"NOT NULL"),
        (r"insurance_claims\.patient_id\b", r"missing"),
        (r"sessions\b", r"primary key.*none"),
    ],
    "foreign_view": [
        (r"users\b", r"table.*view"),
        (r"patients\.id\b", r"uuid.*bigint"),
    ],
    "unmappable_core": [
        (r"users\.role\b", r"\b3 rows"),
        (r"users\.\S*email\S*", r"\b1\b"),
        (r"appointments\.status\b", r"\b2 rows"),
        (r"appointments\.duration\b", r"\b1 row\b"),
        (r"sessions\.duration\b", r"\b2 rows"),
        (r"insurance_claims\.claim_amount\b", r"\b1 row\b"),
        (r"sessions\.doctor_id\b", r"\b4 rows"),
        (r"patients\.first_name\b", r"\b1 row\b"),
        (r"appointments\.appointment_date\b", r"\b2 rows"),
    ],
    "unmappable_full": [
        (r"users\.role\b", r"\b3 rows"),
        (r"users\.\S*email\S*", r"\b1\b"),
        (r"patients\.public_id\b", r"\b4 rows"),
        (r"messages\.public_id\b", r"\b1 row\b"),
        (r"appointments\.status\b", r"\b2 rows"),
        (r"crm_deals\.probability\b", r"\b1 row\b"),
        (r"crm_deals\.value\b", r"\b2 rows"),
        (r"notifications\.type\b", r"\b1 row\b"),
        (r"settings\.category\b", r"\b2 rows"),
        (r"conversations\.channel\b", r"\b1 row\b"),
        (r"roles\.permissions\b", r"\b1 row\b"),
        (r"chatbot_edges\..*target_node_id\b", r"\b2 rows"),
        (r"user_roles\.\S*user_id\S*.*", r"\b1\b"),
    ],
}
KINDS = {
    "foreign_integer_keys": {Kind.COLUMN_TYPE},
    "foreign_columns": {
        Kind.COLUMN_TYPE, Kind.NEW_COLUMN, Kind.PRIMARY_KEY, Kind.UNKNOWN_COLUMN, Kind.VALUES_NOT_CONVERTIBLE,
    },
    "foreign_view": {Kind.COLUMN_TYPE, Kind.TABLE_KIND},
    "unmappable_core": {
        Kind.DUPLICATES, Kind.ORPHANS, Kind.VALUES_EMPTY, Kind.VALUES_NOT_ALLOWED, Kind.VALUES_TOO_LARGE,
    },
    "unmappable_full": {Kind.DUPLICATES, Kind.ORPHANS, Kind.VALUES_NOT_ALLOWED},
}  # fmt: skip
#: Values that stand in those databases; a report counts rows and never shows what they hold.
SECRET = re.compile(
    r"nurse|no-idea|@example|twice@|ططط|-15|alarm|مجهول|\bsms\b|pat_\?|pat_A|مستخدم|مريض", re.IGNORECASE
)


@pytest.fixture(scope="module", autouse=True)
def operator():
    """Migrating is an operator's work."""
    with acting_as_operator():
        yield


def refusal(database, kinds=frozenset(), **words):
    """What ``migrate`` says when it refuses; the test fails when it does not."""
    with pytest.raises(AdoptionRefused) as caught:
        call_command("migrate", database=database.alias, verbosity=0, no_backup="test", **words)
    assert caught.value.exit_code == 3
    # What the rehearsal adds is what follows from the rest, where it is not asked for.
    found = {finding.kind for finding in caught.value.findings} - ({Kind.REHEARSAL} - kinds)
    assert found == kinds or not kinds
    return str(caught.value)


def said(report, where, what):
    return any(re.search(rf"(?<!\w){where}", line) and re.search(what, line) for line in report.splitlines())


@pytest.mark.parametrize("state", CASES)
@pytest.mark.parametrize("place", ["here", pytest.param("supabase", marks=pytest.mark.slow)])
def test_migrate__database_that_cannot_be_adopted__is_refused_with_every_mismatch(new_database, state, place):
    database = states.database(new_database, state, place=place)
    with database.connect() as connection:
        before = snapshots.everything(connection)
        # Rehearsed as well, it says no less.
        report = refusal(database, KINDS[state], no_rehearsal="" if place == "here" else "test")
        assert [case for case in CASES[state] if not said(report, *case)] == [], report
        assert SECRET.search(report) is None, report
        after = snapshots.everything(connection)
        assert [part for part in before if before[part] != after[part]] == []
        assert "django_migrations" not in after["rows"]


def test_migrate__nothing_but_what_is_wrong__is_reported(new_database):
    """One finding each: what could be carried over is not in the list."""
    database = states.database(new_database, "unmappable_core")
    report = refusal(database, no_rehearsal="test")
    lines = [line for line in report.splitlines() if re.search(r"found\b.*\d", line)]
    assert len(lines) == len(CASES["unmappable_core"]), lines


@pytest.mark.parametrize(
    ("change", "where", "what", "kinds"),
    [
        ("UPDATE patients SET created_at = NULL, updated_at = NULL WHERE id = md5('patients3')::uuid",
         r"patients\.created_at", r"\b1 row\b", {Kind.VALUES_EMPTY}),
        ("CREATE INDEX clinic_day ON patients ((created_at::date))", r"patients\.clinic_day", r"immutable",
         {Kind.INDEX_DEFINITION}),
        ("ALTER TABLE patients ALTER COLUMN phone TYPE text; UPDATE patients SET phone = repeat('1', 51)"
         " WHERE id = md5('patients1')::uuid", r"patients\.phone", r"\b1 row\b", {Kind.VALUES_TOO_LARGE}),
        ("ALTER TABLE insurance_claims ALTER COLUMN claim_amount TYPE numeric; UPDATE insurance_claims"
         " SET claim_amount = 0.001 WHERE id = md5('insurance_claims1')::uuid",
         r"insurance_claims\.claim_amount", r"\b1 row\b", {Kind.VALUES_TOO_LARGE}),
        ("ALTER TABLE appointments ALTER COLUMN duration TYPE bigint; UPDATE appointments SET duration = 2147483648"
         " WHERE id = md5('appointments1')::uuid", r"appointments\.duration", r"\b1 row\b", {Kind.VALUES_TOO_LARGE}),
        ("ALTER TABLE sessions RENAME TO held; CREATE TABLE sessions (LIKE held INCLUDING ALL)"
         " PARTITION BY HASH (id)", r"sessions", r"partitioned", {Kind.TABLE_KIND}),
        ("ALTER TABLE patients DROP CONSTRAINT patients_email_key; UPDATE patients SET email = 'both@example.test'"
         " WHERE id IN (md5('patients1')::uuid, md5('patients2')::uuid)", r"patients\.email", r"\b1\b",
         {Kind.DUPLICATES}),
        ("ALTER TABLE insurance_claims DROP COLUMN created_at; ALTER TABLE insurance_claims ADD created_at"
         " timestamptz GENERATED ALWAYS AS ('2024-01-01 00:00Z'::timestamptz) STORED",
         r"insurance_claims\.created_at", r"generated", {Kind.COLUMN_GENERATED}),
    ],
    ids=["no-time-at-all", "by-day", "too-long", "too-precise", "too-large", "partitioned",
         "duplicates", "generated"],
)  # fmt: skip
def test_migrate__core_with_one_obstacle__is_refused_and_unchanged(new_database, change, where, what, kinds):
    database = states.database(new_database, "core")
    with database.connect() as connection:
        connection.execute(change)
        before = snapshots.everything(connection)
        report = refusal(database, kinds, no_rehearsal="test")
        assert said(report, where, what), report
        assert SECRET.search(report) is None, report
        assert snapshots.everything(connection) == before


def test_migrate__obstacles_removed__goes_through(new_database):
    database = states.database(new_database, "unmappable_core")
    refusal(database, no_rehearsal="test")
    with database.connect() as connection:
        connection.execute(
            """
            UPDATE users SET role = 'staff' WHERE role = 'nurse';
            UPDATE users SET email = 'once@example.test' WHERE id = md5('users41')::uuid;
            UPDATE appointments SET status = 'scheduled' WHERE status = 'no-idea';
            UPDATE appointments SET duration = 15 WHERE duration < 0;
            UPDATE sessions SET duration = 30 WHERE duration = 0;
            UPDATE insurance_claims SET claim_amount = 0 WHERE claim_amount < 0;
            UPDATE sessions s SET doctor_id = md5('doctors1')::uuid WHERE NOT EXISTS
                (SELECT FROM doctors d WHERE d.id = s.doctor_id);
            UPDATE patients SET first_name = left(first_name, 255);
            UPDATE appointments SET appointment_date = '2024-01-01' WHERE appointment_date IS NULL;
            """
        )
        call_command("migrate", database=database.alias, verbosity=0, no_backup="test")
        assert connection.execute("SELECT count(*) FROM users WHERE role = 'staff'").fetchone()[0] > 3


def test_migrate__a_partitioned_table__is_refused_and_goes_through_when_the_fix_was_run(new_database):
    database = states.database(new_database, "core")
    with database.connect() as connection:
        connection.execute(
            """
            CREATE TABLE audit_logs (id uuid DEFAULT gen_random_uuid(), user_id uuid, action varchar(100) NOT NULL,
                table_name varchar(100) NOT NULL, record_id uuid, old_values jsonb, new_values jsonb, ip_address inet,
                user_agent text, created_at timestamp NOT NULL DEFAULT now(), PRIMARY KEY (id, created_at)
            ) PARTITION BY RANGE (created_at);
            CREATE INDEX audit_logs_created_at_idx ON audit_logs (created_at);
            CREATE TABLE clinic_2024 PARTITION OF audit_logs FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
            CREATE TABLE clinic_later PARTITION OF audit_logs DEFAULT;
            INSERT INTO audit_logs (action, table_name, created_at) SELECT 'UPDATE', 'users', t
            FROM generate_series('2024-12-01', '2025-02-01', interval '1 week') AS t
            """
        )
        with pytest.raises(AdoptionRefused) as refused:
            call_command("migrate", database=database.alias, verbosity=0, no_backup="test", no_rehearsal="test")
        (finding,) = refused.value.findings
        assert (finding.object, finding.kind) == ("audit_logs", Kind.TABLE_KIND)
        with connection.transaction():
            for statement in finding.fix.statements():
                connection.execute(statement)
        call_command("migrate", database=database.alias, verbosity=0, no_backup="test")
        counts = connection.execute("SELECT count(*), (SELECT count(*) FROM own_audit_logs) FROM audit_logs").fetchone()
        assert counts == (9, 9)


def test_manage_migrate__database_that_cannot_be_adopted__exits_with_3(new_database, manage):
    database = states.database(new_database, "unmappable_core")
    result = manage("migrate", "--no-rehearsal", "test", DATABASE_URL=database.url)
    assert result.returncode == 3, result.stderr
    assert [case for case in CASES["unmappable_core"] if not said(result.stderr, *case)] == []
    assert "Traceback" not in result.stderr + result.stdout
    assert SECRET.search(result.stderr + result.stdout) is None


def test_migrate__a_table_that_another_role_owns__is_refused_before_anything_changes(new_database):
    if servers.session_target().server is None:
        pytest.skip("needs a superuser to give a table away")
    database = states.database(new_database, "core")
    with database.admin() as connection:
        connection.execute("ALTER TABLE insurance_claims OWNER TO CURRENT_USER")
        connection.execute("ALTER SCHEMA public OWNER TO CURRENT_USER; REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        before = snapshots.everything(connection)
        with pytest.raises(MissingPrivileges, match="insurance_claims") as refused:
            call_command("migrate", database=database.alias, verbosity=0, no_backup="test")
        assert {finding.kind for finding in refused.value.findings} == {Kind.PRIVILEGE, Kind.TABLE_OWNER}
        assert snapshots.everything(connection) == before

"""An application's own login, a report's role: told what row security closes to them, before it does."""

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections, transaction

from moeen.db import schema
from moeen.db.errors import FINDINGS, USAGE, MoeenError
from moeen.db.findings import Severity
from moeen.db.kinds import Kind
from moeen.db.migrate import adoption_report, grantees, policies
from moeen.db.migrate.refusals import SchemaDiffers
from moeen.db.security.identity import acting_as_operator
from moeen.db.sql import compose
from tests import states
from tests.states import snapshots

TABLES = ["appointments", "doctors", "patients", "sessions", "users"]
ROLES = """
    CREATE ROLE clinic_app LOGIN; CREATE ROLE clinic_desk LOGIN; CREATE ROLE clinic_bi LOGIN;
    CREATE ROLE clinic_idle LOGIN; CREATE ROLE clinic_past LOGIN BYPASSRLS; CREATE ROLE clinic_chief LOGIN;
    CREATE ROLE clinic_own LOGIN; CREATE ROLE clinic_alike; CREATE ROLE clinic_reports;
    GRANT clinic_alike TO clinic_bi; GRANT postgres TO clinic_chief;
"""


@pytest.fixture(autouse=True)
def operator():
    """Migrating is an operator's work."""
    with acting_as_operator():
        yield


@pytest.fixture(scope="module")
def roles(new_database):
    """A clinic's own, on a platform's cluster."""
    target = states.database(new_database, "core", place="supabase").target
    with target.connect() as administrator:
        administrator.execute(ROLES)
        yield
        made = [role for (role,) in administrator.execute("SELECT rolname FROM pg_roles WHERE rolname ~ '^clinic_'")]
        administrator.execute(compose("DROP ROLE {r}", r=tuple(made)))


@pytest.fixture
def clinic(new_database, roles):
    """A database in the state core on that cluster."""
    made = states.database(new_database, "core", place="supabase")
    yield made
    new_database.drop(made)


def migrate(database, *words, **options):
    options = {"no_rehearsal": "test"} | options
    call_command("migrate", *words, database=database.alias, verbosity=0, no_backup="test", **options)


def seen(database, login, table="patients"):
    with database.connect(user=login) as connection:
        return connection.execute(compose("SELECT count(*) FROM {t}", t=table)).fetchone()[0]


def losing(database, *, gone=()):
    """Role -> what is said of it, the platform's aside."""
    found = grantees.look(connections[database.alias], TABLES, gone=gone)
    return {it.name: it for it in found if it.name.startswith(("clinic", "P", "pg"))}


@pytest.mark.slow
def test_migrate__logins_of_applications__are_asked_about_and_closed_to_or_kept(clinic, manage):
    """Adoption, plan and migrate agree; before a table is closed, everybody goes on."""
    with clinic.connect() as owner:
        owner.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO clinic_app")
        owner.execute("GRANT SELECT ON patients TO clinic_desk")
        before = snapshots.everything(owner)
        with pytest.raises(MoeenError) as raised:
            migrate(clinic, closes_to=["clinic_desk"])
        report = adoption_report.report(connections[clinic.alias])
        assert snapshots.everything(owner) == before
    said = str(raised.value)
    assert raised.value.exit_code == FINDINGS
    assert [(it.kind, it.object) for it in raised.value.findings] == [(Kind.GOES_BLIND, "role clinic_app")]
    parts = (*TABLES, "320 rows", "--closes-to clinic_app", "--keeps clinic_app", 'CREATE POLICY "clinic_app_keeps"')
    assert [part for part in parts if part not in said] == []
    assert [it.object for it in report.others] == ["role clinic_app", "role clinic_desk"]
    assert "service_role, used by authenticator, loses; its requests come through" in report.pretty()
    undecided = manage("migrate", "--plan", "--no-rehearsal", "test", DATABASE_URL=clinic.url)
    assert (undecided.returncode, "role clinic_app" in undecided.stderr) == (FINDINGS, True)

    migrate(clinic, "healthcare", "0001")  # closes none of these tables
    assert (seen(clinic, "clinic_app"), seen(clinic, "clinic_desk")) == (320, 320)

    decided = {"closes_to": ["clinic_desk"], "keeps": ["clinic_app"], "reason": "the front desk"}
    migrate(clinic, **decided, no_rehearsal="")
    assert (seen(clinic, "clinic_app"), seen(clinic, "clinic_desk")) == (320, 0)
    with clinic.connect(user="clinic_app") as app:
        (made,) = app.execute(
            "INSERT INTO patients (first_name, last_name) VALUES ('from', 'outside') RETURNING public_id"
        ).fetchone()
        assert made.startswith("pat_")
        assert app.execute("UPDATE patients SET phone = '1' WHERE public_id = %s", [made]).rowcount == 1
        assert app.execute("DELETE FROM patients WHERE public_id = %s", [made]).rowcount == 1
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app.execute("SELECT FROM audit_logs")
    with clinic.connect() as owner:
        rows = owner.execute("SELECT decisions FROM migration_runs ORDER BY started_at DESC").fetchone()
    assert rows[0].splitlines() == ["closed to: clinic_desk", "kept for clinic_app: the front desk"]
    # These two pass row security by whatever is decided.
    found = {finding.object for finding in schema.validate(connections[clinic.alias], advice=True).unexpected}
    assert found == {"clinic_chief in postgres", "clinic_past BYPASSRLS"}
    migrate(clinic, **decided)


def test_look__roles_of_all_kinds__those_that_would_see_nothing_are_asked_about(clinic):
    with clinic.connect() as owner:
        owner.execute("""
            GRANT SELECT ON patients TO clinic_reports, clinic_past, clinic_chief, clinic_alike, clinic_own;
            GRANT SELECT (id, first_name) ON doctors TO clinic_app;
            GRANT SELECT ON users TO clinic_own; GRANT UPDATE ON patients TO clinic_own;
            GRANT SELECT ON sessions TO PUBLIC;
            ALTER TABLE appointments ENABLE ROW LEVEL SECURITY; GRANT SELECT, UPDATE ON appointments TO clinic_app;
            CREATE POLICY own ON patients TO clinic_own USING (true) WITH CHECK (false);
            CREATE POLICY "Read access" ON appointments FOR SELECT USING (id IS NOT NULL);
        """)
    with clinic.admin() as administrator:
        administrator.execute("GRANT pg_read_all_data TO clinic_bi")
        found = losing(clinic)
        administrator.execute("REVOKE pg_read_all_data FROM clinic_bi")
    told = {name: ([(loss.table, loss.rights) for loss in it.losses], it.logins, it.asks) for name, it in found.items()}
    select = ("SELECT",)
    assert told.pop("pg_read_all_data")[1:] == (("clinic_bi",), True)
    logins = ("clinic_app", "clinic_bi", "clinic_desk", "clinic_idle", "clinic_own", "clinic_past")
    assert told == {
        "PUBLIC": ([("sessions", select)], logins, True),
        "clinic_alike": ([("patients", select)], ("clinic_bi",), True),
        "clinic_app": ([("doctors", select)], ("clinic_app",), True),
        "clinic_own": ([("patients", ("UPDATE",)), ("users", select)], ("clinic_own",), True),
        "clinic_reports": ([("patients", select)], (), False),
    }
    # By a policy for everybody it reads appointments, and no more once that is dropped; a copy for it alone keeps it.
    app = losing(clinic, gone=["Read access"])["clinic_app"]
    assert [(it.table, it.rights) for it in app.losses if it.policies] == [("appointments", select)]
    assert [sql for policy in app.way() for sql in policy.statements() if "appointments" in sql] == [
        'CREATE POLICY "clinic_app_keeps_1" ON "appointments" AS PERMISSIVE FOR SELECT TO "clinic_app" '
        "USING ((id IS NOT NULL))"
    ]


def test_look__platforms_roles__are_told_and_asked_only_where_a_policy_names_them(clinic):
    def look():
        return {it.name: it for it in grantees.look(connections[clinic.alias], TABLES, gone=())}

    found = look()
    assert found.keys() == {"anon", "authenticated", "service_role"}
    assert [name for name, it in found.items() if it.asks or it.logins != ("authenticator",)] == []
    assert [loss.rows for loss in found["service_role"].losses if loss.table == "patients"] == [320]
    with clinic.connect() as owner:
        owner.execute("CREATE POLICY own ON patients FOR SELECT TO authenticated USING (auth.uid() = id)")
    assert [name for name in found if look()[name].asks] == ["authenticated"]


@pytest.mark.parametrize(
    "words",
    [
        {"keeps": ["clinic_app"]},
        {"keeps": ["clinic_app"], "closes_to": ["clinic_app"], "reason": "x"},
        {"keeps": ["PUBLIC"], "reason": "x"},
        {"keeps": ["service_role"], "reason": "x"},
        {"keeps": ["moeen_staff"], "reason": "x"},
        {"closes_to": ["clinic_ap"]},
    ],
)
def test_migrate__words_that_cannot_be_meant__are_a_usage_error(clinic, words):
    with pytest.raises(Exception) as raised:  # noqa: PT011 - of two kinds, told apart by what they end with
        migrate(clinic, **words)
    assert getattr(raised.value, "exit_code", getattr(raised.value, "returncode", 0)) == USAGE


def test_migrate__policy_of_others_that_came_later__breaks_until_it_is_dropped_or_kept(new_database):
    database = new_database.migrated()
    with database.connect() as owner:
        owner.execute("CREATE POLICY later ON patients FOR SELECT USING (id IS NULL)")
    found = schema.validate(connections[database.alias]).findings
    assert [(it.object, it.kind, it.severity) for it in found] == [
        ("patients.later", Kind.UNEXPECTED_POLICY, Severity.BREAKS)
    ]
    connection = connections[database.alias]
    with transaction.atomic(using=database.alias), connection.cursor() as cursor:
        # Through a membership it applies to a role of ours as well.
        cursor.execute("CREATE ROLE clinic_ward; GRANT clinic_ward TO moeen_staff")
        cursor.execute("CREATE POLICY ward ON patients TO clinic_ward USING (false)")
        assert [policy.name for policy in policies.undecided(connection, [])] == ["later", "ward"]
        transaction.set_rollback(True, using=database.alias)
    with pytest.raises(SchemaDiffers):
        migrate(database)
    migrate(database, keep_policy=["later"], reason="of the ministry")
    assert schema.validate(connections[database.alias]).findings == ()
    migrate(database, drop_policy=["later"])
    assert schema.validate(connections[database.alias]).findings == ()
    new_database.drop(database)

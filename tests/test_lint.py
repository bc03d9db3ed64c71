"""The checks of migrations: each catches a bad one and passes a good one; makemigrations writes good ones."""

import importlib.util
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection, migrations, models
from django.db.migrations import Migration

from moeen.db import lint
from moeen.db.adoption import Legacy
from moeen.db.constraints import Index
from moeen.db.history import edits, ledger
from moeen.db.lint import authoring, rules, squawk
from moeen.db.operations import (
    AddColumn,
    AddTableConstraint,
    AlterColumn,
    CreateTable,
    DropIndexFile,
    RemoveTableConstraint,
    RunIndexFile,
    RunSQLFile,
)
from tests import servers

CONFIG = servers.PROJECT / ".squawk.toml"


def migration(*operations, atomic=False, app="healthcare", **attributes) -> Migration:
    made = Migration("0099_new", app)
    made.operations = [migrations.RunSQL(o) if isinstance(o, str) else o for o in operations]
    made.atomic = atomic
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def ids(*found: Migration) -> list[str]:
    return [message.id for message in lint.check(found)]


def fill_all(registry, editor):
    registry.get_model("healthcare", "Patient").objects.update(gender="")


def fill_some(registry, editor):
    registry.get_model("healthcare", "Doctor").objects.filter(is_active=False).update(phone="")


DEFINER = (
    "CREATE FUNCTION app.f() RETURNS uuid LANGUAGE sql SECURITY DEFINER {set} AS $$ SELECT id FROM public.users $$;"
)
HERMETIC = "SET search_path = pg_catalog, pg_temp"
PINNED = f"ALTER FUNCTION app.f() {HERMETIC};"
REVOKE = "REVOKE EXECUTE ON FUNCTION app.g(), app.f() FROM PUBLIC;"
INDEX = Index(fields=["phone"], name="patients_phone_idx")
INDEX_FILE = RunIndexFile(
    "healthcare",
    "0099_indexes",
    [migrations.AddIndex("patient", INDEX)],
    texts=(
        "CREATE INDEX CONCURRENTLY patients_phone_idx ON patients (phone);",
        "DROP INDEX CONCURRENTLY IF EXISTS patients_phone_idx;",
    ),
)

DROPS = DropIndexFile("healthcare", "0099_indexes", INDEX_FILE.state_operations, texts=INDEX_FILE.texts[::-1])
TIMED = CreateTable("Ward", [("updated_at", models.DateTimeField())], options={"db_table": "wards"})

#: id -> what it must catch, and what is nearest to it and must pass.
SQL = [
    (
        "moeen.E101",
        [
            "ALTER TABLE patients DISABLE ROW LEVEL SECURITY",
            'alter table only "public"."patients"\n disable row level security',
            'ALTER TABLE "old patients" ENABLE TRIGGER t, DISABLE ROW LEVEL SECURITY',
        ],
        [
            "ALTER TABLE patients ENABLE ROW LEVEL SECURITY",
            "-- DISABLE ROW LEVEL SECURITY on patients is wrong\nSELECT 1",
        ],
    ),
    (
        "moeen.E101",
        [
            "DO $do$ BEGIN IF true THEN ALTER TABLE users DISABLE ROW LEVEL SECURITY; END IF; END $do$",
            "DO $$ BEGIN EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', t); END $$",
        ],
        ["COMMENT ON TABLE users IS 'Never ALTER TABLE users DISABLE ROW LEVEL SECURITY'"],
    ),
    (
        "moeen.E102",
        [
            "CREATE POLICY p ON patients USING (id = auth.uid())",
            "CREATE POLICY p ON patients FOR SELECT TO moeen_staff, PUBLIC USING (is_x)",
            "CREATE POLICY p ON patients FOR ALL TO authenticated USING (id = auth.uid())",
            'CREATE POLICY "see all" ON patients USING (id = auth.uid())',
            'CREATE POLICY "p TO moeen_staff USING (x)" ON patients USING (id = auth.uid())',
        ],
        ["CREATE POLICY p ON patients FOR SELECT TO moeen_staff USING (is_active)"],
    ),
    (
        "moeen.E103",
        [
            "CREATE POLICY p ON patients FOR SELECT TO moeen_patient USING (true)",
            "CREATE POLICY p ON patients FOR INSERT TO moeen_doctor WITH CHECK ( true )",
            "SELECT app.allow('patients', 'staff patient', 'SIU', 'true')",
            "SELECT app.allow('settings', 'anon', 'S', 'true')",
            "SELECT app.allow('sessions', 'staff', 'S', 'true')",
            "SELECT app.allow('patients', 'patient', 'U', 'user_id = (SELECT auth.uid())', 'true')",
        ],
        [
            "CREATE POLICY p ON patients FOR SELECT TO moeen_staff USING (true)",
            "SELECT app.allow('patients', 'staff supervisor admin', 'SIU', 'true')",
            "SELECT app.allow('settings', 'anon patient', 'S', 'is_public')",
            "SELECT app.allow('sessions', 'admin', 'S', 'true')",
        ],
    ),
    (
        "moeen.E104",
        [
            "GRANT SELECT ON patients TO PUBLIC",
            "GRANT SELECT (id), UPDATE (phone) ON patients TO moeen_staff, anon",
            "GRANT ALL ON ALL TABLES IN SCHEMA public TO moeen_anon",
            "GRANT EXECUTE ON FUNCTION app.notify(uuid) TO authenticated WITH GRANT OPTION",
            "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO anon",
            "DO $$ BEGIN EXECUTE 'GRANT SELECT ON patients TO anon'; END $$",
        ],
        [
            "GRANT SELECT ON patients TO moeen_staff",
            "GRANT USAGE ON SCHEMA app TO moeen_anon",
            "REVOKE ALL ON patients FROM PUBLIC",
            "GRANT EXECUTE ON FUNCTION app.publication() TO moeen_staff",
        ],
    ),
    (
        "moeen.E105",
        [
            "CREATE VIEW v AS SELECT * FROM patients",
            "CREATE OR REPLACE VIEW v WITH (security_barrier = true) AS SELECT 1",
            "CREATE VIEW v WITH (security_invoker = false) AS SELECT 1",
            "CREATE MATERIALIZED VIEW v AS SELECT * FROM patients",
            'CREATE VIEW "all patients" AS SELECT * FROM patients',
        ],
        [
            "CREATE VIEW v WITH (security_invoker = true) AS SELECT * FROM patients",
            "CREATE OR REPLACE VIEW v (a) WITH (security_barrier, security_invoker) AS SELECT 1",
        ],
    ),
    (
        "moeen.E106",
        [DEFINER.format(set=path) + REVOKE for path in ("", "SET search_path = ''", "SET search_path = public")],
        [DEFINER.format(set=HERMETIC) + REVOKE, DEFINER.format(set="") + REVOKE + PINNED],
    ),
    (
        "moeen.E107",
        [
            DEFINER.format(set=HERMETIC),
            DEFINER.format(set=HERMETIC) + REVOKE.replace("app.f()", "app.ff()"),
        ],
        [
            DEFINER.format(set=HERMETIC) + REVOKE,
            DEFINER.format(set=HERMETIC).replace("SECURITY DEFINER", "SECURITY INVOKER"),
        ],
    ),
    (
        "moeen.E112",
        [
            "UPDATE patients SET gender = ''",
            "UPDATE ONLY public.patients SET notes = 'WHERE' ",
            "DELETE FROM messages",
            "UPDATE patients SET gender = '' WHERE true",
            "UPDATE patients SET gender = (SELECT name FROM roles WHERE id = 1)",
            'DELETE FROM "old WHERE patients"',
            "DO $$ BEGIN FOR t IN SELECT 1 LOOP UPDATE patients SET gender = ''; END LOOP; END $$",
        ],
        [
            "UPDATE patients SET gender = '' WHERE gender IS NULL",
            "SELECT id FROM patients FOR UPDATE",
            "INSERT INTO roles (name) VALUES ('x') ON CONFLICT (name) DO UPDATE SET name = 'x'",
            f"CREATE FUNCTION app.h() RETURNS void LANGUAGE sql {HERMETIC} AS $$ UPDATE patients SET gender = '' $$",
        ],
    ),
]


@pytest.mark.parametrize(("id_", "text"), [(id_, text) for id_, bad, _ in SQL for text in bad])
def test_sql__what_a_check_forbids__is_found_with_its_fix(id_, text):
    (message,) = lint.check([migration(text)])
    assert message.id == id_
    assert len(message.hint) > 20
    assert message.msg.startswith("healthcare.0099_new: ")


@pytest.mark.parametrize("text", [text for _, _, good in SQL for text in good])
def test_sql__nearest_to_what_is_forbidden__passes(text):
    assert ids(migration(text)) == []


@pytest.mark.parametrize(
    ("id_", "bad", "good"),
    [
        (
            "moeen.E111",
            migration(migrations.RunPython(fill_some), "CREATE SCHEMA s", atomic=True),
            migration(migrations.RunPython(fill_some), atomic=True),
        ),
        ("moeen.E112", migration(migrations.RunPython(fill_all)), migration(migrations.RunPython(fill_some))),
        (
            "moeen.E113",
            migration(migrations.AddIndex("patient", INDEX)),
            migration(INDEX_FILE),
        ),
        (
            "moeen.E113",
            migration(migrations.RemoveConstraint("appointment", "appointments_status_check")),
            migration(RemoveTableConstraint("appointment", "appointments_status_check")),
        ),
        (
            "moeen.E115",
            migration(CreateTable("Ward", [], options={"indexes": [INDEX]}), "SELECT app.lock_away('healthcare_ward')"),
            migration(CreateTable("Ward", [], options={"indexes": []}), "SELECT app.lock_away('healthcare_ward')"),
        ),
        (
            "moeen.E113",
            migration(migrations.AddField("patient", "x", models.ForeignKey("doctor", models.CASCADE))),
            migration(AddColumn("patient", "x", models.ForeignKey("doctor", models.CASCADE))),
        ),
        (
            "moeen.E113",
            migration(migrations.CreateModel("Ward", []), "SELECT app.lock_away('healthcare_ward')"),
            migration(CreateTable("Ward", []), "SELECT app.lock_away('healthcare_ward')"),
        ),
        (
            "moeen.E113",
            migration(migrations.RemoveIndex("patient", "patients_phone_idx")),
            migration(DROPS),
        ),
        (
            "moeen.E113",
            migration(migrations.RenameIndex("patient", old_name="a", new_name="b")),
            migration(),
        ),
        (
            "moeen.W109",
            migration(TIMED, "SELECT app.lock_away('wards'); SELECT app.guard('beds', 'bed_')"),
            migration(TIMED, "SELECT app.lock_away('wards'); SELECT app.guard('wards', 'wrd_')"),
        ),
        (
            "moeen.W109",
            migration(
                TIMED, "SELECT app.lock_away('wards'); CREATE TRIGGER t BEFORE UPDATE ON wards EXECUTE FUNCTION f()"
            ),
            migration(
                TIMED,
                "SELECT app.lock_away('wards'); CREATE TRIGGER t BEFORE UPDATE ON wards FOR EACH ROW "
                "EXECUTE FUNCTION app.set_updated_at()",
            ),
        ),
        (
            "moeen.E114",
            migration(INDEX_FILE, atomic=True),
            migration(INDEX_FILE, atomic=False),
        ),
        (
            "moeen.E114",
            migration(DROPS, atomic=True),
            migration(DROPS, atomic=False),
        ),
        (
            "moeen.W108",
            migration(CreateTable("Ward", [], options={"db_table": "wards"}), "SELECT app.lock_away('beds ' 'rooms')"),
            migration(CreateTable("Ward", [], options={"db_table": "wards"}), "SELECT app.lock_away('beds ' 'wards')"),
        ),
        (
            "moeen.W108",
            migration("CREATE TABLE IF NOT EXISTS public.wards (id uuid)"),
            migration("CREATE TABLE wards (id uuid); CREATE POLICY p ON wards TO moeen_staff USING (id IS NULL)"),
        ),
        (
            "moeen.W108",
            migration(CreateTable("Ward", [])),
            migration(CreateTable("Ward", [], options={"managed": False})),
        ),
    ],
)
def test_operations__a_bad_migration_and_a_good_one__one_is_found(id_, bad, good):
    assert ids(bad) == [id_]
    assert ids(good) == []


def test_check__policies_in_a_later_migration__table_passes():
    first, second = migration(CreateTable("Ward", [])), migration("SELECT app.lock_away('healthcare_ward')")
    assert ids(first) == ["moeen.W108"]
    assert ids(first, second) == []


def test_allow__a_reason_is_given__only_that_check_of_that_statement_is_silent():
    text = "-- lint: allow moeen.E112: a table of five rows\nUPDATE roles SET description = '';\n"
    text += "UPDATE users SET name = ''"
    assert [message.msg for message in lint.check([migration(text)])] == [
        "healthcare.0099_new: UPDATE of every row of users."
    ]
    assert ids(migration(text.replace("E112", "E101"))) == ["moeen.E112", "moeen.E112"]


@pytest.mark.parametrize("comment", ["-- lint: allow moeen.E112", "-- lint: allow moeen.E112: because"])
def test_allow__without_a_reason__is_no_exception(comment):
    assert ids(migration(f"{comment}\nUPDATE roles SET description = ''")) == ["moeen.E112"]


def test_allow__in_the_migration_class__needs_a_reason_too():
    operation = migrations.RunPython(fill_all)
    assert ids(migration(operation, lint_allow={"moeen.E112": "patients are empty here"})) == []
    assert ids(migration(operation, lint_allow={"moeen.E112": ""})) == ["moeen.E112"]


def test_project__its_own_migrations__are_all_read_and_clean():
    known = lint.project_migrations()
    assert {m.app_label for m in known} == {"sysadmin", "healthcare", "chatbot", "crm"}
    on_disk = [path for app in lint.project_apps() for path in Path(app.path).glob("migrations/[0-9]*.py")]
    assert len(known) == len(on_disk)
    assert lint.check(known) == []


def test_project__a_cell_of_its_policies_gone_wrong__is_found():
    """The files are really read: the same text with another role is caught."""
    files = [o for m in lint.project_migrations() for o in m.operations if isinstance(o, RunSQLFile)]
    *_, text = (text for text in ("".join(o.sql) for o in files) if "app.allow('patients', 'staff supervisor'" in text)
    assert ids(migration(text)) == []
    changed = text.replace("'patients', 'staff supervisor', 'SIU', 'true'", "'patients', 'patient', 'SIU', 'true'")
    assert changed != text
    assert ids(migration(changed)) == ["moeen.E103"]
    assert ids(migration(text.replace("'sessions', 'admin'", "'sessions', 'admin staff'"))) == ["moeen.E103"]


def test_hints__every_id__has_one_and_stands_in_the_list():
    listed = set(re.findall(r"^(moeen\.[EW]\d+)", rules.__doc__, re.MULTILINE))
    assert listed == lint.HINTS.keys()


def test_check_command__the_checks__are_registered(monkeypatch):
    monkeypatch.setattr(lint, "project_migrations", lambda: [migration("DELETE FROM users")])
    with pytest.raises(Exception, match=r"moeen\.E112"):
        call_command("check", tags=["migrations"])


# --- squawk -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def state():
    """The models as after the newest migrations."""
    from django.db.migrations.loader import MigrationLoader

    return MigrationLoader(None).project_state()


def squawked(state, *operations, atomic=False) -> set[str]:
    made = migration(*operations, atomic=atomic)
    return {v.rule for v in squawk.run("healthcare.0099_new", squawk.script(made, state), config=CONFIG)}


NOTE = models.CharField(max_length=20, unique=True, null=True)
PHONE = models.CharField(max_length=50, db_default="")
UNIQUE = models.UniqueConstraint(fields=["phone", "email"], name="patients_phone_email_key")
CHECK = models.CheckConstraint(condition=~models.Q(phone=""), name="patients_phone_given_check")
DOCTOR = models.ForeignKey("healthcare.doctor", models.CASCADE, null=True, related_name="+")


@pytest.mark.parametrize(
    ("rule", "bad", "good"),
    [
        (
            "require-concurrent-index-creation",
            migrations.AddIndex("patient", INDEX),
            INDEX_FILE,
        ),
        (
            "require-concurrent-index-deletion",
            "DROP INDEX IF EXISTS patients_phone_idx",
            DROPS,
        ),
        (
            "disallowed-unique-constraint",
            migrations.AddField("patient", "note", NOTE),
            AddColumn("patient", "note", NOTE),
        ),
        (
            "adding-foreign-key-constraint",
            migrations.AddField("patient", "doctor", DOCTOR),
            AddColumn("patient", "doctor", DOCTOR),
        ),
        (
            "changing-column-type",
            migrations.AlterField("patient", "phone", models.IntegerField(null=True)),
            AlterColumn("patient", "phone", models.CharField(max_length=50, null=True, blank=False)),
        ),
        (
            "adding-not-nullable-field",
            migrations.AlterField("patient", "phone", PHONE),
            AlterColumn("patient", "phone", PHONE),
        ),
        (
            "disallowed-unique-constraint",
            migrations.AddConstraint("patient", UNIQUE),
            AddTableConstraint("patient", UNIQUE),
        ),
        (
            "constraint-missing-not-valid",
            migrations.AddConstraint("patient", CHECK),
            AddTableConstraint("patient", CHECK),
        ),
        (
            "constraint-missing-not-valid",
            "ALTER TABLE patients ADD CONSTRAINT c CHECK (phone <> '')",
            "ALTER TABLE patients ADD CONSTRAINT c CHECK (phone <> '') NOT VALID",
        ),
    ],
)
def test_squawk__the_plain_way_and_the_online_way__one_is_found(state, rule, bad, good):
    assert rule in squawked(state, bad)
    assert squawked(state, good) <= {"prefer-robust-stmts"}


def test_squawk__our_operations__need_no_exception(state):
    operations = [
        INDEX_FILE,
        DROPS,
        RemoveTableConstraint("appointment", "appointments_status_check"),
        AddColumn("patient", "note", NOTE),
        AddColumn("patient", "doctor", DOCTOR),
        AlterColumn("patient", "phone", PHONE),
        AddTableConstraint("patient", UNIQUE),
        AddTableConstraint("patient", CHECK),
    ]
    assert squawked(state, *operations) == set()


def test_squawk__the_projects_migrations__are_clean_one_by_one(manage):
    done = manage("lint_migrations", DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")  # none is needed
    assert (done.returncode, done.stdout) == (0, "")
    count = sum(1 for _ in squawk.scripts())
    assert done.stderr.strip() == f"squawk: {count} migrations, 0 findings."
    assert count == len(lint.project_migrations())


def test_squawk__scripts__say_what_the_steps_do():
    script = dict(squawk.scripts())["healthcare.0002_public_ids"]
    assert "SET lock_timeout = '500ms';" in script
    assert 'CREATE UNIQUE INDEX CONCURRENTLY "patients_public_id_key"' in script
    assert 'ADD CONSTRAINT "patients_public_id_required" CHECK ("public_id" IS NOT NULL) NOT VALID;' in script


# --- makemigrations -----------------------------------------------------------------------------------------------

SETTINGS = """
from moeen.settings import *
from pathlib import Path
BASE_DIR = Path(__file__).parent
INSTALLED_APPS = ["wards", *INSTALLED_APPS]
"""
MODELS = """
from django.db import models
from moeen.db.models import TimestampedModel
from moeen.db.public_ids import PublicIdField

class Ward(TimestampedModel):
    public_id = PublicIdField(prefix="wrd_")
    name = models.CharField(max_length=50, unique=True, db_default="")
    order = models.IntegerField(db_default=0)
{field}
    class Meta:
        db_table = "wards"
        indexes = [{index}]
"""
ORDER = 'models.Index(fields=["order"], name="wards_order_idx")'


@pytest.fixture
def wards(tmp_path, manage):
    """An app of the operator's own: `wards(command, ..., models="...")` runs manage.py with it."""
    package = tmp_path / "wards"
    (package / "migrations").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "migrations" / "__init__.py").touch()
    (tmp_path / "wards_settings.py").write_text(SETTINGS)
    for name in ("pyproject.toml", ".squawk.toml"):
        shutil.copy(servers.PROJECT / name, tmp_path)

    def run(*words, field="", index="", **variables):
        models = MODELS.format(field=textwrap.indent(field, "    "), index=index)
        if not (package / "models.py").exists() or (package / "models.py").read_text() != models:
            (package / "models.py").write_text(models)
        return manage(*words, DJANGO_SETTINGS_MODULE="wards_settings", PYTHONPATH=str(tmp_path), **variables)

    run.migrations = package / "migrations"
    return run


@pytest.mark.slow
def test_makemigrations__a_new_app_and_a_later_change__our_operations_that_migrate(wards, new_database):
    sql = wards.migrations.parent / "sql"
    made = wards("makemigrations", "wards", index=ORDER)
    assert made.returncode == 0, made.stderr
    assert {path.name for path in sql.iterdir()} == {
        f"0001_{what}.{end}" for what in ("indexes", "rls") for end in ("sql", "reverse.sql")
    }
    assert "0001_indexes.sql" in made.stdout
    # A name that is a word of SQL keeps its quotes.
    assert (sql / "0001_indexes.sql").read_text() == 'CREATE INDEX CONCURRENTLY wards_order_idx ON wards ("order");\n'
    first = (wards.migrations / "0001_initial.py").read_text()
    assert "moeen.db.operations.CreateTable(" in first
    assert "migrations.CreateModel" not in first
    assert "class Migration(migrations.Migration):\n    atomic = False" in first
    assert "legacy" not in first

    later = {
        "field": 'doctor = models.ForeignKey("healthcare.Doctor", models.CASCADE, null=True)',
        "index": f"""{ORDER}, models.Index(
            fields=["name", "doctor"], condition=~models.Q(name='a "b"'), name="wards_name_doctor_id_idx"
        )""",
    }
    made = wards("makemigrations", "wards", "-n", "doctor", **later)
    assert made.returncode == 0, made.stderr
    second = (wards.migrations / "0002_doctor.py").read_text()
    assert "moeen.db.operations.AddColumn(" in second
    assert "moeen.db.operations.RunIndexFile(" in second
    assert (sql / "0002_indexes.sql").read_text() == (
        "CREATE INDEX CONCURRENTLY wards_name_doctor_id_idx ON wards (name, doctor_id) WHERE NOT (name = 'a \"b\"');\n"
    )
    assert (sql / "0002_indexes.reverse.sql").read_text() == (
        "DROP INDEX CONCURRENTLY IF EXISTS wards_name_doctor_id_idx;\n"
    )
    assert "atomic = False" in second
    assert not re.search(r"^ {8}migrations\.(AddField|AddIndex)\(", second, flags=re.MULTILINE)
    assert wards("makemigrations", "wards", "--check", "--dry-run", **later).returncode == 0

    # The checks know the app: nobody has found Arabic names yet, and nothing else is wrong.
    checked = wards("check", **later)
    assert set(re.findall(r"moeen\.[EW]\d+", checked.stderr)) == {"moeen.W124"}, checked.stderr
    linted = wards("lint_migrations", "--sql", **later)
    built = """CREATE INDEX CONCURRENTLY "wards_name_doctor_id_idx" ON "wards" (name, doctor_id) WHERE"""
    assert f"{built} NOT (name = 'a \"b\"');\n" in linted.stdout, linted.stderr
    linted = wards("lint_migrations", **later)
    assert linted.returncode == 0, linted.stdout + linted.stderr
    for words in ("check", "format --check"):
        tidy = [str(Path(sys.executable).parent / "ruff"), *words.split(), str(wards.migrations)]
        done = subprocess.run(tidy, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout

    database = new_database()
    # The expected catalog knows only the project's own tables, so the run may end with findings about this one.
    done = wards("migrate", "--no-backup", "test", DATABASE_URL=database.url, **later)
    with database.connect() as connection:
        applied = connection.execute("SELECT name FROM django_migrations WHERE app = 'wards' ORDER BY 1").fetchall()
        assert applied == [("0001_initial",), ("0002_doctor",)], done.stderr
        rows = connection.execute("SELECT relrowsecurity FROM pg_class WHERE relname = 'wards'").fetchall()
        assert rows == [(True,)]
        query = "SELECT tgname FROM pg_trigger WHERE tgrelid = 'wards'::regclass AND NOT tgisinternal ORDER BY 1"
        assert connection.execute(query).fetchall() == [("wards_identity_keep",), ("wards_updated_at_keep",)]
        assert connection.execute("SELECT to_regclass('wards_name_doctor_id_idx')::text").fetchone() != (None,)


@pytest.mark.slow
def test_makemigrations__indexes_dropped_and_renamed__run_online_there_and_back(wards, new_database):
    one, other = (f'models.Index(fields=["{f}", "id"], name="wards_{f}_id_idx")' for f in ("order", "name"))
    assert wards("makemigrations", "wards", index=f"{one}, {other}").returncode == 0
    changed = {"index": one.replace("wards_order_id_idx", "wards_by_order_idx")}
    made = wards("makemigrations", "wards", "-n", "fewer", **changed)
    assert made.returncode == 0, made.stderr
    sql = wards.migrations.parent / "sql"
    assert (sql / "0002_dropped_indexes.sql").read_text() == "DROP INDEX CONCURRENTLY IF EXISTS wards_name_id_idx;\n"
    assert (sql / "0002_dropped_indexes.reverse.sql").read_text() == (
        "CREATE INDEX CONCURRENTLY wards_name_id_idx ON wards (name, id);\n"
    )
    rename = "-- squawk-ignore renaming-object\nALTER INDEX IF EXISTS {} RENAME TO {};\n"
    names = ("wards_order_id_idx", "wards_by_order_idx")
    assert (sql / "0002_renamed_indexes.sql").read_text() == rename.format(*names)
    assert (sql / "0002_renamed_indexes.reverse.sql").read_text() == rename.format(*reversed(names))
    text = (wards.migrations / "0002_fewer.py").read_text()
    assert "atomic = False" in text
    assert not re.search(r"^ {8}migrations\.\w+\(", text, flags=re.MULTILINE)
    again = wards("makemigrations", "wards", "--check", "--dry-run", **changed)
    assert again.returncode == 0, again.stdout + text
    checked = wards("check", **changed)
    assert set(re.findall(r"moeen\.[EW]\d+", checked.stderr)) == {"moeen.W124"}, checked.stderr
    linted = wards("lint_migrations", "wards.0002_fewer", **changed)
    assert linted.returncode == 0, linted.stdout + linted.stderr

    database = new_database.migrated()

    def indexes_after(target):
        words = ("migrate", "wards", target, "--no-input", "--no-backup", "test")
        done = wards(*words, DATABASE_URL=database.url, **changed)
        assert done.returncode == 0, done.stderr
        with database.connect() as connection:
            query = "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'wards'::regclass AND indisvalid"
            found = {name for (name,) in connection.execute(query)}
            connection.execute("INSERT INTO wards (name) VALUES (gen_random_uuid()::text)")
        return found - {"wards_pkey", "wards_name_key", "wards_public_id_key"}

    assert indexes_after("0001") == {"wards_order_id_idx", "wards_name_id_idx"}
    assert indexes_after("0002") == {"wards_by_order_idx"}
    assert indexes_after("0001") == {"wards_order_id_idx", "wards_name_id_idx"}
    assert indexes_after("0002") == {"wards_by_order_idx"}


def test_makemigrations__an_operation_that_has_no_online_way__stays_djangos():
    operations = [
        migrations.RemoveField("patient", "phone"),
        CreateTable("Ward", [], legacy=Legacy(constraints=("c",))),
    ]
    assert [authoring.replacement(operation) for operation in operations] == operations


def test_makemigrations__an_app_from_elsewhere__is_left_alone():
    plain = migration(migrations.AddIndex("user", INDEX), app="auth", atomic=True)
    authoring.converge({"auth": [plain]})
    assert type(plain.operations[0]) is migrations.AddIndex
    assert plain.atomic
    assert not any(config.label == "auth" for config in lint.project_apps())
    assert apps.get_app_config("healthcare") in lint.project_apps()


@pytest.mark.django_db
def test_unquoted__reserved_words_of_the_server__keep_their_quotes():
    with connection.cursor() as cursor:
        cursor.execute("SELECT word FROM pg_get_keywords() WHERE catcode IN ('R', 'T')")
        reserved = {word for (word,) in cursor.fetchall()}
    assert reserved <= authoring.RESERVED
    assert authoring.unquoted("""("user", "name", "Name", "a b") WHERE x = '"name"'""") == (
        """("user", name, "Name", "a b") WHERE x = '"name"'"""
    )


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ('replaces = ["{old}"]\nby = "{now}"\nreason = "Indexes are SQL."', []),
        ('replaces = ["{old}"]\nby = "{old}"\nreason = "Indexes are SQL."', ["moeen.W116"]),
        ('replaces = ["{old}"]\nby = "{now}"\nreason = "typo"', ["moeen.W116"]),
        ('replaces = []\nby = "{now}"\nreason = "Indexes are SQL."', ["moeen.W116"]),
        ('replaces = ["{old}"]\nreason = "Indexes are SQL."', ["moeen.W116"]),
        ("replaces =", ["moeen.W116"]),
    ],
    ids=["true", "another checksum", "no reason", "replaces none", "no checksum", "not TOML"],
)
def test_edits__what_they_tell__is_held_against_the_files(tmp_path, monkeypatch, told, found):
    path = tmp_path / "edited" / "0001_first.py"
    path.parent.mkdir()
    path.write_text("from django.db.migrations import Migration as Base\n\nclass Migration(Base):\n    pass\n")
    specification = importlib.util.spec_from_file_location("edited_0001_first", path)
    module = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, "edited_0001_first", module)
    specification.loader.exec_module(module)
    made = module.Migration("0001_first", "edited")
    told = told.format(old="0" * 64, now=ledger.file_checksum(made))
    (path.parent / edits.FILE).write_text(f"[0001_first]\n{told}\n")
    assert ids(made) == found
    if not found:
        (path.parent / edits.FILE).write_text(f"[0002_second]\n{told}\n")
        edits.read.cache_clear()
        assert ids(made) == ["moeen.W116"]

"""The audit trail: what changed in the audited tables, by whom; a write that cannot be recorded does not happen."""

import hashlib
import json
import re
import uuid
from functools import partial

import psycopg
import pytest
from django.apps import apps
from django.db import connections, transaction
from psycopg import sql
from psycopg.types.json import Jsonb

from moeen.db.kinds import Kind
from moeen.db.public_ids import PREFIXES
from moeen.db.security import signing
from moeen.db.security.identity import acting_as_operator
from sysadmin.exposure import subscribed_tables, suspended_audits
from tests import factories, states
from tests.access.matrix import AUDITED

HASH = "pbkdf2_sha256$1000000$salt$c2VjcmV0"
ADA = uuid.UUID(int=0xADA)
#: Tables that hold neither people's data nor say who may do what, or that are records themselves.
UNAUDITED = {
    "user_preferences": "how a screen looks",
    "notifications": "made by the server, for one person",
    "internal_messages": "no role changes or removes them",
    "audit_logs": "the log itself",
    "audit_seals": "seals of the log, in a chain of their own",
    "chatbot_nodes": "parts of a flow, whose publication is recorded",
    "chatbot_edges": "parts of a flow, whose publication is recorded",
    "chatbot_templates": "texts that the bot says",
}
#: Names that sound like secrets and hold none.
HARMLESS = {
    "settings.key",  # its name; a value that it names as a secret is hidden
    "conversations.metadata",  # the channel's words about the conversation
    "messages.metadata",
    "crm_deals.value",  # money
}


@pytest.fixture(scope="module", autouse=True)
def operator():
    """Migrating is an operator's work."""
    with acting_as_operator():
        yield


@pytest.fixture(scope="module", params=["here", "supabase"])
def database(request, new_database):
    return states.migrated(new_database, place=request.param)


@pytest.fixture
def connection(database):
    """The owner's connection in a transaction that is taken back, with no entry to begin with."""
    with database.connect() as connection, connection.transaction(force_rollback=True):
        yield connection


def claims(connection, text, *, role="none"):
    """Claims, signed for the role that is taken next, or for the owner; what is no JSON is never signed."""
    signer = signing.signer_for(connection, configured=None)
    signature = signer.sign(role=role, claims=text) if text.startswith(("{", '"', "[")) and text != "{" else ""
    query = "SELECT set_config('request.jwt.claims', %s, true), set_config('moeen.signature', %s, true)"
    connection.execute(query, [text, signature])


def entries(connection, table=None):
    """(action, table, record, before, after, actor) of the entries, oldest first."""
    return connection.execute(
        """SELECT action, table_name, record_id, old_values, new_values, user_id FROM audit_logs
           WHERE %(table)s::text IS NULL OR table_name = %(table)s
           ORDER BY created_at, ctid""",
        {"table": table},
    ).fetchall()


def latest(connection, table=None):
    return entries(connection, table)[-1]


def add_user(connection, email="one@example.test", **values):
    values = {"email": email, "name": "One", **values}
    columns = ", ".join(values)
    marks = ", ".join(f"%({name})s" for name in values)
    return connection.execute(f"INSERT INTO users ({columns}) VALUES ({marks}) RETURNING id", values).fetchone()[0]


def add_patient(connection, first_name="مريم", **values):
    values = {"first_name": first_name, "last_name": "الاختبار", **values}
    columns = ", ".join(values)
    marks = ", ".join(f"%({name})s" for name in values)
    return connection.execute(f"INSERT INTO patients ({columns}) VALUES ({marks}) RETURNING id", values).fetchone()[0]


def add(table):
    """A row of what its columns ask for; what it refers to is made first."""

    def make(connection):
        model = MODELS[table]
        values = {}
        for field in factories.required(model):
            values[field.column] = (
                MAKERS[field.related_model._meta.db_table](connection)
                if field.is_relation
                else factories.made_up(field)
            )
        columns = sql.SQL(", ").join(map(sql.Identifier, values))
        marks = sql.SQL(", ").join(map(sql.Placeholder, values))
        query = sql.SQL("INSERT INTO {} ({}) VALUES ({}) RETURNING id").format(sql.Identifier(table), columns, marks)
        values = {name: Jsonb(value) if isinstance(value, dict) else value for name, value in values.items()}
        return connection.execute(query, values).fetchone()[0]

    return make


MODELS = {model._meta.db_table: model for model in PREFIXES.values()}
MAKERS = {table: add(table) for table in MODELS} | {"users": add_user, "patients": add_patient}
#: A change of each table whose changes are recorded: column, value.
CHANGES = {
    "users": ("phone", "0500"),
    "roles": ("description", "x"),
    "user_roles": ("assigned_at", "2020-01-01T00:00:00+00:00"),
    "settings": ("description", "x"),
    "patients": ("phone", "0500"),
    "doctors": ("phone", "0500"),
    "appointments": ("notes", "ملاحظة"),
    "sessions": ("diagnosis", "ربو"),
    "insurance_claims": ("notes", "x"),
    "chatbot_flows": ("status", "published"),
    "chatbot_integrations": ("status", "active"),
    "conversations": ("external_id", "x"),
    "crm_leads": ("notes", "x"),
    "crm_deals": ("description", "x"),
    "crm_activities": ("description", "x"),
}


@pytest.mark.parametrize("table", CHANGES)
def test_audit__insert_update_delete_truncate__exact_entries(connection, table):
    key = MAKERS[table](connection)
    column, value = CHANGES[table]
    was, row = connection.execute(
        f"SELECT to_jsonb(t) -> %s, jsonb_strip_nulls(to_jsonb(t)) FROM {table} AS t WHERE id = %s", [column, key]
    ).fetchone()
    connection.execute(f"UPDATE {table} SET {column} = %s WHERE id = %s", [value, key])
    connection.execute(f"DELETE FROM {table} WHERE id = %s", [key])
    connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
    connection.execute(f"TRUNCATE {table} CASCADE")
    inserted, updated, deleted, truncated = entries(connection, table)
    hidden = {name: "[redacted]" for name in AUDITED[table][1].split() if name in row and not AUDITED[table][2]}
    assert inserted == ("INSERT", table, key, None, row | hidden, None)
    assert updated == ("UPDATE", table, key, {column: was}, {column: value}, None)
    assert deleted[:3] == ("DELETE", table, key)
    assert deleted[3] | {"updated_at": ...} == row | hidden | {column: value, "updated_at": ...}
    assert deleted[4:] == (None, None)
    assert truncated == ("TRUNCATE", table, None, None, None, None)
    origins = connection.execute(
        "SELECT DISTINCT acted_as, transaction_id, ip_address, request_id FROM audit_logs"
    ).fetchall()
    (number,) = connection.execute("SELECT pg_current_xact_id()::text::bigint").fetchone()
    assert origins == [(f"operator:{connection.info.user}", number, None, None)]


def test_audit__second_factors__that_all_were_removed_is_recorded(connection):
    """Row triggers tell what becomes of one."""
    connection.execute("TRUNCATE second_factors")
    assert entries(connection) == [("TRUNCATE", "second_factors", None, None, None, None)]


def test_audit__messages__their_removal_alone_is_recorded(connection):
    key = MAKERS["messages"](connection)
    connection.execute("UPDATE messages SET content = 'x'")
    connection.execute("DELETE FROM conversations")
    ((action, _, record, before, after, _),) = entries(connection, "messages")
    assert (action, record, before["content"], after) == ("DELETE", key, "x", None)


def test_audited__tables_and_columns__each_is_shown_or_hidden_by_word():
    """A new table, and a new column that a secret could stand in, is decided about, not forgotten."""
    assert MODELS.keys() - AUDITED.keys() == UNAUDITED.keys()
    models = {model._meta.db_table: model for model in apps.get_models()}
    told = [table for table, (_, _, _, events) in AUDITED.items() if events != "truncate"]
    columns = {f"{table}.{field.column}" for table in told for field in models[table]._meta.concrete_fields}
    hidden = {f"{table}.{name}" for table, (_, names, _, _) in AUDITED.items() for name in names.split()}
    assert hidden - columns == set()
    secret = re.compile("secret|token|passw|hash|credential|key|config|value|metadata|code", re.IGNORECASE)
    assert {name for name in columns if secret.search(name)} - hidden - HARMLESS == set()
    assert HARMLESS - columns == set()


def test_audit__entry__has_id_public_id_and_time_of_its_own(connection):
    add_user(connection)
    key, public_id, recent = connection.execute("SELECT id, public_id, created_at > now() FROM audit_logs").fetchone()
    assert isinstance(key, uuid.UUID)
    assert public_id.startswith("aud_")
    assert recent


def test_audit__update_of_some_columns__holds_only_those(connection):
    key = add_patient(connection, allergies="pollen")
    connection.execute(
        "UPDATE patients SET first_name = 'Mary', allergies = NULL, last_name = last_name WHERE id = %s", [key]
    )
    *_, before, after, _ = latest(connection)
    assert before == {"first_name": "مريم", "allergies": "pollen"}
    assert after == {"first_name": "Mary", "allergies": None}


def test_audit__update_that_changes_nothing__no_entry(connection):
    key = add_patient(connection)
    count = len(entries(connection))
    connection.execute("UPDATE patients SET first_name = first_name WHERE id = %s", [key])
    connection.execute("UPDATE patients SET first_name = 'x' WHERE false")
    connection.execute("DELETE FROM patients WHERE false")
    assert len(entries(connection)) == count


def test_audit__password_hash__is_never_in_the_log(connection):
    key = add_user(connection, password_hash=HASH)
    connection.execute("UPDATE users SET password_hash = %s WHERE id = %s", [HASH + "2", key])
    connection.execute("UPDATE users SET password_hash = NULL WHERE id = %s", [key])
    connection.execute("UPDATE users SET password_hash = %s WHERE id = %s", [HASH + "3", key])
    connection.execute("DELETE FROM users WHERE id = %s", [key])
    told = entries(connection, "users")
    assert [entry[0] for entry in told].count("PASSWORD_CHANGED") == 3
    found = [entry for entry in told if entry[0] != "PASSWORD_CHANGED"]
    assert [entry[0] for entry in found] == ["INSERT", "UPDATE", "UPDATE", "UPDATE", "DELETE"]
    # That it changed is said; from what to what is not.
    assert [set(entry[4]) for entry in found[1:4]] == [{"password_hash"}] * 3
    (text,) = connection.execute("SELECT string_agg(a::text, ' ') FROM audit_logs a").fetchone()
    assert "password_hash" in text
    assert "pbkdf2" not in text
    assert "c2VjcmV0" not in text


@pytest.mark.parametrize(
    ("text", "actor"),
    [
        (json.dumps({"sub": str(ADA), "role": "authenticated"}), ADA),
        (json.dumps({"role": "anon"}), None),
        (json.dumps({"sub": ""}), None),
        (json.dumps({"sub": None}), None),
        ("", None),
        ("{", None),
        ("null", None),
        ("[]", None),
        ('"text"', None),
        (json.dumps({"sub": "1; DROP TABLE users"}), None),
        (json.dumps({"sub": {"a": 1}}), None),
        ("x" * 100_000, None),
    ],
)  # fmt: skip
def test_audit__claims__name_the_actor_or_nobody(connection, text, actor):
    claims(connection, text)
    key = add_user(connection)
    assert latest(connection)[2] == key
    assert latest(connection)[5] == actor


def test_audit__no_claims_at_all__nobody(connection):
    add_user(connection)
    assert latest(connection)[5] is None


def test_audit__claims_of_an_earlier_transaction__do_not_linger(database):
    with database.connect() as connection:
        with connection.transaction(force_rollback=True):
            claims(connection, json.dumps({"sub": str(ADA)}))
            add_user(connection)
            assert latest(connection)[5] == ADA
        with connection.transaction(force_rollback=True):
            add_user(connection)
            assert latest(connection)[5] is None


def test_audit__statement_over_many_rows__one_entry_a_row(connection):
    connection.execute(
        "INSERT INTO patients (first_name, last_name) SELECT n::text, 'x' FROM generate_series(1, 500) AS n"
    )
    assert len(entries(connection)) == 500
    connection.execute("UPDATE patients SET phone = first_name WHERE first_name::int <= 200")
    updated = entries(connection)[500:]
    assert len(updated) == 200
    of_row = dict(connection.execute("SELECT id, phone FROM patients").fetchall())
    assert {entry[2]: entry[4]["phone"] for entry in updated} == {
        key: phone for key, phone in of_row.items() if phone is not None
    }
    connection.execute("DELETE FROM patients")
    assert len({entry[2] for entry in entries(connection)[700:]}) == 500


def test_audit__keys_swapped_in_one_statement__each_row_is_told_apart(connection):
    """Rows are matched by id; one whose id changes appears under both."""
    key = add_patient(connection)
    moved = uuid.uuid4()
    connection.execute("UPDATE patients SET id = %s WHERE id = %s", [moved, key])
    assert {entry[2] for entry in entries(connection)[1:]} == {key, moved}


def test_audit__copy__one_entry_a_row(connection):
    with connection.cursor().copy("COPY users (email, name) FROM STDIN") as copy:
        for number in range(20):
            copy.write_row((f"copy{number}@example.test", "منسوخ"))
    assert [entry[:2] for entry in entries(connection)] == [("INSERT", "users")] * 20


def test_audit__upsert__insert_and_update_are_told_apart(connection):
    key = add_user(connection, email="old@example.test")
    connection.execute(
        """INSERT INTO users (id, email, name) VALUES (%s, 'old@example.test', 'Renamed'),
                                                      (gen_random_uuid(), 'new@example.test', 'New')
           ON CONFLICT (id) DO UPDATE SET name = excluded.name""",
        [key],
    )
    found = entries(connection)[1:]
    assert sorted(entry[0] for entry in found) == ["INSERT", "UPDATE"]
    (update,) = (entry for entry in found if entry[0] == "UPDATE")
    assert update[2:5] == (key, {"name": "One"}, {"name": "Renamed"})
    connection.execute("INSERT INTO users (id, email) VALUES (%s, 'x@example.test') ON CONFLICT DO NOTHING", [key])
    assert len(entries(connection)) == 3


def test_audit__merge_and_cte__are_audited(connection):
    if connection.info.server_version < 150000:
        pytest.skip("MERGE came with 15")
    key = add_patient(connection)
    connection.execute(
        """MERGE INTO patients AS p USING (VALUES (%s::uuid), (gen_random_uuid())) AS s (id) ON p.id = s.id
           WHEN MATCHED THEN UPDATE SET phone = 'merged'
           WHEN NOT MATCHED THEN INSERT (first_name, last_name) VALUES ('a', 'b')""",
        [key],
    )
    connection.execute(
        """WITH gone AS (DELETE FROM patients WHERE first_name = 'a' RETURNING id)
           UPDATE patients SET address = 'ج' WHERE id = %s""",
        [key],
    )
    assert sorted(entry[0] for entry in entries(connection)) == ["DELETE", "INSERT", "INSERT", "UPDATE", "UPDATE"]


def test_audit__cascade__both_tables_are_audited(connection):
    user = add_user(connection)
    patient = add_patient(connection, user_id=user)
    connection.execute("INSERT INTO user_preferences (user_id) VALUES (%s)", [user])
    connection.execute("DELETE FROM users WHERE id = %s", [user])
    assert connection.execute("SELECT count(*) FROM user_preferences").fetchone() == (0,)
    found = {entry[1]: entry for entry in entries(connection)[2:]}
    assert found["users"][:3] == ("DELETE", "users", user)
    assert found["patients"][:5] == (
        "UPDATE", "patients", patient, {"user_id": str(user)}, {"user_id": None},
    )  # fmt: skip


def test_audit__row_that_one_statement_changes_twice__each_change_once(connection):
    """As two foreign keys do: the row stands twice in what the statement tells of before and after."""
    user, patient = add_user(connection), add_patient(connection)
    (key,) = connection.execute(
        "INSERT INTO crm_activities (type, subject, contact_id, owner_id) VALUES ('call', 'x', %s, %s) RETURNING id",
        [patient, user],
    ).fetchone()
    connection.execute(
        "WITH gone AS (DELETE FROM patients WHERE id = %s) DELETE FROM users WHERE id = %s", [patient, user]
    )
    changes = [(entry[3], entry[4]) for entry in entries(connection, "crm_activities") if entry[0] == "UPDATE"]
    assert sorted(changes, key=str) == [
        ({"contact_id": str(patient)}, {"contact_id": None}),
        ({"owner_id": str(user)}, {"owner_id": None}),
    ]
    assert {entry[2] for entry in entries(connection, "crm_activities")} == {key}


def test_audit__secret_of_a_clinic_s_own__is_hidden_by_its_name(connection):
    """Nobody declared it: the column is not ours."""
    connection.execute("ALTER TABLE patients ADD portal_token text, ADD nickname text")
    key = add_patient(connection, portal_token="told-token", nickname="m")
    connection.execute("UPDATE patients SET portal_token = 'told-too' WHERE id = %s", [key])
    connection.execute("DELETE FROM patients WHERE id = %s", [key])
    (text,) = connection.execute("SELECT string_agg(a::text, ' ') FROM audit_logs a").fetchone()
    assert "portal_token" in text
    assert "told-" not in text
    assert latest(connection)[3]["nickname"] == "m"


def test_audit__deleted_user__entries_stay(connection):
    claims(connection, json.dumps({"sub": str(ADA)}))
    add_user(connection, id=ADA)
    connection.execute("DELETE FROM users WHERE id = %s", [ADA])
    assert [entry[5] for entry in entries(connection)] == [ADA, ADA]


def test_audit__values__are_kept_whole_up_to_8_kb_and_told_by_digest_beyond(connection):
    short = "سجلّ طبي 😀 'quoted' \\ \"double\" \n" * 100
    key = add_patient(connection, medical_history=short)
    assert latest(connection)[4]["medical_history"] == short
    long = short * 400
    told = {"length": len(long), "sha256": hashlib.sha256(long.encode()).hexdigest(), "beginning": long[:200]}
    connection.execute("UPDATE patients SET medical_history = %s WHERE id = %s", [long, key])
    assert latest(connection)[3:5] == ({"medical_history": short}, {"medical_history": told})
    connection.execute("UPDATE patients SET medical_history = %s WHERE id = %s", [f"{long}.", key])
    assert latest(connection)[4]["medical_history"]["length"] == len(long) + 1
    (size,) = connection.execute("SELECT sum(pg_column_size(a.*)) FROM audit_logs AS a").fetchone()
    assert size < 30_000


OBSTACLES = {
    "a trigger raises": """
        CREATE FUNCTION pg_temp.obstacle() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'disk_full'; END $$;
        CREATE TRIGGER obstacle BEFORE INSERT ON audit_logs FOR EACH ROW EXECUTE FUNCTION pg_temp.obstacle()""",
    "a check refuses": "ALTER TABLE audit_logs ADD CONSTRAINT obstacle CHECK (action = '') NOT VALID",
    "a column is gone": "ALTER TABLE audit_logs DROP COLUMN acted_as",
    "another is required": "ALTER TABLE audit_logs ADD obstacle text, ADD CHECK (obstacle IS NOT NULL) NOT VALID",
    "the table is gone": "DROP TABLE audit_logs",
    "the table is of another name": "ALTER TABLE audit_logs RENAME TO elsewhere",
    "row security is forced": "ALTER TABLE audit_logs FORCE ROW LEVEL SECURITY",
    "its ids cannot be made": """
        CREATE OR REPLACE FUNCTION app.generate_public_id(prefix text) RETURNS text LANGUAGE plpgsql AS $$
            BEGIN IF prefix = 'aud_' THEN RAISE EXCEPTION 'no'; END IF; RETURN prefix || md5(random()::text)
            ; END $$; ALTER TABLE users DROP CONSTRAINT users_public_id_check;
            ALTER TABLE patients DROP CONSTRAINT patients_public_id_check""",
}


@pytest.mark.parametrize("obstacle", OBSTACLES.values(), ids=list(OBSTACLES))
@pytest.mark.parametrize("table", ["users", "sessions"])
def test_audit__log_cannot_be_written__the_write_does_not_happen(connection, obstacle, table):
    connection.execute("INSERT INTO patients (first_name, last_name) VALUES ('a', 'b')")
    connection.execute("INSERT INTO doctors (first_name, last_name) VALUES ('a', 'b')")
    key = MAKERS[table](connection)
    stood = connection.execute(f"SELECT * FROM {table}").fetchall()
    connection.execute(obstacle)
    column, value = CHANGES[table]
    ((bypasses,),) = connection.execute("SELECT rolbypassrls FROM pg_roles WHERE rolname = current_user").fetchall()
    if bypasses and "FORCE" in obstacle:  # that is none for such an owner
        connection.execute(f"UPDATE {table} SET {column} = %s WHERE id = %s", [value, key])
        assert latest(connection)[:3] == ("UPDATE", table, key)
        return
    for write in (
        partial(MAKERS[table], connection),
        partial(connection.execute, f"UPDATE {table} SET {column} = %s WHERE id = %s", [value, key]),
        partial(connection.execute, f"DELETE FROM {table}"),
        partial(connection.execute, f"TRUNCATE {table} CASCADE"),
    ):
        with pytest.raises(psycopg.Error), connection.transaction():
            write()
    assert connection.execute(f"SELECT * FROM {table}").fetchall() == stood


def test_audit__nobody_could_be_named__the_write_fails(connection):
    """Who acts is settled before the trail is written: an identity that is not signed writes nothing."""
    connection.execute("""CREATE OR REPLACE FUNCTION app.audit_actor() RETURNS uuid LANGUAGE plpgsql AS $$
                          BEGIN RAISE EXCEPTION 'nobody is bound' USING ERRCODE = 'insufficient_privilege'; END $$""")
    for table in CHANGES:
        with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
            MAKERS[table](connection)


def test_audit__login_that_is_none_of_ours__writes_without_a_name(database):
    """A clinic's own integration, which row security does not bind and which can take none of our roles."""
    with database.admin() as admin, admin.transaction(force_rollback=True):
        admin.execute("CREATE ROLE integration LOGIN BYPASSRLS; GRANT USAGE ON SCHEMA public, app TO integration")
        admin.execute("GRANT INSERT, SELECT ON patients TO integration")
        admin.execute("GRANT EXECUTE ON FUNCTION app.generate_public_id(text) TO integration")
        admin.execute("SET SESSION AUTHORIZATION integration")
        admin.execute("INSERT INTO patients (first_name, last_name) VALUES ('from', 'outside')")
        admin.execute("RESET SESSION AUTHORIZATION")
        found = admin.execute("SELECT user_id FROM audit_logs WHERE table_name = 'patients' AND created_at > now()")
        assert found.fetchall() == [(None,)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_logs SET action = 'x'",
        "UPDATE audit_logs SET action = action WHERE false",
        "DELETE FROM audit_logs",
        "DELETE FROM audit_logs WHERE id = gen_random_uuid()",
        "TRUNCATE audit_logs",
        "TRUNCATE users, audit_logs CASCADE",
        "INSERT INTO audit_logs (id, action, table_name) SELECT id, 'x', 'y' FROM audit_logs"
        " ON CONFLICT (id) DO UPDATE SET action = 'forged'",
    ],
)
@pytest.mark.parametrize("role", ["owner", "superuser"])
def test_audit_logs__changed_or_removed__refused(database, role, statement):
    way_in = database.connect if role == "owner" else database.admin
    with way_in() as connection, connection.transaction(force_rollback=True):
        add_user(connection)
        stood = entries(connection)
        assert stood
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"), connection.transaction():
            connection.execute(statement)
        assert entries(connection) == stood


def test_audit_logs__added_by_an_application__is_accepted(connection):
    connection.execute("INSERT INTO audit_logs (action, table_name, ip_address) VALUES ('login', 'users', '10.0.0.1')")
    assert latest(connection)[0] == "login"


def test_audit__writer_without_rights_on_the_log__is_recorded_all_the_same(connection):
    connection.execute(
        """
        CREATE ROLE moeen_test_writer;
        GRANT moeen_test_writer TO CURRENT_USER;
        GRANT USAGE ON SCHEMA public TO moeen_test_writer;
        GRANT SELECT, INSERT, UPDATE, DELETE ON patients TO moeen_test_writer;
        REVOKE ALL ON audit_logs FROM moeen_test_writer;
        CREATE POLICY test_writer ON patients TO moeen_test_writer USING (true) WITH CHECK (true);
        GRANT EXECUTE ON FUNCTION app.generate_public_id(text) TO moeen_test_writer;
        GRANT USAGE ON SCHEMA app TO moeen_test_writer;
        """
    )
    claims(connection, json.dumps({"sub": str(ADA)}), role="moeen_test_writer")
    connection.execute("SET LOCAL ROLE moeen_test_writer")
    key = add_patient(connection)
    connection.execute("UPDATE patients SET phone = '1' WHERE id = %s", [key])
    connection.execute("DELETE FROM patients WHERE id = %s", [key])
    for statement in ("SELECT FROM audit_logs", "SELECT app.audit_actor()"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
            connection.execute(statement)
    connection.execute("RESET ROLE")
    assert [entry[0] for entry in entries(connection)] == ["INSERT", "UPDATE", "DELETE"]
    assert {entry[5] for entry in entries(connection)} == {ADA}


def test_audit__hostile_search_path__is_not_followed(connection):
    connection.execute(
        """
        CREATE SCHEMA trap;
        CREATE TABLE trap.audit_logs (LIKE public.audit_logs INCLUDING DEFAULTS);
        CREATE FUNCTION trap.to_jsonb(anyelement) RETURNS jsonb LANGUAGE sql AS $$ SELECT '{"id": "trapped"}'::jsonb $$;
        SET LOCAL search_path = trap, pg_catalog, public;
        """
    )
    key = add_patient(connection)
    assert connection.execute("SELECT count(*) FROM trap.audit_logs").fetchone() == (0,)
    (found,) = connection.execute("SELECT new_values ->> 'id' FROM public.audit_logs").fetchone()
    assert found == str(key)


def test_suspension__while_it_stands__is_found_and_heard_for_its_own_table_alone(database):
    django = connections[database.alias]
    work = str(uuid.uuid4())
    with acting_as_operator(), transaction.atomic(using=database.alias), django.cursor() as cursor:
        assert list(suspended_audits(django)) == []
        cursor.execute("SELECT app.suspend_audit(%s, 'patients', 'IMPORT', '{\"rows\": 7}')", [work])
        cursor.execute("SELECT set_config('app.audit_suspended', %s, true)", [work])
        cursor.execute("INSERT INTO patients (first_name, last_name) VALUES ('a', 'b')")
        cursor.execute("INSERT INTO doctors (first_name, last_name) VALUES ('a', 'b')")
        (finding,) = suspended_audits(django)
        assert (finding.table, finding.kind) == ("patients", Kind.AUDIT_SUSPENDED)
        assert "IMPORT" in finding.found
        (statement,) = finding.fix.statements()
        cursor.execute(statement)
        assert list(suspended_audits(django)) == []
        cursor.execute("INSERT INTO patients (first_name, last_name) VALUES ('c', 'd')")
        cursor.execute(
            "SELECT string_agg(concat_ws(' ', action, table_name), ', ' ORDER BY created_at) FROM audit_logs "
            "WHERE created_at >= now()"
        )
        assert cursor.fetchone() == (
            "INSERT audit_suspensions, IMPORT patients, INSERT doctors, "
            "AUDIT_RESUMED patients, DELETE audit_suspensions, INSERT patients",
        )
        transaction.set_rollback(True, using=database.alias)


def test_suspension__written_by_hand__is_recorded(connection):
    """Also the one that is to silence what tells of suspensions."""
    work = str(uuid.uuid4())
    connection.execute("SELECT set_config('app.audit_suspended', %s, true)", [work])
    for table in ("audit_suspensions", "patients"):
        connection.execute(
            "INSERT INTO app.audit_suspensions (id, table_name, work) VALUES (%s, %s, 'x')", [work, table]
        )
    add_patient(connection)
    connection.execute("DELETE FROM app.audit_suspensions")
    connection.execute("TRUNCATE app.audit_suspensions")
    found = [(action, (new or old or {}).get("table_name")) for action, _, _, old, new, _ in entries(connection)]
    assert sorted(found, key=str) == [
        ("DELETE", "audit_suspensions"), ("DELETE", "patients"), ("INSERT", "audit_suspensions"),
        ("INSERT", "patients"), ("TRUNCATE", None),
    ]  # fmt: skip


def test_subscription__of_an_audited_table__is_found(new_database):
    """What it applies fires row triggers alone."""
    with acting_as_operator():
        made = new_database.migrated()
        django = connections[made.alias]
        assert list(subscribed_tables(django)) == []
        with made.admin() as admin:
            admin.execute("CREATE SUBSCRIPTION feed CONNECTION 'dbname=x' PUBLICATION p WITH (connect = false)")
            admin.execute(
                "INSERT INTO pg_subscription_rel (srsubid, srrelid, srsubstate) SELECT oid, 'patients'::regclass, 'r' "
                "FROM pg_subscription"
            )
            (finding,) = subscribed_tables(django)
            assert (finding.table, finding.kind) == ("patients", Kind.AUDIT_SUSPENDED)
            admin.execute("ALTER SUBSCRIPTION feed DISABLE; ALTER SUBSCRIPTION feed SET (slot_name = NONE)")
            admin.execute("DROP SUBSCRIPTION feed")
        new_database.drop(made)


def test_audit__triggers_silenced_for_the_session__fire_all_the_same(database):
    with database.admin() as admin, admin.transaction(force_rollback=True):
        add_patient(admin)
        admin.execute("SET LOCAL session_replication_role = replica")
        admin.execute("UPDATE patients SET phone = '0500'")
        admin.execute("DELETE FROM patients")
        assert [entry[0] for entry in entries(admin, "patients")][-2:] == ["UPDATE", "DELETE"]
        admin.execute("INSERT INTO audit_logs (action, table_name) VALUES ('LOGIN', 'users')")
        number = "transaction_id = pg_current_xact_id()::text::bigint"
        stamp = f"SELECT acted_as, {number} FROM audit_logs WHERE action = 'LOGIN' AND table_name = 'users'"
        assert admin.execute(stamp).fetchone() == (f"operator:{admin.info.user}", True)

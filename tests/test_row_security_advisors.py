# ruff: noqa: E501 - SQL and what is found, side by side
"""Each rule of good row security finds what it is for, and nothing in the schema as it is."""

import re
from dataclasses import replace

import pytest
from django.apps import apps
from django.db import connections, transaction

from moeen.db import registry
from moeen.db.kinds import Kind
from moeen.db.security import access, advisors

#: What is done to the schema -> (kind, object) of what is found.
BREAKING = {
    "DROP INDEX notifications_user_id_idx": ("unindexed foreign key", "notifications.notifications_user_id_fkey"),
    # Supabase's own advisor counts an index for a key only where it begins with its columns in its order.
    "CREATE TABLE another (flow uuid, node uuid, FOREIGN KEY (flow, node) REFERENCES chatbot_nodes (flow_id, id)); CREATE INDEX ON another (node, flow)": (
        "unindexed foreign key", "another.another_flow_node_fkey",
    ),
    "ALTER POLICY users_select_patient ON users USING (id = auth.uid())": ("call per row", "users.users_select_patient"),
    "ALTER POLICY messages_select_patient ON messages USING (conversation_id IN (SELECT app.my_conversation_ids()) OR app.my_patient_id() IS NULL)": (
        "call per row", "messages.messages_select_patient",
    ),
    "CREATE POLICY another ON users FOR SELECT TO moeen_patient USING (is_active)": (
        "several policies", "users.moeen_patient",
    ),
    "ALTER TABLE users DISABLE ROW LEVEL SECURITY": ("table row security", "users"),
    "CREATE TABLE another (id int PRIMARY KEY)": ("table row security", "another"),
    "ALTER TABLE users FORCE ROW LEVEL SECURITY": ("table forced", "users"),
    "CREATE INDEX twin ON notifications (user_id)": ("duplicate index", "notifications.twin"),
    "CREATE VIEW shown AS SELECT * FROM patients": ("owner's view", "shown"),
    "CREATE MATERIALIZED VIEW stored AS SELECT * FROM patients": ("materialized view", "stored"),
    "ALTER FUNCTION app.my_patient_id() RESET search_path": ("search path", "app.my_patient_id()"),
    "ALTER POLICY crm_leads_update_staff ON crm_leads WITH CHECK (true)": ("always true", "crm_leads.crm_leads_update_staff"),
    "ALTER POLICY user_preferences_update_patient ON user_preferences WITH CHECK (true)": (
        "always true", "user_preferences.user_preferences_update_patient",
    ),
    "CREATE POLICY open ON patients FOR SELECT USING (email = 'x')": ("policy's role", "patients.open"),
    "ALTER POLICY patients_select_patient ON patients USING (first_name = 'x')": ("unindexed condition", "patients.first_name"),
    "ALTER FUNCTION app.my_patient_id() VOLATILE": ("policy helper", "app.my_patient_id()"),
    "ALTER FUNCTION app.my_patient_ids() SECURITY INVOKER": ("policy helper", "app.my_patient_ids()"),
    "GRANT EXECUTE ON FUNCTION app.my_patient_id() TO PUBLIC": ("open function", "app.my_patient_id()"),
    "CREATE FUNCTION app.own(what integer) RETURNS integer LANGUAGE sql RETURN 1": (
        "open function", "app.own(what integer)",
    ),
    "CREATE FUNCTION public.all_patients() RETURNS SETOF patients LANGUAGE sql SECURITY DEFINER AS 'SELECT * FROM patients'": (
        "open function", "public.all_patients()",
    ),
    "GRANT SELECT ON users TO moeen_staff": ("sensitive column", "users.password_hash"),
    "GRANT SELECT ON patients TO PUBLIC": ("table grants", "patients"),
    "GRANT TRUNCATE ON patients TO moeen_admin": ("table grants", "patients"),
    "DROP POLICY users_bound_patient ON users": (Kind.UNSIGNED_IDENTITIES, "users"),
    "GRANT moeen_admin TO moeen_patient": ("role member of", "moeen_patient"),
    "ALTER ROLE moeen_patient LOGIN": ("role attributes", "moeen_patient"),
}  # fmt: skip


@pytest.fixture(scope="module")
def connection(new_database):
    database = new_database.migrated()
    yield connections[database.alias]
    new_database.drop(database)


def test_advise__schema_as_it_is__finds_nothing(connection):
    assert advisors.advise(connection) == []


@pytest.mark.parametrize("statement", BREAKING, ids=lambda text: re.sub(r"\W+", " ", text)[:60])
def test_advise__broken_schema__finds_it(connection, statement):
    kind, name = BREAKING[statement]
    with transaction.atomic(using=connection.alias):
        with connection.cursor() as cursor:
            cursor.execute(statement)
        found = {(finding.kind, finding.object) for finding in advisors.advise(connection)}
        transaction.set_rollback(True, using=connection.alias)
    assert (kind, name) in found


@pytest.mark.parametrize(
    ("statement", "expected", "found"),
    [
        ("GRANT DELETE ON settings TO moeen_anon; CREATE POLICY p ON settings FOR DELETE TO moeen_anon USING (true)",
         "DELETE by moeen_anon: nothing", "all rows"),
        ("DROP POLICY settings_select_anon ON settings", "SELECT by moeen_anon: some rows", "nothing"),
    ],
)  # fmt: skip
def test_differences__matrix_is_another__tells_who_may_do_what(connection, statement, expected, found):
    with transaction.atomic(using=connection.alias):
        with connection.cursor() as cursor:
            cursor.execute(statement)
        (told,) = access.differences(connection)
        transaction.set_rollback(True, using=connection.alias)
    assert (told.kind, told.object) == (Kind.ACCESS, "settings")
    assert told.expected.startswith(expected)
    assert told.found.startswith(found)


def test_advise__without_its_exceptions__finds_exactly_those(connection, monkeypatch):
    accepted = registry.facts().accepted_advice
    for config in apps.get_app_configs():
        if hasattr(config, "database_facts"):
            monkeypatch.setattr(config, "database_facts", replace(config.database_facts, accepted_advice={}))
    kept = advisors.advise(connection)
    monkeypatch.undo()
    assert {f"{f.kind} {f.name.part if f.name else f.object}" for f in kept} == set(accepted)
    assert all(len(reason) > 20 for reason in accepted.values())

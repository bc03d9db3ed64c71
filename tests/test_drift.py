"""Single changes by hand, of every kind of object: each is found, named and graded, and mended where that is said."""

# ruff: noqa: E501 - a statement a line
import re
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import pytest
import sqlparse
from django.db import DatabaseError, connections, transaction
from django.db.migrations.loader import MigrationLoader

from moeen.db import schema
from moeen.db.kinds import Kind
from moeen.db.names import ObjectName
from moeen.db.schema import canonical, drift, fix_script, grades, validation
from moeen.env import parse_database_url
from tests import servers, states

CASES = {}


@dataclass(frozen=True)
class Case:
    """A change; what must be found, as (severity, object, kind); whether the printed SQL makes it clean again."""

    sql: str
    found: tuple
    mended: bool = True
    superuser: bool = False


def case(name, sql, *found, mended=True, superuser=False):
    assert name not in CASES
    CASES[name] = Case(sql, found, mended, superuser)


B, U, S, C = "breaks", "unsafe", "slow", "cosmetic"

# --- tables ---
case("table dropped", "DROP TABLE messages", (B, "messages", "missing table"), mended=False)
case(
    "table renamed",
    "ALTER TABLE settings RENAME TO settings_old",
    (B, "settings", "missing table"),
    (U, "settings_old", "unexpected table"),
    mended=False,
)
case("table added", "CREATE TABLE own_branches (id int)", (U, "own_branches", "unexpected table"), mended=False)
case(
    "table added behind row security",
    "CREATE TABLE own_branches (id int); ALTER TABLE own_branches ENABLE ROW LEVEL SECURITY",
    (C, "own_branches", "unexpected table"),
    mended=False,
)
case(
    "table added and granted",
    "CREATE TABLE own_branches (id int); ALTER TABLE own_branches ENABLE ROW LEVEL SECURITY; GRANT SELECT ON own_branches TO moeen_anon",
    (U, "own_branches", "unexpected table"),
    mended=False,
)
case("table added in app", "CREATE TABLE app.secret (id int)", (U, "app.secret", "unexpected table"), mended=False)
case(
    "partitioned table added",
    "CREATE TABLE logs (id int) PARTITION BY RANGE (id)",
    (U, "logs", "unexpected table"),
    mended=False,
)
case("row security off", "ALTER TABLE patients DISABLE ROW LEVEL SECURITY", (U, "patients", "table row security"))
case("row security forced", "ALTER TABLE patients FORCE ROW LEVEL SECURITY", (B, "patients", "table forced"))
case("table of another owner", "ALTER TABLE doctors OWNER TO postgres", (U, "doctors", "table owner"), superuser=True)
case("table unlogged", "ALTER TABLE public_id_aliases SET UNLOGGED", (U, "public_id_aliases", "table unlogged"))
case("table comment changed", "COMMENT ON TABLE patients IS 'other'", (C, "patients", "table comment"))
case("table comment gone", "COMMENT ON TABLE backfill_runs IS NULL", (C, "backfill_runs", "table comment"))
case("fillfactor", "ALTER TABLE messages SET (fillfactor = 50)", (S, "messages", "table options"))
case("autovacuum off", "ALTER TABLE messages SET (autovacuum_enabled = false)", (S, "messages", "table options"))
case(
    "autovacuum off of the toast table",
    "ALTER TABLE messages SET (toast.autovacuum_enabled = off)",
    (S, "messages", "table options"),
)
case(
    "autovacuum tuned",
    "ALTER TABLE messages SET (autovacuum_vacuum_scale_factor = 0.01, toast.autovacuum_vacuum_threshold = 500)",
    (C, "messages", "table autovacuum"),
)
case("autovacuum on", "ALTER TABLE messages SET (autovacuum_enabled = true)", (C, "messages", "table autovacuum"))
case("toast tuple target", "ALTER TABLE messages SET (toast_tuple_target = 512)", (S, "messages", "table options"))
case("replica identity", "ALTER TABLE messages REPLICA IDENTITY FULL", (C, "messages", "table replica identity"))
case(
    "table inherits",
    "CREATE TABLE parent (); ALTER TABLE crm_leads INHERIT parent",
    (U, "crm_leads", "table parents"),
    (U, "parent", "unexpected table"),
    mended=False,
)

# --- columns ---
case("column dropped", "ALTER TABLE patients DROP COLUMN allergies", (B, "patients.allergies", "missing column"))
case(
    "column with default dropped",
    "ALTER TABLE user_preferences DROP COLUMN language",
    (B, "user_preferences.language", "missing column"),
)
case(
    "column renamed",
    "ALTER TABLE patients RENAME phone TO mobile",
    (B, "patients.phone", "missing column"),
    (C, "patients.mobile", "unexpected column"),
    mended=False,
)
case(
    "column added",
    "ALTER TABLE patients ADD national_id text",
    (C, "patients.national_id", "unexpected column"),
    mended=False,
)
case(
    "required column added",
    "ALTER TABLE patients ADD file_no int NOT NULL",
    (B, "patients.file_no", "unexpected column"),
    mended=False,
)
case("type widened", "ALTER TABLE patients ALTER phone TYPE varchar(80)", (B, "patients.phone", "column type"))
case(
    "type narrowed",
    "ALTER TABLE doctors ALTER specialization TYPE varchar(20)",
    (B, "doctors.specialization", "column type"),
)
case("varchar to text", "ALTER TABLE notifications ALTER title TYPE text", (B, "notifications.title", "column type"))
case(
    "timestamptz to timestamp",
    "ALTER TABLE notifications ALTER read_at TYPE timestamp",
    (B, "notifications.read_at", "column type"),
)
case(
    "collation",
    'ALTER TABLE crm_leads ALTER source TYPE varchar(100) COLLATE "C"',
    (S, "crm_leads.source", "column collation"),
)
case(
    "default changed",
    "ALTER TABLE appointments ALTER status SET DEFAULT 'confirmed'",
    (B, "appointments.status", "column default"),
)
case("default dropped", "ALTER TABLE users ALTER is_active DROP DEFAULT", (B, "users.is_active", "column default"))
case("default added", "ALTER TABLE patients ALTER gender SET DEFAULT 'male'", (B, "patients.gender", "column default"))
case(
    "public id default of another prefix",
    "ALTER TABLE patients ALTER public_id SET DEFAULT app.generate_public_id('doc_')",
    (B, "patients.public_id", "column default"),
    (U, "doc_", "shared prefix"),
    (B, "pat_", "unused prefix"),
)
case("not null dropped", "ALTER TABLE users ALTER email DROP NOT NULL", (U, "users.email", "column not null"))
case(
    "public id not null dropped",
    "ALTER TABLE doctors ALTER public_id DROP NOT NULL",
    (U, "doctors.public_id", "column not null"),
)
case("not null added", "ALTER TABLE patients ALTER phone SET NOT NULL", (B, "patients.phone", "column not null"))
case(
    "storage", "ALTER TABLE patients ALTER allergies SET STORAGE EXTERNAL", (S, "patients.allergies", "column storage")
)
case(
    "storage of a number",
    "ALTER TABLE crm_deals ALTER value SET STORAGE PLAIN",
    (S, "crm_deals.value", "column storage"),
)
case(
    "compression",
    "ALTER TABLE patients ALTER allergies SET COMPRESSION pglz",
    (C, "patients.allergies", "column compression"),
)
case("statistics", "ALTER TABLE users ALTER email SET STATISTICS 500", (C, "users.email", "column statistics"))
case("no statistics", "ALTER TABLE users ALTER email SET STATISTICS 0", (C, "users.email", "column statistics"))
case("distinct values", "ALTER TABLE users ALTER role SET (n_distinct = 5)", (C, "users.role", "column options"))
case("column comment", "COMMENT ON COLUMN users.role IS 'x'", (C, "users.role", "column comment"))
case(
    "identity dropped",
    "ALTER TABLE django_admin_log ALTER id DROP IDENTITY",
    (B, "django_admin_log.id", "column identity"),
)
case(
    "identity always",
    "ALTER TABLE django_admin_log ALTER id SET GENERATED ALWAYS",
    (B, "django_admin_log.id", "column identity"),
)

# --- constraints ---
case(
    "check dropped",
    "ALTER TABLE users DROP CONSTRAINT users_role_check",
    (U, "users.users_role_check", "missing constraint"),
)
case(
    "public id check dropped",
    "ALTER TABLE patients DROP CONSTRAINT patients_public_id_check",
    (U, "patients.patients_public_id_check", "missing constraint"),
)
case(
    "check altered",
    "ALTER TABLE users DROP CONSTRAINT users_role_check, ADD CONSTRAINT users_role_check CHECK (role IN ('patient', 'doctor', 'staff', 'supervisor', 'admin', 'root'))",
    (U, "users.users_role_check", "constraint definition"),
)
case(
    "check not validated",
    "ALTER TABLE users DROP CONSTRAINT users_role_check, ADD CONSTRAINT users_role_check CHECK (role IN ('patient', 'doctor', 'staff', 'supervisor', 'admin')) NOT VALID",
    (U, "users.users_role_check", "constraint not valid"),
)
case(
    "check added",
    "ALTER TABLE patients ADD CONSTRAINT adults CHECK (date_of_birth < '2000-01-01')",
    (B, "patients.adults", "unexpected constraint"),
)
case(
    "foreign key dropped",
    "ALTER TABLE appointments DROP CONSTRAINT appointments_patient_id_fkey",
    (U, "appointments.appointments_patient_id_fkey", "missing constraint"),
)
case(
    "foreign key of another rule",
    "ALTER TABLE notifications DROP CONSTRAINT notifications_user_id_fkey, ADD CONSTRAINT notifications_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id)",
    (U, "notifications.notifications_user_id_fkey", "constraint definition"),
)
case(
    "foreign key not validated",
    "ALTER TABLE migration_steps DROP CONSTRAINT migration_steps_run_id_fkey, ADD CONSTRAINT migration_steps_run_id_fkey FOREIGN KEY (run_id) REFERENCES migration_runs (id) ON DELETE CASCADE NOT VALID",
    (U, "migration_steps.migration_steps_run_id_fkey", "constraint not valid"),
)
case(
    "foreign key deferrable",
    "ALTER TABLE appointments ALTER CONSTRAINT appointments_patient_id_fkey DEFERRABLE INITIALLY DEFERRED",
    (U, "appointments.appointments_patient_id_fkey", "constraint definition"),
)
case(
    "foreign key switched off",
    "ALTER TABLE appointments DISABLE TRIGGER ALL",
    (U, "appointments.appointments_patient_id_fkey", "constraint switched off"),
    (U, "sessions.sessions_appointment_id_fkey", "constraint switched off"),
    (U, "insurance_claims.insurance_claims_appointment_id_fkey", "constraint switched off"),
    mended=False,
    superuser=True,
)
case(
    "unique dropped",
    "ALTER TABLE patients DROP CONSTRAINT patients_public_id_key",
    (U, "patients.patients_public_id_key", "missing constraint"),
)
case(
    "unique added",
    "ALTER TABLE patients ADD CONSTRAINT one_phone UNIQUE (phone)",
    (B, "patients.one_phone", "unexpected constraint"),
)
case(
    "unique renamed",
    "ALTER TABLE patients RENAME CONSTRAINT patients_public_id_key TO pk2",
    (U, "patients.patients_public_id_key", "missing constraint"),
    (B, "patients.pk2", "unexpected constraint"),
)
case(
    "primary key dropped",
    "ALTER TABLE messages DROP CONSTRAINT messages_pkey CASCADE",
    (U, "messages.messages_pkey", "missing constraint"),
)
case(
    "constraint comment",
    "COMMENT ON CONSTRAINT users_role_check ON users IS 'x'",
    (C, "users.users_role_check", "constraint comment"),
)

# --- indexes ---
case(
    "index dropped",
    "DROP INDEX migration_runs_started_at_idx",
    (S, "migration_runs.migration_runs_started_at_idx", "missing index"),
)
case("unique index dropped", "DROP INDEX users_email_lower_key", (U, "users.users_email_lower_key", "missing index"))
case(
    "index invalid",
    "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'migration_runs_started_at_idx'::regclass",
    (S, "migration_runs.migration_runs_started_at_idx", "index invalid"),
    superuser=True,
)
case(
    "unique index invalid",
    "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'users_email_lower_key'::regclass",
    (U, "users.users_email_lower_key", "index invalid"),
    superuser=True,
)
case(
    "index of a constraint invalid",
    "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'patients_public_id_key'::regclass",
    (U, "patients.patients_public_id_key", "constraint not valid"),
    superuser=True,
)
case("index added", "CREATE INDEX mine ON patients (phone)", (C, "patients.mine", "unexpected index"))
case("unique index added", "CREATE UNIQUE INDEX mine ON patients (phone)", (B, "patients.mine", "unexpected index"))
case(
    "index of another column",
    "DROP INDEX migration_runs_started_at_idx; CREATE INDEX migration_runs_started_at_idx ON migration_runs (finished_at)",
    (S, "migration_runs.migration_runs_started_at_idx", "index definition"),
)
case(
    "index of another order",
    "DROP INDEX migration_runs_started_at_idx; CREATE INDEX migration_runs_started_at_idx ON migration_runs (started_at DESC)",
    (S, "migration_runs.migration_runs_started_at_idx", "index definition"),
)
case(
    "index no longer unique",
    "DROP INDEX users_email_lower_key; CREATE INDEX users_email_lower_key ON users (lower(email))",
    (U, "users.users_email_lower_key", "index unique"),
)
case(
    "index of part of the rows",
    "DROP INDEX users_email_lower_key; CREATE UNIQUE INDEX users_email_lower_key ON users (lower(email)) WHERE is_active",
    (S, "users.users_email_lower_key", "index definition"),
)
case(
    "index comment",
    "COMMENT ON INDEX users_email_lower_key IS 'x'",
    (C, "users.users_email_lower_key", "index comment"),
)

# --- triggers and rules ---
case("trigger dropped", "DROP TRIGGER users_audit_update ON users", (U, "users.users_audit_update", "missing trigger"))
case(
    "trigger disabled",
    "ALTER TABLE users DISABLE TRIGGER users_audit_update",
    (U, "users.users_audit_update", "trigger state"),
)
case(
    "trigger not always",
    "ALTER TABLE users ENABLE TRIGGER users_audit_update",
    (U, "users.users_audit_update", "trigger state"),
)
case(
    "append only trigger disabled",
    "ALTER TABLE audit_logs DISABLE TRIGGER audit_logs_append_only",
    (U, "audit_logs.audit_logs_append_only", "trigger state"),
)
case(
    "trigger condition",
    "CREATE OR REPLACE TRIGGER users_updated_at_set BEFORE UPDATE ON users FOR EACH ROW WHEN (false) EXECUTE FUNCTION app.set_updated_at()",
    (U, "users.users_updated_at_set", "trigger definition"),
)
case(
    "trigger added",
    "CREATE TRIGGER mine BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION app.set_updated_at()",
    (U, "users.mine", "unexpected trigger"),
)
case(
    "trigger comment",
    "COMMENT ON TRIGGER users_audit_update ON users IS 'x'",
    (C, "users.users_audit_update", "trigger comment"),
)
case("rule added", "CREATE RULE mine AS ON DELETE TO users DO INSTEAD NOTHING", (U, "users.mine", "unexpected rule"))

# --- policies ---
case("policy dropped", "DROP POLICY users_select_patient ON users", (B, "users.users_select_patient", "missing policy"))
case(
    "policy one character",
    "ALTER POLICY django_admin_log_select_supervisor ON django_admin_log USING (user_id <> (SELECT auth.uid()))",
    (U, "django_admin_log.django_admin_log_select_supervisor", "policy definition"),
)
case(
    "policy opened",
    "ALTER POLICY users_select_patient ON users USING (true)",
    (U, "users.users_select_patient", "policy definition"),
)
case(
    "policy opened behind a new comment",
    "ALTER POLICY users_select_patient ON users USING (true); COMMENT ON POLICY users_select_patient ON users IS 'x'",
    (U, "users.users_select_patient", "policy definition"),
)
case(
    "policy unwrapped",
    "ALTER POLICY users_select_patient ON users USING (id = auth.uid())",
    (U, "users.users_select_patient", "policy definition"),
)
case(
    "policy check",
    "ALTER POLICY users_update_patient ON users WITH CHECK (true)",
    (U, "users.users_update_patient", "policy definition"),
)
case(
    "policy of another role",
    "ALTER POLICY users_select_admin ON users TO moeen_anon",
    (U, "users.users_select_admin", "policy definition"),
)
case(
    "policy for PUBLIC",
    "ALTER POLICY users_select_admin ON users TO PUBLIC",
    (U, "users.users_select_admin", "policy definition"),
)
case(
    "policy of one role more",
    "ALTER POLICY users_select_admin ON users TO moeen_admin, moeen_anon",
    (U, "users.users_select_admin", "policy definition"),
)
case(
    "policy added",
    "CREATE POLICY mine ON patients FOR SELECT TO moeen_anon USING (true)",
    (B, "patients.mine", "unexpected policy"),
)
case(
    "policy added for PUBLIC",
    "CREATE POLICY mine ON patients USING (true)",
    (B, "patients.mine", "unexpected policy"),
)
case(
    "policy added for a role that is none of ours",
    "CREATE POLICY mine ON patients TO CURRENT_USER USING (true)",
    (U, "patients.mine", "unexpected policy"),
)
case(
    "restrictive policy added",
    "CREATE POLICY mine ON patients AS RESTRICTIVE TO moeen_staff USING (false)",
    (B, "patients.mine", "unexpected policy"),
)
case(
    "policy made restrictive",
    "DROP POLICY users_select_admin ON users; CREATE POLICY users_select_admin ON users AS RESTRICTIVE FOR SELECT TO moeen_admin USING (true)",
    (U, "users.users_select_admin", "policy definition"),
)
case(
    "policy of another command",
    "DROP POLICY users_select_admin ON users; CREATE POLICY users_select_admin ON users TO moeen_admin USING (true)",
    (U, "users.users_select_admin", "policy definition"),
)
case(
    "policy renamed",
    "ALTER POLICY users_select_admin ON users RENAME TO mine",
    (B, "users.users_select_admin", "missing policy"),
    (B, "users.mine", "unexpected policy"),
)
case(
    "policy comment",
    "COMMENT ON POLICY users_select_admin ON users IS 'x'",
    (C, "users.users_select_admin", "policy comment"),
)

# --- functions ---
case(
    "function definer",
    "ALTER FUNCTION app.set_updated_at() SECURITY DEFINER",
    (U, "app.set_updated_at()", "function security definer"),
)
case(
    "function invoker",
    "ALTER FUNCTION app.role_of(uuid, text) SECURITY INVOKER",
    (U, "app.role_of(person uuid, wanted text)", "function security definer"),
)
case(
    "function search_path",
    "ALTER FUNCTION app.role_of(uuid, text) RESET search_path",
    (U, "app.role_of(person uuid, wanted text)", "function settings"),
)
case(
    "function search_path public",
    "ALTER FUNCTION app.role_of(uuid, text) SET search_path = public",
    (U, "app.role_of(person uuid, wanted text)", "function settings"),
)
case(
    "function volatile",
    "ALTER FUNCTION app.my_message_ids() VOLATILE",
    (S, "app.my_message_ids()", "function volatility"),
)
case(
    "function strict",
    "ALTER FUNCTION app.role_of(uuid, text) STRICT",
    (B, "app.role_of(person uuid, wanted text)", "function strict"),
)
case(
    "function leakproof",
    "ALTER FUNCTION app.my_message_ids() LEAKPROOF",
    (U, "app.my_message_ids()", "function leakproof"),
    superuser=True,
)
case(
    "function parallel",
    "ALTER FUNCTION app.generate_public_id(text) PARALLEL UNSAFE",
    (S, "app.generate_public_id(prefix text)", "function parallel"),
)
case(
    "function body",
    "CREATE OR REPLACE FUNCTION app.set_updated_at() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN NEW; END'",
    (B, "app.set_updated_at()", "function body"),
)
case(
    "function owner",
    "ALTER FUNCTION app.role_of(uuid, text) OWNER TO postgres",
    (U, "app.role_of(person uuid, wanted text)", "function owner"),
    superuser=True,
)
case(
    "function granted to PUBLIC",
    "GRANT EXECUTE ON FUNCTION app.role_of(uuid, text) TO PUBLIC",
    (U, "app.role_of(person uuid, wanted text)", "function grants"),
)
case(
    "function revoked",
    "REVOKE EXECUTE ON FUNCTION app.generate_public_id(text) FROM moeen_admin",
    (B, "app.generate_public_id(prefix text)", "function grants"),
)
case(
    "function dropped",
    "DROP FUNCTION app.notify(uuid, text, text, text, text)",
    (B, "app.notify(recipient uuid, title text, message text, type text, action_url text)", "missing function"),
)
case(
    "function added",
    "CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    (C, "public.mine()", "unexpected function"),
)
case(
    "definer function added",
    "CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
    (U, "public.mine()", "unexpected function"),
)
case(
    "procedure added",
    "CREATE PROCEDURE public.mine() LANGUAGE sql AS 'SELECT 1'",
    (C, "public.mine()", "unexpected function"),
)
case(
    "aggregate added",
    "CREATE AGGREGATE public.mine(int) (sfunc = int4pl, stype = int)",
    (C, "public.mine(integer)", "unexpected function"),
)
case(
    "function comment",
    "COMMENT ON FUNCTION app.set_updated_at() IS NULL",
    (C, "app.set_updated_at()", "function comment"),
)
case(
    "auth.uid",
    "CREATE OR REPLACE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS 'SELECT NULL::uuid'",
    (B, "auth.uid()", "function body"),
)
case(
    "auth function added",
    "CREATE FUNCTION auth.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    (U, "auth.mine()", "unexpected auth function"),
)

# --- grants ---
case("table granted to PUBLIC", "GRANT SELECT ON patients TO PUBLIC", (U, "patients", "table grants"))
case("table granted to a role", "GRANT TRUNCATE ON patients TO moeen_staff", (U, "patients", "table grants"))
case("table granted on", "GRANT INSERT ON users TO moeen_admin WITH GRANT OPTION", (U, "users", "table grants"))
case("table revoked", "REVOKE INSERT ON users FROM moeen_admin", (B, "users", "table grants"))
case("table revoked from its owner", "REVOKE DELETE ON users FROM moeen", (B, "users", "table grants"))
case(
    "column granted",
    "GRANT SELECT (password_hash) ON users TO moeen_staff",
    (U, "users.password_hash", "column grants"),
)
case("column revoked", "REVOKE SELECT (email) ON users FROM moeen_auth", (B, "users.email", "column grants"))
case("schema granted", "GRANT CREATE ON SCHEMA app TO moeen_staff", (U, "app", "schema grants"))
case("schema public open", "GRANT CREATE ON SCHEMA public TO PUBLIC", (U, "public", "schema grants"))
case("schema revoked", "REVOKE USAGE ON SCHEMA app FROM moeen_staff", (B, "app", "schema grants"))
case("schema comment", "COMMENT ON SCHEMA app IS 'x'", (C, "app", "schema comment"))
case("schema owner", "ALTER SCHEMA app OWNER TO postgres", (U, "app", "schema owner"), superuser=True)
case(
    "sequence granted",
    "GRANT UPDATE ON SEQUENCE django_migrations_id_seq TO moeen_staff",
    (U, "django_migrations_id_seq", "sequence grants"),
)
case(
    "default privileges",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO moeen_anon",
    (U, "public TABLES", "unexpected default privileges"),
)
case(
    "default privileges everywhere",
    "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
    (U, "TABLES", "unexpected default privileges"),
)

# --- sequences, types and the rest ---
case(
    "sequence increment",
    "ALTER SEQUENCE django_migrations_id_seq INCREMENT 2",
    (B, "django_migrations_id_seq", "sequence increment"),
)
case(
    "sequence maximum",
    "ALTER SEQUENCE django_migrations_id_seq MAXVALUE 1000",
    (B, "django_migrations_id_seq", "sequence maximum"),
)
case(
    "sequence cycles",
    "ALTER SEQUENCE django_migrations_id_seq CYCLE",
    (B, "django_migrations_id_seq", "sequence cycle"),
)
case(
    "sequence behind", "SELECT setval('django_migrations_id_seq', 1)", (B, "django_migrations_id_seq", "sequence value")
)
case("sequence added", "CREATE SEQUENCE mine", (C, "mine", "unexpected sequence"))
case("view added", "CREATE VIEW mine AS SELECT id FROM patients", (U, "mine", "unexpected table"))
case(
    "view of the invoker added",
    "CREATE VIEW mine WITH (security_invoker = true) AS SELECT id FROM patients",
    (C, "mine", "unexpected table"),
)
case(
    "materialized view added",
    "CREATE MATERIALIZED VIEW mine AS SELECT id FROM patients",
    (U, "mine", "unexpected table"),
)
case("enum added", "CREATE TYPE mine AS ENUM ('a', 'b')", (C, "mine", "unexpected type"))
case("domain added", "CREATE DOMAIN mine AS text CHECK (value <> '')", (C, "mine", "unexpected type"))
case("composite added", "CREATE TYPE mine AS (a int)", (C, "mine", "unexpected type"))
case(
    "operator added",
    "CREATE OPERATOR public.=== (leftarg = int, rightarg = int, function = int4eq)",
    (C, "operator public.===(integer,integer)", "unexpected object"),
)
case(
    "statistics added",
    "CREATE STATISTICS mine ON first_name, last_name FROM patients",
    (C, "statistics object public.mine", "unexpected object"),
)
case(
    "event trigger added",
    "CREATE FUNCTION app.watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER mine ON ddl_command_end EXECUTE FUNCTION app.watch()",
    (U, "mine", "unexpected event trigger"),
    (C, "app.watch()", "unexpected function"),
    mended=False,
    superuser=True,
)

# --- roles ---
case("role may log in", "ALTER ROLE moeen_staff LOGIN", (U, "moeen_staff", "role attributes"), superuser=True)
case(
    "role passes policies by", "ALTER ROLE moeen_staff BYPASSRLS", (U, "moeen_staff", "role attributes"), superuser=True
)
case(
    "role has a member",
    "GRANT moeen_admin TO moeen_staff",
    (U, "moeen_admin", "role members"),
    (U, "moeen_staff", "role member of"),
    superuser=True,
)
case(
    "owner may not become a role",
    "REVOKE moeen_staff FROM moeen CASCADE",
    (B, "moeen_staff", "role not members"),
    superuser=True,
)

# --- contents ---
case(
    "row with a malformed public id",
    "ALTER TABLE users DROP CONSTRAINT users_public_id_check; INSERT INTO users (email, public_id) VALUES ('x@example.test', 'nonsense')",
    (U, "users.users_public_id_check", "missing constraint"),
    (B, "users.public_id", "malformed public ids"),
    mended=False,
)
case(
    "row without public id",
    "ALTER TABLE users ALTER public_id DROP NOT NULL; INSERT INTO users (email, public_id) VALUES ('x@example.test', NULL)",
    (U, "users.public_id", "column not null"),
    (U, "users.public_id", "rows without public id"),
    mended=False,
)
case(
    "unfinished backfill",
    "INSERT INTO backfill_runs (name, table_name) VALUES ('public_id', 'users')",
    (U, "public_id users", "backfill"),
    mended=False,
)


@pytest.fixture(scope="module")
def database(new_database):
    return states.migrated(new_database)


case(
    "row with a guessable public id",
    "INSERT INTO patients (first_name, last_name, public_id) VALUES ('a', 'b', 'pat_20240131_000001')",
    (U, "patients.public_id", "guessable public ids"),
    mended=False,
)


@contextmanager
def superuser_of(database):
    """A connection as a superuser, so that every kind of change can be made; most are made in the owner's role."""
    alias = f"{database.alias}_admin"
    entry = {"ENGINE": "moeen.db.engine", **parse_database_url(database.target.url(database.name))}
    connections.settings[alias] = connections.configure_settings({"default": {}, alias: entry})[alias]
    yield connections[alias]
    connections[alias].close()
    del connections.settings[alias]


@contextmanager
def as_it_stands(connection):
    """What is expected is what this database is now; tests/test_schema.py holds the file against a fresh one."""
    stands = canonical.load(canonical.write(schema.read(connection).objects))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validation, "load_expected", lambda: stands)
        yield stands


@pytest.fixture(scope="module")
def connection(database):
    with superuser_of(database) as made:
        yield made


@pytest.fixture(scope="module")
def expected(connection):
    with as_it_stands(connection) as stands:
        yield stands


@pytest.fixture(scope="module")
def loader(connection):
    return MigrationLoader(connection)


def run(connection, text, *, superuser=False):
    """Statements one by one, as the owner; CONCURRENTLY takes no part in a transaction, so without it."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL ROLE none" if superuser else "SET LOCAL ROLE moeen")
        cursor.execute(text.replace(" CONCURRENTLY", ""))
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET LOCAL ROLE moeen")


def test_validate__nothing_changed__finds_nothing(connection, loader, expected):
    with transaction.atomic(using=connection.alias):
        run(connection, "")
        result = schema.validate(connection, loader=loader)
    assert result.findings == ()
    assert result.ok
    assert re.fullmatch("[0-9a-f]{32}", result.fingerprint)


@pytest.mark.skipif("servers.session_target().server is None")
@pytest.mark.parametrize("name", CASES)
def test_validate__one_change__is_found_named_graded_and_mended(connection, loader, expected, name):
    prove(connection, loader, CASES[name])


@pytest.mark.parametrize("place", [place for place in states.PLACES if place not in ("here", "supabase")])
def test_validate__one_change_of_each_kind_on_another_version__is_found_too(new_database, place):
    database = states.migrated(new_database, place=place)
    with superuser_of(database) as connection, as_it_stands(connection):
        loader = MigrationLoader(connection)
        assert schema.validate(connection, loader=loader).ok
        for name in one_of_each():
            print(name)  # shown where it fails
            prove(connection, loader, CASES[name])


#: One database and what is done to it then, on both sides of which something stands that the cases above have not.
BEFORE = """
    CREATE TYPE color AS ENUM ('red'); CREATE TYPE size AS ENUM ('small'); CREATE TYPE gone AS ENUM ('x');
    CREATE SEQUENCE counter; CREATE SEQUENCE other; CREATE TABLE items (a int, b int GENERATED ALWAYS AS (a) STORED);
    CREATE VIEW shown AS SELECT 1 AS one; CREATE VIEW exchanged AS SELECT 1 AS one;
    CREATE FUNCTION public.f(a int) RETURNS int LANGUAGE sql AS 'SELECT 1';
    CREATE FUNCTION public.g(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
    CREATE RULE changed AS ON DELETE TO users DO INSTEAD NOTHING; CREATE RULE gone AS ON DELETE TO users DO ALSO NOTHING;
    CREATE FUNCTION app.watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
    CREATE EVENT TRIGGER gone ON ddl_command_end EXECUTE FUNCTION app.watch();
    CREATE COLLATION public.gone FROM "C"; CREATE SEQUENCE gone_too;
    ALTER DEFAULT PRIVILEGES FOR ROLE moeen IN SCHEMA public GRANT SELECT ON TABLES TO moeen_staff;
    ALTER DEFAULT PRIVILEGES FOR ROLE moeen IN SCHEMA public GRANT SELECT ON SEQUENCES TO moeen_staff;
"""
AFTER = """
    DROP TYPE gone; DROP RULE gone ON users; DROP EVENT TRIGGER gone; DROP COLLATION public.gone; DROP SEQUENCE gone_too;
    ALTER DEFAULT PRIVILEGES FOR ROLE moeen IN SCHEMA public REVOKE ALL ON SEQUENCES FROM moeen_staff;
    ALTER DEFAULT PRIVILEGES FOR ROLE moeen IN SCHEMA public GRANT SELECT ON TABLES TO moeen_admin;
    ALTER TYPE color ADD VALUE 'blue'; COMMENT ON TYPE color IS 'x'; ALTER TYPE color OWNER TO moeen;
    GRANT USAGE ON TYPE color TO moeen_staff; DROP TYPE size; CREATE DOMAIN size AS int;
    ALTER SEQUENCE counter AS int MINVALUE 0 START 5 CACHE 3 OWNED BY items.a; ALTER SEQUENCE other OWNER TO moeen;
    ALTER TABLE items ALTER b DROP EXPRESSION, OWNER TO moeen;
    CREATE OR REPLACE VIEW shown AS SELECT 2 AS one; DROP VIEW exchanged; CREATE TABLE exchanged (one int);
    DROP FUNCTION public.f(int);
    CREATE FUNCTION public.f(a int DEFAULT 1) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
    DROP FUNCTION public.g(int); CREATE AGGREGATE public.g(int) (sfunc = int4pl, stype = int);
    DROP RULE changed ON users; CREATE RULE changed AS ON DELETE TO users DO ALSO NOTHING;
    DROP FUNCTION auth.jwt() CASCADE; COMMENT ON SCHEMA auth IS NULL; ALTER ROLE moeen_anon RENAME TO nobody_else;
    DROP SCHEMA app CASCADE;
"""
STANDING = (
    "schema", "rule", "function", "auth function", "sequence", "type", "object", "event trigger", "default privileges",
    "role",
)  # fmt: skip
BETWEEN = {
    *(f"{how} {kind}" for how in ("missing", "unexpected") for kind in STANDING),
    "type kind", "type definition", "type owner", "type comment", "type grants",
    "sequence type", "sequence column", "sequence start", "sequence minimum", "sequence cache", "sequence owner",
    "column generated", "table kind", "table definition", "rule definition", "default privileges grants",
    "function kind", "function arguments", "function result", "function language", "function platform",
}  # fmt: skip


@pytest.mark.skipif("servers.session_target().server is None")
def test_findings__one_database_against_another__tells_what_differs_either_way(connection):
    with transaction.atomic(using=connection.alias):
        run(connection, BEFORE, superuser=True)
        before = schema.read(connection).objects
        run(connection, AFTER, superuser=True)
        after = schema.read(connection).objects
        transaction.set_rollback(True, using=connection.alias)
    told = {f.kind for one, other in ((before, after), (after, before)) for f in drift.findings(one, other)}
    assert BETWEEN - told == set()
    assert all(grades.grade(kind, "", {}, {})[1] for kind in told)


def test_findings__extension__is_missing_or_unexpected():
    """The server of the tests brings none that could be made."""
    form = {"extension": {ObjectName("", part="citext in public"): {}}}
    assert [f.kind for f in drift.findings(form, {})] == ["missing extension"]
    assert [f.kind for f in drift.findings({}, form)] == ["unexpected extension"]


def one_of_each():
    """The fewest cases, taken in order, that have every kind of finding among them."""
    seen = set()
    for name, change in CASES.items():
        kinds = {kind for _, _, kind in change.found}
        if not kinds <= seen:
            seen |= kinds
            yield name


def prove(connection, loader, change):
    with transaction.atomic(using=connection.alias):
        clean = schema.validate(connection, loader=loader).fingerprint
        run(connection, change.sql, superuser=change.superuser)
        found = schema.validate(connection, loader=loader)
        told = {(str(f.severity), f.object, f.kind) for f in found.findings}
        assert set(change.found) - told == set(), told
        assert {f for f in found.findings if key(f) not in change.found and not belongs(f, change)} == set()
        of_catalog = {f for f in found.findings if f.kind.about}
        assert (found.fingerprint != clean) == bool(of_catalog)
        assert all(f.why for f in found.findings)
        script = fix_script.script(found.findings)
        run(connection, script, superuser=change.superuser)
        left = schema.validate(connection, loader=loader)
        advised = {(f.object, f.kind) for f in found.findings if f.fix.is_advice}
        assert {(f.object, f.kind) for f in left.findings} <= advised
        assert left.ok == change.mended, script
        if left.ok:
            assert left.fingerprint == clean
        transaction.set_rollback(True, using=connection.alias)


def test_script__referenced_table_is_missing__the_working_foreign_keys_stay(connection, loader, expected):
    with transaction.atomic(using=connection.alias):
        run(connection, "ALTER TABLE chatbot_flows RENAME TO chatbot_flowz")
        script = fix_script.script(schema.validate(connection, loader=loader).findings)
        keys = "SELECT conname FROM pg_constraint WHERE contype = 'f' AND confrelid = 'chatbot_flowz'::regclass"
        with connection.cursor() as cursor:
            cursor.execute(keys)
            before = set(cursor.fetchall())
            assert ("chatbot_edges_flow_id_fkey",) in before
            # As psql runs it: one statement after the other, past those that fail.
            for statement in sqlparse.split(script):
                with suppress(DatabaseError), transaction.atomic(using=connection.alias):
                    cursor.execute(statement.replace(" CONCURRENTLY", "") or "SELECT 1")
            cursor.execute(keys)
            assert set(cursor.fetchall()) == before
        assert re.search(r"^-- table chatbot_flows is missing.*chatbot_edges_flow_id_fkey", script, flags=re.M)
        transaction.set_rollback(True, using=connection.alias)


def test_script__constraint_that_cannot_be_added__the_one_that_stands_stays(connection, loader, expected):
    with transaction.atomic(using=connection.alias):
        run(
            connection,
            "ALTER TABLE auth_group DROP CONSTRAINT auth_group_name_key,"
            " ADD CONSTRAINT auth_group_name_key UNIQUE (name, id);"
            "INSERT INTO auth_group (name) VALUES ('twice'), ('twice')",
        )
        script = fix_script.script(schema.validate(connection, loader=loader).findings)
        assert "auth_group_name_key" in script
        with connection.cursor() as cursor:
            for statement in sqlparse.split(script):
                with suppress(DatabaseError), transaction.atomic(using=connection.alias):
                    cursor.execute(statement.replace(" CONCURRENTLY", ""))
            cursor.execute("SELECT count(*) FROM pg_constraint WHERE conname = 'auth_group_name_key'")
            assert cursor.fetchone() == (1,)
        transaction.set_rollback(True, using=connection.alias)


def test_script__policy_that_alter_can_mend__is_never_gone(connection, loader, expected):
    with transaction.atomic(using=connection.alias):
        run(connection, "ALTER POLICY users_select_patient ON users TO PUBLIC USING (true)")
        script = fix_script.script(schema.validate(connection, loader=loader).findings)
        transaction.set_rollback(True, using=connection.alias)
    assert 'ALTER POLICY "users_select_patient" ON "users" TO "moeen_patient" USING' in script
    assert "DROP POLICY" not in script


def test_script__leaks_among_others__shut_first(connection, loader, expected):
    with transaction.atomic(using=connection.alias):
        run(
            connection,
            "DROP INDEX users_email_lower_key; ALTER TABLE patients ALTER phone TYPE varchar(80);"
            "CREATE POLICY everybody ON patients USING (true);"
            "ALTER TABLE users DISABLE ROW LEVEL SECURITY; GRANT SELECT ON doctors TO moeen_anon",
        )
        script = fix_script.script(schema.validate(connection, loader=loader).findings)
        transaction.set_rollback(True, using=connection.alias)
    fixes = [line for line in script.splitlines() if line and not line.startswith(("--", "SET "))]
    assert {line.split(" ")[0] for line in fixes[:3]} == {"REVOKE", "DROP", "ALTER"}, fixes
    assert "ROW LEVEL SECURITY" in "".join(fixes[:3])
    assert "everybody" in "".join(fixes[:3])


def key(finding):
    return str(finding.severity), finding.object, finding.kind


def belongs(finding, change):
    """Whether a finding beside the named ones is a consequence: what stood on what was changed."""
    return any(
        finding.object.partition(".")[0] == where.partition(".")[0] or where in finding.expected
        for _, where, _ in change.found
    ) and bool(re.search(r"\b(DROP|CASCADE|RENAME|DISABLE TRIGGER ALL)\b", change.sql))


def test_cases__are_many_and_of_every_kind():
    kinds = {Kind(kind) for change in CASES.values() for _, _, kind in change.found}
    assert {kind for name in one_of_each() for _, _, kind in CASES[name].found} == kinds
    assert len(CASES) >= 80
    assert {kind for kind in Kind if kind.about} - kinds - BETWEEN == {
        Kind.MISSING_EXTENSION,
        Kind.UNEXPECTED_EXTENSION,  # a test of their own
        Kind.SEQUENCE_UNLOGGED,  # came with PostgreSQL 15
    }
    assert sqlparse.split(fix_script.script([]))
    assert servers.session_target()

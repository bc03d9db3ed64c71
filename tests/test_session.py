"""Sessions of operators: pinned against what a database, a login or the environment says; poolers known by fact."""

import json
from contextlib import nullcontext

import psycopg
import pytest
from django.db import connections

from moeen.db.backups.login import Login
from moeen.db.engine import session
from moeen.db.security.identity import acting_as_operator
from tests import backups, servers, states

#: What a clinic's database may say, each of which stopped or misled a run.
HOSTILE = {
    "search_path": "clinic, public",
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "sql_standard",
    "standard_conforming_strings": "off",
    "quote_all_identifiers": "on",
    "bytea_output": "escape",
    "statement_timeout": "20ms",
    "idle_session_timeout": "20ms",
    "idle_in_transaction_session_timeout": "20ms",
    "transform_null_equals": "on",
    "exit_on_error": "on",
    "TimeZone": "Asia/Riyadh",
}


def said(done):
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def hostile(new_database):
    database = states.database(new_database, "core")
    with database.connect() as owner:
        settings = HOSTILE | ({"transaction_timeout": "20ms"} if owner.info.server_version >= 170000 else {})
        owner.execute(f"CREATE SCHEMA clinic; CREATE SCHEMA {database.owner}")
        for schema in ("clinic", database.owner):
            owner.execute(f"CREATE TABLE {schema}.users (id int); CREATE TABLE {schema}.django_migrations (id int)")
        for name, value in settings.items():
            owner.execute(f"ALTER DATABASE {database.name} SET {name} TO {value if ',' in value else repr(value)}")
    return database


def test_session__of_an_operator__is_pinned_whatever_the_database_says(hostile):
    with acting_as_operator(), connections[hostile.alias].cursor() as cursor:
        for name, value in session.PINNED.items():
            cursor.execute("SELECT current_setting(%s)", [name])
            assert cursor.fetchone() == (value,), name
    connections[hostile.alias].close()


@pytest.mark.slow
def test_commands__on_a_database_with_hostile_settings__work_on_public_alone(hostile, manage):
    there = {"DATABASE_URL": hostile.url, "PGOPTIONS": "-c search_path=clinic", "PGDATESTYLE": "German"}
    for words in (
        ("migrate", "--plan", "--times-are", "Asia/Riyadh"),
        ("migrate", "--no-input", "--times-are", "Asia/Riyadh"),
        ("backfill_public_ids",),
        ("backup_database",),
    ):
        done = manage(*words, **there)
        assert done.returncode == 0, said(done)
    found = json.loads(manage("validate_schema", "--json", **there).stdout)["findings"]
    assert {finding["object"].rpartition(" of ")[2] for finding in found} == {
        hostile.name
    }  # its settings, which are rightly named
    with hostile.connect(options="-c search_path=public -c statement_timeout=0 -c idle_session_timeout=0") as owner:
        for schema in ("clinic", hostile.owner):
            for table in ("users", "django_migrations"):
                columns = owner.execute(
                    "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0",
                    [f"{schema}.{table}"],
                ).fetchall()
                assert columns == [("id",)]
        assert owner.execute("SELECT count(*) FROM public.patients WHERE public_id IS NULL").fetchone() == (0,)


@pytest.mark.parametrize("mode", ["transaction", pytest.param("session", marks=pytest.mark.slow)])
def test_pooler__by_its_mode__is_refused_or_serves(new_database, manage, mode, tmp_path):
    database = states.database(new_database, "core")
    with servers.pooler(database.target, database.name, database.owner, mode=mode) as url:
        there = {"DATABASE_URL": url, "DATABASE_POOLED": "false"}
        with database.connect() as owner:
            before = owner.execute("SELECT array_agg(c::text ORDER BY 1) FROM pg_class AS c").fetchone()
        commands = [("migrate", "--no-input"), ("backfill_public_ids", "--dry-run"), ("backup_database",)]
        commands.append(("work", "--once"))
        if mode == "transaction":
            kept = backups.place(tmp_path)
            restore = ("restore_database", backups.take(database, kept).id, "--from", kept.name, "--to")
            commands.append((*restore, f"{database.name}_back"))
            commands.append((*restore, database.name, "--replace", "--yes", "--expect", database.name))
        for words in commands:
            done = manage(*words, **there)
            if mode == "session":
                assert done.returncode == 0, said(done)
            else:
                assert done.returncode == 3
                assert "pooler in transaction mode" in done.stderr
        if mode == "transaction":
            with database.connect() as owner:
                assert owner.execute("SELECT array_agg(c::text ORDER BY 1) FROM pg_class AS c").fetchone() == before
            with psycopg.connect(url, autocommit=True) as client:
                for name, usual in client.execute(
                    "SELECT name, reset_val FROM pg_settings WHERE name = ANY (%s)", [[*session.PINNED, "row_security"]]
                ).fetchall():
                    assert client.execute("SELECT current_setting(%s)", [name]).fetchone() == (usual,), name


def test_socket__address_in_the_environment__does_not_lead_elsewhere(new_database, monkeypatch):
    """libpq goes to PGHOSTADDR, whatever its `host` says: to another server, with the rights of the one here."""
    database = new_database()
    with monkeypatch.context() as patch:
        patch.setenv("PGHOSTADDR", "127.0.0.1")
        with Login.of_url(database.url).settled().connect(application="test") as connection:
            assert connection.execute("SELECT inet_server_addr()").fetchone() == (None,)
        with acting_as_operator():
            connections[database.alias].close()
            with connections[database.alias].cursor() as cursor:
                cursor.execute("SELECT inet_server_addr()")
                assert cursor.fetchone() == (None,)
        if database.target.server:
            server = database.target.server
            server.connect_as_superuser(server.ensure_running()).close()
    new_database.drop(database)


def test_session__unhurried__commits_wait_for_the_disk_again_afterwards(new_database):
    database = new_database()
    with database.connect() as owner:
        owner.execute(f"ALTER DATABASE {database.name} SET synchronous_commit TO on")
    connection = connections[database.alias]
    with acting_as_operator(), connection.cursor() as cursor:
        for scope, waits in ((session.unhurried(connection), "off"), (nullcontext(), "on")):
            with scope:
                cursor.execute("SHOW synchronous_commit")
                assert cursor.fetchone() == (waits,)
    new_database.drop(database)

"""Every table that migrate makes is closed to everybody else in the transaction that makes it."""

import os
import signal
import subprocess
import sys
import threading
import time

import psycopg
import pytest
from django.core.management import call_command

from moeen.db import closing
from tests import servers, states

#: Relations of schema public that somebody beside the owner has a right on, and tables without row security.
OPEN = """
    SELECT c.relname || ' ' || CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee)::text END
    FROM pg_class c CROSS JOIN aclexplode(c.relacl) a
    WHERE c.relnamespace = 'public'::regnamespace AND a.grantee <> c.relowner
      AND pg_get_userbyid(a.grantee)::text NOT LIKE 'moeen\\_%'
    UNION ALL
    SELECT c.relname || ' without row security' FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND NOT c.relrowsecurity
"""


@pytest.fixture
def database(new_database):
    """Where a platform's default privileges give its roles every new table; PUBLIC as well, to be sure."""
    made = states.database(new_database, "fresh", place="supabase")
    with made.connect() as owner:
        owner.execute("ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC")
        owner.execute("ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO PUBLIC")
    yield made
    new_database.drop(made)


def open_now(connection):
    return sorted(line for (line,) in connection.execute(OPEN).fetchall())


def test_migrate__first_table_of_django__is_closed_when_it_stands(database):
    call_command("migrate", "contenttypes", "0001", database=database.alias, verbosity=0)
    with database.connect() as owner:
        assert open_now(owner) == []
        for role in ("anon", "authenticated", "service_role"):
            with owner.transaction(force_rollback=True):
                owner.execute(f"SET LOCAL ROLE {role}")
                for statement in ("SELECT FROM", "TRUNCATE", "DELETE FROM"):
                    for table in ("django_migrations", "django_content_type"):
                        with pytest.raises(psycopg.errors.InsufficientPrivilege), owner.transaction():
                            owner.execute(f"{statement} {table}")
                with pytest.raises(psycopg.errors.InsufficientPrivilege), owner.transaction():
                    owner.execute("SELECT nextval('django_migrations_id_seq')")


def test_migrate__watched_from_beginning_to_end__no_table_is_ever_open(database):
    seen, samples, done = set(), [], threading.Event()

    def watch():
        with database.admin() as watcher:
            while not done.is_set():
                seen.update(open_now(watcher))
                samples.append(time.monotonic())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        call_command("migrate", database=database.alias, verbosity=0)
    finally:
        done.set()
        thread.join()
    assert seen == set()
    assert len(samples) > 20


def test_migrate__killed_as_soon_as_a_table_stands__leaves_it_closed(database):
    environment = {**os.environ, "DATABASE_URL": database.url}
    command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    with database.admin() as watcher:
        process = subprocess.Popen(command, cwd=servers.PROJECT, env=environment, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            (stands,) = watcher.execute("SELECT to_regclass('public.django_migrations') IS NOT NULL").fetchone()
            if stands:
                break
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert stands
        assert open_now(watcher) == []


def test_statements__table_of_a_strange_name__is_closed(new_database):
    database = new_database()
    with database.connect() as owner:
        owner.execute('CREATE TABLE "Odd ""one""" (id bigint GENERATED ALWAYS AS IDENTITY)')
        owner.execute('GRANT ALL ON "Odd ""one""" TO PUBLIC; GRANT ALL ON SEQUENCE "Odd ""one""_id_seq" TO PUBLIC')
        for statement in closing.statements('Odd "one"'):
            owner.execute(statement)
        assert open_now(owner) == []
    new_database.drop(database)

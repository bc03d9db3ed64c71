"""Errors of a real server, explained: the cause, the mending step, and never what a row holds."""

import errno
import socket

import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, DatabaseError, NotSupportedError, ProgrammingError, connections
from django.db.migrations.exceptions import InconsistentMigrationHistory

from moeen.db.errors import FAILED, FINDINGS, INTERRUPTED, USAGE, ConfigurationError, MoeenError
from moeen.db.explain import explain
from moeen.ending import Ending
from tests import servers


@pytest.fixture(scope="module")
def network():
    """A throwaway cluster that also listens on a port of this machine and asks for passwords there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = servers.start(settings=[("listen_addresses", "127.0.0.1")], port=port)
    with servers.target_of(server).connect() as connection:
        connection.execute("ALTER ROLE moeen PASSWORD 'right'")
        connection.execute("CREATE ROLE crowded LOGIN PASSWORD 'right' CONNECTION LIMIT 0")
        connection.execute("CREATE ROLE shut PASSWORD 'right'")
    yield port
    servers.stop(server)


@pytest.fixture(scope="module")
def database(new_database):
    """A database with two tables of the superuser's and a record of the role's own."""
    database = new_database()
    with database.admin() as connection:
        connection.execute("CREATE SCHEMA closed; CREATE TABLE closed.t (a int); CREATE TABLE theirs (a int)")
        connection.execute("CREATE SEQUENCE numbers; CREATE ROLE stranger")
    with database.connect() as connection:
        connection.execute("CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL UNIQUE CHECK (name <> 'x'))")
        connection.execute("INSERT INTO people VALUES (1, 'Amal')")
    yield database
    new_database.drop(database)
    with servers.session_target().connect() as connection:
        connection.execute("DROP ROLE stranger")


def failure(database, *statements):
    """What the last statement's error is explained as."""
    *before, last = statements
    with database.connect() as connection:
        for statement in before:
            connection.execute(statement)
        with pytest.raises(psycopg.Error) as caught:
            connection.execute(last)
    return explain(caught.value)


@pytest.mark.parametrize(
    ("user", "password", "name", "cause"),
    [
        ("moeen", "wrong", "moeen", "The server refused the password of user 'moeen'."),
        ("moeen", "", "moeen", "The server wants a password and none was given."),
        ("moeen", "right", "nowhere", "The server has no database 'nowhere'."),
        ("nobody", "right", "moeen", "The server refused the password of user 'nobody'."),
        ("shut", "right", "moeen", "User 'shut' may not log in."),
        ("crowded", "right", "moeen", "The server has no free connection left."),
    ],
)
def test_connect__refused_by_the_server__cause_without_the_password(network, user, password, name, cause):
    with pytest.raises(psycopg.OperationalError) as caught:
        psycopg.connect(host="127.0.0.1", port=network, user=user, password=password, dbname=name)
    found = explain(caught.value)
    assert (found.cause, found.exit_code) == (cause, FAILED)
    assert found.next_step
    assert "wrong" not in str(found)


@pytest.mark.parametrize(
    "words",
    [
        ("restore_database", "no-such-backup", "--to"),
        ("validate_schema", "--against"),
    ],
    ids=lambda words: words[0],
)
def test_connect__server_of_an_option__refusal_speaks_of_that_option(manage, words):
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        ended = manage(*words, f"postgresql://a@127.0.0.1:{unheard.getsockname()[1]}/b")
    assert ended.returncode == FAILED, ended.stderr
    assert f"correct host and port in {words[-1]}." in ended.stderr
    assert "DATABASE_URL" not in ended.stderr


def test_connect__no_encryption_there__says_so(network):
    with pytest.raises(psycopg.OperationalError) as caught:
        psycopg.connect(host="127.0.0.1", port=network, user="moeen", password="right", sslmode="require")
    assert "no encryption" in explain(caught.value).cause


def test_connect__server_is_silent__times_out():
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(psycopg.OperationalError) as caught:
        psycopg.connect(host="127.0.0.1", port=silent.getsockname()[1], connect_timeout=2)
    assert explain(caught.value).cause == "The server did not answer in time."


@pytest.mark.parametrize(
    ("statement", "mend"),
    [
        ("SELECT * FROM theirs", "GRANT SELECT ON TABLE theirs TO "),
        ("SELECT nextval('numbers')", "GRANT USAGE, SELECT ON SEQUENCE numbers TO "),
        ("SELECT * FROM closed.t", "GRANT USAGE ON SCHEMA closed TO "),
        ("ALTER TABLE theirs ADD b int", "ALTER TABLE theirs OWNER TO "),
        ("SET ROLE stranger", "GRANT stranger TO "),
    ],
)
def test_privilege__missing__names_role_object_and_grant(database, statement, mend):
    found = failure(database, statement)
    assert mend in found.next_step
    assert found.next_step.endswith(";")
    assert found.cause.startswith("Role ")


def test_privilege__may_not_create_databases__names_the_attribute(database):
    with database.admin() as connection:
        connection.execute("CREATE ROLE bare LOGIN")
        try:
            with database.connect(user="bare") as other, pytest.raises(psycopg.Error) as caught:
                other.execute("CREATE DATABASE more")
        finally:
            connection.execute("DROP ROLE bare")
    assert "CREATEDB;" in explain(caught.value).next_step


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        (
            "INSERT INTO people VALUES (2, 'Amal')",
            ["twice (UNIQUE)", "table people", "constraint people_name_key"],
        ),
        ("INSERT INTO people VALUES (2, NULL)", ["NOT NULL", "table people", "column name"]),
        ("INSERT INTO people VALUES (2, 'x')", ["CHECK", "constraint people_name_check"]),
        ("SELECT 'Amal'::int", ["InvalidTextRepresentation", "22P02"]),
        ("DO $$ BEGIN RAISE EXCEPTION 'Amal'; END $$", ["RaiseException"]),
    ],
)
def test_values__error_about_a_row__names_without_the_content(database, statement, shown):
    found = failure(database, statement)
    assert [part for part in shown if part not in found.cause] == []
    assert "Amal" not in str(found)
    assert "'x'" not in str(found)


@pytest.mark.parametrize(
    ("statements", "cause"),
    [
        (("SET statement_timeout = 10", "SELECT pg_sleep(5)"), "The server cancelled the statement"),
        (("SET default_transaction_read_only = on", "CREATE TABLE n ()"), "The database is read-only"),
        (("SELECT * FROM nowhere",), "Something that should stand in the database does not"),
        (("SELECT nothing FROM people",), "Something that should stand in the database does not"),
        (
            ("SELECT pg_terminate_backend(pg_backend_pid())",),
            "The server was shut down or the session was ended",
        ),
        (("SELECT 1 +",), "PostgreSQL refused with SyntaxError (42601)"),
    ],
)
def test_statement__refused__cause_and_next_step(database, statements, cause):
    found = failure(database, *statements)
    assert found.cause.startswith(cause)
    assert found.next_step


def test_statement__lock_held_by_another__says_so(database):
    with database.connect() as holder:
        holder.autocommit = False
        holder.execute("LOCK TABLE people")
        found = failure(database, "SET lock_timeout = 20", "SELECT * FROM people")
        holder.rollback()
    assert found.cause.startswith("Another session holds a lock")


def test_explain__wrapped_by_django__the_servers_error_counts(database):
    cursor = connections[database.alias].cursor()
    with pytest.raises(DatabaseError) as caught:
        cursor.execute("SELECT * FROM theirs")
    assert "GRANT SELECT" in explain(caught.value).next_step
    connections[database.alias].close()


def test_explain__own_error__itself():
    own = MoeenError("So.", next_step="Thus.", exit_code=3)
    assert explain(own) is own
    wrapped = ValueError()
    wrapped.__cause__ = own
    assert explain(wrapped) is own
    assert str(own) == "So.\nThus."


@pytest.mark.parametrize(
    ("error", "part", "code"),
    [
        (NotSupportedError("PostgreSQL 14 or later is required (found 13.11)."), "PostgreSQL 13.11", FAILED),
        (InconsistentMigrationHistory("a before b"), "contradicts itself: a before b", FINDINGS),
        (ImproperlyConfigured("no name"), "no name", USAGE),
        (ConfigurationError("X is malformed."), "X is malformed.", USAGE),
        (OSError(errno.ENOSPC, "No space left on device"), "disk is full", FAILED),
        (psycopg.errors.DiskFull(), "disk is full", FAILED),
        (
            OSError(errno.EROFS, "Read-only file system", "/mnt/x"),
            "/mnt/x cannot be read or written: Read-only",
            FAILED,
        ),
        (PermissionError(errno.EACCES, "Permission denied", "/etc/x"), "/etc/x cannot be read or written", FAILED),
        (KeyboardInterrupt(), "Cancelled.", INTERRUPTED),
    ],
    ids=lambda value: type(value).__name__,
)
def test_explain__known_kinds__cause_and_exit_code(error, part, code):
    found = explain(error)
    assert part in found.cause
    assert found.exit_code == code


def test_explain__something_else__nothing():
    assert explain(ValueError("x")) is None


def test_explain__default_connection__is_not_opened():
    connections[DEFAULT_DB_ALIAS].close()  # the tests before this one use it
    explain(psycopg.errors.InsufficientPrivilege())
    assert connections[DEFAULT_DB_ALIAS].connection is None


def test_ending__interrupted_and_then_met_something_while_tidying_up__is_cancelled():
    def interrupted(*, then):
        try:
            try:
                raise KeyboardInterrupt
            finally:
                raise then
        except BaseException as error:
            return error

    closed = ProgrammingError("can't change 'autocommit' now")
    assert Ending.of(interrupted(then=closed)).exit_code == INTERRUPTED
    assert Ending.of(closed.__class__("of itself")).exit_code == FAILED
    told = MoeenError("Stopped half-way.", next_step="Go on.")
    assert Ending.of(interrupted(then=told)).cause == "Stopped half-way."

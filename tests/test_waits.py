"""Whom a run waits for: told by name meanwhile, and refused beforehand where somebody forgot to end a transaction."""

import pytest
from django.core.management import call_command
from django.db import connections

from moeen.db.actions import BuildIndex, build_anew
from moeen.db.converge import execution, locks
from moeen.db.converge.step import Step
from moeen.db.kinds import Kind
from moeen.db.migrate import preflight, runner
from moeen.db.migrate.refusals import KeptOut
from moeen.db.names import ObjectName
from tests import servers


@pytest.fixture
def database(new_database):
    server = servers.start(settings=(("max_prepared_transactions", "2"),))
    made = new_database(server=server)
    yield made
    new_database.drop(made)
    servers.stop(server)


def test_build_index__others_in_transactions__are_named_while_it_waits(database, monkeypatch):
    monkeypatch.setattr(locks, "FIRST_LOOK_SECONDS", 0.3)
    monkeypatch.setattr(locks, "LOOK_SECONDS", 0.3)
    told = []
    with database.connect() as owner, database.connect(application_name="a report") as idle:
        owner.execute("CREATE TABLE t (a int)")
        owner.execute("BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'of a partner'")
        idle.execute("BEGIN; INSERT INTO t VALUES (2)")

        assert preflight.held_by_prepared(connections[database.alias]) == []
        monkeypatch.setattr(preflight, "PREPARED_SECONDS", 0)
        (held,) = preflight.held_by_prepared(connections[database.alias])
        assert (held.kind, held.found) == (Kind.PREPARED_TRANSACTION, "holds locks on t")
        assert "ROLLBACK PREPARED 'of a partner'" in held.fix.pretty()

        def tell(line):
            told.append(line)
            if "a report" in line:
                idle.execute("COMMIT")
            elif "of a partner" in line:
                owner.execute("ROLLBACK PREPARED 'of a partner'")

        token = locks.waiting.set(locks.Waiting(listeners=[tell]))
        try:
            build = build_anew(BuildIndex(ObjectName("public", "t", "t_a_idx"), "(a)"))
            execution.execute(connections[database.alias], Step("build index t_a_idx", build))
        finally:
            locks.waiting.reset(token)
        assert owner.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = 't_a_idx'::regclass").fetchone() == (
            True,
        )
    assert any("application a report" in line and "build index t_a_idx on t" in line for line in told), told
    assert any("prepared transaction of a partner" in line and "ROLLBACK PREPARED" in line for line in told), told


def test_patiently__session_of_another_role_holds_the_table__is_named_once_and_soon(database, monkeypatch):
    monkeypatch.setattr(locks, "FIRST_LOOK_SECONDS", 0.3)
    told = []
    with database.admin() as admin, database.connect() as owner:
        owner.execute("CREATE TABLE t (a int); CREATE TABLE u (a int)")
        # One session that holds two tables; since when, only its own role may see.
        admin.execute("CREATE ROLE other LOGIN; GRANT SELECT ON t, u TO other")
        with database.connect(user="other", application_name="a report") as idle:
            idle.execute("BEGIN; SELECT FROM t, u")

            def tell(line):
                told.append(line)
                if " for pid " in line:
                    idle.execute("COMMIT")

            def change():
                with locks.short_transaction(connections[database.alias]):
                    connections[database.alias].cursor().execute("ALTER TABLE t ADD b int")

            token = locks.waiting.set(locks.Waiting(listeners=[tell]))
            try:
                locks.patiently(connections[database.alias], change, purpose="add b on t", table="t")
            finally:
                locks.waiting.reset(token)
            (named,) = [line for line in told if " for pid " in line]
            pid = idle.info.backend_pid
    who = f"pid {pid}, role other, application a report"
    assert named == f"waiting to add b on t for {who}, in a transaction, which holds t, u"


def test_held_by_idle__session_forgotten_in_a_transaction__is_named_with_its_tables(database, monkeypatch):
    idle = database.connect(application_name="a report")
    with database.connect() as owner:
        owner.execute("CREATE TABLE t (a int)")
        idle.execute("BEGIN; SELECT FROM t")
        assert preflight.held_by_idle(connections[database.alias]) == []
        monkeypatch.setattr(preflight, "IDLE_SECONDS", 0)
        assert preflight.held_by_idle(connections[database.alias], alone=True) == []
        idle.execute("LOCK TABLE t")
        with pytest.raises(KeptOut, match=f"session {idle.info.backend_pid} of moeen"):
            call_command("migrate", database=database.alias, verbosity=0, no_backup="test", yes_here=True)
        idle.execute("ROLLBACK; BEGIN; SELECT FROM t")
        (held,) = preflight.held_by_idle(connections[database.alias])
        pid = idle.info.backend_pid
        assert held.object == f"session {pid} of moeen, application a report"
        assert held.kind == Kind.IDLE_TRANSACTION
        assert held.found.endswith("holds locks on t")
        assert owner.execute(held.fix.advice.rpartition(": ")[2]).fetchone() == (True,)
    idle.close()


def test_judge__table_that_nobody_else_may_read__says_for_whom_it_waits(database, monkeypatch):
    monkeypatch.setattr(locks, "FIRST_LOOK_SECONDS", 0.3)
    told, connection = [], connections[database.alias]
    with database.connect() as owner, database.connect(application_name="a repair") as other:
        owner.execute("CREATE TABLE t (a int)")
        other.execute("BEGIN; LOCK TABLE t")

        def tell(line):
            told.append(line)
            other.execute("COMMIT")

        def look(connection, options):
            connection.cursor().execute("SELECT FROM t")
            return runner.Verdict(None, {})

        monkeypatch.setattr(runner, "_judged", look)
        runner.judge(connection, runner.MigrateOptions(tell=tell))
    assert [line for line in told if "look at the database for pid" in line and "a repair" in line] == told

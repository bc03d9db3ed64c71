"""Who an index that is built online waits for: sessions and prepared transactions are told of by name."""

import pytest
from django.db import connections

from moeen.db.actions import BuildIndex, build_anew
from moeen.db.converge import execution, locks
from moeen.db.converge.step import Step
from moeen.db.kinds import Kind
from moeen.db.migrate import preflight
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

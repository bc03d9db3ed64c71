"""Every kept release: its migrations are frozen, and its database comes to today's schema with every row."""

import pytest
from django.core.management import call_command
from django.db import connections
from django.db.migrations.loader import MigrationLoader

from moeen.db import registry, schema
from moeen.db.findings import Severity
from moeen.db.history import edits, ledger
from moeen.db.security.identity import acting_as_operator
from tests import releases, servers

KEPT = releases.kept()
#: What commands write of themselves; migrations of a later version add to it.
RECORDS = {"audit_logs", "django_migrations", "django_content_type", "auth_permission"}


def counts(database):
    """Table of schema public -> number of rows, records aside."""
    with database.connect(options="-c row_security=off") as owner:
        tables = owner.execute("SELECT relname FROM pg_stat_user_tables WHERE schemaname = 'public'").fetchall()
        left_out = RECORDS | set(registry.OWN_TABLES)
        return {name: owner.execute(f'SELECT count(*) FROM public."{name}"').fetchone()[0]
                for (name,) in tables if name not in left_out}  # fmt: skip


def changed(release):
    """The migrations of a release that are not as they shipped, unless their folder's edits.toml tells of it."""
    now = releases.checksums()
    for name, shipped in release.checksums().items():
        app, _, migration = name.partition(".")
        folder = servers.PROJECT / app / "migrations"
        if now.get(name) != shipped and not edits.excused(
            folder, migration, recorded=shipped, current=now.get(name, "")
        ):
            yield name


@pytest.mark.parametrize("release", KEPT, ids=lambda release: release.version)
def test_release__its_migrations__are_frozen(release):
    assert list(changed(release)) == []
    assert len(release.checksums()) > 10


@pytest.mark.parametrize("release", KEPT, ids=lambda release: release.version)
def test_release__its_database__comes_to_the_newest_schema_with_every_row(release, new_database):
    new_database.drop(new_database.migrated())  # its roles belong to the server, and stand from now on
    database = new_database()
    release.restore(database)
    before = counts(database)
    with acting_as_operator():
        call_command("migrate", database=database.alias, verbosity=0, no_backup="test", no_rehearsal="test")
        found = schema.validate(connections[database.alias], loader=MigrationLoader(connections[database.alias]))
    # An id of an older form can be guessed, and is no fault of the way here.
    assert [one for one in found.findings if one.severity is Severity.BREAKS] == []
    after = counts(database)
    assert {name: after.get(name) for name in before} == before
    assert sum(before.values()) > 50
    new_database.drop(database)


def test_release__kept__is_the_same_when_it_is_read_and_is_never_written_over(new_database, tmp_path, monkeypatch):
    database = new_database.migrated()
    made = releases.keep(tmp_path / "9.9.9", database.url)
    copy = new_database()
    made.restore(copy)
    assert made.checksums() == releases.checksums()
    assert counts(copy) == counts(database)
    with copy.connect() as owner:
        assert owner.execute("SELECT count(*) FROM app.identity_keys").fetchone() == (0,)
    with pytest.raises(FileExistsError):
        releases.keep(tmp_path / "9.9.9", database.url)
    for one in (copy, database):
        new_database.drop(one)
    # A migration that is edited afterwards is named.
    assert list(changed(made)) == []
    real = ledger.file_checksum
    monkeypatch.setattr(ledger, "file_checksum", lambda it: "x" if it.name == "0003_rls" else real(it))
    assert set(changed(made)) == {"chatbot.0003_rls", "crm.0003_rls"}

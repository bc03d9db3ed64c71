"""DRY_RUN=true on the command line: nothing is changed by any command."""

import json

import pytest
from django.core.management import get_commands, load_command_class

from moeen import dry_run
from tests import states

#: Commands that change something and cannot say what they would.
REFUSED = {
    "archive", "seal_audit_log",
    "changepassword", "clearsessions", "createsuperuser", "flush", "loaddata", "make_backup_keys", "pin_backup",
    "remove_stale_contenttypes", "reset_second_factor", "restore_database", "rotate_identity_key", "seed_demo",
    "unpin_backup", "work",
}  # fmt: skip
#: Of Django's, on files of the project.
FILES = {"optimizemigration", "squashmigrations", "startapp", "startproject"}


def pending(database):
    with database.connect() as connection:
        return connection.execute("SELECT count(*), count(public_id), max(updated_at) FROM patients").fetchone()


def test_commands__each__has_a_dry_run_or_reads_or_is_refused(settings):
    settings.DRY_RUN = True
    refused = set()
    for name, app in get_commands().items():
        command = load_command_class(app, name)
        try:
            dry_run.words(command, name, given=[])
        except dry_run.ConfigurationError:
            refused.add(name)
    assert refused - FILES == REFUSED


@pytest.mark.slow
def test_environment__asks_for_a_dry_run__migrate_and_backfill_change_nothing(new_database, manage):
    database = states.database(new_database, "core")
    there = {"DATABASE_URL": database.url}

    plan = manage("migrate", DRY_RUN="true", **there)
    assert plan.returncode == 0
    assert plan.stdout.startswith("Planned operations:")
    with database.connect() as connection:
        assert connection.execute("SELECT to_regclass('django_migrations')").fetchone() == (None,)

    words = ("--no-backup", "a test", "--no-rehearsal", "a test", "--no-input")
    assert manage("migrate", *words, **there).returncode == 0
    before = pending(database)
    assert before[1] < before[0]
    asked = manage("backfill_public_ids", "--dry-run", "--json", **there)
    for said in ("true", "1"):
        done = manage("backfill_public_ids", "--json", DRY_RUN=said, **there)
        assert (done.returncode, json.loads(done.stdout)["dry_run"]) == (0, True)
        assert json.loads(done.stdout).keys() == json.loads(asked.stdout).keys()
    assert pending(database) == before

    assert manage("backfill_public_ids", DRY_RUN="false", **there).returncode == 0
    assert pending(database)[1] == before[0]


@pytest.mark.parametrize(
    "words", [("restore_database", "latest"), ("migrate", "--accept-changed", "crm.0001", "--reason", "x")]
)
def test_command__cannot_say_what_it_would_do__is_refused(manage, words):
    done = manage(*words, DRY_RUN="true", DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: DRY_RUN is set, and ")


def test_help__of_a_command_without_a_dry_run__is_given(manage):
    done = manage("help", "restore_database", DRY_RUN="true", DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert (done.returncode, done.stderr) == (0, "")


def test_environment__dry_run_is_no_flag__is_refused(manage):
    done = manage("backfill_public_ids", DRY_RUN="perhaps", DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert (done.returncode, "DRY_RUN" in done.stderr) == (2, True)

"""Every command of ours, walked: on a clinic, on a database that was never migrated, with things in its way."""

import io
import re
import sys
import threading

import pytest
from django.core.management import call_command, load_command_class

from moeen import cli
from moeen.db import logs
from moeen.db.security import identity
from moeen.db.security.identity import acting_as_operator
from sysadmin.management import reference
from tests import states

#: A call of each command that does what it is for, or says what it would do. In braces: see `places`.
CALLS = {
    "access_matrix": "",
    "access_report": "--patient {patient}",
    "archive": "status",
    "audit": "--limit 5",
    "backfill_public_ids": "--dry-run",
    "backup_database": "--to {backups}",
    "check_access": "--as moeen_staff --table patients",
    "describe_schema": "--format mermaid",
    "doctor": "",
    "embedded_server": "status",
    "fleet": "status --fleet {fleet}",
    "import_database": "--from file:{url} --map {folder}/mapping.toml --propose",
    "lint_migrations": "crm.0007_in_sight",
    "list_backups": "--from {backups}",
    "make_backup_keys": "--show",
    "makemigrations": "--check --dry-run",
    "migrate": "--check",
    "pin_backup": "{backup} --reason test --from {backups}",
    "print_schedule": "",
    "print_web_role_sql": "",
    "prune_audit_log": "--older-than 10y --dry-run",
    "prune_backups": "--dry-run --from {backups}",
    "remint_public_ids": "--form dated --dry-run",
    "reset_second_factor": "admin@moeen.example --reason test",
    "restore_database": "{backup} --to {clinic}_copy --from {backups}",
    "rotate_identity_key": "--print",
    "seal_audit_log": "",
    "seed_demo": "--expect {clinic}",
    "unpin_backup": "{backup} --reason test --from {backups}",
    "validate_schema": "",
    "verify_audit_log": "",
    "verify_backup": "{backup} --from {backups}",
    "version": "",
    "work": "--once",
}
#: Serves until it is stopped: test_serving.
SERVES = {"runserver"}
#: What ends as ever in a database that was never migrated: nothing of ours is asked for there.
ANYWHERE = {
    "archive": "the server's files, whatever is in it",
    "backup_database": "any database is backed up as it is",
    "describe_schema": "what stands there",
    "embedded_server": "the server",
    "fleet": "what its file names",
    "import_database": "the other database is what it reads here",
    "lint_migrations": "files",
    "list_backups": "backups",
    "make_backup_keys": "files",
    "makemigrations": "files",
    "migrate": "it is what makes it one of ours",
    "pin_backup": "a backup",
    "print_schedule": "the server and the name",
    "print_web_role_sql": "run after migrate, as its help says; the statements name what must stand",
    "prune_backups": "backups",
    "restore_database": "a database of its own",
    "rotate_identity_key": "a key for the first migrate",
    "unpin_backup": "a backup",
    "verify_backup": "a backup",
    "version": "the server",
}


def test_walk__commands__are_all_in_it():
    assert set(reference.own_commands()) ^ (CALLS.keys() | SERVES) == set()
    assert ANYWHERE.keys() - CALLS.keys() == set()


@pytest.fixture(scope="module")
def places(new_database, tmp_path_factory, as_default):
    """A demo clinic and a backup of it, and an older database; what the calls name."""
    folder = tmp_path_factory.mktemp("walk")
    clinic, older = new_database.migrated(), states.database(new_database, "core")
    (folder / "url").write_text(clinic.url, encoding="ascii")
    (folder / "url").chmod(0o600)
    (folder / "fleet.toml").write_text('[clinics.one]\ndatabase = "file:url"\n', encoding="ascii")
    named = {
        "clinic": clinic.name, "backups": f"{folder}/backups/", "fleet": str(folder / "fleet.toml"),
        "url": str(folder / "url"),
    }  # fmt: skip
    with as_default(clinic), acting_as_operator():
        call_command("seed_demo", expect=clinic.name, stdout=io.StringIO(), verbosity=0)
        call_command("backup_database", store=named["backups"], stdout=io.StringIO(), verbosity=0)
    (named["backup"],) = [path.name for path in (folder / "backups").iterdir() if re.match(r"\d{8}", path.name)]
    with clinic.connect(options="-c row_security=off") as owner:
        (named["patient"],) = owner.execute("SELECT min(public_id) FROM patients").fetchone()
    yield clinic, older, named
    clinic.target.drop(f"{clinic.name}_copy")
    for database in (clinic, older):
        new_database.drop(database)


@pytest.fixture
def run(monkeypatch, capsys, settings, tmp_path):
    """`manage.py` in this process: (exit code, stdout, stderr)."""
    settings.LOG_DIR, settings.AUDIT_ANCHOR = tmp_path / "logs", ""
    monkeypatch.setenv("DJANGO_COLORS", "")  # main() sets it where no colours are wanted

    def run(*words):
        for place, name in ((sys, "stdout"), (threading, "excepthook"), (logs, "_database"), (identity, "_unbound")):
            monkeypatch.setattr(place, name, getattr(place, name))
        try:
            code = cli.main(["manage.py", *words])
        except SystemExit as ended:
            code = ended.code
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def call(name, named, folder):
    return [name, *CALLS[name].format_map(named | {"folder": str(folder)}).split()]


@pytest.mark.parametrize("name", CALLS)
def test_walk__on_a_clinic__ends_well_in_sixty_columns_without_colour(
    name, places, run, as_default, monkeypatch, tmp_path
):
    clinic, _, named = places
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", "1")
    with as_default(clinic):
        code, out, said = run(*call(name, named, tmp_path))
    assert code in (0, 3), said
    assert "unforeseen" not in said
    assert "Traceback" not in said
    assert "\x1b" not in out + said
    if name in ("list_backups", "audit", "access_report", "access_matrix", "fleet", "doctor"):
        assert [line for line in out.splitlines() if len(line) > 60 and len(line.split()) > 3] == []


@pytest.mark.parametrize("name", [name for name in CALLS if name not in ANYWHERE])
def test_walk__never_migrated__leads_to_the_report_of_an_adoption(name, places, run, as_default, tmp_path):
    _, older, named = places
    with as_default(older):
        code, out, said = run(*call(name, named | {"clinic": older.name}, tmp_path))
    assert code != 0
    assert "validate_schema --adoption" in out + said, (code, out[:2000], said[:2000])
    assert len((out + said).splitlines()) < 80
    assert "unforeseen" not in said


def paths():
    """(command, words of an option that names a file or folder)."""
    for name, app in reference.own_commands().items():
        for action in load_command_class(app, name).create_parser("manage.py", name)._actions:
            if action.metavar in ("FILE", "F", "STORAGE", "FILE|URL") or getattr(action.type, "__name__", "") == "Path":
                yield name, action.option_strings[0]


@pytest.mark.parametrize(("name", "option"), list(paths()))
@pytest.mark.parametrize("what", ["a folder", "nothing", "unreadable"])
def test_walk__path_that_is_none__is_told_as_what_it_is(name, option, what, places, run, as_default, tmp_path):
    clinic, _, named = places
    words = call(name, named, tmp_path)
    if option in words:
        del words[words.index(option) : words.index(option) + 2]
    path = tmp_path if what == "a folder" else tmp_path / "there" / "no" / "such"
    if what == "unreadable":
        path = tmp_path / "bytes"
        path.write_bytes(b"\xff\xfe\x00")
    with as_default(clinic):
        code, _, said = run(*words, option, f"{path}/" if option in ("--from", "--to") else str(path))
    assert "unforeseen" not in said, said
    assert "Traceback" not in said
    assert code in (0, 1, 2, 3)
    if code in (1, 2):
        assert re.search(r"^Error: .* \[MOEEN-[A-Z]+-\d\]$", said, re.M), said


#: Calls with something that is not there, which must not pass for "nothing to do": their exit codes.
UNHEARD_OF = {
    "audit --table nope": 2,
    "audit --kind NOPE": 2,
    "backfill_public_ids --table nope": 2,
    "check_access --as nobody@moeen.example --table patients": 2,
    "lint_migrations nope": 2,
    "list_backups --from {folder}/nope/": 2,
    "makemigrations nope": 2,
    "migrate nope": 2,
    "migrate --times-are Mars": 2,
    "pin_backup nope": 2,
    "print_web_role_sql --login {blank}": 2,
    "prune_backups --from {folder}/nope/": 2,
    "restore_database nope --to nope": 2,
    "runserver nope": 2,
    "runserver 99999": 2,
    "seed_demo --expect nope": 2,
    "verify_backup latest --of nope --from {backups}": 3,
    "version --database nope": 2,
}


@pytest.mark.parametrize("words", UNHEARD_OF)
def test_walk__what_is_not_there__is_told_and_nothing_done(words, places, run, as_default, tmp_path, settings):
    clinic, _, named = places
    settings.DEBUG = True  # else runserver asks for hosts first
    filled = [
        " " if word == "{blank}" else word.format_map(named | {"folder": str(tmp_path)}) for word in words.split()
    ]
    with as_default(clinic):
        code, out, said = run(*filled)
    assert code == UNHEARD_OF[words], said
    assert re.match(r"Error: .* \[MOEEN-(USAGE|BACKUP)-1\]\n.", said), said
    assert out == ""

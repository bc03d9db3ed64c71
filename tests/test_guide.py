"""docs/guide.md: what it names stands, and its commands run as they are written, in their order."""

import re
import shlex

import pytest

from moeen.db import public_ids
from tests import backups, servers, states

ROOT = servers.PROJECT
GUIDE = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")


def test_guide__prefixes__are_those_of_the_tables():
    told = dict(re.findall(r"`([a-z]{3}_)` \| (\w+)", GUIDE))
    assert told == {prefix: model._meta.db_table for prefix, model in public_ids.PREFIXES.items()}


def test_guide__migrations_named__stand():
    rows = re.findall(r"^\| `\d{3}_.*\| (.*) \|$", GUIDE, flags=re.MULTILINE)
    for row in rows:
        app, _, _ = row.strip("`").partition("/")
        for name in re.findall(r"(\d{4}_\w+\.py)", row):
            assert (ROOT / app / "migrations" / name).exists()
    assert len(rows) == 5


def test_guide__older_settings__are_taken_as_they_are(manage):
    (block,) = re.findall(r"```text\n(DATABASE_URL=.*?)```", GUIDE, re.S)
    settings = dict(line.split("=", 1) for line in block.splitlines())
    assert len(settings) == 5
    done = manage("check", **settings)
    assert (done.returncode, "The database is moeen_db on this machine" in done.stderr) == (0, True), done.stderr


@pytest.mark.slow
def test_guide__its_commands__run_as_written(new_database, manage, tmp_path):
    database = states.database(new_database, "core")
    lines = re.findall(
        r"^((?:[A-Z_]+=\S+ )*)manage\.py (.*)$", "".join(re.findall(r"```sh\n(.*?)```", GUIDE, re.S)), re.M
    )
    said = []
    for variables, words in lines:
        given = dict(word.split("=", 1) for word in variables.split())
        place = backups.environment(database, tmp_path, BACKUP_SIGNING_KEY=str(tmp_path / "backup.key"))
        done = manage(*shlex.split(words, comments=True), **place, **given)
        assert done.returncode == 0, (words, done.stderr)
        said.append(done.stdout + done.stderr)
    assert len(said) == 10
    with database.connect() as connection:
        assert connection.execute("SELECT count(*) FROM patients WHERE public_id IS NULL").fetchone() == (0,)
    assert "DROP" in said[-1]
    new_database.drop(database)

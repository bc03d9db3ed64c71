"""Older generations of databases, and their imports, for tests."""

from contextlib import contextmanager

from django.db import connections

from moeen.db import importing
from moeen.db.security import identity
from tests import servers

SCRIPTS = servers.PROJECT / "tests" / "states" / "generations"
MAPPINGS = servers.PROJECT / "docs" / "import"
NAMES = sorted(path.stem for path in SCRIPTS.glob("*.sql"))


def mapping_of(name):
    return MAPPINGS / f"{name}.toml"


def source(new_database, name, **options):
    """A database of an older generation, with its rows."""
    database = new_database(**options)
    with database.connect() as connection:
        connection.execute((SCRIPTS / f"{name}.sql").read_text(encoding="utf-8"))
    return database


@contextmanager
def changed(path, tmp_path, *pairs):
    """The mapping with texts in it replaced, as a file of its own."""
    text = path.read_text(encoding="utf-8")
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new, 1)
    made = tmp_path / "changed.toml"
    made.write_text(text, encoding="utf-8")
    yield made


def check(source_database, target, mapping):
    with identity.acting_as_operator():
        return importing.check(connections[target.alias], source_database.url, mapping, told=lambda *_: None)


def run(source_database, target, mapping, tmp_path, **options):
    wanted = importing.Options(rejects=tmp_path / "rejects.jsonl", **options)
    with identity.acting_as_operator():
        return importing.run(connections[target.alias], source_database.url, mapping, wanted)


def refused(check):
    """(column, reason) -> number of rows, of a check."""
    found = {}
    for finding in check.findings:
        reason, _, rest = finding.found.rpartition(": ")
        found[finding.object, reason or finding.found] = int(rest.split()[0].replace(",", "")) if reason else 0
    return found


def counts(report):
    """table -> (read, refused, new, changed, gone, same)."""
    return {one.table: tuple(vars(one.counts).values()) for one in report.tables}

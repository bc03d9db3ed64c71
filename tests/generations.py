"""Older generations of databases, and their imports, for tests."""

from contextlib import contextmanager
from pathlib import Path

from django.db import connections
from psycopg import sql

from moeen.db import importing
from moeen.db.importing import mapping, selection
from moeen.db.importing import target as targets
from moeen.db.importing.source import Source
from moeen.db.security import identity
from tests import servers

SCRIPTS = servers.PROJECT / "tests" / "states" / "generations"
MAPPINGS = servers.PROJECT / "docs" / "import"
SYNONYMS = servers.PROJECT / "moeen" / "synonyms.toml"
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


def check(source_database, target, map_file):
    with identity.acting_as_operator():
        return importing.check(connections[target.alias], source_database.url, map_file, told=lambda *_: None)


def run(source_database, target, map_file, tmp_path, **options):
    wanted = importing.Options(rejects=tmp_path / "rejects.jsonl", **options)
    with identity.acting_as_operator():
        return importing.run(connections[target.alias], source_database.url, map_file, wanted)


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


def propose(source_database, target):
    """The text of a proposed mapping."""
    words = importing.Words.load(SYNONYMS)
    with identity.acting_as_operator():
        connection = connections[target.alias]
        return importing.propose(connection, source_database.url, words, schema="public", zone="Asia/Riyadh")[1]


def score(source_database, target, proposed, reviewed):
    """(right, wrong): columns of ours that a proposal fills with the same value in every row as the reviewed mapping
    does, and columns of the source that it places nowhere where that leaves them out; each as `table.column`."""
    right, wrong = [], []
    theirs, ours = (mapping.parse(one, path=Path("mapping.toml")) for one in (proposed, reviewed))
    with Source.opened(source_database.url, schema="public") as opened:
        for name, table in ours.tables.items():
            wanted = _values(opened, target, ours, name)
            found = _values(opened, target, theirs, name) if name in theirs.tables else {}
            for column, values in wanted.items():
                same = column in found and all(found[column].get(key, ...) == value for key, value in values.items())
                (right if same else wrong).append(f"{name}.{column}")
            for column in table.left_out:
                guesses = theirs.tables[name].columns.values() if name in theirs.tables else ()
                placed = any(selection.fits(column, guess.column or guess.sql) for guess in guesses)
                (wrong if placed else right).append(f"{name}: {column}")
    return right, wrong


def _values(opened, target, whole, name):
    """column -> old key -> value as text, of all rows of the source."""
    with identity.acting_as_operator():
        ours = targets.read(connections[target.alias], [name])[name]
    chosen = selection.of_table(whole, whole.tables[name], ours, opened)
    columns = chosen.columns | ({"public_id": chosen.public_id} if chosen.public_id else {})
    found = {}
    for column, value in columns.items():
        query = sql.SQL("SELECT {}, {} FROM {} AS s").format(chosen.key, value, chosen.rows)
        found[column] = dict(opened.rows(query))
    return found

"""docs/schemas: one schema for each command with `--json`, and what the commands print is as it says."""

import io

import pytest
from django.core.management import call_command, load_command_class
from jsonschema import Draft202012Validator

from moeen.db.security.identity import acting_as_operator
from sysadmin.management import reference
from tests import documents, generations
from tests.fleets import BEHIND

#: The calls of a clinic's day, in an order in which each finds what it needs. In braces: see `places`.
CALLS = """
seed_demo --expect {clinic}
version
migrate
migrate --check
migrate crm 0002 --plan --no-rehearsal test
validate_schema --app crm
validate_schema --adoption
doctor
backfill_public_ids --dry-run
remint_public_ids --form dated --dry-run
backup_database --to {backups}
make_backup_keys --show
list_backups --from {backups}
pin_backup {backup} --reason test --from {backups}
unpin_backup {backup} --reason test --from {backups}
prune_backups --dry-run --from {backups}
verify_backup {backup} --from {backups}
restore_database {backup} --to {clinic}_copy --from {backups}
print_schedule
archive status
seal_audit_log
verify_audit_log
verify_audit_log --about {patient}
prune_audit_log --older-than 10y --dry-run
audit --limit 5
access_report --patient {patient}
access_matrix
check_access --as moeen_staff --table patients
check_access --as moeen_staff --why {patient} --column phone
fleet status --fleet {fleet}
import_database --from {source} --map {propose} --propose
import_database --from {source} --map {mapping} --check
import_database --from {source} --map {mapping}
"""
#: Forms that other tests hold, which have what they take: a server that is archived, clinics in waves.
ELSEWHERE = {
    "archive.json#/oneOf/1": "test_archive",
    "archive.json#/oneOf/2": "test_archive",
    "fleet.json#/oneOf/1": "test_fleet_run",
    "fleet.json#/oneOf/2": "test_fleet_run",
}


def with_json():
    """The commands of ours that have `--json`."""
    found = set()
    for name, app in reference.own_commands().items():
        parser = load_command_class(app, name).create_parser("manage.py", name)
        if "--json" in parser._option_string_actions:
            found.add(name)
    return found


def objects(schema):
    if isinstance(schema, dict):
        if "properties" in schema and schema.get("type") == "object":
            yield schema
        for part in schema.values():
            yield from objects(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from objects(part)


def test_schemas__commands_with_json__have_one_each():
    assert with_json() ^ (documents.schemas().keys() - documents.SHARED) == set()
    assert len(with_json()) > 20


@pytest.mark.parametrize("name", documents.schemas())
def test_schema__is_one_and_leaves_nothing_open(name):
    schema = documents.schemas()[name]
    Draft202012Validator.check_schema(schema)
    found = list(objects(schema))
    assert found
    assert [one for one in found if one.get("additionalProperties") is not False] == []
    assert [one for one in found if sorted(one["required"]) != sorted(one["properties"])] == []
    assert name in documents.SHARED or {"$ref": "error.json"} in schema["oneOf"]


@pytest.fixture(scope="module")
def places(new_database, tmp_path_factory):
    """Two clinics, one to import into, and the source of that; what the calls name."""
    folder = tmp_path_factory.mktemp("documents")
    clinic, target = new_database.migrated(), new_database.migrated()
    source = generations.source(new_database, "hospital")
    for name, text in (("source", source.url), ("clinic", clinic.url)):
        (folder / name).write_text(text, encoding="ascii")
        (folder / name).chmod(0o600)
    (folder / "fleet.toml").write_text('[clinics.one]\ndatabase = "file:clinic"\n', encoding="ascii")
    yield clinic, target, {
        "clinic": clinic.name, "backups": f"{folder / 'backups'}/", "fleet": str(folder / "fleet.toml"),
        "source": f"file:{folder / 'source'}", "mapping": str(generations.mapping_of("hospital")),
        "propose": str(folder / "proposed.toml"),
    }  # fmt: skip
    clinic.target.drop(f"{clinic.name}_copy")
    for database in (clinic, target, source):
        new_database.drop(database)


def called(line, target):
    """The document that the command prints."""
    name, *words = line.split()
    out, options = io.StringIO(), {"database": target.alias} if name == "import_database" else {}
    try:
        with acting_as_operator():
            call_command(name, *words, "--json", stdout=out, stderr=io.StringIO(), **options)
    except SystemExit as ended:
        if ended.code not in (0, 3):
            raise
    return name, documents.hold(name, out.getvalue())


def test_documents__of_every_command_and_form__are_as_published(places, as_default, settings, tmp_path):
    settings.AUDIT_ANCHOR = ""
    settings.LOG_DIR = tmp_path
    clinic, target, named = places
    open_forms = {form for name in with_json() for form in documents.forms(name)}
    with as_default(clinic):
        for line in CALLS.strip().splitlines():
            name, document = called(line.format_map(named), target)
            open_forms -= {form for form in open_forms if documents.is_of(document, form)}
            if name == "backup_database":
                named["backup"] = document["id"]
            if name == "seed_demo":
                with clinic.connect(options="-c row_security=off") as owner:
                    (named["patient"],) = owner.execute("SELECT min(public_id) FROM patients").fetchone()
    assert open_forms - ELSEWHERE.keys() == set()


def test_migrate__check__tells_what_is_pending_and_ends_with_findings(places, new_database, as_default):
    behind = new_database.migrated()
    with behind.connect() as owner:
        owner.execute(BEHIND)
    out = io.StringIO()
    with pytest.raises(SystemExit) as ended, as_default(behind), acting_as_operator():
        call_command("migrate", "--check", "--json", stdout=out)
    (name,) = documents.hold("migrate", out.getvalue())["unapplied"]
    assert (ended.value.code, name in BEHIND.replace("', '", ".")) == (3, True)
    new_database.drop(behind)

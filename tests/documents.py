"""What commands print with `--json`, held against the schemas that docs/schemas publishes."""

import json
from functools import cache

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from referencing import Registry, Resource

from tests import servers

FOLDER = servers.PROJECT / "docs" / "schemas"
#: What every command may print, and what several have in common.
SHARED = {"error", "finding"}


@cache
def schemas():
    """Name -> schema."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.iterdir())}


@cache
def _validator(place):
    registry = Registry().with_resources(
        (f"{name}.json", Resource.from_contents(schema)) for name, schema in schemas().items()
    )
    return Draft202012Validator({"$ref": place}, registry=registry)


def hold(command, text):
    """The document that was printed: as the command's schema says, or a failure where there is no such command."""
    document = json.loads(text)
    wrong = best_match(_validator(f"{command if command in schemas() else 'error'}.json").iter_errors(document))
    assert wrong is None, f"{command} --json, {wrong.json_path}: {wrong.message[:1000]}"
    return document


def forms(command):
    """The kinds of documents that a command prints, failures aside: their places in its schema."""
    return [f"{command}.json#/oneOf/{n}" for n, form in enumerate(schemas()[command]["oneOf"]) if "$ref" not in form]


def is_of(document, form):
    return _validator(form).is_valid(document)

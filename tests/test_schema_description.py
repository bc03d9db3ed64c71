"""describe_schema: diagram and dictionary from the live catalog; docs/schema.md is what it writes."""

import re

import pytest
from django.db import connections

from moeen.db import catalog, public_ids
from moeen.db.schema import description
from tests import servers, states


@pytest.fixture(scope="module")
def connection(new_database):
    return connections[states.migrated(new_database).alias]


def test_docs_schema__is_what_the_command_writes(connection):
    written = (servers.PROJECT / "docs" / "schema.md").read_text(encoding="utf-8")
    assert written == description.describe(connection, form="markdown"), "manage.py validate_schema --write-expected"


def test_markdown__every_table_column_and_prefix__is_there(connection):
    text = description.describe(connection, form="markdown")
    for name, table in catalog.read(connection).tables.items():
        section = text.split(f"\n### {name}\n")[1].split("\n### ")[0]
        assert [c for c in table.columns if f"| `{c}` |" not in section] == []
        assert table.comment in section
    assert [prefix for prefix in public_ids.PREFIXES if f"`{prefix}`" not in text] == []


def test_mermaid__every_foreign_key__is_a_line(connection):
    text = description.describe(connection, form="mermaid")
    keys = [k for t in catalog.read(connection).tables.values() for k in t.constraints.values() if k.kind == "f"]
    assert len(re.findall(r"--(?:o\{|o\||\|\|)|o[{|]--|--o", text)) >= len(keys)
    assert text.startswith("erDiagram\n")


def test_dbml__braces_and_references__are_whole(connection):
    text = description.describe(connection, form="dbml")
    tables = catalog.read(connection).tables
    assert len(re.findall(r"^Table ", text, re.MULTILINE)) == len(re.findall(r"^}$", text, re.MULTILINE)) == len(tables)
    keys = [k for t in tables.values() for k in t.constraints.values() if k.kind == "f"]
    assert len(re.findall(r"^Ref: ", text, re.MULTILINE)) == len(keys)

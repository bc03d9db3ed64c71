"""`manage.py version` and the version that every `--json` output states."""

import ast
import json
import tomllib

import django
import psycopg

from tests import servers

STATED = tomllib.loads((servers.PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def test_version__database_answers__every_version_is_stated(manage, new_database):
    database = new_database()
    shown = manage("version", DATABASE_URL=database.url)
    said = manage("version", "--json", DATABASE_URL=database.url)
    assert (shown.returncode, said.returncode) == (0, 0), shown.stderr + said.stderr
    document = json.loads(said.stdout)
    assert document["version"] == STATED
    assert document["django"] == django.get_version()
    assert document["psycopg"] == psycopg.__version__
    with database.admin() as administrator:
        (words,) = administrator.execute("SHOW server_version").fetchone()
    assert document["postgresql"] == words.split()[0]
    assert document["unanswered"] == ""
    for value in (STATED, django.get_version(), psycopg.__version__, document["postgresql"]):
        assert value in shown.stdout


def test_version__no_database__the_rest_is_stated_and_why(manage):
    url = "postgresql://u:s3cret@127.0.0.1:1/d"
    said = manage("version", "--json", DATABASE_URL=url)
    assert said.returncode == 0, said.stderr
    document = json.loads(said.stdout)
    assert (document["version"], document["postgresql"]) == (STATED, None)
    assert document["unanswered"] == "No server answers at 127.0.0.1, port 1."
    assert "s3cret" not in said.stdout + said.stderr
    assert "No server answers" in manage("--version", DATABASE_URL=url).stdout


def test_version__embedded_server_stopped__is_not_started(manage):
    folder = servers.scratch() / "never"
    said = manage("version", DATABASE_URL="", EMBEDDED_DATA_DIR=str(folder))
    assert said.returncode == 0, said.stderr
    assert "The embedded server is stopped" in said.stdout
    assert not folder.exists()


def test_version__wrong_option__is_usage(manage):
    assert manage("version", "--nonsense").returncode == 2


def test_json_outputs__objects__are_written_in_one_place():
    """`json.dumps` stands in no command; a cell of CSV may hold JSON."""
    found = {
        str(path.relative_to(servers.PROJECT))
        for path in (servers.PROJECT / "sysadmin" / "management").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "dumps"
    }
    assert found == {"sysadmin/management/json_output.py", "sysadmin/management/trail_console.py"}

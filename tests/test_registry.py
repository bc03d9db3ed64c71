"""What apps tell the toolkit, and that it names no app and no table of theirs by itself."""

import ast
import io
import os
import re
import shutil
import subprocess
import sys
import tokenize

import pytest
from django.apps import apps

from moeen.db import registry
from moeen.db.errors import ConfigurationError
from moeen.db.registry import DatabaseFacts
from tests import servers

ROOT = servers.PROJECT
TOOLKIT = ROOT / "moeen" / "db"
OURS = [config for config in apps.get_app_configs() if (ROOT / config.label).is_dir()]
MODELS = [model for config in OURS for model in config.get_models(include_auto_created=True)]
#: The toolkit's own tables, see registry.OWN_TABLES.
TABLES = {model._meta.db_table for model in MODELS} - set(registry.OWN_TABLES)
#: Names of tables that are words of English or Django besides. They count where SQL would have a table.
WORDS = {"conversations", "messages", "notifications", "roles", "sessions", "settings", "users"}
#: Where such a word alone is a key or a heading.
HEADINGS = {
    ("moeen/db/backups/manifest.py", "roles"): "a key of the content's file",
    ("moeen/db/backups/manifest.py", "settings"): "a key of the content's file",
    ("moeen/db/doctor.py", "settings"): "a line of the page",
    ("moeen/db/schema/canonical.py", "roles"): "a key of a policy",
    ("moeen/db/schema/canonical.py", "settings"): "a key of a function",
    ("moeen/db/schema/drift.py", "roles"): "a key of a policy",
    ("moeen/db/schema/making.py", "roles"): "a key of a policy",
    ("moeen/db/schema/making.py", "settings"): "a key of a function",
    ("moeen/db/schema/grades.py", "roles"): "a key of a policy",
    ("moeen/db/security/access.py", "roles"): "a group of a regular expression",
    ("moeen/db/security/exposure/__init__.py", "roles"): "a parameter of the questions",
}


def word(names):
    return re.compile(
        rf"(?<![A-Za-z0-9])({'|'.join(sorted(map(re.escape, names), key=len, reverse=True))})(?![A-Za-z0-9])"
    )


LABELS = {config.label for config in OURS}
ANYWHERE = word(TABLES - WORDS | LABELS)
COLUMNS = "|".join(sorted({field.column for model in MODELS for field in model._meta.concrete_fields}))
AS_TABLE = re.compile(
    rf"""(?:\b(?:FROM|JOIN|INTO|UPDATE|TABLE|TRUNCATE|REFERENCES|ON)\s+(?:ONLY\s+)?|public\.)"?({"|".join(WORDS)})\b(?!\()
    |(?<![\w.])({"|".join(WORDS)})\.(?:{COLUMNS})\b
    |(?<![\w.])({"|".join(WORDS)})_\w*(?:key|check|idx|set|anon|patient|doctor|staff|supervisor|admin|service|auth)\b""",
    re.VERBOSE,
)


def strings(text):
    """(line, text) of strings, docstrings and comments; what ``__all__`` exports is no string."""
    tree = ast.parse(text)
    exported = {
        id(node)
        for statement in tree.body
        if isinstance(statement, ast.Assign) and getattr(statement.targets[0], "id", "") == "__all__"
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in exported:
            yield node.lineno, node.value
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def named(path, text):
    """(place, name) of every app, table or model that the text of a file of the toolkit names."""
    classes = {model.__name__ for model in MODELS}
    for line, string in strings(text):
        found = {match[0] for match in ANYWHERE.finditer(string)}
        found |= {match[1] or match[2] or match[3] for match in AS_TABLE.finditer(string)}
        found |= {string} & classes
        if string in WORDS and (path, string) not in HEADINGS:
            found.add(string)
        for name in sorted(found):
            yield f"{path}:{line}", name


def test_toolkit__strings_and_comments__name_no_app_table_or_model():
    files = sorted(TOOLKIT.rglob("*.py"))
    found = [entry for path in files for entry in named(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))]
    assert found == []
    assert len(files) > 100
    assert {path.suffix for path in TOOLKIT.rglob("*") if path.is_file()} <= {".py", ".pyc"}  # nothing else to read


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("x = 'audit_logs'", "audit_logs"),
        ("x = 'SELECT FROM public.patients'", "patients"),
        ("x = f'{a} in crm_deals'", "crm_deals"),
        ("x = 'SELECT 1 FROM users'", "users"),
        ("x = 'SELECT users.email'", "users"),
        ("x = 'INSERT INTO settings (a)'", "settings"),
        ("x = 'sessions'", "sessions"),
        ("x = 'users_update_auth'", "users"),
        ("x = 'users_email_key'", "users"),
        ("x = get('Appointment')", "Appointment"),
        ("x = 'sysadmin.User'", "sysadmin"),
        ("# as healthcare does\n", "healthcare"),
        ("'''See chatbot/sql/0003_rls.sql.'''", "chatbot"),
    ],
)
def test_named__a_name_of_an_apps__is_found(text, name):
    assert [found for _, found in named("moeen/db/x.py", text)] == [name]


@pytest.mark.parametrize("text", ["x = 'other sessions wait'", "x = 'a role'", "__all__ = ['Role']", "x = 'pg_roles'"])
def test_named__an_english_word__is_none(text):
    assert list(named("moeen/db/x.py", text)) == []


def test_names__of_apps_and_tables__are_those_of_the_project():
    assert {"sysadmin", "healthcare", "chatbot", "crm"} <= LABELS
    assert len(TABLES) > 20
    assert WORDS <= TABLES
    # Each belongs to an app, and to no two.
    assert set(registry.OWN_TABLES) <= {model._meta.db_table for model in MODELS}


def test_facts__of_all_apps__are_put_together():
    facts = registry.facts()
    assert facts.audit_table in facts.append_only
    assert facts.whole_table_roles.keys() == {"audit_logs", "sessions", "chatbot_integrations"}
    assert facts.secret_readers.keys() == {"users", "second_factors", "chatbot_integrations"}
    every = {facts.audit_table, *facts.append_only, *facts.whole_table_roles, *facts.secret_readers, *facts.public_rows}
    assert every <= TABLES
    assert [check.__module__ for check in registry.exposure_checks()] == ["sysadmin.exposure"] * 5


def test_facts__two_apps_say_it_of_one_table__is_refused(monkeypatch):
    said = DatabaseFacts(whole_table_roles={"audit_logs": frozenset({"staff"})})
    monkeypatch.setattr(apps.get_app_config("crm"), "database_facts", said, raising=False)
    with pytest.raises(ConfigurationError, match=r"crm: database_facts\.whole_table_roles says again .*: audit_logs"):
        registry.facts()


def test_facts__of_another_type__are_refused(monkeypatch):
    monkeypatch.setattr(apps.get_app_config("crm"), "database_facts", {"append_only": ["x"]}, raising=False)
    with pytest.raises(ConfigurationError, match="crm: database_facts is no DatabaseFacts but dict"):
        registry.facts()


def test_files__that_run_first__are_an_apps_own():
    assert registry.runs_first("sysadmin", "0001_functions")
    assert not registry.runs_first("crm", "0001_functions")
    assert not registry.runs_first("sysadmin", "0007_rls")
    for config in OURS:
        for name in getattr(config, "database_facts", DatabaseFacts()).first_files:
            assert (ROOT / config.label / "sql" / f"{name}.sql").exists()


IMPORT_ALL = """
import importlib, pkgutil, sys
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"], USE_TZ=True)
django.setup()
import moeen.db
for module in pkgutil.walk_packages(moeen.db.__path__, "moeen.db."):
    importlib.import_module(module.name)
    print(module.name)
from moeen.db.registry import DatabaseFacts, facts
assert facts() == DatabaseFacts()
assert not {"moeen.settings", "sysadmin", "healthcare", "chatbot", "crm"} & sys.modules.keys()
print(moeen.db.__path__[0])
"""


def test_wheel__of_the_toolkit_alone__is_built_offline_and_imported_from_an_empty_folder(tmp_path):
    source, empty = tmp_path / "source", tmp_path / "empty"
    for folder in ("moeen", *sorted(LABELS)):
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "requirements.in"):
        shutil.copy(ROOT / file, source)
    offline = ["--no-index", "--no-deps", "-q", "--disable-pip-version-check"]
    pip = [sys.executable, "-m", "pip"]
    subprocess.run([*pip, "wheel", *offline, "--no-build-isolation", "-w", tmp_path, source], check=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    subprocess.run([*pip, "install", *offline, "--target", tmp_path / "installed", wheel], check=True, timeout=120)
    empty.mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORT_ALL],
        cwd=empty, env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path / "installed")},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *modules, place = done.stdout.split()
    assert place == str(tmp_path / "installed" / "moeen" / "db")
    files = TOOLKIT.rglob("*.py")
    expected = {".".join(f.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for f in files}
    assert set(modules) == expected - {"moeen.db"}
    assert not (tmp_path / "installed" / "sysadmin").exists()
    assert not (tmp_path / "installed" / "moeen" / "settings.py").exists()

"""Who may import whom: the imports are read, not run, and flow downward."""

import ast
import sys

import pytest

from tests import servers

# Each package with what it may import of the project; tests may import everything.
MAY_IMPORT = {
    "moeen.db": {"moeen.db"},
    "moeen": {"moeen", "moeen.db"},
    "sysadmin": {"sysadmin", "moeen.db"},
    "healthcare": {"healthcare", "sysadmin", "moeen.db"},
    "chatbot": {"chatbot", "healthcare", "sysadmin", "moeen.db"},
    "crm": {"crm", "healthcare", "sysadmin", "moeen.db"},
}
APPS = {"sysadmin", "healthcare", "chatbot", "crm"}
TOOLKIT_MAY_IMPORT = {
    "sqlparse",
    "django",
    "psycopg",
    "cuid2",
    "rich",
    "pythonjsonlogger",
    "pyrage",
} | sys.stdlib_module_names
# Where the project names its apps as strings.
NAMES_APPS = {"moeen/settings.py", "moeen/urls.py"}


def sources(package):
    folder = servers.PROJECT / package.replace(".", "/")
    found = sorted(folder.rglob("*.py"))
    if package == "moeen":
        found = [path for path in found if not path.is_relative_to(folder / "db")]
    return found


def imported(path):
    """The absolute names that a file imports, its relative imports resolved."""
    parts = path.relative_to(servers.PROJECT).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(parts[: len(parts) - node.level]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            yield from (f"{module}.{alias.name}" for alias in node.names)


def package_of(name):
    return next((package for package in MAY_IMPORT if name == package or name.startswith(package + ".")), None)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports__within_the_project__flow_downward(package):
    upward = [
        f"{path.relative_to(servers.PROJECT)} imports {name}"
        for path in sources(package)
        for name in imported(path)
        if package_of(name) is not None and package_of(name) not in MAY_IMPORT[package]
    ]
    assert upward == []
    assert sources(package) != []


def test_imports__toolkit__only_django_psycopg_and_few_others():
    foreign = [
        f"{path.relative_to(servers.PROJECT)} imports {name}"
        for path in sources("moeen.db")
        for name in imported(path)
        if package_of(name) is None and name.partition(".")[0] not in TOOLKIT_MAY_IMPORT
    ]
    assert foreign == []


def test_imports__tests__are_imported_by_nobody():
    found = [
        str(path.relative_to(servers.PROJECT))
        for package in MAY_IMPORT
        for path in sources(package)
        for name in imported(path)
        if name.partition(".")[0] == "tests"
    ]
    assert found == []


def test_apps__named_as_strings__only_in_settings_and_urls():
    named = {
        str(path.relative_to(servers.PROJECT))
        for package in ("moeen", "moeen.db")
        for path in sources(package)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        and (node.value in APPS or node.value.startswith(tuple(f"{app}." for app in APPS)))
    }  # fmt: skip
    assert named - NAMES_APPS == set()
    assert "moeen/settings.py" in named


def test_imported__relative_and_absolute__resolved():
    names = set(imported(servers.PROJECT / "moeen" / "db" / "engine" / "base.py"))
    assert "moeen.db.server.embedded" in names
    assert "django.db.backends.postgresql.base" in names

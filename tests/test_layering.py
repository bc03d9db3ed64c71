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
# Each room of the toolkit with the rooms it may import; a room stands below those that it builds on.
ROOMS = {
    "actions": set(),
    "catalog": set(),
    "server": set(),
    "history": set(),
    "security": {"actions", "catalog"},
    "converge": {"actions", "catalog"},
    "lint": {"actions", "converge", "history"},
    "engine": {"security", "server"},
    "schema": {"actions", "catalog", "history", "security"},
    "backfill": {"catalog", "converge", "engine"},
    "backups": {"catalog", "schema", "security", "server", "engine"},
    "archiving": {"backups", "engine", "server"},
    "seals": {"backups", "engine"},
    "migrate": {
        "actions",
        "backups",
        "catalog",
        "converge",
        "engine",
        "history",
        "lint",
        "schema",
        "seals",
        "security",
        "server",
    },
    "fleet": {"backups", "catalog", "engine", "history", "migrate", "schema"},
    "importing": {"backfill", "backups", "catalog", "converge", "engine", "history", "schema"},
}
TOOLKIT_MAY_IMPORT = {
    "sqlparse",
    "django",
    "psycopg",
    "cuid2",
    "rich",
    "pythonjsonlogger",
    "cryptography",
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


def room_of(name):
    """``moeen.db.catalog.sizes`` -> ``catalog``; None for what stands outside the rooms."""
    room = name.removeprefix("moeen.db.").partition(".")[0]
    return room if name.startswith("moeen.db.") and room in ROOMS else None


def test_rooms__of_the_toolkit__are_all_known_and_have_a_door():
    folder = servers.PROJECT / "moeen" / "db"
    assert {path.name for path in folder.iterdir() if any(path.glob("*.py"))} == ROOMS.keys()
    assert [
        name for name in ROOMS if not ast.get_docstring(ast.parse((folder / name / "__init__.py").read_text()))
    ] == []


def test_rooms__imports_between_them__flow_downward():
    known = []
    for room, below in ROOMS.items():
        assert below <= set(known), f"{room} stands above what it imports"
        known.append(room)
    upward = [
        f"{path.relative_to(servers.PROJECT)} imports {name}"
        for room, below in ROOMS.items()
        for path in sources(f"moeen.db.{room}")
        for name in imported(path)
        if room_of(name) not in {None, room, *below}
    ]
    assert upward == []


def module_name(path):
    return ".".join(path.relative_to(servers.PROJECT).with_suffix("").parts).removesuffix(".__init__")


def test_imports__toolkit__no_module_imports_itself_by_a_round_trip():
    modules = {module_name(path): path for path in sources("moeen.db")}
    # A module, or the module that a name comes from. Imports inside functions are looked at as well.
    needs = {
        module: {next(n for n in (name, name.rpartition(".")[0]) if n in modules) for name in imported(path)
                 if name in modules or name.rpartition(".")[0] in modules}
        for module, path in modules.items()
    }  # fmt: skip
    while free := {module for module, below in needs.items() if not below & needs.keys() - {module}}:
        needs = {module: below for module, below in needs.items() if module not in free}
    assert sorted(needs) == []


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
    assert "moeen.db.server.project" in names
    assert "django.db.backends.postgresql.base" in names

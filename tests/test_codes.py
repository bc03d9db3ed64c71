"""Codes of failures: every error has one, each is explained in docs/troubleshooting.md."""

import ast
import inspect
import pkgutil
import random
import re
import textwrap
from importlib import import_module

import pytest

import sysadmin
from moeen import db
from moeen.db.codes import Code
from moeen.db.errors import MoeenError
from tests import servers

DOCS = (servers.PROJECT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
GENERIC = {"MoeenError", "ConfigurationError"}


def raised():
    for folder in ("moeen", "sysadmin", "healthcare", "chatbot", "crm"):
        for file in sorted((servers.PROJECT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") in GENERIC:
                    yield f"{file.relative_to(servers.PROJECT)}:{node.lineno}", node


def inits():
    """What classes of errors say of themselves: their calls of `super().__init__`."""
    for one in subclasses(MoeenError):
        tree = ast.parse(textwrap.dedent(inspect.getsource(one)))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "super().__init__":
                yield one.__name__, node


@pytest.fixture(scope="module", autouse=True)
def everything():
    """A class of a module that nobody has loaded is unknown."""
    for package in (db, sysadmin):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            import_module(module.name)


def subclasses(of):
    for one in of.__subclasses__():
        yield one
        yield from subclasses(one)


def test_codes__each__has_one_part_of_the_page():
    assert sorted(re.findall(r"^### (MOEEN-[A-Z]+-\d+): ", DOCS, re.MULTILINE)) == sorted(map(str, Code))


def test_errors__each_place_that_makes_one__gives_a_code():
    calls = list(raised())
    assert len(calls) > 60
    # What ends with USAGE has the code of wrong usage.
    named = {place: {keyword.arg: keyword.value for keyword in call.keywords} for place, call in calls}
    usage = {place for place, said in named.items() if getattr(said.get("exit_code"), "id", "") == "USAGE"}
    settings = {place for place, call in calls if call.func.id == "ConfigurationError"}
    assert {place for place, said in named.items() if "code" not in said} - usage - settings == set()
    # So has `--help`, which the next step of wrong usage leads to where none is given.
    assert {place for place, said in named.items() if "next_step" not in said} - usage == set()
    assert {name for name, call in inits() if "next_step" not in {keyword.arg for keyword in call.keywords}} == set()


def test_errors__of_any_command_and_setting__lead_to_a_paragraph_of_their_own():
    """Twenty of them, chosen at random: what they say is in the page, and more than their name."""
    calls = list(raised())
    for place, call in random.sample(calls, 20):
        said = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        usual = "Code.CONFIGURATION" if call.func.id == "ConfigurationError" else "Code.USAGE"
        code = Code[said.get("code", usual).rpartition(".")[2]] if "Code." in said.get("code", usual) else None
        assert call.args or "cause" in said, place
        if code is not None:  # else it comes with what is told again
            paragraph = re.search(rf"^### {code}: .*\n\n(.*?)(?=^##|\Z)", DOCS, re.M | re.S)
            assert len(paragraph[1].split()) >= 8, (place, code)


def test_errors__each_class__has_a_code_of_its_own():
    assert [one for one in subclasses(MoeenError) if one.default_code is Code.UNFORESEEN] == []

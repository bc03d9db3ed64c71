"""Codes of failures: every error has one, each is explained in docs/troubleshooting.md."""

import ast
import re

from moeen.db.codes import Code
from moeen.db.errors import MoeenError
from tests import servers

DOCS = (servers.PROJECT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
GENERIC = {"MoeenError"}


def raised():
    for folder in ("moeen", "sysadmin", "healthcare", "chatbot", "crm"):
        for file in sorted((servers.PROJECT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") in GENERIC:
                    yield f"{file.relative_to(servers.PROJECT)}:{node.lineno}", node


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
    assert {place for place, said in named.items() if "code" not in said} - usage == set()


def test_errors__each_class__has_a_code_of_its_own():
    assert [one for one in subclasses(MoeenError) if one.default_code is Code.UNFORESEEN] == []

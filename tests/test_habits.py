"""What the project says of itself agrees with itself: the version, the hooks, the links."""

import argparse
import os
import re
import tomllib

import pytest
from django.core.management import get_commands, load_command_class

from sysadmin.management import reference
from tests import servers

ROOT = servers.PROJECT
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


def test_hooks__of_pre_commit__are_the_commands_of_make_check():
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)[1]
    commands = [line.strip().replace("$(MANAGE)", "$(BIN)/python manage.py") for line in recipe.splitlines()]
    hooks = re.findall(r"entry: (.*?), language: system, ", (ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    assert hooks == [command.replace("$(BIN)", ".venv/bin") for command in commands]
    assert len(hooks) >= 7


def test_changelog__newest_entry__is_the_version_of_pyproject():
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    newest = re.search(r"^## (\S+) \((.*)\)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest[1] == stated.partition(".dev")[0]
    assert (newest[2] == "in progress") is (".dev" in stated)


def anchors(document):
    """What `#...` may lead to in it: its headings, as they are written in addresses."""
    text = re.sub(r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.M | re.S)
    slugs = [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)$", text, re.M)]
    return {f"{slug}-{slugs[:n].count(slug)}" if slug in slugs[:n] else slug for n, slug in enumerate(slugs)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links__within_the_project__lead_somewhere(document):
    missing = []
    for path, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", document.read_text(encoding="utf-8")):
        target = document.parent / path if path else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            missing.append(f"{path}#{anchor}")
    assert missing == []


def test_documents__paths_of_code_and_tests__exist():
    named = {
        (document.name, path)
        for document in DOCUMENTS
        if document.name != "CHANGELOG.md"  # older versions had other files
        for path in re.findall(
            r"`((?:moeen|sysadmin|tests|docs)/[\w/.]+\.(?:py|sql|md|json))`", document.read_text("utf-8")
        )
    }
    assert [entry for entry in sorted(named) if not (ROOT / entry[1]).exists()] == []
    assert named


def _options(parser):
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from _options(inner)


def test_documents__commands_options_and_targets__exist():
    """What runs them is for each page's own test; a word that is nowhere taken is found here."""
    commands = get_commands()
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    unknown, known = [], 0
    for document in DOCUMENTS:
        if document.name == "CHANGELOG.md":
            continue
        text = document.read_text(encoding="utf-8").replace("\\\n", " ")
        for name, rest in re.findall(r"manage\.py +([a-z_]+)([^\n`#|]*)", text):
            if name not in commands:
                unknown.append((document.name, name))
                continue
            taken = set(_options(load_command_class(commands[name], name).create_parser("manage.py", name)))
            said = re.findall(r"(?<!\S)--[a-z][a-z-]*", rest)
            unknown += [(document.name, name, option) for option in said if option not in taken]
            known += len(said) + 1
        made = re.findall(r"(?:^|`|&& )make ([a-z][a-z-]*)", text, re.MULTILINE)
        unknown += [(document.name, "make", target) for target in made if target not in targets]
    assert unknown == []
    assert known > 150


def test_pages__all_of_docs__stand_in_the_index():
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert {path.name for path in ROOT.glob("docs/*.md")} - {
        "README.md",
        *re.findall(r"\]\((\S+\.md)\)", index),
    } == set()


def test_checks__ids__name_one_thing_each():
    ids = re.findall(r'"(moeen\.[EWI]\d+)"', (ROOT / "sysadmin" / "checks.py").read_text(encoding="utf-8"))
    assert sorted(set(ids)) == sorted(ids)
    assert len(ids) > 5


def test_readme__commands__are_all_named():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    own = set(reference.own_commands())
    named = set(re.findall(r"`([a-z_]+)[` ]", readme))
    assert own - named - {"makemigrations", "runserver"} == set()  # Django's, by their names


def test_reference__of_commands_and_settings__is_what_make_docs_writes():
    made = {"commands.md": reference.commands(), "configuration.md": reference.configuration()}
    written = {name: (ROOT / "docs" / name).read_text(encoding="utf-8") for name in made}
    assert made == written, "run `make docs`"
    assert str(ROOT) not in "".join(made.values())


def test_processes__of_one_module__keep_its_tests_together(request):
    """Else each process makes what they share for itself, and the suite takes much longer."""
    group = request.node.nodeid.rpartition("@")[2]
    assert group == "tests.test_habits" or "PYTEST_XDIST_WORKER" not in os.environ


def test_quick__tests_that_it_names__exist():
    """With several processes pytest would run none at all, for one that it does not find."""
    named = [line.partition("::") for line in (ROOT / "tests" / "quick.txt").read_text().splitlines()]
    texts = {file: (ROOT / file).read_text(encoding="utf-8") for file, _, _ in named}
    assert [f"{file}::{name}" for file, _, name in named if name and f"def {name}(" not in texts[file]] == []

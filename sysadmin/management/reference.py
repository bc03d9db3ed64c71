"""`make docs`: docs/commands.md from what each command says by --help, and docs/configuration.md from .env.example.

A test holds both against what there is, as another holds .env.example against moeen/settings.py.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator, Set
from pathlib import Path

import django
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand

from moeen.db.lint import project_apps

PROJECT = Path(__file__).resolve().parents[2]


def own_commands() -> dict[str, str]:
    """Command -> the app that has it, in the order of the alphabet."""
    ours = {config.name for config in project_apps()}
    return {name: app for name, app in sorted(get_commands().items()) if app in ours}


def commands() -> str:
    """docs/commands.md. Not as argparse lays it out, which differs from one Python to the next."""
    page = [
        "# Commands",
        "Made by `make docs` from what `manage.py COMMAND --help` says. Exit codes: 0 done, 1 failed, 2 wrong usage\n"
        "or configuration, 3 findings or a refusal with nothing changed, 130 cancelled. Every command has Django's\n"
        "own options besides, such as `--traceback`, which shows where an error comes from. With `--json` a failure\n"
        "is one object, too ([schema](schemas/error.json)); nothing else stands on stdout.",
    ]
    common = {word for action in BaseCommand().create_parser("", "")._actions for word in action.option_strings}
    for name, app in own_commands().items():
        parser = load_command_class(app, name).create_parser("manage.py", name)
        page += [f"## {name}", *_told(parser, common)]
    return "\n\n".join(page) + "\n"


def _told(parser: argparse.ArgumentParser, common: Set[str]) -> Iterator[str]:
    yield " ".join((parser.description or "").split())
    formatter = parser._get_formatter()
    rows, parts = [], {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            parts = action.choices
        elif action.help != argparse.SUPPRESS and common.isdisjoint(action.option_strings):
            words = [f"{word} {_value(action)}".strip() for word in action.option_strings] or [_value(action)]
            said = " ".join(formatter._expand_help(action).split()) if action.help else ""
            if "--json" in action.option_strings:
                said += f" ([schema](schemas/{parser.prog.split()[-1]}.json))"
            rows.append(f"| `{_cell(', '.join(words))}` | {_cell(said)} |")
    if rows:
        yield "\n".join(["| | |", "| --- | --- |", *rows])
    for name, part in parts.items():
        yield f"### {parser.prog.split()[-1]} {name}"
        yield from _told(part, common)


def _cell(text: str) -> str:
    """A bar would end the cell of a table."""
    return text.replace("|", "\\|")


def _value(action: argparse.Action) -> str:
    """What stands for its value in help, as argparse would write it; "" for a flag."""
    if action.nargs == 0:
        return ""
    if action.metavar:
        return action.metavar if isinstance(action.metavar, str) else " ".join(action.metavar)
    if action.choices and action.dest != "database":  # which there are, the settings say
        return "{" + ",".join(map(str, action.choices)) + "}"
    return action.dest.upper() if action.option_strings else action.dest


def configuration() -> str:
    """docs/configuration.md."""
    page = [
        "# Configuration",
        "Made by `make docs` from `.env.example`: copy that to `.env` and edit it; the environment wins over the\n"
        "file. An empty value counts as not set. A value of another form is refused by name, and never shown.",
    ]
    example = (PROJECT / ".env.example").read_text(encoding="utf-8")
    for title, text in re.findall(r"^# --- (.+?) -+$\n(.*?)(?=^# --- |\Z)", example, flags=re.M | re.S):
        page += [f"## {title}", *_settings(text)]
    return "\n\n".join(page) + "\n"


def _settings(text: str) -> list[str]:
    """The settings of a section and what is said of them: that stands above, and is of all that follow."""
    found: list[str] = []
    names: list[str] = []
    said: list[str] = []

    def close() -> None:
        if names:
            found.append(", ".join(f"**`{name}`**" for name in names))
            found.extend(["\n".join(said)] if said else [])
        names.clear()
        said.clear()

    for line in text.splitlines():
        if name := re.match(r"([A-Z_]+)=", line):
            names.append(name[1])
        elif line.startswith("#"):
            if names:
                close()
            comment = line[1:]
            example = comment.startswith("   ") or re.match(r"[A-Z_]+=", comment)
            said.append(f"`{comment.strip()}`  " if example else comment.strip())
    close()
    return found


def main() -> None:
    for name, made in (("commands", commands()), ("configuration", configuration())):
        (PROJECT / "docs" / f"{name}.md").write_text(made, encoding="utf-8")


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "moeen.settings")
    django.setup()
    main()

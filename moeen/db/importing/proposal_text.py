"""A proposed mapping as the file that people read: each line says how sure it is, and why."""

from __future__ import annotations

import re
from collections.abc import Iterator

from moeen.db.importing.guesses import Guess, quoted
from moeen.db.importing.mapping import UNDECIDED
from moeen.db.importing.proposal import Proposal, ProposedTable
from moeen.db.importing.source import Source

_HEAD = """\
# Proposed by import_database --propose. Each line says how sure it is; "?" stands where somebody has to decide: give it
# a value, a place, or a reason why it is left out. import_database --check then tells what is still open.
"""


def text(made: Proposal, source: Source, *, zone: str) -> str:
    """TOML that `mapping.parse` reads."""
    row = source.connection.execute("SELECT current_database()").fetchone()
    name = re.sub(r"[^\w .-]", "-", str(row[0]) if row else "")[:100]
    lines = [_HEAD, f"source = {quoted(name)}"]
    if source.schema != "public":
        lines.append(f"schema = {quoted(source.schema)}")
    lines.append(f"zone = {quoted(zone)}  # of times that hold none, and of days taken from moments")
    if made.left:
        lines += ["", "[left_out]", *(_open(name, what) for name, what in made.left.items())]
    for table in made.tables:
        lines += ["", *_table(table)]
    return "\n".join(lines) + "\n"


def _table(table: ProposedTable) -> Iterator[str]:
    name = table.target.name
    yield f"[tables.{name}]  # {table.sure:.0%}"
    if table.source != name:
        yield f"from = {quoted(table.source)}"
    yield f"key = {quoted(table.key[0]) if len(table.key) == 1 else '[' + ', '.join(map(quoted, table.key)) + ']'}"
    if table.public_id:
        yield _line("public_id", table.public_id)
    if table.match:
        yield f"match = {quoted(table.match)}  # rows stand here already"
    yield ""
    yield f"[tables.{name}.columns]"
    yield from (_line(column, guess) for column, guess in table.columns.items())
    if table.left:
        yield ""
        yield f"[tables.{name}.left_out]"
        yield from (_open(column, what) for column, what in table.left.items())


def _line(name: str, guess: Guess) -> str:
    to_decide = "to decide: " if guess.open else ""
    return f"{name} = {guess.text}  # {to_decide}{guess.sure:.0%}, {_comment(guess.why)}"


def _open(name: str, what: str) -> str:
    return f"{quoted(name)} = {quoted(UNDECIDED)}  # to decide: {_comment(what)}"


def _comment(text: str) -> str:
    """On one line, whatever names are in it."""
    return re.sub(r"[\x00-\x1f\x7f]+", " ", text)

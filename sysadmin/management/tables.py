"""Tables for people: rows side by side where the terminal is wide enough, else each by itself."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

#: It would break the table, or steer the terminal.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+")


def width_of(stream: Any) -> int | None:
    """The columns of the terminal that the stream is, or those that COLUMNS says; None where there is no bound."""
    said = os.environ.get("COLUMNS", "")
    if said.isascii() and said.isdigit() and int(said) > 0:
        return int(said)
    try:
        return os.get_terminal_size(stream.fileno()).columns if stream.isatty() else None
    except (OSError, AttributeError):
        return None


def folded(text: str, *, width: int | None, indent: int) -> str:
    """No line is wider than that, unless one word is; what is left of a line stands ``indent`` to the right."""
    if width is None:
        return text
    fold = partial(
        textwrap.fill,
        width=max(width, indent + 20),
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(map(fold, text.split("\n")))


def lines(head: Sequence[str], rows: Sequence[Sequence[str]], *, width: int | None) -> Iterator[str]:
    """The table's lines. Where they would be wider: of each row the first cell, then a line for each other one."""
    shown = [[_CONTROL.sub(" ", cell) for cell in row] for row in rows]
    widths = [max(len(row[place]) for row in (head, *shown)) for place in range(len(head))]
    if width is None or sum(widths) + 2 * (len(widths) - 1) <= width:
        for row in (head, *shown):
            yield "  ".join(cell.ljust(size) for cell, size in zip(row, widths, strict=True)).rstrip()
        return
    names = max(map(len, head))
    for first, *others in shown:
        yield first
        for name, cell in zip(head[1:], others, strict=True):
            if cell not in ("", "-"):
                yield folded(f"  {name:{names}}  {cell}", width=width, indent=names + 4)

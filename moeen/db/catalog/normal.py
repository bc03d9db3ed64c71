"""Expressions and definitions in one form, where PostgreSQL shows the same one in several."""

from __future__ import annotations

import re

# A list of varchar values is shown in one of two ways, by whether it was written so or restored from a dump.
_LIST = re.compile(r"\(?ARRAY\[((?:'(?:[^']|'')*'::character varying(?:, )?)+)\]\)?::text\[\]")
_ITEM = re.compile(r"('(?:[^']|'')*'::character varying)")


def expression(text: str) -> str:
    """The same text for all that means the same; other parts of a definition stay as they are."""
    return _LIST.sub(lambda found: "ARRAY[" + _ITEM.sub(r"(\1)::text", found[1]) + "]", text)

"""What other databases call things: a file of data, and the comparison of names by it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property
from pathlib import Path
from typing import Any

BOOLEAN = "boolean"


@dataclass(frozen=True)
class Part:
    """Rows of a table that stand in the source of another, ``of``: those whose ``column`` of ours has this value."""

    of: str
    column: str = ""
    value: str = ""


@dataclass(frozen=True)
class FullName:
    """Our columns of the ``first``, the ``last`` and the ``whole`` name; ``columns``: what one with all is called."""

    first: str
    last: str
    whole: str
    columns: Sequence[str]


@dataclass(frozen=True)
class Words:
    """The file. ``columns`` and ``values`` are by the column's name, or by `table.column`.

    ``hundredths``: how names of columns end that count hundredths. ``everywhere``: columns of ours that say nothing of
    what a table is about.
    """

    tables: Mapping[str, Sequence[str]]
    parts: Mapping[str, Part]
    columns: Mapping[str, Sequence[str]]
    full_name: FullName
    hundredths: Sequence[str]
    everywhere: Sequence[str]
    values: Mapping[str, Mapping[str, Sequence[str]]]

    @classmethod
    def load(cls, path: Path) -> Words:
        said: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        parts = {name: Part(**part) for name, part in said["parts"].items()}
        name = FullName(**said["full_name"])
        return cls(
            tables=said["tables"], parts=parts, columns=said["columns"], full_name=name, values=said["values"],
            hundredths=said["hundredths"]["endings"], everywhere=said["everywhere"]["columns"],
        )  # fmt: skip

    def table(self, ours: str, theirs: str) -> float:
        """How alike the names of two tables are: from 0 to 1."""
        if letters(ours) == letters(theirs):
            return 1.0
        if singular(ours) == singular(theirs):
            return 0.95
        known = self.tables.get(ours, ())
        for place, word in enumerate(known):
            if singular(word) == singular(theirs):
                return 0.9 - 0.005 * place
        bare = re.sub(r"^(tbl|t|app|clinic|hms|hospital)_|_(tbl|table|master|info|data|list)$", "", theirs.lower())
        return 0.85 * self.table(ours, bare) if bare != theirs.lower() else 0.0

    def column(self, table: str, ours: str, theirs: str, *, of: str) -> tuple[float, str]:
        """How alike two columns' names are, and why. ``of``: the table that theirs belongs to."""
        if ours == theirs:
            return 0.99, "the same name"
        if letters(ours) == letters(theirs):
            return 0.97, "the same letters"
        bare = _without(theirs, singular(of))
        # The words of one table tell more than those of all, the first ones more than the last.
        for known, most in ((self.columns.get(f"{table}.{ours}", ()), 0.93), (self.columns.get(ours, ()), 0.9)):
            for place, word in enumerate(known):
                if letters(word) == letters(theirs):
                    return most - 0.004 * place, "a known synonym"
                if bare and letters(word) == letters(bare):
                    return most - 0.05 - 0.004 * place, "a known synonym"
        if bare and letters(bare) == letters(ours):
            return 0.88, "the same name after its table's"
        said = set(_parts(theirs))
        known = (ours, *self.columns.get(f"{table}.{ours}", ()), *self.columns.get(ours, ()))
        if any(said >= set(_parts(word)) for word in known):
            return 0.65, "it is part of the name"
        alike = SequenceMatcher(None, letters(ours), letters(theirs)).ratio()
        return (0.6 * alike, "a name like it") if alike >= 0.8 else (0.0, "")

    def holds_full_name(self, column: str) -> bool:
        """Whether a column is called like one that holds a whole name."""
        return letters(column) in self._full_names

    @cached_property
    def _full_names(self) -> frozenset[str]:
        return frozenset(map(letters, self.full_name.columns))

    def meant(self, key: str, allowed: Sequence[str], theirs: Mapping[str, str]) -> dict[str, str | None]:
        """Which of our values others mean, None where none is known. ``key``: that of `values`.

        ``theirs``: what stands there -> how it is said. A word that may mean two of ours means one that no other does.
        """
        known = self.values_of(key)
        may = {
            one: [ours for ours in allowed if letters(ours) == letters(said)]
            or [ours for ours in allowed if letters(said) in map(letters, known.get(ours, ()))]
            for one, said in theirs.items()
        }
        found: dict[str, str | None] = {}
        for one in sorted(may, key=lambda one: len(may[one])):
            free = [ours for ours in may[one] if ours not in found.values()]
            found[one] = next(iter(free or may[one]), None)
        return {one: found[one] for one in theirs}

    def values_of(self, key: str) -> Mapping[str, Sequence[str]]:
        """By `table.column`, else by the column alone."""
        return self.values.get(key) or self.values.get(key.rpartition(".")[2]) or {}


def letters(name: str) -> str:
    """A name without what nobody hears: case, spaces and marks."""
    return re.sub(r"[\W_]+", "", name.casefold())


def singular(name: str) -> str:
    word = letters(name)
    if word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _without(column: str, table: str) -> str:
    """The name of a column without that of its table before it, "" where there is none."""
    first, *rest = _parts(column) or [""]
    return "_".join(rest) if first in (table, table[:4], table[:3]) else ""


def _parts(name: str) -> list[str]:
    """The words of a name, whether underscores or capitals tell them apart; numbers are none."""
    return re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).casefold())

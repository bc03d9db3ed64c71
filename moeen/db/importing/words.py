"""What other databases call things: a file of data, and the comparison of names by it."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Callable, Mapping, Sequence
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
    what a table is about. ``words`` and ``arabic``: English words in other languages, the latter in Latin letters;
    ``empty``: words that say nothing. ``contents``: column of ours -> what each value looks like, a regular expression.
    """

    tables: Mapping[str, Sequence[str]]
    parts: Mapping[str, Part]
    columns: Mapping[str, Sequence[str]]
    full_name: FullName
    hundredths: Sequence[str]
    everywhere: Sequence[str]
    values: Mapping[str, Mapping[str, Sequence[str]]]
    words: Mapping[str, Sequence[str]]
    arabic: Mapping[str, Sequence[str]]
    empty: Sequence[str]
    contents: Mapping[str, str]

    @classmethod
    def load(cls, path: Path) -> Words:
        said: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        parts = {name: Part(**part) for name, part in said["parts"].items()}
        name = FullName(**said["full_name"])
        return cls(
            tables=said["tables"], parts=parts, columns=said["columns"], full_name=name, values=said["values"],
            hundredths=said["hundredths"]["endings"], everywhere=said["everywhere"]["columns"],
            words=said["words"], arabic=said["arabic"], empty=said["empty"]["words"],
            contents=said["contents"],
        )  # fmt: skip

    def table(self, ours: str, theirs: str) -> float:
        """How alike the names of two tables are: from 0 to 1."""
        return max(self._table(ours, theirs), 0.95 * self._table(ours, self.english(theirs)))

    def _table(self, ours: str, theirs: str) -> float:
        if letters(ours) == letters(theirs):
            return 1.0
        if singular(ours) == singular(theirs):
            return 0.95
        known = self.tables.get(ours, ())
        for place, word in enumerate(known):
            if singular(word) == singular(theirs):
                return 0.9 - 0.005 * place
        if any(_singulars(word) == _singulars(theirs) for word in (ours, *known)):
            return 0.85
        whole = "_".join(_parts(theirs))
        bare = re.sub(r"^(tbl|t|app|clinic|hms|hospital)_|_(tbl|table|master|info|data|list|book|done)$", "", whole)
        return 0.85 * self._table(ours, bare) if bare != whole else 0.0

    def column(self, table: str, ours: str, theirs: str, *, of: str) -> tuple[float, str]:
        """How alike two columns' names are, and why. ``of``: the table that theirs belongs to."""
        bare = _without(theirs, of)
        tries = [
            (1.0, self._column(table, ours, theirs)),
            (0.95, self._column(table, ours, bare)),
            (0.95, self._column(table, ours, self.english(theirs))),
            (0.93, self._column(table, ours, self.english(bare))),
        ]
        return max(((factor * sure, why) for factor, (sure, why) in tries), key=lambda one: one[0])

    def _column(self, table: str, ours: str, theirs: str) -> tuple[float, str]:
        if ours == theirs:
            return 0.99, "the same name"
        if not letters(theirs):
            return 0.0, ""
        if letters(ours) == letters(theirs):
            return 0.97, "the same letters"
        # The words of one table tell more than those of all, the first ones more than the last.
        special, usual = self.columns.get(f"{table}.{ours}", ()), self.columns.get(ours, ())
        said = self._said(theirs)
        best = (0.0, "")
        for known, most in ((special, 0.93), (usual, 0.9)):
            for place, word in enumerate(known):
                if letters(word) == letters(theirs):
                    best = max(best, (most - 0.004 * place, "a known synonym"))
        if best[0]:
            return best
        for known, most in (((ours,), 0.95), (special, 0.9), (usual, 0.87)):
            for place, word in enumerate(known):
                if said and self._said(word) == said:
                    return most - 0.004 * place, "the same words"
        if any(set(_parts(theirs)) > set(_parts(word)) for word in (ours, *special, *usual)):
            return 0.65, "it is part of the name"
        alike = SequenceMatcher(None, letters(ours), letters(theirs)).ratio()
        return (0.6 * alike, "a name like it") if alike >= 0.8 else (0.0, "")

    def _said(self, name: str) -> frozenset[str]:
        """The words of a name that say something, in whatever order."""
        return frozenset(_parts(name)) - frozenset(self.empty)

    def english(self, name: str) -> str:
        """A name in English, word for word; words that are not known stay."""
        whole = self._translated(letters(name))
        return whole if whole != letters(name) else "_".join(map(self._translated, _parts(name)))

    def _translated(self, word: str) -> str:
        if word in self._own_words:
            return word
        return self._dictionary.get(stem(word)) or self._sounds.get(sound(word)) or word

    @cached_property
    def _dictionary(self) -> dict[str, str]:
        return _meanings(self.words, stem)

    @cached_property
    def _sounds(self) -> dict[str, str]:
        return _meanings(self.arabic, sound)

    @cached_property
    def _own_words(self) -> frozenset[str]:
        """What needs no translation."""
        known = [*self.columns, *self.tables, *self.words, *self.arabic, *self.empty]
        known += [word for words in (*self.columns.values(), *self.tables.values()) for word in words]
        return frozenset(part for name in known for part in _parts(name))

    def is_bare_name(self, column: str, *, of: str) -> bool:
        """Whether a column is called "name" and no more."""
        return "name" in {self.english(column), self.english(_without(column, of))}

    def holds_full_name(self, column: str, *, of: str) -> bool:
        """Whether a column is called like one that holds a whole name."""
        tries = (column, self.english(column), self.english(_without(column, of)))
        return not {self._said(one) for one in tries}.isdisjoint(self._full_names)

    @cached_property
    def _full_names(self) -> frozenset[frozenset[str]]:
        return frozenset(map(self._said, self.full_name.columns))

    def meant(self, key: str, allowed: Sequence[str], theirs: Mapping[str, str]) -> dict[str, str | None]:
        """Which of our values others mean, None where none is known. ``key``: that of `values`.

        ``theirs``: what stands there -> how it is said. A word that may mean two of ours means one that no other does.
        """
        known = self.values_of(key)
        may = {
            one: [ours for ours in allowed if letters(ours) == letters(said)]
            or [ours for ours in allowed if letters(said) in map(letters, known.get(ours, ()))]
            or [ours for ours in allowed if letters(self.english(said)) in map(letters, (ours, *known.get(ours, ())))]
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


def _singulars(name: str) -> frozenset[str]:
    """The words of the name of a table, in whatever order."""
    return frozenset(map(singular, _parts(name)))


def singular(name: str) -> str:
    word = letters(name)
    if word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _meanings(words: Mapping[str, Sequence[str]], form: Callable[[str], str]) -> dict[str, str]:
    """Form of a word -> what it means; the first meaning stands."""
    found: dict[str, str] = {}
    for english, others in words.items():
        for word in others:
            found.setdefault(form(word), english)
    return found


def stem(word: str) -> str:
    """A word of a Romance language without marks, and without the ending that tells gender and number."""
    plain = unicodedata.normalize("NFKD", word.casefold()).encode("ascii", "ignore").decode()
    return re.sub(r"(?<=.{2})[aeo]*s?$", "", plain)


def sound(word: str) -> str:
    """The consonants of an Arabic word in Latin letters, as people spell them; the ending that tells number is none."""
    heard = re.sub(r"(?<=.{3})(een|oon|in|un|at|ah|iya|iyya)$", "", word.casefold())
    for spelled, meant in _SPELLED:
        heard = heard.replace(spelled, meant)
    return re.sub(r"[aeiouy'\W\d_]", "", re.sub(r"(.)\1+", r"\1", heard))


_SPELLED = (("kh", "x"), ("gh", "g"), ("sh", "c"), ("ch", "c"), ("th", "t"), ("dh", "d"), ("q", "k"), ("7", "h"))


def _without(column: str, table: str) -> str:
    """The name of a column without that of its table before it, which may be short for it; "" where there is none."""
    first, *rest = _parts(column) or [""]
    return "_".join(rest) if any(_stands_for(first, word) for word in (*_parts(table), singular(table))) else ""


def _stands_for(short: str, word: str) -> bool:
    """Whether it is the word or short for it: it begins alike, and has its letters in their order."""
    left = iter(singular(word)[1:])
    return len(short) > 1 and short[0] == word[0] and all(letter in left for letter in short[1:])


def _parts(name: str) -> list[str]:
    """The words of a name, whether underscores or capitals tell them apart; numbers are none."""
    return re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).casefold())

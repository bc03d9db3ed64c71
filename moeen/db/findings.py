"""What a check found: one frozen record each, ready to be printed, sorted or sent as JSON."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, fields

from moeen.db.actions import Action
from moeen.db.errors import shown
from moeen.db.kinds import Kind
from moeen.db.names import ObjectName

#: A text of more characters is not shown whole.
LONG = 200


class Severity(enum.StrEnum):
    """How much a finding matters, worst first."""

    BREAKS = "breaks"
    UNSAFE = "unsafe"
    SLOW = "slow"
    COSMETIC = "cosmetic"


@dataclass(frozen=True)
class Fix:
    """What mends a finding: actions, in order; with ``advice`` a person weighs them, or does what it says, alone."""

    actions: tuple[Action, ...] = ()
    advice: str = ""

    @classmethod
    def by(cls, *actions: Action, advice: str = "") -> Fix:
        return cls(actions, advice)

    @property
    def is_advice(self) -> bool:
        return bool(self.advice) or not self.actions

    def statements(self) -> list[str]:
        return [statement.rstrip(";") for action in self.actions for statement in action.statements()]

    def pretty(self) -> str:
        """SQL that can be run, a comment that holds it, or words; "" of nothing."""
        script = ";\n".join(self.statements())
        return commented(f"{self.advice}: {script}") if script and self.advice else script or self.advice

    def __bool__(self) -> bool:
        return bool(self.actions or self.advice)

    def __lt__(self, other: Fix) -> bool:
        return self.pretty() < other.pretty()


def commented(text: str) -> str:
    """As a comment of SQL, with every line of it, those within a name too."""
    return "\n".join(f"-- {line}" for line in re.split(r"[\r\n]+", text))


NO_FIX = Fix()


@dataclass(frozen=True, order=True)
class Finding:
    """One difference between what should be and what is.

    ``object`` names it for people (``table.column``), ``name`` is its identity where it is one object of the
    database; ``why`` says what it matters for.
    """

    object: str
    kind: Kind
    expected: str
    found: str
    severity: Severity = Severity.BREAKS
    fix: Fix = NO_FIX
    why: str = ""
    name: ObjectName | None = field(default=None, compare=False)

    @property
    def table(self) -> str:
        """The relation it is about, in the `pretty` form of its name; what stands before the dot where no name is."""
        return self.name.relation.pretty() if self.name else self.object.partition(".")[0]

    def told(self) -> str:
        """One line for a person; of long texts, where they begin to differ."""
        return shown(f"{self.object}: {self.kind}: {_contrast(self.expected, self.found)}")

    def pretty(self) -> str:
        """That line, and the fix."""
        return f"{self.told()}\n    fix: {self.fix.pretty()}" if self.fix else self.told()

    def as_dict(self) -> dict[str, str]:
        told = {part.name: getattr(self, part.name) for part in fields(self) if part.name != "name"}
        return told | {"fix": self.fix.pretty()}


def _contrast(expected: str, found: str) -> str:
    if max(len(expected), len(found)) <= LONG:
        return f"expected {expected}, found {found}"
    pairs = enumerate(zip(expected, found, strict=False))
    same = next((place for place, (one, other) in pairs if one != other), min(len(expected), len(found)))
    start = max(expected.rfind("\n", 0, same) + 1, same - LONG // 4)
    number = expected.count("\n", 0, start) + 1
    where = f"from line {number} on, " if "\n" in expected + found else ""
    return f"{where}expected {_cut(expected, start)}, found {_cut(found, start)}"


def _cut(text: str, start: int) -> str:
    """One line of the text, from ``start``."""
    line, *more = text[start:].split("\n", 1)
    shown = line[: LONG // 2]
    return f"{'...' if start else ''}{shown}{'...' if more or len(line) > len(shown) else ''}"


def unique(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings without repetition, in the order of their objects."""
    return tuple(sorted(set(findings)))

"""What a check found: one frozen record each, ready to be printed, sorted or sent as JSON."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import asdict, dataclass


class Severity(enum.StrEnum):
    """How much a finding matters, worst first."""

    BREAKS = "breaks"
    UNSAFE = "unsafe"
    SLOW = "slow"
    COSMETIC = "cosmetic"


@dataclass(frozen=True, order=True)
class Finding:
    """One difference between what should be and what is.

    ``object`` names it as SQL would (``patients.email``); ``fix`` is a statement or command that mends it, or "";
    ``why`` says what it matters for.
    """

    object: str
    kind: str
    expected: str
    found: str
    severity: Severity = Severity.BREAKS
    fix: str = ""
    why: str = ""

    @property
    def is_advice(self) -> bool:
        """Whether the fix is for a person to weigh: a comment, a command, or nothing at all."""
        return not self.fix or self.fix.startswith(("-- ", "manage.py"))

    def pretty(self) -> str:
        """One or two lines for a person."""
        line = f"{self.object}: {self.kind}: expected {self.expected}, found {self.found}"
        return f"{line}\n    fix: {self.fix}" if self.fix else line

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def unique(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings without repetition, in the order of their objects."""
    return tuple(sorted(set(findings)))

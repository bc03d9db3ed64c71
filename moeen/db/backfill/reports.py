"""What a backfill has to say: progress while it runs, and a report at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Failure:
    """A row that could not be filled: its key (or place, where the key could tell about a person), and why."""

    row: str
    reason: str

    def pretty(self) -> str:
        return f"{self.row}: {self.reason}"


@dataclass(frozen=True)
class Progress:
    """How far the run over one table has come. ``rate``: rows a second; ``eta``: seconds left, or None.

    ``note`` says why it waits, "" while it works.
    """

    table: str
    filled: int
    missing: int
    rate: float
    eta: float | None
    note: str = ""


@dataclass(frozen=True)
class TableReport:
    """One table after this call: rows at its start, of them missing, filled by it, and what is left.

    ``rows_left`` counts rows that still lack the value; ``failures`` names those that refused it.
    """

    table: str
    prefix: str
    rows_total: int
    rows_missing: int
    rows_filled: int = 0
    batches: int = 0
    seconds: float = 0.0
    rows_left: int = 0
    failures: tuple[Failure, ...] = ()
    finalized: bool = False

    def as_dict(self) -> dict[str, Any]:
        names = ("table", "prefix", "rows_total", "rows_missing", "rows_filled", "batches")
        return {**{name: getattr(self, name) for name in names}, "seconds": round(self.seconds, 3)}

    def lines(self) -> list[str]:
        """For people; rows that refused come with their reasons."""
        if not self.rows_missing and not self.finalized:
            return [f"{self.table}: {self.rows_total:,} rows, none missing"]
        rate = f", {self.rows_filled / self.seconds:,.0f} rows/s" if self.seconds and self.rows_filled else ""
        counts = f"{self.rows_filled:,} of {self.rows_missing:,} missing rows filled"
        line = f"{self.table}: {counts} in {self.seconds:.1f} s{rate}"
        if self.rows_left:
            line += f"; {self.rows_left:,} left"
        return [line + ("; final" if self.finalized else ""), *(f"  {failure.pretty()}" for failure in self.failures)]


@dataclass(frozen=True)
class Report:
    """All tables of one call. ``complete``: no row is missing a value now."""

    dry_run: bool
    tables: tuple[TableReport, ...]

    @property
    def complete(self) -> bool:
        return all(table.rows_left == 0 for table in self.tables)

    def as_dict(self) -> dict[str, Any]:
        return {
            "dry_run": self.dry_run,
            "complete": self.complete,
            "tables": [table.as_dict() for table in self.tables],
        }

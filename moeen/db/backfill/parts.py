"""Parts of a table's heap: ranges of pages, and single rows of one page. A part that fails is halved."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql


@dataclass(frozen=True)
class Pages:
    """Rows on pages ``first`` up to, not including, ``end``. Read by a TID range scan, in the order of the heap."""

    first: int
    end: int

    @property
    def condition(self) -> sql.Composable:
        low, high = sql.Literal(f"({self.first},0)"), sql.Literal(f"({self.end},0)")
        return sql.SQL("ctid >= {}::tid AND ctid < {}::tid").format(low, high)

    def halves(self) -> tuple[Pages, ...]:
        """Empty when there is only one page."""
        middle = (self.first + self.end) // 2
        return () if middle == self.first else (Pages(self.first, middle), Pages(middle, self.end))


@dataclass(frozen=True)
class Rows:
    """Rows by their places in the heap. One that moves meanwhile is left to the next sweep."""

    places: tuple[str, ...]

    @property
    def condition(self) -> sql.Composable:
        places = sql.SQL(", ").join(sql.SQL("{}::tid").format(sql.Literal(place)) for place in self.places)
        return sql.SQL("ctid = ANY (ARRAY[{}]::tid[])").format(places)

    def halves(self) -> tuple[Rows, ...]:
        """Empty when there is only one row."""
        middle = len(self.places) // 2
        return () if middle == 0 else (Rows(self.places[:middle]), Rows(self.places[middle:]))


Part = Pages | Rows

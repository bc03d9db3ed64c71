"""How much at a time: batches that take about as long as they should, and no more rows a second than allowed."""

from __future__ import annotations

import math
import threading
import time

#: A batch holds locks on its rows until it commits, and everything behind it waits: no more than this many.
MOST_ROWS = 50_000
GROWTH, SHRINKAGE = 1.5, 0.3
#: What a batch takes while others use the table: whoever wants one of its rows waits about as long.
LIVE_SECONDS = 0.02


class Pace:
    """The size of the next batch in pages, from how long the last ones took. Shared by the workers of a table."""

    def __init__(self, *, rows: int, density: float, target_seconds: float, rows_per_second: float | None) -> None:
        """``rows`` in the first batch; ``density``: rows a page."""
        limit = min(MOST_ROWS, rows_per_second or MOST_ROWS)
        self._most = max(limit / density, 1.0)
        self._target = target_seconds
        self._pages = min(max(rows / density, 1.0), self._most)
        self._lock = threading.Lock()
        #: Whether others use the table meanwhile.
        self.live = False

    @property
    def pages(self) -> int:
        return math.ceil(self._pages)

    @property
    def _aim(self) -> float:
        return min(self._target, LIVE_SECONDS) if self.live else self._target

    def took(self, pages: int, seconds: float) -> None:
        """Aim the next batch at the target; a single odd batch moves the size by a bounded factor."""
        with self._lock:
            factor = min(max(self._aim / max(seconds, 1e-4), SHRINKAGE), GROWTH)
            self._pages = min(max(min(pages, self._pages) * factor, 1.0), self._most)


class Limit:
    """At most so many rows a second, over all workers."""

    def __init__(self, rows_per_second: float | None) -> None:
        self._rate = rows_per_second
        self._free_at = time.monotonic()
        self._lock = threading.Lock()

    def wait(self, stop: threading.Event) -> None:
        """Until the rows done so far are within the limit, or ``stop`` is set."""
        pause = self._free_at - time.monotonic()
        if pause > 0:
            stop.wait(pause)

    def spent(self, rows: int) -> None:
        if self._rate:
            with self._lock:
                self._free_at = max(self._free_at, time.monotonic()) + rows / self._rate

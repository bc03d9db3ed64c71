"""Progress on stderr: a bar on a terminal, plain ``n/total`` lines off it."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

from rich import progress as bars
from rich.console import Console

from moeen.db.backfill import Progress

#: Between two plain lines.
SECONDS = 5.0


class Display:
    """Shows one run after the other. ``stream``: stderr, or what stands for it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._bar: bars.Progress | None = None
        self._task: bars.TaskID | None = None
        self._table = ""
        self._shown = 0.0

    def __enter__(self) -> Display:
        if self._stream.isatty():
            console = Console(file=getattr(self._stream, "_out", self._stream))
            self._bar = bars.Progress(
                bars.TextColumn("{task.description}"),
                bars.BarColumn(),
                bars.MofNCompleteColumn(),
                bars.TextColumn("{task.fields[words]}"),
                console=console,
            )
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()

    def tell(self, line: str) -> None:
        if self._bar:
            self._bar.console.print(line, markup=False, highlight=False)
        else:
            self._stream.write(line)

    def show(self, now: Progress) -> None:
        if self._bar:
            if now.table != self._table:
                self._task = self._bar.add_task(now.table, words="")
            assert self._task is not None
            self._bar.update(self._task, completed=now.filled, total=max(now.missing, now.filled), words=words(now))
        elif now.table != self._table or time.monotonic() - self._shown > SECONDS or now.filled >= now.missing:
            self._shown = time.monotonic()
            self._stream.write(f"{now.table} {now.filled}/{now.missing}  {words(now)}")
        self._table = now.table


def words(now: Progress) -> str:
    """Rate and time left, or why it waits."""
    if now.note:
        return f"waiting: {now.note}"
    left = "" if now.eta is None else f", {int(now.eta) // 60}:{int(now.eta) % 60:02d} left"
    return f"{now.rate:,.0f} rows/s{left}"

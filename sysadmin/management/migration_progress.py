"""Progress of a migration on stderr: a bar on a terminal, plain ``n/total`` lines off it."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class Display:
    """Takes what Django's executor reports. ``total`` is known when the first migration starts."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._bar: Progress | None = None
        self._done = 0
        self._began = 0.0

    def start(self, name: str, *, total: int) -> None:
        self._began = time.monotonic()
        if not self._stream.isatty():
            return
        if self._bar is None:
            columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
            self._bar = Progress(*columns, console=Console(stderr=True))
            self._bar.add_task(name, total=total)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], description=name)

    def end(self, name: str, *, total: int) -> None:
        self._done += 1
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self._done)
        else:
            self._stream.write(f"{self._done}/{total} {name} ({time.monotonic() - self._began:.1f} s)")

    def tell(self, line: str) -> None:
        if self._bar is not None:
            self._bar.console.print(line, markup=False, highlight=False)
        else:
            self._stream.write(line)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

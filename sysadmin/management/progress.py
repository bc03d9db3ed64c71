"""Progress of a command on stderr: bars on a terminal, plain ``stage n/total`` lines off it."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

#: Between two plain lines.
SECONDS = 2.0


class Display:
    """Shows stages, one after the other or side by side. ``stream``: stderr, or what stands for it."""

    def __init__(self, stream: Any, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._began: dict[str, float] = {}
        self._last = clock()

    def __enter__(self) -> Display:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None

    def tell(self, line: str) -> None:
        """A line that stays."""
        if self._bar:
            self._bar.console.print(line, markup=False, highlight=False)
        else:
            self._stream.write(line)

    def show(self, stage: str, done: int, total: int, *, unit: str = "", words: str = "", each: bool = False) -> None:
        """How far a stage is. Off a terminal a line every two seconds, with ``each`` a line every time.

        ``words`` follow; without them, the time that is left is estimated.
        """
        now = self._clock()
        began = self._began.setdefault(stage, now)
        words = words or _left(now - began, done, total)
        if self._stream.isatty():
            self._draw(stage, done, total, words)
            return
        is_end = done >= total and now - began >= SECONDS
        if each or is_end or now - self._last >= SECONDS:
            self._last = now
            self._stream.write(f"{stage} {done}/{total}{f' {unit}' if unit else ''}{f', {words}' if words else ''}")

    def _draw(self, stage: str, done: int, total: int, words: str) -> None:
        if self._bar is None:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[words]}"),
            )
            # Django wraps the stream; rich asks the terminal itself for its width.
            self._bar = Progress(*columns, console=Console(file=getattr(self._stream, "_out", self._stream)))
            self._bar.start()
        if stage not in self._tasks:
            self._tasks[stage] = self._bar.add_task(stage, total=total, words="")
        self._bar.update(self._tasks[stage], completed=done, total=total, words=words)


def _left(spent: float, done: int, total: int) -> str:
    if not 0 < done < total or spent <= 0:
        return ""
    seconds = int(spent * (total - done) / done)
    return f"about {seconds // 60}:{seconds % 60:02d} left"

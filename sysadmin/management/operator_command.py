"""What all commands of ours share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TextIO, cast

from django.core.management.base import BaseCommand, OutputWrapper

from moeen.db.errors import shown


class Plain(OutputWrapper):
    """What is written to it steers no terminal, whoever has given a name or a label: a database, a file, a backup."""

    def write(  # type: ignore[override]
        self, msg: str = "", style_func: Callable[[str], str] | None = None, ending: str | None = None
    ) -> None:
        super().write(shown(msg), style_func, ending)


class OperatorCommand(BaseCommand):
    """It runs without the project's checks, which read the admin's pages: `check` and `migrate` tell what they find."""

    requires_system_checks: list[str] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stdout, self.stderr = (Plain(cast(TextIO, stream._out)) for stream in (self.stdout, self.stderr))
        self.stderr.style_func = self.style.ERROR

"""How a command ended: its exit code, and what is printed, logged and told of it."""

from __future__ import annotations

import json
import os
import re
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError, SystemCheckError

from moeen.db import alarm, logs
from moeen.db.codes import Code
from moeen.db.errors import DONE, FAILED, FINDINGS, INTERRUPTED, USAGE, MoeenError
from moeen.db.explain import explain
from moeen.db.version import project_version
from moeen.env import Environment

#: Command -> the log that gets a line about each of its ends, refusals and failed connections included.
LOGS = {
    "migrate": "migration",
    "backfill_public_ids": "backfill",
    "remint_public_ids": "backfill",
    "validate_schema": "validation",
    **dict.fromkeys(("backup_database", "verify_backup", "restore_database", "prune_backups"), "backup"),
}
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_ASKING = {"-h", "--help", "--version"}


def _interrupted(error: BaseException) -> KeyboardInterrupt | None:
    """The interruption behind what tidying up after it met, such as a connection that was still at work."""
    at: BaseException | None = error
    while at is not None and not isinstance(at, MoeenError):
        if isinstance(at, KeyboardInterrupt):
            return at
        at = at.__cause__ or at.__context__
    return None


@dataclass(frozen=True)
class Ending:
    """`exit_code` as the README lists them. Of a failure: `kind` (its class), `code` (see docs/troubleshooting.md),
    `cause` and `next_step`; all "" where nothing went wrong, `cause` also where the command said it itself."""

    exit_code: int = DONE
    kind: str = ""
    code: str = ""
    cause: str = ""
    next_step: str = ""

    @classmethod
    def of(cls, error: BaseException | None) -> Ending:
        """As the error says."""
        if error is None:
            return cls()
        if isinstance(error, SystemExit):
            return cls._of_exit(error)
        error = _interrupted(error) or error
        known = explain(error)
        if known is not None:
            return cls(known.exit_code, type(error).__name__, known.code, known.cause, known.next_step)
        if isinstance(error, CommandError):
            code = Code.CHECKS if isinstance(error, SystemCheckError) else Code.DJANGO
            code = Code.USAGE if error.returncode == USAGE else code
            step = "`manage.py help COMMAND` shows how a command is called; `manage.py help` lists them."
            words = _COLOUR.sub("", str(error)).removeprefix("SystemCheckError: ").strip()
            return cls(error.returncode, type(error).__name__, code, words, step)
        step = "Run the command again with --traceback, and report it."
        return cls(FAILED, type(error).__name__, Code.UNFORESEEN, _unforeseen(error), step)

    @classmethod
    def _of_exit(cls, error: SystemExit) -> Ending:
        code = error.code if isinstance(error.code, int) else FAILED if error.code else DONE
        if code == DONE:
            return cls()
        kind = {USAGE: "usage", FINDINGS: "findings"}.get(code, "exit")
        return cls(code, kind, Code.USAGE if code == USAGE else "", str(getattr(error, "summary", "")))

    def pretty(self) -> str:
        """For people: the cause with the code at the end of its first line, then the next step."""
        first, *more = self.cause.split("\n")
        if self.exit_code != INTERRUPTED:
            first = f"Error: {first}{f' [{self.code}]' if self.code else ''}"
        return "\n".join([first, *more, *([self.next_step] if self.next_step else [])])

    def as_json(self) -> str:
        said = {name: value for name, value in asdict(self).items() if name != "kind"}
        return json.dumps({"version": project_version(), "error": said}, ensure_ascii=False, indent=2)


class Watched:
    """stdout, and whether anything was written to it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self.used = stream, False

    def write(self, text: str) -> int:
        self.used = self.used or bool(text.strip())
        return self._stream.write(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def log(words: list[str], ending: Ending) -> None:
    """One line in the command's log; none for a mere `--help`, and none where the settings name no folder."""
    if words[1:2] == [] or words[1] not in LOGS or _ASKING.intersection(words):
        return
    try:
        log = logs.logger(LOGS[words[1]])
    except ImproperlyConfigured:
        return
    said = {name: value for name, value in asdict(ending).items() if value != ""}
    write: Callable[..., None] = log.error if ending.exit_code not in (DONE, FINDINGS) else log.info
    write("ended", extra={"command": words[1], **said})


def tell(words: list[str], ending: Ending) -> None:
    """Tell whom ON_FAILURE or ON_SUCCESS names; what goes wrong with that is one line and changes nothing."""
    if not alarm.concerns(words):  # DRY_RUN has added its option by now.
        return
    message = ending.pretty().removeprefix("Error: ") if ending.cause else ""
    if ending.exit_code and not message:
        message = "It said why on stderr."
    name = "ON_FAILURE" if ending.exit_code else "ON_SUCCESS"
    try:
        receiver = _setting(name)
        event = alarm.Event(words[1], database(words), ending.exit_code, ending.kind, message)
        wrong = receiver and alarm.tell(receiver, event)
    except Exception as trouble:
        wrong = Ending.of(trouble).cause.splitlines()[0]
    if wrong:
        print(f"{name}: nobody was told: {wrong}.", file=sys.stderr)


def database(words: list[str]) -> str:
    """The name of the database that a command line is about, "" where the settings do not tell it."""
    given = [word.partition("=")[2] or following for word, following in zip(words, [*words[1:], ""], strict=True)
             if word.partition("=")[0] == "--database"]  # fmt: skip
    try:
        return str(settings.DATABASES[given[-1] if given else "default"]["NAME"])
    except (ImproperlyConfigured, KeyError):
        return ""


def _setting(name: str) -> str:
    try:
        return str(getattr(settings, name))
    except ImproperlyConfigured:
        # Another setting is malformed, which is a failure to be told as well.
        return Environment(Path(__file__).resolve().parent.parent / ".env").receiver(name)


def _unforeseen(error: BaseException) -> str:
    """Where it happened, and what. The words of other errors than these could repeat what a row holds."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {os.path.relpath(frames[-1].filename)}, line {frames[-1].lineno}" if frames else ""
    words = f" ({error})" if isinstance(error, ImportError | SyntaxError | OSError) else ""
    return f"unforeseen {type(error).__name__}{place}{words}."

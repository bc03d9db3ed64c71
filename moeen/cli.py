"""The command line: Django's, with one message and an exit code in place of a traceback.

0 done, 1 failed, 2 wrong usage or configuration, 3 findings or a refusal, 130 cancelled. `--traceback` shows
where an error comes from.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import traceback
from pathlib import Path

import django
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import ManagementUtility
from django.core.management.base import BaseCommand, CommandError

from moeen import dry_run
from moeen.db import alarm
from moeen.db.archiving import keeping
from moeen.db.errors import DONE, FAILED, FINDINGS, INTERRUPTED, USAGE
from moeen.db.explain import explain
from moeen.db.interruption import interruptible
from moeen.db.security import identity
from moeen.env import Environment

#: Commands that serve requests: what they do unbound is nobody's. All others are an operator's.
SERVING = {"runserver", "testserver"}
#: At the end of these the embedded server is archived, if it runs.
ARCHIVED = {"migrate", "embedded_server", "backup_database", "list_backups", "doctor"}


class CommandLine(ManagementUtility):
    """Django's, except that an unknown command is wrong usage, as a wrong option is, and `version` is a command."""

    def execute(self) -> None:
        if self.argv[1:2] == ["version"] or self.argv[1:] == ["--version"]:
            # Django would answer with its own version, and nothing else.
            django.setup()
            self.fetch_command("version").run_from_argv([self.argv[0], "version", *self.argv[2:]])
        else:
            super().execute()

    def fetch_command(self, subcommand: str) -> BaseCommand:
        try:
            command = super().fetch_command(subcommand)
            if self.argv[1:2] == [subcommand]:  # it is to run; `help` fetches a command to tell of it
                self.argv[2:2] = dry_run.words(command, subcommand, given=self.argv[2:])
            return command
        except SystemExit:
            sys.exit(USAGE)
        finally:
            # Everything is loaded; none of it is garbage, and the collector need never look at it again.
            gc.freeze()
            gc.enable()


def main(argv: list[str] | None = None) -> int:
    """Run a command of `manage.py` and return its exit code. Usage errors leave through SystemExit, as in
    Django."""
    words = list(sys.argv if argv is None else argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "moeen.settings")
    if SERVING.isdisjoint(words[1:2]):
        identity.operate()
    if "--traceback" not in words:
        # runserver works in a thread, where an error would otherwise end in the interpreter's own traceback.
        threading.excepthook = _report_thread
    try:
        return _watched(words) if alarm.concerns(words) else _run(words)
    finally:
        if words[1:2] and words[1] in ARCHIVED:
            _ensure_archiving()


def _ensure_archiving() -> None:
    try:
        keeping.ensure()
    except Exception as trouble:
        print(f"Archiving did not start: {_said(trouble)[0]}", file=sys.stderr)


def _watched(words: list[str]) -> int:
    """The same, and its end is told to whom ON_FAILURE or ON_SUCCESS names. SIGTERM ends it as Ctrl-C does."""
    ended: list[BaseException] = []
    try:
        with interruptible():
            code = _run(words, ended=ended)
    except BaseException as error:
        _tell(words, error)
        raise
    _tell(words, ended[0] if ended else None)
    return code


def _run(words: list[str], *, ended: list[BaseException] | None = None) -> int:
    """The exit code, once what went wrong is printed; with --traceback, and where Django exits, it is raised."""
    try:
        CommandLine(words).execute()
    except (Exception, KeyboardInterrupt) as error:
        if "--traceback" in words:
            raise
        if ended is not None:
            ended.append(error)
        if isinstance(error, BrokenPipeError):
            # The reader of our output has gone, as in `manage.py ... | head`; nothing more can be said.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        return report(error)
    return DONE


def report(error: BaseException) -> int:
    """Print the explanation of an error to stderr and return the exit code."""
    message, code = _said(error)
    prefix = "" if code == INTERRUPTED else "Error: "
    print(f"{prefix}{message}", file=sys.stderr)
    return code


def _said(error: BaseException) -> tuple[str, int]:
    """What is said of it, and the exit code."""
    known = explain(error)
    if known is not None:
        return f"{known.cause}\n{known.next_step}" if known.next_step else known.cause, known.exit_code
    if isinstance(error, CommandError):
        return str(error), error.returncode
    return _unforeseen(error), FAILED


def _tell(words: list[str], error: BaseException | None) -> None:
    """Tell how the command ended; what goes wrong with that is one line and changes nothing."""
    if not alarm.concerns(words):  # DRY_RUN has added its option by now.
        return
    kind, message, code = "", "", DONE
    # Django prints a CommandError itself, and exits.
    if isinstance(error, SystemExit) and isinstance(error.__context__, CommandError):
        error = error.__context__
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else FAILED if error.code else DONE
        kind = {USAGE: "usage", FINDINGS: "findings"}.get(code, "exit") if code else ""
        message = str(getattr(error, "summary", "")) or ("It said why on stderr." if code else "")
    elif error is not None:
        kind, (message, code) = type(error).__name__, _said(error)
    name = "ON_FAILURE" if code else "ON_SUCCESS"
    try:
        receiver = _setting(name)
        wrong = receiver and alarm.tell(receiver, alarm.Event(words[1], _database(words), code, kind, message))
    except Exception as trouble:
        wrong = _said(trouble)[0].splitlines()[0]
    if wrong:
        print(f"{name}: nobody was told: {wrong}.", file=sys.stderr)


def _setting(name: str) -> str:
    try:
        return str(getattr(settings, name))
    except ImproperlyConfigured:
        # Another setting is malformed, which is a failure to be told as well.
        return Environment(Path(__file__).resolve().parent.parent / ".env").receiver(name)


def _database(words: list[str]) -> str:
    """The name of the database that a command line is about, "" where the settings do not tell it."""
    given = [word.partition("=")[2] or following for word, following in zip(words, [*words[1:], ""], strict=True)
             if word.partition("=")[0] == "--database"]  # fmt: skip
    try:
        return str(settings.DATABASES[given[-1] if given else "default"]["NAME"])
    except (ImproperlyConfigured, KeyError):
        return ""


def _unforeseen(error: BaseException) -> str:
    """Where it happened, and what. The words of other errors than these could repeat what a row holds."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {os.path.relpath(frames[-1].filename)}, line {frames[-1].lineno}" if frames else ""
    words = f" ({error})" if isinstance(error, ImportError | SyntaxError | OSError) else ""
    step = "Run the command again with --traceback, and report it."
    return f"unforeseen {type(error).__name__}{place}{words}.\n{step}"


def _report_thread(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_value is not None and not isinstance(arguments.exc_value, SystemExit):
        report(arguments.exc_value)

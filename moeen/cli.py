"""The command line: Django's, with one message and an exit code in place of a traceback.

0 done, 1 failed, 2 wrong usage or configuration, 3 findings or a refusal, 130 cancelled. `--traceback` shows
where an error comes from.
"""

from __future__ import annotations

import gc
import io
import os
import sys
import threading
from contextlib import nullcontext
from difflib import get_close_matches
from functools import partial
from typing import Any, NoReturn, TextIO, cast

import django
from django.conf import settings
from django.core.management import ManagementUtility, get_commands
from django.core.management.base import BaseCommand, CommandParser

from moeen import dry_run
from moeen.db import logs
from moeen.db.archiving import keeping
from moeen.db.errors import DONE, FAILED, USAGE, MoeenError
from moeen.db.interruption import interruptible
from moeen.db.security import identity
from moeen.ending import Ending, Watched, database, log, tell

#: Commands that serve requests: what they do unbound is nobody's. All others are an operator's.
SERVING = {"runserver", "testserver"}
#: At the end of these the embedded server is archived, if it runs.
ARCHIVED = {"migrate", "embedded_server", "backup_database", "list_backups", "doctor"}


class CommandLine(ManagementUtility):
    """Django's, but what it would print of an error and end with is raised, and told by `main` as any other is; and
    `version` is a command."""

    def execute(self) -> None:
        if self.argv[1:2] == ["version"] or self.argv[1:] == ["--version"]:
            # Django would answer with its own version, and nothing else.
            django.setup()
            self.fetch_command("version").run_from_argv([self.argv[0], "version", *self.argv[2:]])
        else:
            super().execute()

    def fetch_command(self, subcommand: str) -> BaseCommand:
        try:
            if subcommand not in get_commands():
                raise _unknown(subcommand)
            command = super().fetch_command(subcommand)
            if self.argv[1:2] == [subcommand]:  # it is to run; `help` fetches a command to tell of it
                self.argv[2:2] = dry_run.words(command, subcommand, given=self.argv[2:])
            command.create_parser = partial(_parser, command.create_parser)  # type: ignore[method-assign]
            return command
        finally:
            # Everything is loaded; none of it is garbage, and the collector need never look at it again.
            gc.freeze()
            gc.enable()


def _unknown(command: str) -> MoeenError:
    _ = settings.INSTALLED_APPS  # where the settings are malformed, no app's commands are known: that is told
    near = get_close_matches(command, get_commands(), n=1)
    return MoeenError(
        f"There is no command {command!r}.{f' Did you mean {near[0]}?' if near else ''}",
        next_step="`manage.py help` lists them.",
        exit_code=USAGE,
    )


def _parser(create: Any, program: str, command: str, **kwargs: Any) -> CommandParser:
    """The command's parser. Wrong usage is raised; so is a CommandError, as where --traceback asks for it."""

    def refuse(message: str) -> NoReturn:
        raise MoeenError(
            f"{message[:1].upper()}{message[1:].rstrip('.')}.",
            next_step=f"`manage.py {command} --help` shows how it is called.",
            exit_code=USAGE,
        )

    parser: CommandParser = create(program, command, **kwargs)
    parser.error = refuse  # type: ignore[method-assign]
    parser.set_defaults(traceback=True)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run a command of `manage.py` and return its exit code. What a command ends by itself leaves through SystemExit,
    as in Django."""
    words = list(sys.argv if argv is None else argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "moeen.settings")
    if SERVING.isdisjoint(words[1:2]):
        identity.operate()
    if os.environ.get("NO_COLOR"):  # rich hears it by itself
        os.environ["DJANGO_COLORS"] = "nocolor"
    if "--traceback" not in words:
        # runserver works in a thread, where an error would otherwise end in the interpreter's own traceback.
        threading.excepthook = _report_thread
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # into a pipe, too, so that it stands in order with stderr
    out = Watched(sys.stdout)
    if "--json" in words:
        sys.stdout = cast(TextIO, out)
    logs.about(partial(database, words))
    try:
        # A server ends by signals of its own.
        with nullcontext() if not SERVING.isdisjoint(words[1:2]) else interruptible():
            CommandLine(words).execute()
    except BrokenPipeError:
        # The reader of our output has gone, as in `manage.py ... | head`; nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _end(words, Ending(FAILED, "BrokenPipeError", cause="Whoever read the output has gone."))
        return FAILED
    except BaseException as error:
        ending = Ending.of(error)
        printed = "--traceback" not in words and isinstance(error, Exception | KeyboardInterrupt)
        if printed:
            print(ending.pretty(), file=sys.stderr)
        # A command that has printed its document has said there what it found.
        if "--json" in words and ending.cause and not out.used:
            print(ending.as_json())
        _end(words, ending)
        if not printed:
            raise
        return ending.exit_code
    _end(words, Ending())
    return DONE


def _end(words: list[str], ending: Ending) -> None:
    log(words, ending)
    tell(words, ending)
    if words[1:2] and words[1] in ARCHIVED:
        try:
            keeping.ensure()
        except Exception as trouble:
            why = Ending.of(trouble).cause
            if why != ending.cause:  # else it is said already
                print(f"Archiving did not start: {why}", file=sys.stderr)


def _report_thread(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_value is not None and not isinstance(arguments.exc_value, SystemExit):
        print(Ending.of(arguments.exc_value).pretty(), file=sys.stderr)

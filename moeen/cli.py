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

import django
from django.core.management import ManagementUtility
from django.core.management.base import BaseCommand, CommandError

from moeen import dry_run
from moeen.db.errors import DONE, FAILED, INTERRUPTED, USAGE
from moeen.db.explain import explain
from moeen.db.security import identity

#: Commands that serve requests: what they do unbound is nobody's. All others are an operator's.
SERVING = {"runserver", "testserver"}


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
    if "--traceback" in words:
        CommandLine(words).execute()
        return DONE
    # runserver works in a thread, where an error would otherwise end in the interpreter's own traceback.
    threading.excepthook = _report_thread
    try:
        CommandLine(words).execute()
    except KeyboardInterrupt as error:
        return report(error)
    except BrokenPipeError:
        # The reader of our output has gone, as in `manage.py ... | head`; nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        return report(error)
    return DONE


def report(error: BaseException) -> int:
    """Print the explanation of an error to stderr and return the exit code."""
    known = explain(error)
    if known is not None:
        message, code = known.cause, known.exit_code
        if known.next_step:
            message += f"\n{known.next_step}"
    elif isinstance(error, CommandError):
        message, code = str(error), error.returncode
    else:
        message, code = _unforeseen(error), FAILED
    prefix = "" if code == INTERRUPTED else "Error: "
    print(f"{prefix}{message}", file=sys.stderr)
    return code


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

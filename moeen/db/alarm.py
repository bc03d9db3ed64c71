"""Somebody is told how a command ended: a URL that gets JSON, or a command that is run with it.

What is told are names, an outcome and words for people; nothing of a row and no secret. Telling is bounded in time and
never fails what it tells of: what goes wrong with it is one line.
"""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from os import environ, killpg
from urllib.parse import urlsplit

from moeen.db.errors import DONE, FAILED, FINDINGS, INTERRUPTED, USAGE
from moeen.db.version import project_version

#: The commands whose end is told.
WATCHED = frozenset(
    (
        "backup_database",
        "verify_backup",
        "list_backups",
        "prune_backups",
        "restore_database",
        "migrate",
        "seal_audit_log",
        "verify_audit_log",
        "prune_audit_log",
        "import_database",
    )
)
#: The actions of `fleet` that do something.
FLEET = frozenset(("migrate", "backfill", "backup", "verify", "validate"))
FORM = "https://HOST/PATH, or a command with its arguments; {command} stands for the command's name"
SECONDS = 10.0
_OUTCOMES = {DONE: "done", FAILED: "failed", USAGE: "wrong usage", FINDINGS: "findings", INTERRUPTED: "cancelled"}
#: With these a command only says something, and so nothing was done or failed.
_SAYING = frozenset(("--plan", "--dry-run", "--check", "--help", "-h", "--version"))
_URL = re.compile(r"https?://[^\s/?#@]+(?:[/?#]\S*)?", re.ASCII)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
_LONGEST = 2000
# What a command gets of our environment: where to find programs, and how to write. The rest may hold secrets.
_PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR")


@dataclass(frozen=True)
class Event:
    """How a command ended. `kind` and `message` are of the error, "" where there is none; `at` is UTC."""

    command: str
    database: str
    exit_code: int
    kind: str = ""
    message: str = ""
    outcome: str = ""
    version: str = field(default_factory=project_version)
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def as_json(self) -> str:
        told = asdict(self)
        told["outcome"] = self.outcome or _OUTCOMES.get(self.exit_code, "failed")
        told["message"] = _without_passwords(self.message)[:_LONGEST]
        return json.dumps(told, ensure_ascii=False)


def concerns(words: Sequence[str]) -> bool:
    """Whether the end of this command line (the program's name first) is to be told."""
    command, action = [*words, "", "", ""][1:3]
    parts = {"archive": {"check"}, "fleet": FLEET}
    watched = command in WATCHED or action in parts.get(command, ())
    return watched and _SAYING.isdisjoint(words[2:])


def is_receiver(text: str) -> bool:
    """Whether it is a URL of http or https without a password, or a command."""
    if _SCHEME.match(text):
        return _URL.fullmatch(text) is not None
    try:
        return bool(shlex.split(text))
    except ValueError:
        return False


def tell(receiver: str, event: Event) -> str:
    """Tell it. Returns "" or what went wrong, without the receiver's address: that may be a secret."""
    try:
        receiver = receiver.replace("{command}", event.command)
        if _SCHEME.match(receiver):
            return _post(receiver, event)
        return _run(shlex.split(receiver), event)
    except (OSError, ValueError) as error:
        return f"{type(error).__name__}{f' ({error.strerror})' if isinstance(error, OSError) else ''}"


def _run(command: list[str], event: Event) -> str:
    """The event on standard input, and each part of it as MOEEN_PART."""
    document = event.as_json()
    parts = {f"MOEEN_{name.upper()}": str(value).replace("\0", "") for name, value in json.loads(document).items()}
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={name: environ[name] for name in _PASSED_ON if name in environ} | parts,
        # What it starts ends with it, when it takes too long.
        start_new_session=True,
    )
    try:
        process.communicate(document.encode(), timeout=SECONDS)
    except BaseException as error:
        with suppress(ProcessLookupError):
            killpg(process.pid, signal.SIGKILL)
        process.wait()
        if isinstance(error, subprocess.TimeoutExpired):
            return f"the command took longer than {SECONDS:.0f} s"
        raise
    return f"the command ended with {process.returncode}" if process.returncode else ""


def _post(url: str, event: Event) -> str:
    # A server that answers drop by drop never times out by itself.
    answers = ["no answer in time"]
    thread = threading.Thread(target=lambda: answers.append(_answer(url, event)), name="alarm", daemon=True)
    thread.start()
    thread.join(SECONDS)
    return answers[-1]


def _answer(url: str, event: Event) -> str:
    # Only here: most commands end well, or are not watched.
    from http.client import HTTPException
    from urllib import error, request

    class Direct(request.HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            """To another place than the one that was named, nothing is told."""

    host = urlsplit(url).hostname
    headers = {"Content-Type": "application/json", "User-Agent": f"moeen/{event.version}"}
    try:
        question = request.Request(url, event.as_json().encode(), headers, method="POST")
        with request.build_opener(Direct).open(question, timeout=SECONDS):
            return ""
    except error.HTTPError as refusal:
        refusal.close()
        return f"{host} answered {refusal.code}"
    except (OSError, HTTPException, ValueError) as cause:
        return f"{host} cannot be reached ({type(getattr(cause, 'reason', cause)).__name__})"


def _without_passwords(text: str) -> str:
    text = re.sub(r"(\w[\w+.-]*://)[^\s/@]*@", r"\1***@", text)
    return re.sub(r"(?i)(password\s*=\s*)('(?:[^'\\]|\\.)*'|\S+)", r"\1***", text)

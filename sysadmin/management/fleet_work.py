"""What is done for one clinic of a fleet, in a worker: the single commands themselves, called one after the other."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from io import StringIO, TextIOBase
from typing import Any

import django
from django.core.management import call_command

from moeen.db import logs
from moeen.db.backups.origin import LATEST
from moeen.db.errors import DONE, FAILED
from moeen.db.explain import explain
from moeen.db.fleet import memory
from moeen.db.fleet.stalls import Stalls
from moeen.db.fleet.workers import Job, Outcome, Tell, Work
from moeen.db.security import identity
from sysadmin.management.backup_console import Found

ALIAS = "clinic"
#: Lines of doctor that are about this installation, and not about the clinic's database.
_HERE = frozenset({"web", "archive", "alarm", "settings", "REST"})
#: What a receipt is kept of; the rest is long, or said elsewhere.
_KEPT = ("backup", "applied", "retries", "fingerprint", "rows", "id", "ok", "complete", "lines")


def prepare() -> Work:
    """Django in a process that nobody has set up yet, as an operator's."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "moeen.settings")
    identity.operate()
    django.setup()
    return work


@dataclass
class _Clinic:
    """One clinic's turn. ``given``: options of the command; ``receipt``: what the commands said of themselves."""

    given: Mapping[str, Any]
    tell: Tell
    receipt: dict[str, Any] = field(default_factory=dict)

    def call(self, name: str, *words: str, **options: Any) -> Any:
        """What the command prints as JSON. The receipt takes it in, also where the command ends with findings."""
        out = StringIO()
        # Quiet, Django does not look each time whether the models are ahead of the migrations, which takes a while.
        options |= {"database": ALIAS, "json": True, "stdout": out, "stderr": _Lines(self.tell)}
        try:
            call_command(name, *words, **{"verbosity": self.given.get("verbosity", 0)} | options)
        finally:
            said = json.loads(out.getvalue() or "{}")
            if isinstance(said, dict):
                self.receipt |= said
        return said


def work(job: Job, tell: Tell) -> Outcome:
    """Do it. Whatever is raised is the outcome."""
    started = time.monotonic()
    exit_code, reason, stall = DONE, "", None
    logs.about(lambda: job.login.database)
    clinic, stalls = _Clinic(job.options, tell), Stalls(job.login)
    learned: list[memory.Learned] = []
    try:
        with memory.learning(learned), stalls, job.login.in_django(ALIAS):
            reason = _COMMANDS[job.command](clinic)
    except SystemExit as ending:
        exit_code = int(ending.code or DONE)
        reason = str(getattr(ending, "summary", "")) or _findings(clinic.receipt)
    except Exception as error:
        known = explain(error, named="its URL")
        exit_code = known.exit_code if known else FAILED
        reason = str(known) if known else f"unforeseen {type(error).__name__}"
    else:
        stall = stalls.longest
    receipt = {key: clinic.receipt[key] for key in _KEPT if key in clinic.receipt}
    return Outcome(
        exit_code=exit_code, reason=reason, seconds=time.monotonic() - started, stall=stall, receipt=receipt,
        place=stalls.place, known=tuple(learned),
    )  # fmt: skip


def _migrate(clinic: _Clinic) -> str:
    """migrate; where rows wait for public ids then, the backfill, and the whole schema looked at once more."""
    receipt = clinic.call("migrate", interactive=False, **clinic.given)
    if receipt["lacking"]:
        clinic.call("backfill_public_ids")
        clinic.call("validate_schema")
    elif receipt["findings"]:
        return f"{len(receipt['findings'])} differences: {receipt['findings'][0]}, ..."
    return ""


def _plan(clinic: _Clinic) -> str:
    statements = clinic.call("migrate", plan=True, interactive=False, **clinic.given)["statements"]
    clinic.receipt["applied"] = sorted({one["migration"] for one in statements})
    blocking = sum(one["verdict"] == "blocking" for one in statements)
    if not statements:
        return "nothing to do"
    words = f"{len(clinic.receipt['applied'])} migrations to go, {len(statements)} statements"
    return f"{words}{f', {blocking} of them stop readers or writers' if blocking else ''}"


def _backfill(clinic: _Clinic) -> str:
    tables = clinic.call("backfill_public_ids", **clinic.given)["tables"]
    filled, missing = (sum(table[name] for table in tables) for name in ("rows_filled", "rows_missing"))
    return f"{filled:,} of {missing:,} rows filled" if missing else "nothing is missing"


def _backup(clinic: _Clinic) -> str:
    made = clinic.call("backup_database", label="fleet", **clinic.given)
    return f"{made['id']}, {made['rows']:,} rows"


def _verify(clinic: _Clinic) -> str:
    return str(clinic.call("verify_backup", LATEST, **clinic.given)["id"])


def _validate(clinic: _Clinic) -> str:
    clinic.call("validate_schema", **clinic.given)
    return ""


def _doctor(clinic: _Clinic) -> str:
    """Findings are those lines that say fail of the clinic."""
    with suppress(SystemExit):
        clinic.call("doctor", **clinic.given)
    lines = [line for line in clinic.receipt["lines"] if line["name"] not in _HERE and line["state"] != "ok"]
    clinic.receipt["lines"] = lines
    said = "; ".join(f"{line['name']} {line['state']}: {line['says']}" for line in lines)
    if any(line["state"] == "fail" for line in lines):
        raise Found(said)
    return said


_COMMANDS: Mapping[str, Callable[[_Clinic], str]] = {
    "plan": _plan,
    "migrate": _migrate,
    "backfill": _backfill,
    "backup": _backup,
    "verify": _verify,
    "validate": _validate,
    "doctor": _doctor,
}


def _findings(receipt: Mapping[str, Any]) -> str:
    """The first ones, in words."""
    found = receipt.get("findings") or []
    first = ", ".join(f"{one['kind']} {one['object']}" for one in found[:3])
    return f"{len(found)} findings: {first}{', ...' if len(found) > 3 else ''}"


class _Lines(TextIOBase):
    """Takes what a command says on stderr, and tells it line by line."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def write(self, text: str) -> int:
        for line in text.splitlines():
            if line.strip():
                self._tell(line)
        return len(text)

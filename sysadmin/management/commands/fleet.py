"""`manage.py fleet`: many clinics, each a database of its own."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.loader import MigrationLoader

from moeen.db.codes import Code
from moeen.db.errors import DONE, FAILED, USAGE, MoeenError
from moeen.db.fleet import clinics, rollout, runs, status, workers
from moeen.db.fleet.memory import Memory
from moeen.db.history.own_apps import own_apps
from sysadmin.management import fleet_console, fleet_work
from sysadmin.management.arguments import Reason, positive, seconds, whole
from sysadmin.management.backup_console import BackupCommand, Found
from sysadmin.management.progress import Display

ACTIONS = ("status", "plan", "migrate", "backfill", "backup", "verify", "validate", "doctor", "pause", "resume")
#: Those that go in waves, each only after a clean one.
GATED = ("migrate", "backfill")
_RUNS = tuple(action for action in ACTIONS if action not in ("status", "pause", "resume"))
#: Options that not every action takes -> those that do.
_TAKEN = {
    "where": ("status", *_RUNS), "skip": _RUNS, "reason": _RUNS, "anew": _RUNS, "side_by_side": _RUNS,
    "per_server": _RUNS, "wave_size": GATED, "max_failures": GATED, "stall_limit": GATED,
    "dry_run": ("plan", *GATED), "no_backup": ("migrate",), "no_rehearsal": ("plan", "migrate"),
    "store": ("status", "backup", "verify"),
}  # fmt: skip


class Command(BackupCommand):
    help = (
        "Looks after many clinics, which a file names (docs/fleet.md). status: how each stands, those out of step "
        "first. plan, migrate, backfill, backup, verify, validate, doctor: the command of that name for each clinic, "
        "some side by side. migrate and backfill go in waves, canaries first; a wave begins only when all of the one "
        "before went through and no client waited long. pause and resume: the run that is at work. Stopped or killed, "
        "the same words go on where it was. Exit code 1: a clinic failed; 3: one is out of step, was refused, or a "
        "wave was not clean."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=ACTIONS)
        words = "only clinics with this tag or name; may be repeated"
        parser.add_argument("--where", action="append", default=[], metavar="TAG", help=words)
        words = "the file that names the clinics (FLEET_FILE; fleet.toml in the project)"
        parser.add_argument("--fleet", type=Path, metavar="FILE", help=words)
        parser.add_argument("--json", action="store_true", help="print one JSON document")
        self.add_store(parser, "--from")
        words = "change nothing: in place of migrate the plan, and what a backfill would do"
        parser.add_argument("--dry-run", action="store_true", help=words)
        words = "so many clinics at once in all (default: one for each processor)"
        parser.add_argument("--side-by-side", type=positive, default=os.cpu_count() or 1, metavar="N", help=words)
        words = "and so many on one server (default: 2)"
        parser.add_argument("--per-server", type=positive, default=2, metavar="N", help=words)
        words = "clinics in a wave, after the canaries and the tags of `waves` (default: 50)"
        parser.add_argument("--wave-size", type=positive, default=50, metavar="N", help=words)
        words = "go on although so many have failed, canaries aside (default: 0)"
        parser.add_argument("--max-failures", type=whole, default=0, metavar="N", help=words)
        words = "how long a client may wait for a lock of ours before the next wave is held back (default: 1.0)"
        parser.add_argument("--stall-limit", type=seconds, default=1.0, metavar="SECONDS", help=words)
        words = "leave this clinic out; needs --reason; may be repeated"
        parser.add_argument("--skip", action="append", default=[], metavar="NAME", help=words)
        parser.add_argument("--reason", action=Reason, metavar="TEXT", help="why; it is recorded. No patient data")
        words = "begin at the first wave, though an earlier run is not finished"
        parser.add_argument("--anew", action="store_true", help=words)
        words = "migrate without backups, which are otherwise made, and proven by a restore; the reason is recorded"
        parser.add_argument("--no-backup", action=Reason, help=words)
        words = "migrate without rehearsals; the reason is recorded"
        parser.add_argument("--no-rehearsal", action=Reason, help=words)
        self._usual = {name: parser.get_default(name) for name in _TAKEN}

    def handle(self, *args: Any, **options: Any) -> None:
        action = options["action"]
        self._refuse_idle(action, options)
        if action in ("pause", "resume"):
            command = runs.Books(connections[DEFAULT_DB_ALIAS]).pause(paused=action == "pause")
            if options["json"]:
                self.print_json({"command": command, "paused": action == "pause"})
            begun = "begins no further clinic" if action == "pause" else "goes on"
            self.stderr.write(f"The run of {command} {begun}.")
            return
        fleet = clinics.read(options["fleet"] or settings.FLEET_FILE).where(options["where"])
        if action == "status":
            self._status(fleet, options)
        else:
            self._run("plan" if action == "migrate" and options["dry_run"] else action, fleet, options)

    def _refuse_idle(self, action: str, options: dict[str, Any]) -> None:
        """An option that the action would pass over: somebody may rely on it, on --dry-run above all."""
        for name, actions in _TAKEN.items():
            if options[name] != self._usual[name] and action not in actions:
                option = "--from" if name == "store" else f"--{name.replace('_', '-')}"
                raise MoeenError(f"{option} means nothing to {action}.", exit_code=USAGE)

    def _status(self, fleet: clinics.Fleet, options: dict[str, Any]) -> None:
        report = status.look(fleet, store=self.place(options), memory=_memory())
        if options["json"]:
            self.print_json(report.as_dict())
        else:
            self.table(fleet_console.STATUS, [fleet_console.status_row(one) for one in report.clinics])
        for warning in report.warnings:
            self.stderr.write(f"Warning: {warning}")
        self.stderr.write(report.pretty())
        if not report.ok:
            raise Found(report.pretty())

    def _run(self, action: str, fleet: clinics.Fleet, options: dict[str, Any]) -> None:
        skipped = fleet.where(options["skip"]).clinics if options["skip"] else ()
        if bool(skipped) != bool(options["reason"]):
            raise MoeenError("--skip and --reason go together.", exit_code=USAGE)
        books = runs.Books(connections[DEFAULT_DB_ALIAS])
        memory = _memory()
        books.lock()
        try:
            with Display(self.stderr) as display:
                report = rollout.roll(
                    fleet, books, workers.Crew(fleet_work.prepare, size=options["side_by_side"]),
                    rollout.Options(
                        command=action, given=_given(action, options),
                        gated=action in GATED and not options["dry_run"],
                        target=_newest(), selection=" ".join(sorted(options["where"])), anew=options["anew"],
                        wave_size=options["wave_size"], per_server=options["per_server"],
                        max_failures=options["max_failures"], stall_limit=options["stall_limit"],
                        skip={clinic.name: options["reason"] for clinic in skipped},
                        verbose=options["verbosity"] > 1,
                        tell=display.tell if options["verbosity"] else lambda line: None,
                        learn=memory.learn,
                    ),
                )  # fmt: skip
        finally:
            memory.keep()
            books.unlock()
        if options["json"]:
            self.print_json(report.as_dict())
        else:
            self.table(fleet_console.TURNS, fleet_console.turn_rows(report))
        self.stderr.write(report.pretty())
        self._end(report)

    @staticmethod
    def _end(report: rollout.Report) -> None:
        if report.stopped or report.exit_code == FAILED:
            raise MoeenError(
                f"The run of {report.command} over the fleet has {'stopped' if report.stopped else 'failures'}: "
                f"{report.stopped or report.pretty()}",
                next_step="The table says why of each. Mend it, or leave it out: --skip NAME --reason R; then the same "
                "words go on where it was." if report.stopped else "The table says why of each.",
                exit_code=report.exit_code,
                code=Code.FLEET_STOPPED,
            )  # fmt: skip
        if report.exit_code != DONE:
            raise Found(report.pretty())


def _given(action: str, options: dict[str, Any]) -> dict[str, Any]:
    """What the single command is called with."""
    given: dict[str, Any] = {"verbosity": options["verbosity"] if options["verbosity"] > 1 else 0}
    if action in ("plan", "migrate"):
        given |= {"no_rehearsal": options["no_rehearsal"], "lock_wait": 60.0}
    if action == "migrate":
        given |= {"no_backup": options["no_backup"], "verified_backup": not options["no_backup"]}
    if action in ("backup", "verify"):
        given["store"] = options["store"]
    if action == "backfill" and options["dry_run"]:
        given["dry_run"] = True
    return given


def _memory() -> Memory:
    return Memory(Path(settings.BASE_DIR) / ".moeen" / "fleet.json")


def _newest() -> str:
    """The newest migration of each app of ours in this code."""
    loader = MigrationLoader(None)
    newest = dict(sorted(key for key in loader.disk_migrations if key[0] in own_apps(loader)))
    return " ".join(f"{app}.{name}" for app, name in newest.items())

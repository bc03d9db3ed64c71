"""migrate: Django's interface, our runner: locked, surveyed, backed up, retried, checked, recorded."""

from __future__ import annotations

import io
import itertools
import sys
import time
from functools import partial
from typing import Any

from django.conf import settings
from django.core.checks import Tags
from django.core.checks.registry import registry
from django.core.management.base import CommandError, CommandParser, OutputWrapper
from django.core.management.commands import migrate
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader

from moeen.db import backups
from moeen.db.converge import zones
from moeen.db.errors import FINDINGS, USAGE, MoeenError
from moeen.db.migrate import grantees, plan, receipt, runner
from moeen.db.migrate.outline import outline
from moeen.db.migrate.refusals import Findings
from moeen.db.schema import restorable
from moeen.db.security import signing
from sysadmin.management.arguments import Reason, seconds
from sysadmin.management.backup_console import UNITS
from sysadmin.management.json_output import as_json
from sysadmin.management.progress import Display


class Command(migrate.Command):
    help = (
        "Brings a database, empty or years old and full of rows, to the current schema, while it is in use. First it "
        "checks the rights of the role and every table that stands already; what cannot be carried over is listed and "
        "refused (exit code 3). Then the whole run is tried on a twin: "
        "the database's schema without its rows, on a throwaway server; what fails there is listed and refused, and "
        "nothing is changed. A database with rows is backed up. Locks are short and tried again. Interrupted at any "
        "moment, it goes on where it was when run again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--json", action="store_true", help="Print the result as one JSON object.")
        parser.add_argument(
            "--verbose",
            action="store_const",
            const=2,
            dest="verbosity",
            help="With --plan: every statement, whole, with its lock; as --verbosity 2.",
        )
        parser.add_argument(
            "--lock-wait",
            type=seconds,
            default=600.0,
            metavar="SECONDS",
            help="How long to wait while another migration runs (default: 600).",
        )
        parser.add_argument("--no-backup", action=Reason, help="Make no backup; the reason is recorded.")
        parser.add_argument(
            "--no-rehearsal",
            action=Reason,
            help="Do not try the run on a twin of the database first, nor judge by it what SQL of one's own locks; the "
            "reason is recorded.",
        )
        parser.add_argument(
            "--verified-backup",
            action="store_true",
            help="Migrate only after the backup was restored elsewhere and compared, row by row.",
        )
        parser.add_argument(
            "--times-are",
            action="append",
            default=[],
            metavar="[TABLE.COLUMN=]ZONE",
            help="The time zone of times that an older table keeps without one, such as Asia/Riyadh or UTC; for all "
            "columns, or for one. May be repeated.",
        )
        parser.add_argument(
            "--accept-changed",
            default="",
            metavar="APP.NAME",
            help="Record that the file of this applied migration was changed knowingly; needs --reason.",
        )
        firing = parser.add_mutually_exclusive_group()
        firing.add_argument(
            "--hold-triggers",
            action="store_true",
            help="Others' triggers do not fire at the rows whose values adoption fills in.",
        )
        firing.add_argument("--fire-triggers", action="store_true", help="Let them fire.")
        parser.add_argument(
            "--drop-policy",
            action="append",
            default=[],
            metavar="NAME",
            help="Drop the row security policies of this name that others made on tables of ours; may be repeated.",
        )
        parser.add_argument(
            "--keep-policy",
            action="append",
            default=[],
            metavar="NAME",
            help="Keep them, though they open rows to roles of ours; needs --reason; may be repeated.",
        )
        parser.add_argument(
            "--closes-to",
            action="append",
            default=[],
            metavar="ROLE",
            help="This role of the clinic's own (or PUBLIC) may lose the rows that it reads and writes today: row "
            "security closes them to it. May be repeated.",
        )
        parser.add_argument(
            "--keeps",
            action="append",
            default=[],
            metavar="ROLE",
            help="This role keeps them, by policies of its own; --plan prints them. Needs --reason; may be repeated.",
        )
        parser.add_argument(
            "--yes-here",
            action="store_true",
            help="Go on in a database that holds another application's tables and none of ours.",
        )
        parser.add_argument("--reason", action=Reason, help="Why the change is accepted, or the policy or role kept.")
        parser.add_argument(
            "--allow-blocking",
            action="append",
            default=[],
            metavar="APP.NAME",
            help="Let this migration stop readers or writers of a large table; may be repeated.",
        )

    def check(self, *args: Any, **options: Any) -> None:
        """All but the pages and their addresses: nothing to a database, and to read them takes half of the start."""
        options["tags"] = sorted(registry.tags_available() - {Tags.admin, Tags.urls})
        super().check(*args, **options)

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        if options["accept_changed"]:
            self._accept(connection, options)
            return
        self._check_names(options["allow_blocking"])
        for name in ("keep_policy", "keeps"):
            if options[name] and not options["reason"]:
                raise MoeenError(f"--{name.replace('_', '-')} needs --reason.", exit_code=USAGE)
        grantees.check_names(connection, options["closes_to"], options["keeps"])
        said = zones.Zones.parse(options["times_are"])
        zones.check_names(connection, said)
        quiet = options["verbosity"] == 0
        self.display = display = Display(self.stderr)
        run = runner.MigrateOptions(
            lock_wait=options["lock_wait"],
            backup=partial(self._back_up, verified=options["verified_backup"], quiet=quiet),
            no_backup_reason=options["no_backup"],
            no_rehearsal_reason=options["no_rehearsal"],
            hold_triggers=options["hold_triggers"],
            fire_triggers=options["fire_triggers"],
            drop_policies=tuple(options["drop_policy"]),
            keep_policies=dict.fromkeys(options["keep_policy"], options["reason"]),
            closes_to=tuple(options["closes_to"]),
            keeps=dict.fromkeys(options["keeps"], options["reason"]),
            allow_blocking=tuple(options["allow_blocking"]),
            yes_here=options["yes_here"],
            tell=(lambda line: None) if quiet else display.tell,
            confirm=self._confirm if options["interactive"] else lambda losses: True,
        )
        self.run, self.done, self.began = run, 0, 0.0
        started, stdout = time.monotonic(), self.stdout
        if options["json"] or options["plan"] or options["check_unapplied"]:
            self.stdout = OutputWrapper(io.StringIO())  # Django's own lines
        try:
            with display, zones.said(said), runner.safely(migrate, run):
                # Asked what is pending, Django would say it by an exit code alone, which is that of a failure, too.
                asking = options["plan"] or options["check_unapplied"]
                super().handle(*args, **options | {"plan": asking, "check_unapplied": False})
        except CommandError as error:
            if run.loader is None:  # no plan yet: what was asked for is not there
                error.returncode = USAGE
            raise
        finally:
            self.stdout = stdout
        if options["plan"]:
            with zones.said(said):
                self._plan(connection, run, in_json=options["json"])
        elif options["check_unapplied"]:
            names = [str(migration) for migration, _ in run.plan]
            lines = [f"{name} is not applied." for name in names] or ["Nothing is to be applied."]
            self.stdout.write(as_json({"unapplied": names}) if options["json"] else "\n".join(lines))
        else:
            if settings.IDENTITY_KEY_FILE and connection.settings_dict.get("EMBEDDED"):
                signing.keep(connection, settings.IDENTITY_KEY_FILE)
            seconds = time.monotonic() - started
            done = receipt.migrated(connection, run=run.run, validation=run.validation, seconds=seconds)
            if options["json"] or not quiet:
                self.stdout.write(as_json(done.as_dict()) if options["json"] else done.pretty())
        if options["check_unapplied"] and run.plan:
            raise SystemExit(FINDINGS)

    def migration_progress_callback(self, action: str, migration: Any = None, fake: bool = False) -> None:
        if self.verbosity == 0 or not action.startswith(("apply", "unapply")):
            return
        if action.endswith("_start"):
            self.began = time.monotonic()
            return
        self.done += 1
        words = f"{migration}{' faked' if fake else ''} ({time.monotonic() - self.began:.1f} s)"
        self.display.show("migrations", self.done, len(self.run.plan), words=words, each=True)

    def _plan(self, connection: BaseDatabaseWrapper, run: runner.MigrateOptions, *, in_json: bool) -> None:
        """What would be done; where migrate would refuse it, so does the plan, with its reasons."""
        runner.refuse_changed_history(connection, run.loader)
        with self.display:
            verdict = runner.judge(connection, run)
        runner.keep(connection, run, verdict)
        if verdict.refusal is not None and not isinstance(verdict.refusal, Findings | plan.Blocking):
            raise verdict.refusal  # to tell the statements takes the same rights, the same history
        seen = verdict.rehearsal.seen if verdict.rehearsal else ()
        refused = verdict.refusal is not None
        told = plan.describe(connection, run.plan, run.loader, seen=seen, counting=True, refused=refused)
        lost = plan.losses(connection, run.plan, run.loader)
        if in_json:
            document: dict[str, Any] = {
                "statements": [statement.as_dict() for statement in told],
                "losses": lost,
                "grantees": [grantee.as_dict() for grantee in verdict.grantees],
                "feeds": verdict.feeds,
                "refusal": verdict.refusal.as_dict() if verdict.refusal else None,
            }
            self.stdout.write(as_json(document))
        else:
            self._print_plan(told)
            if any(backwards for _, backwards in run.plan):
                self.stdout.write("\n  ".join(["Going back loses:", *lost]) if lost else "Going back loses no rows.")
            for grantee in verdict.grantees:
                self.stdout.write(grantee.pretty(kept=grantee.name in run.keeps))
            for words in verdict.feeds:
                self.stdout.write(words)
        if verdict.refusal is not None:
            raise verdict.refusal
        if verdict.rehearsal is not None and not in_json:
            self.stdout.write(verdict.rehearsal.pretty())

    def _print_plan(self, statements: list[plan.PlannedStatement]) -> None:
        if not statements:
            self.stdout.write("Planned operations:\n  No planned migration operations.")
            return
        self.stdout.write(outline(statements).pretty())
        if self.verbosity < 2:
            self.stdout.write("--verbose lists every statement.")
            return
        for migration, group in itertools.groupby(statements, key=lambda statement: statement.migration):
            self.stdout.write(migration, self.style.MIGRATE_HEADING)
            for statement in group:
                self.stdout.write(statement.pretty())

    def _confirm(self, losses: list[str]) -> bool:
        """Asked on a terminal; off it, --no-input must have said that nobody is there to ask."""
        listed = "\n".join(f"  {loss}" for loss in losses)
        self.stderr.write(f"Reversing drops, with what they hold:\n{listed}")
        if not sys.stdin.isatty():
            self.stderr.write("Say --no-input if that is meant.")
            return False
        return input("Type yes to go on: ").strip().lower() == "yes"

    def _back_up(self, connection: BaseDatabaseWrapper, *, verified: bool, quiet: bool = False) -> str:
        """The backup's id. What a restore of it could not bring back is said; a verified one fails of it."""

        def show(stage: str, done: int, total: int) -> None:
            if not quiet:
                self.display.show(stage, done, total, unit=UNITS.get(stage, "rows"))

        taken = backups.before_migration(connection, label="before migrate", verified=verified, tell=show)
        for finding in () if quiet else restorable.findings(connection)[0]:
            self.display.tell(f"A restore of this backup could not bring back {finding.told()}")
        return taken.id

    def _check_names(self, names: list[str]) -> None:
        known = {".".join(key) for key in MigrationLoader(None).disk_migrations} if names else set()
        for name in names:
            if name not in known:
                raise MoeenError(f"There is no migration {name}; name it as APP.NAME.", exit_code=USAGE)

    def _accept(self, connection: Any, options: dict[str, Any]) -> None:
        app, _, name = options["accept_changed"].partition(".")
        migration = MigrationLoader(connection).disk_migrations.get((app, name))
        if migration is None:
            raise MoeenError(
                f"There is no migration {options['accept_changed']}; name it as APP.NAME.", exit_code=USAGE
            )
        step = runner.accept_changed(connection, migration, reason=options["reason"])
        self.stdout.write(f"Accepted {step.app}.{step.name} as it is now: {step.note}")

"""`manage.py restore_database`: a backup or a moment is put back, into an empty database or in place of a full one."""

from __future__ import annotations

import os
import shlex
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

from moeen.db import backups
from moeen.db.archiving import recovery, standing
from moeen.db.backups import origin, restore, store, trust
from moeen.db.backups.login import Login
from moeen.db.backups.progress import Tell
from moeen.db.backups.salvage import Loss
from moeen.db.errors import USAGE, MoeenError, shown
from moeen.db.explain import named_by
from moeen.db.security import signing
from sysadmin.management.arguments import jobs
from sysadmin.management.backup_console import BackupCommand, Found, summary


class Command(BackupCommand):
    help = (
        "Restores a backup into a new or empty database and verifies it there. With --replace over one that holds "
        "something: that is backed up first, the restored one is swapped in by renaming, and the old one is kept. With "
        "--salvage what cannot be restored is left out, into a new database alone, and a bill says what is missing. "
        "With --at TIME in place of a backup: as it was at that moment, out of the archive (manage.py archive status)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("id", metavar="ID|latest", nargs="?")
        words = (
            'in place of a backup: the moment "2026-11-24 09:30" (the project\'s time zone) of the archive, or latest'
        )
        parser.add_argument("--at", metavar="TIME|latest", help=words)
        words = "a database's name on the project's server, a URL, or env:VARIABLE that holds a URL"
        parser.add_argument("--to", required=True, metavar="URL_OR_NAME", help=words)
        parser.add_argument("--replace", action="store_true", help="also where the database is not empty")
        parser.add_argument("--drop-old", action="store_true", help="with --replace: do not keep the old database")
        words = (
            "bring back all that can be, into a database that does not stand yet; exit code 3 if something is missing"
        )
        parser.add_argument("--salvage", action="store_true", help=words)
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument("--jobs", type=jobs, metavar="N", help="restore with so many parallel jobs")
        expect = "with --replace and --yes: the name of the database that is meant to be replaced"
        parser.add_argument("--expect", default="", metavar="DATABASE", help=expect)
        self.add_of(parser)
        self.add_identity(parser)
        self.add_unsigned(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["salvage"] and options["replace"]:
            raise MoeenError("--salvage and --replace do not go together.", next_step="--to NEW_NAME", exit_code=USAGE)
        if (options["id"] is None) == (options["at"] is None):
            raise MoeenError("What is to be restored?", next_step="A backup's ID, or --at TIME.", exit_code=USAGE)
        # Of a moment nothing is read from it: what is replaced is kept there.
        place = self.place(options) if options["at"] is None else store.of(options["store"])
        target = self._target(options["to"])
        of = self._of_backup if options["at"] is None else self._of_moment
        done = of(place, target, options)
        self._keep_key(target)
        if options["json"]:
            self.print_json(done.as_dict())
        else:
            self._report(done)
        if done.findings or done.unsaved:
            raise Found(summary(f"{done.id} is restored, NOT AS IT WAS", done.findings + done.unsaved))
        if done.bill:
            raise Found(f"{done.id} is restored into {done.database} with a bill of {len(done.bill)}.")

    def _of_backup(self, place: store.Store, target: restore.Target, options: dict[str, Any]) -> restore.Restored:
        name = origin.chosen(place, options["id"], target=target.origin, of=options["of"])
        if options["replace"] and not target.empty:
            paper = trust.manifest_of(place, name, unsigned=options["unsigned"])
            origin.refuse_another(paper, target.origin, of=options["of"])
            what = f"Backup {paper.id} of {paper.database}, {paper.created_at}, {paper.rows:,} rows,"
            self._confirm(what, target, yes=options["yes"], expected=options["expect"])
        with self.progress() as tell:
            return restore.put_back(place, name, target, unsigned=options["unsigned"], **self._how(options, tell))

    def _of_moment(self, place: store.Store, target: restore.Target, options: dict[str, Any]) -> restore.Restored:
        if options["unsigned"]:
            raise MoeenError("--at takes nothing that is not signed.", next_step="--at alone.", exit_code=USAGE)
        system, slash, database = options["of"].rpartition("/")
        database = database or str(connections[DEFAULT_DB_ALIAS].settings_dict["NAME"])
        archive = standing.of_target(system if slash else target.origin.system, database)
        wanted = recovery.moment(archive, recovery.parse(options["at"]))
        if options["replace"] and not target.empty:
            what = f"{database} as it was at {wanted.pretty()}"
            self._confirm(what, target, yes=options["yes"], expected=options["expect"])
        with self.progress() as tell:
            how = self._how(options, tell) | {"of": database if options["of"] else ""}
            return recovery.put_back(wanted, database, target, kept_in=place, **how)

    @staticmethod
    def _keep_key(target: restore.Target) -> None:
        """Where the project's own embedded server has been restored to, its processes find the key in their file."""
        connection = connections[DEFAULT_DB_ALIAS]
        words = connection.settings_dict
        if settings.IDENTITY_KEY_FILE and words.get("EMBEDDED") and target.database == words["NAME"]:
            connection.close()  # what stood there before may be open still
            if target.origin == origin.Origin.of(Login.of_wrapper(connection)):
                signing.keep(connection, settings.IDENTITY_KEY_FILE)

    def _how(self, options: dict[str, Any], tell: Tell) -> dict[str, Any]:
        return {
            "replace_existing": options["replace"],
            "drop_old": options["drop_old"],
            "salvaging": options["salvage"],
            "jobs": options["jobs"],
            "of": options["of"],
            "identity": options["identity"] or backups.default_identity(),
            "recipients": backups.default_recipients(),
            "tell": tell,
            "say": self.stderr.write,
        }

    @staticmethod
    def _target(words: str) -> restore.Target:
        # A password in a command line is seen by everybody on the machine.
        place = os.environ.get(words[4:], "") if words.startswith("env:") else words
        if not place:
            raise MoeenError(f"{words} names nothing.", next_step="--to NAME, URL or env:VARIABLE", exit_code=USAGE)
        if "://" in place:
            with named_by("--to"):
                return restore.target_at(place, project=settings.SUPABASE_PROJECT_REF)
        return restore.target_named(connections[DEFAULT_DB_ALIAS], place)

    def _confirm(self, what: str, target: restore.Target, *, yes: bool, expected: str) -> None:
        name = target.database
        rows = origin.rows_of(target.login.to(name))
        self.stderr.write(f"{what} replaces {name}, which holds {rows}. That is backed up first.")
        if yes and expected == name:
            return
        if yes or not sys.stdin.isatty():
            cause = f"{name} is not empty and would be replaced; " + (
                f"--expect says {expected!r}." if yes and expected else "nobody is here to confirm that."
            )
            raise MoeenError(
                cause, next_step=f"Say --yes --expect {shlex.quote(name)} if it is meant.", exit_code=USAGE
            )
        self.stderr.write("Its name again to go on: ", ending="")
        if input().strip() != name:
            step = f"Type {name}, or say --yes --expect {shlex.quote(name)}, if that is meant."
            raise MoeenError("Not confirmed; nothing was changed.", next_step=step, exit_code=USAGE)

    @staticmethod
    def _row(loss: Loss) -> tuple[str, str, str, str]:
        rows = ("", "") if loss.expected < 0 else (f"{loss.restored:,}", f"{loss.expected:,}")
        return (loss.object, *rows, loss.cause)

    def _report(self, done: restore.Restored) -> None:
        for finding in done.findings:
            self.stdout.write(shown(finding.pretty()))
        for note in done.notes:
            self.stderr.write(shown(note))
        if done.bill:
            self.table(("OBJECT", "ROWS", "OF", "CAUSE"), [self._row(loss) for loss in done.bill])
            for mend in dict.fromkeys(loss.mend for loss in done.bill if loss.mend):
                self.stdout.write(shown(f"To mend it: {mend}."))
        verdict = "restored and verified" if not done.findings else "restored, NOT AS IT WAS"
        if done.bill:
            verdict = f"salvaged, {len(done.bill)} THINGS NOT AS THEY WERE"
        self.stdout.write(f"{done.id}  {verdict}: {done.database}, {done.rows:,} rows in {done.tables} tables, "
                          f"{done.seconds:.1f} s")  # fmt: skip
        if done.created_roles:
            self.stderr.write(f"Roles created, without passwords: {', '.join(done.created_roles)}.")
        if done.unsaved:
            for finding in done.unsaved[:20]:
                self.stdout.write(shown(finding.pretty()))
            self.stderr.write(
                "It was NOT dropped: it was written to after its backup, and holds what nothing else does."
            )
        if done.kept:
            self.stderr.write(f"The database that stood there is now {done.kept} (its backup: {done.before}).")

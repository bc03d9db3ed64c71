"""`manage.py restore_database`: a backup is put back, into an empty database or in place of a full one."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

from moeen.db import backups
from moeen.db.backups import restore, store
from moeen.db.errors import USAGE, MoeenError
from sysadmin.management.arguments import positive
from sysadmin.management.backup_console import BackupCommand, Found


class Command(BackupCommand):
    help = (
        "Restores a backup into a new or empty database and verifies it there. With --replace over one that holds "
        "something: that is backed up first, the restored one is swapped in by renaming, and the old one is kept."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("id", metavar="ID|latest")
        words = "a database's name on the project's server, a URL, or env:VARIABLE that holds a URL"
        parser.add_argument("--to", required=True, metavar="URL_OR_NAME", help=words)
        parser.add_argument("--replace", action="store_true", help="also where the database is not empty")
        parser.add_argument("--drop-old", action="store_true", help="with --replace: do not keep the old database")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument("--jobs", type=positive, metavar="N", help="restore with so many parallel jobs")
        self.add_identity(parser)
        self.add_unsigned(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        place = store.of(options["store"])
        name = place.resolve(options["id"])
        target = self._target(options["to"])
        if not options["yes"] and (options["replace"] and not target.empty):
            self._confirm(target.database)
        with self.progress() as tell:
            done = restore.put_back(
                place, name, target, replace_existing=options["replace"], drop_old=options["drop_old"],
                jobs=options["jobs"], unsigned=options["unsigned"], tell=tell,
                identity=options["identity"] or backups.default_identity(), recipients=backups.default_recipients(),
                say=self.stderr.write,
            )  # fmt: skip
        if options["json"]:
            self.print_json(done.as_dict())
        else:
            self._report(done)
        if done.findings or done.unsaved:
            raise Found

    @staticmethod
    def _target(words: str) -> restore.Target:
        # A password in a command line is seen by everybody on the machine.
        place = os.environ.get(words[4:], "") if words.startswith("env:") else words
        if not place:
            raise MoeenError(f"{words} names nothing.", next_step="--to NAME, URL or env:VARIABLE", exit_code=USAGE)
        if "://" in place:
            return restore.target_at(place, project=settings.SUPABASE_PROJECT_REF)
        return restore.target_named(connections[DEFAULT_DB_ALIAS], place)

    def _confirm(self, name: str) -> None:
        if not sys.stdin.isatty():
            raise MoeenError(
                f"{name} is not empty and would be replaced; nobody is here to confirm that.",
                next_step="Say --yes if it is meant.",
                exit_code=USAGE,
            )
        self.stderr.write(
            f"{name} holds data. It will be backed up, and replaced. Its name again to go on: ", ending=""
        )
        if input().strip() != name:
            raise MoeenError("Not confirmed; nothing was changed.", exit_code=USAGE)

    def _report(self, done: restore.Restored) -> None:
        for finding in done.findings:
            self.stdout.write(finding.pretty())
        for note in done.notes:
            self.stderr.write(note)
        verdict = "restored and verified" if not done.findings else "restored, NOT AS IT WAS"
        self.stdout.write(f"{done.id}  {verdict}: {done.database}, {done.rows:,} rows in {done.tables} tables, "
                          f"{done.seconds:.1f} s")  # fmt: skip
        if done.created_roles:
            self.stderr.write(f"Roles created, without passwords: {', '.join(done.created_roles)}.")
        if done.unsaved:
            for finding in done.unsaved[:20]:
                self.stdout.write(finding.pretty())
            self.stderr.write(
                "It was NOT dropped: it was written to after its backup, and holds what nothing else does."
            )
        if done.kept:
            self.stderr.write(f"The database that stood there is now {done.kept} (its backup: {done.before}).")

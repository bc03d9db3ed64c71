"""`manage.py archive start|stop|status|check|run`: any moment of the server, not of its backups alone."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

from moeen.db import backups
from moeen.db.archiving import checking, keeping, standing
from moeen.db.archiving.standing import Standing
from moeen.db.codes import Code
from moeen.db.errors import USAGE, MoeenError
from sysadmin.management.backup_console import BackupCommand, Found, size


class Command(BackupCommand):
    help = (
        "Keeps the server's write-ahead log and, once a day, a copy of its files, signed and encrypted as backups are: "
        "restore_database --at TIME goes to any moment of it. On for the embedded server; elsewhere ARCHIVE=true turns "
        "it on. start and stop: the process that does it; run: be that process (for systemd); status: how far back one "
        "can go, and what a crash now would lose; check: every signature and digest. Exit code 3 when something is "
        "worrying."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=("start", "stop", "status", "check", "run"))
        parser.add_argument("--json", action="store_true", help="print one JSON document")
        rehearse = "with check: also bring the latest moment up in a throwaway server"
        parser.add_argument("--rehearse", action="store_true", help=rehearse)
        self.add_identity(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, options["action"])(options)

    def start(self, options: dict[str, Any]) -> None:
        self._refuse_off()
        keeping.login()  # the embedded server is started; another one's troubles are told here and not in a log
        pid = keeping.start()
        if options["json"]:
            self.print_json({"running": True, "pid": pid})
        self.stderr.write(f"Archiving runs (process {pid}), into {settings.ARCHIVE_DIR}.")
        self.stderr.write(f"At most {settings.ARCHIVE_DAYS} days and about {settings.ARCHIVE_GB} GB are kept.")

    def stop(self, options: dict[str, Any]) -> None:
        stopped = keeping.stop()
        if options["json"]:
            self.print_json({"running": False, "pid": None})
        self.stderr.write("Stopped." if stopped else "It was not running.")
        if stopped and settings.ARCHIVE and keeping.is_embedded():
            self.stderr.write("The next command starts it again; ARCHIVE=false turns it off.")

    def run(self, options: dict[str, Any]) -> None:
        self._refuse_off()
        keeping.run()

    def status(self, options: dict[str, Any]) -> None:
        found = standing.look(connections[DEFAULT_DB_ALIAS])
        if options["json"]:
            self.print_json(found.as_dict())
        else:
            self._report(found)
        self._worry(found.worries)

    def check(self, options: dict[str, Any]) -> None:  # type: ignore[override]
        found = standing.look(connections[DEFAULT_DB_ALIAS])
        archive = standing.of_server(found.folder.rpartition("/")[2]) if found.folder else None
        if archive is None:
            raise MoeenError(
                f"There is no archive in {settings.ARCHIVE_DIR}.",
                next_step="manage.py archive start",
                code=Code.NO_MOMENT,
            )
        with self.progress() as tell:
            worries = [*checking.check(archive, tell=tell), *found.worries]
            if options["rehearse"] and not worries:
                checking.rehearse(archive, identity=options["identity"] or backups.default_identity(), tell=tell)
        if options["json"]:
            self.print_json(found.as_dict() | {"worries": worries, "ok": not worries})
        elif not worries:
            self.stdout.write(f"All is as it was signed: {found.pretty()}.")
        self._worry(worries)

    def _report(self, found: Standing) -> None:
        state = f"runs, process {found.pid}" if found.pid is not None else "does not run"
        self.stdout.write(f"archive  {found.folder}")
        self.stdout.write(f"state    {'on' if found.on else 'off'}; {state}")
        self.stdout.write(f"reach    {found.pretty()}")
        self.stdout.write(f"size     {size(found.bytes)} of {settings.ARCHIVE_GB} GB, {settings.ARCHIVE_DAYS} days")

    def _worry(self, worries: Any) -> None:
        for worry in worries:
            self.stderr.write(f"Warning: {worry}")
        if worries:
            raise Found("\n".join(worries))

    @staticmethod
    def _refuse_off() -> None:
        if not settings.ARCHIVE:
            raise MoeenError(
                "Archiving is off.",
                next_step="Set ARCHIVE=true (environment or .env). For a hosted server see docs/archive.md.",
                exit_code=USAGE,
                code=Code.ARCHIVE,
            )

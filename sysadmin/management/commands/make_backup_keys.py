"""`manage.py make_backup_keys`: the pair of keys that backups are signed and checked with."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from moeen.db.backups import keys
from moeen.db.codes import Code
from moeen.db.errors import MoeenError
from sysadmin.management.backup_console import BackupCommand


class Command(BackupCommand):
    help = (
        "Makes the keys of backups: a secret one that signs (BACKUP_SIGNING_KEY, read by its owner alone), and a "
        "public one beside it (.pub) that verifying and restoring need alone. Keep the public key where backups cannot "
        "be written to, and a copy of the secret one in a safe place: without it older backups stay good, new ones "
        "need a new key."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON document")
        parser.add_argument(
            "--rotate", action="store_true", help="also where there are keys; the older public one stays"
        )
        parser.add_argument("--show", action="store_true", help="make nothing, show the public key that stands")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            made = keys.signer() if options["show"] else keys.make(rotate=options["rotate"])
        except OSError as error:
            raise MoeenError(
                f"The keys cannot be written to {keys.secret_file().parent}: {error.strerror}.",
                next_step="Let BACKUP_SIGNING_KEY name a file in a folder that this user may write.",
                code=Code.BACKUP_KEY,
            ) from error
        if options["json"]:
            self.print_json(
                {"name": made.public.name, "public": made.public.text(), "secret_file": str(keys.secret_file())}
            )
            return
        self.stdout.write(made.public.text())
        self.stderr.write(f"The public key, {made.public.name}; also in {keys.public_file()}. Machines that verify or "
                          "restore need it alone: BACKUP_PUBLIC_KEYS.")  # fmt: skip
        self.stderr.write(f"The secret key is in {keys.secret_file()}. Who has it can forge backups.")

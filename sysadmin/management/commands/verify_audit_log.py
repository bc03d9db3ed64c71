"""`manage.py verify_audit_log`: whether the audit log is as it was sealed, and what was done to it where it is not."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.exceptions import ObjectDoesNotExist
from django.db import connections

from moeen.db import public_ids
from moeen.db.errors import USAGE, MoeenError
from moeen.db.seals import verification
from moeen.db.seals.verification import Question, Verified
from sysadmin.management.arguments import positive
from sysadmin.management.backup_console import Found, summary
from sysadmin.management.seal_console import SealCommand


class Command(SealCommand):
    help = (
        "Proves every sealed entry of the audit log, and names what was rewritten, deleted, inserted or reordered, a "
        "tail that was cut and a seal that was made anew. Exit code 3 when anything was. With --about it lists the "
        "entries that name a patient or another row, and so proves that there are no others between two seals."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        words = "list the sealed entries that name it, by public id or uuid: pat_..."
        parser.add_argument("--about", default="", metavar="ID", help=words)
        parser.add_argument(
            "--from-seal", type=positive, default=1, metavar="N", help="with --about: from this seal on"
        )
        parser.add_argument("--to-seal", type=positive, metavar="N", help="with --about: up to this seal, included")

    def handle(self, *args: Any, **options: Any) -> None:
        anchor = self.anchor(options)
        question = _question(options) if options["about"] else None
        with self.progress() as tell:
            found = verification.verify(connections[options["database"]], anchor=anchor, about=question, tell=tell)
        if options["json"]:
            self.print_json(found.as_dict())
        else:
            self._print(found, options, anchored=anchor is not None)
        if not found.ok:
            raise Found(summary("The audit log is NOT as it was sealed", found.findings))

    def _print(self, found: Verified, options: dict[str, Any], *, anchored: bool) -> None:
        for finding in found.findings:
            self.stdout.write(finding.pretty())
        for note in found.notes:
            self.stderr.write(note)
        if found.mentions is not None:
            for one in found.mentions:
                self.stdout.write(f"{one.at:%Y-%m-%d %H:%M:%S} UTC  {one.id}  seal {one.seal}")
            between = f"{options['from_seal']} to {options['to_seal'] or found.seals}"
            proof = "and no others" if found.ok else "but the log is not as it was sealed"
            self.stdout.write(f"{len(found.mentions)} entries of seals {between} name {options['about']}, {proof}.")
        self.stdout.write(
            f"{'Proven' if found.ok else 'NOT PROVEN'}: {found.proven:,} entries of {found.seals:,} seals"
            f"{f', {found.pruned:,} pruned' if found.pruned else ''}; {found.unsealed:,} entries are not sealed yet."
        )
        if not anchored:
            self.stderr.write("Without --anchor, a tail that was cut off together with its seals is not noticed.")


def _question(options: dict[str, Any]) -> Question:
    words, last = options["about"], options["to_seal"]
    try:
        return Question(UUID(words), "", options["from_seal"], last)
    except ValueError:
        pass
    try:
        row = public_ids.look_up(words, using=options["database"])
    except ObjectDoesNotExist as error:
        raise MoeenError(
            f"No row bears {words!r}.", next_step="Say its uuid, if it is gone.", exit_code=USAGE
        ) from error
    return Question(row.pk, words, options["from_seal"], last)

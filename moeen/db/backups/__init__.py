"""The door to backups: take one, prove one, restore one, list and prune, and the schedule for doing so.

The work is done by the modules of `moeen.db.backups`; what other parts of the project need is named here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db.backups import progress

if TYPE_CHECKING:
    from moeen.db.backups.dump import Backup

__all__ = ["before_migration", "default_identity", "default_recipients"]


def before_migration(
    connection: BaseDatabaseWrapper,
    *,
    label: str,
    purpose: str = "change",
    verified: bool = False,
    tell: progress.Tell = progress.silent,
) -> Backup:
    """A backup of this connection's database in STORAGES["backups"], encrypted if BACKUP_RECIPIENTS names somebody.

    Works over connections of its own, so the caller may be in a transaction or hold migrate's lock. With `verified` it
    has also been restored and compared. Raises MoeenError: no migration must run then.
    """
    # Only here: listing and pruning load neither the schema nor the programs.
    from moeen.db.backups import dump, store, verify

    place = store.of()
    taken = dump.take(
        connection, store=place, label=label, purpose=purpose, recipients=default_recipients(), tell=tell
    )  # fmt: skip
    if verified:
        report = verify.prove(place, taken.id, identity=default_identity(), tell=tell)
        if not report.ok:
            raise verify.failed(report)
    return taken


def default_recipients() -> list[str]:
    """BACKUP_RECIPIENTS."""
    return list(getattr(settings, "BACKUP_RECIPIENTS", []))


def default_identity() -> Path | None:
    """BACKUP_IDENTITY."""
    found: Path | None = getattr(settings, "BACKUP_IDENTITY", None)
    return found

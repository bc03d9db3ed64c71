"""`manage.py unpin_backup`: lets prune_backups decide about a backup again, also the one from before adoption."""

from __future__ import annotations

from sysadmin.management.backup_console import PinningCommand


class Command(PinningCommand):
    help = "Lets prune_backups decide about a backup again, also the one from before the project took over."
    kept = False

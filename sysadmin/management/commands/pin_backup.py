"""`manage.py pin_backup`: keeps a backup until it is unpinned, whatever prune_backups would say."""

from __future__ import annotations

from sysadmin.management.backup_console import PinningCommand


class Command(PinningCommand):
    help = "Keeps a backup until it is unpinned, whatever prune_backups would say."
    kept = True

"""Whether the applied migrations are the files on disk, told by reading files alone.

Loading every migration takes longer than all the rest of a validation. Where the checksums that the ledger recorded are
those of the files as they stand, nothing was changed, added or removed, and there is nothing to load them for. What
this module cannot tell it calls touched; `ledger` then looks closer.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db.history import edits

#: A migration's file names the SQL files it runs in so many words; see operations.RunSQLFile and RunIndexFile.
_SQL_FILE = re.compile(r'\bRun(?:SQL|Index)File\(\s*(?:app_label=)?"(\w+)",\s*(?:name=)?"(\w+)"')


def are_unchanged(connection: BaseDatabaseWrapper) -> bool:
    """Whether every migration on disk is applied, no other is, and none changed since it was recorded."""
    if settings.MIGRATION_MODULES:
        return False
    paths = {
        (config.label, path.stem): path
        for config in apps.get_app_configs()
        for path in (Path(config.path) / "migrations").glob("[!_~]*.py")
    }
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT m.app, m.name, (
                SELECT s.file_checksum FROM public.migration_steps s
                WHERE (s.app, s.name) = (m.app, m.name) AND s.outcome IN ('applied', 'faked', 'accepted')
                ORDER BY s.started_at DESC LIMIT 1)
            FROM public.django_migrations m WHERE m.app = ANY (%s)
            """,
            [sorted({app for app, _ in paths})],
        )
        recorded = {(app, name): checksum for app, name, checksum in cursor.fetchall()}
    return recorded.keys() == paths.keys() and all(
        checksum is None or _is_same(paths[key], checksum) for key, checksum in recorded.items()
    )


def _is_same(path: Path, recorded: str) -> bool:
    current = _checksum(path)
    return recorded == current or edits.excused(path.parent, path.stem, recorded=recorded, current=current)


def _checksum(path: Path) -> str:
    """As `ledger.file_checksum` has it of the loaded migration."""
    source = path.read_bytes()
    digest = hashlib.sha256(source)
    for app, name in _SQL_FILE.findall(source.decode()):
        folder = Path(apps.get_app_config(app).path) / "sql"
        for ending in (".sql", ".reverse.sql"):
            digest.update((folder / f"{name}{ending}").read_text(encoding="utf-8").encode())
    return digest.hexdigest()

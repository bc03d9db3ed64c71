"""Kept releases: the database that each one made, with rows, and the checksums of the migrations that made it.

`make release` keeps the version that pyproject.toml states. Nothing of a kept release is ever changed. 0.1.0's
is a clinic that it had adopted from the older scripts.
"""

from __future__ import annotations

import json
import lzma
import re
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

from django.db.migrations.loader import MigrationLoader

from moeen.db.history import ledger
from moeen.db.history.own_apps import own_apps
from moeen.db.server import programs
from tests import servers

HERE = Path(__file__).parent
#: Keys that sign identities are each database's own; `migrate` makes one where there is none.
_WITHOUT = ("identity_keys",)


@dataclass(frozen=True)
class Release:
    """One that is kept in ``folder``, named by its version."""

    folder: Path

    @property
    def version(self) -> str:
        return self.folder.name

    def checksums(self) -> dict[str, str]:
        """APP.NAME of each migration -> the checksum of its file and of the SQL that it runs."""
        return dict(json.loads((self.folder / "migrations.json").read_text(encoding="utf-8")))

    def restore(self, database) -> None:
        """Into an empty database, as its owner. The roles must stand."""
        script = lzma.decompress((self.folder / "database.sql.xz").read_bytes())
        done = subprocess.run(
            [programs.bin_dir(programs.MAJOR) / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", database.url],
            input=script, capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()[-2000:]


def kept() -> list[Release]:
    """Oldest first."""
    found = [path for path in HERE.iterdir() if re.fullmatch(r"\d+\.\d+\.\d+", path.name)]
    return [Release(path) for path in sorted(found, key=lambda path: [int(n) for n in path.name.split(".")])]


def checksums() -> dict[str, str]:
    """Of the migrations as they are now."""
    loader = MigrationLoader(None)
    ours = own_apps(loader)
    return {".".join(key): ledger.file_checksum(migration) for key, migration in sorted(loader.disk_migrations.items())
            if key[0] in ours}  # fmt: skip


def keep(folder: Path, url: str) -> Release:
    """Write a release's folder: the migrations of this code, and that database, which it has made."""
    folder.mkdir(parents=True)
    text = json.dumps(checksums(), indent=2) + "\n"
    (folder / "migrations.json").write_text(text, encoding="utf-8")
    words = ["--no-owner", *(f"--exclude-table-data=*.{name}" for name in _WITHOUT), "--dbname", url]
    done = subprocess.run([programs.bin_dir(programs.MAJOR) / "pg_dump", *words], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    (folder / "database.sql.xz").write_bytes(lzma.compress(done.stdout, preset=9))
    return Release(folder)


def stated() -> str:
    return str(tomllib.loads((servers.PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])

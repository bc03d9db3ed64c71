"""Where a project's data and programs lie, and where root puts them when the server's user cannot enter there."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

from moeen.db.codes import Code
from moeen.db.errors import MoeenError
from moeen.db.server.programs import DISTRIBUTION, MAJOR
from moeen.db.server.users import may, os_user

SHARED_FOLDER = Path("/var/lib/moeen")
#: What must stay free on a disk, since a server whose own disk is full stops: so much, of a small one a part.
RESERVE_BYTES, RESERVE_PART = 512 * 1024**2, 20


def is_nearly_full(folder: Path) -> bool:
    usage = shutil.disk_usage(folder)
    return usage.free < min(RESERVE_BYTES, usage.total // RESERVE_PART)


def usable_programs(programs: Path, *, data_dir: Path, owner: str | None = None) -> Path:
    """Those programs, or for root a copy of them if the server's user may not run them where they are."""
    if os.geteuid() != 0 or may(os_user(data_dir, owner=owner), test="-r", path=programs / "postgres"):
        return programs
    return _shared_programs(programs)


def shared_data_dir(project: Path) -> Path:
    digest = hashlib.sha256(os.fsencode(project)).hexdigest()[:12]
    return SHARED_FOLDER / digest / default_data_dir(project).name


def default_data_dir(project: Path) -> Path:
    """Where the project's own cluster lies unless EMBEDDED_DATA_DIR says otherwise."""
    return project / ".moeen" / f"postgres-{MAJOR}"


def _shared_programs(programs: Path) -> Path:
    """A copy of the wheel's programs that every user may run, with their libraries in the same relative
    place."""
    install = programs.parent
    package = install.parent
    # One folder for each of the wheel's versions, so that each arrives whole, by one rename.
    target = SHARED_FOLDER / f"runtime-{importlib.metadata.version(DISTRIBUTION)}-{install.name}"
    copied = target / package.name / install.name / "bin"
    if copied.is_dir():
        return copied
    SHARED_FOLDER.mkdir(parents=True, exist_ok=True, mode=0o755)
    fresh = Path(tempfile.mkdtemp(prefix=target.name + ".new-", dir=SHARED_FOLDER))
    try:
        shutil.copytree(install, fresh / package.name / install.name, symlinks=True)
        # auditwheel puts the libraries beside the package (found by $ORIGIN), delocate inside it.
        for libraries in (package.with_name(package.name + ".libs"), package / ".dylibs"):
            if libraries.is_dir():
                shutil.copytree(libraries, fresh / libraries.relative_to(package.parent), symlinks=True)
        for path in (fresh, *fresh.rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or path.stat().st_mode & 0o100 else 0o444))
        with contextlib.suppress(FileExistsError, OSError):
            fresh.rename(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    if not copied.is_dir():
        raise MoeenError(
            f"The programs of the embedded server could not be copied to {target}.",
            next_step="Remove that folder if it is broken, look at the free space, and run it again.",
            code=Code.EMBEDDED_FOLDER,
        )
    return copied


def first_existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())

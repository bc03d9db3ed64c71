"""PostgreSQL's programs: which of those on this machine fit a server, and whether they can speak TLS.

pg_dump refuses a newer server, and what a newer pg_dump writes an older server may not take: the programs are of
the server's own major version. They are looked for on PATH, in the folders that distributions keep a version each
in, and in the wheel. The wheel's have no TLS of their own; on Linux they get it from the libpq inside psycopg.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from moeen.db.codes import Code
from moeen.db.errors import MoeenError
from moeen.db.server import programs

OLDEST, NEWEST = 14, 30
_SHARED = ("/usr/lib/postgresql/{}/bin", "/usr/pgsql-{}/bin", "/opt/homebrew/opt/postgresql@{}/bin",
           "/usr/local/opt/postgresql@{}/bin")  # fmt: skip


@dataclass(frozen=True)
class Tools:
    """The programs of one folder; `preload` is a libpq with TLS that takes the place of their own."""

    folder: Path
    major: int
    version: str
    preload: Path | None = None

    def program(self, name: str) -> str:
        return str(self.folder / name)

    @property
    def environment(self) -> Mapping[str, str]:
        return {"LD_PRELOAD": str(self.preload)} if self.preload else {}


def find(major: int, *, tls: bool, folders: Iterable[Path] | None = None) -> Tools:
    """The first programs of that major version that can reach the server; raises MoeenError naming what to install."""
    found = [folder for folder in (candidates() if folders is None else folders) if _major(folder) == major]
    if not found:
        raise MoeenError(
            f"No pg_dump and pg_restore of PostgreSQL {major} were found; the server needs its own version's.",
            next_step=f"Install them (Debian and Ubuntu: apt-get install postgresql-client-{major}; "
            f"macOS: brew install postgresql@{major}), or put their folder on PATH.",
            code=Code.PROGRAMS_MISSING,
        )
    if not tls:
        return Tools(found[0], major, _version(found[0]))
    for folder in found:
        if _speaks_tls(folder, None):
            return Tools(folder, major, _version(folder))
    library = _library_with_tls()
    for folder in found:
        if library is not None and _speaks_tls(folder, library):
            return Tools(folder, major, _version(folder), library)
    raise MoeenError(
        f"The connection is encrypted, and the programs of PostgreSQL {major} here ({found[0]}) have no TLS. "
        "They are not run without it.",
        next_step=f"Install programs that have it (Debian and Ubuntu: apt-get install postgresql-client-{major}).",
        code=Code.PROGRAMS_MISSING,
    )


def find_server(major: int) -> Path:
    """The folder with a whole server of that major version or, failing that, of the next newer one."""
    for number in range(max(major, OLDEST), NEWEST):
        folder = programs.bin_dir(number)
        if folder is not None and all(programs.stands(folder / name) for name in ("postgres", "initdb", "pg_restore")):
            return folder
    raise MoeenError(
        f"No PostgreSQL {major} or newer that could run a throwaway server was found.",
        next_step="Install the requirements (`make migrate`), or the server's package "
        f"(Debian and Ubuntu: apt-get install postgresql-{major}).",
        code=Code.PROGRAMS_MISSING,
    )


def candidates() -> Iterator[Path]:
    """Every folder that may hold pg_dump: those on PATH, the distributions', the wheel's."""
    for entry in os.environ.get("PATH", os.defpath).split(os.pathsep):
        program = Path(entry) / "pg_dump"
        # Debian's /usr/bin/pg_dump is a script that chooses a version by rules of its own.
        if entry and programs.stands(program) and program.resolve().name == "pg_dump":
            yield program.resolve().parent
    for major in range(OLDEST, NEWEST):
        yield from (Path(pattern.format(major)) for pattern in _SHARED)
    package = programs.package_dir()
    if package is not None:
        yield from sorted((install / "bin" for install in package.glob("pginstall*")), reverse=True)


def _major(folder: Path) -> int | None:
    if not all(programs.stands(folder / name) for name in ("pg_dump", "pg_restore")):
        return None
    found = re.match(r"\d+", _version(folder))
    return int(found[0]) if found else None


@functools.lru_cache(maxsize=64)
def _version(folder: Path) -> str:
    try:
        said = subprocess.run([folder / "pg_dump", "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return ""
    found = re.search(r"\) (\d\S*)", said)
    return found[1] if found else ""


def _speaks_tls(folder: Path, library: Path | None) -> bool:
    """A libpq without TLS rejects sslmode=require before it connects anywhere."""
    words = [str(folder / "pg_dump"), "--no-password", "--dbname", "host=/nonexistent sslmode=require"]
    variables = {"PATH": os.defpath, "LC_ALL": "C"} | ({"LD_PRELOAD": str(library)} if library else {})
    said = subprocess.run(words, env=variables, capture_output=True, text=True, check=False).stderr
    return "nonexistent" in said and "not compiled in" not in said and "preloaded" not in said


def _library_with_tls() -> Path | None:
    """The libpq that psycopg[binary] brings along, found without guessing its version."""
    if not sys.platform.startswith("linux"):
        return None
    spec = importlib.util.find_spec("psycopg_binary")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent.with_name("psycopg_binary.libs")
    return next(iter(sorted(folder.glob("libpq*.so*"))), None)

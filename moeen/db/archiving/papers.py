"""The signed papers of an archive, and the archive itself: a folder for each server, named by the server's number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from moeen.db.backups import keys, manifest
from moeen.db.backups.manifest import File, Unfit
from moeen.db.backups.store import Store
from moeen.db.codes import Code
from moeen.db.errors import FINDINGS, MoeenError

_SEGMENT = re.compile(r"[0-9A-F]{24}")
_LSN_SPAN = 1 << 32
_P = TypeVar("_P", bound=manifest.Paper)


@dataclass(frozen=True)
class Base:
    """A copy of a server's files, as pg_basebackup makes it: whole, or what has changed since its `parent`.

    It is of use with the WAL from `start` to `end` alone, and brings back moments from `created_at` (UTC) on.
    `superuser` is the role that initdb made. `segment_bytes`: of one piece of WAL.
    """

    id: str
    system: str
    created_at: str
    server_version: str
    superuser: str
    databases: list[str]
    timeline: int
    segment_bytes: int
    start: int
    end: int
    parent: str
    recipients: list[str]
    seconds: float
    files: list[File]

    def check(self) -> None:
        """Raises ValueError for a value that nothing may be done with."""
        manifest.moment_of(self.created_at)
        if not self.server_version.split(".")[0].isdigit():
            raise Unfit("its server's version is none")
        if self.segment_bytes <= 0 or _LSN_SPAN % self.segment_bytes:
            raise Unfit("no WAL comes in pieces of that size")
        if [file.path for file in self.files] != [FILES + (".age" if self.recipients else "")]:
            raise Unfit("it is another file than a base has")

    @property
    def major(self) -> int:
        return int(self.server_version.split(".")[0])

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    @property
    def at(self) -> datetime:
        return datetime.fromisoformat(self.created_at)

    def segment(self, lsn: int) -> str:
        """The name of the piece of WAL that holds this position."""
        return segment_name(lsn, timeline=self.timeline, size=self.segment_bytes)


@dataclass(frozen=True)
class Segment:
    """A piece of WAL as it lies in the archive. All that was committed before `until` (UTC) is in it or before it.

    `bytes` are those of the piece itself; `sha256` is of what is stored, packed and perhaps encrypted. `lsn`: how far
    it is filled.
    """

    system: str
    name: str
    until: str
    lsn: int
    bytes: int
    sha256: str
    recipients: list[str]

    def check(self) -> None:
        """Raises ValueError for a value that nothing may be done with."""
        manifest.moment_of(self.until)
        if not _SEGMENT.fullmatch(self.name) or not 0 < self.bytes <= 1 << 30:
            raise Unfit("it is no piece of WAL")


@dataclass(frozen=True)
class Archive:
    """What is kept of one server. `wal` holds pieces, `bases` the copies of files."""

    folder: Path
    system: str

    @property
    def wal(self) -> Path:
        return self.folder / "wal"

    @property
    def bases(self) -> Store:
        folder = self.folder / "bases"
        return Store(str(folder), None, folder)

    def base(self, name: str) -> Base:
        """Raises MoeenError (3) for one that nobody known has signed, and manifest.Damaged."""
        data = self.bases.manifest_bytes(name)
        found = believed(Base, data, name=f"{name}/{manifest.NAME}")
        if (found.id, found.system) != (name, self.system):
            raise manifest.Damaged(manifest.NAME, "it belongs to another base", backup=name)
        return found

    def all_bases(self) -> list[Base]:
        """In the order of the WAL, whatever the clock said. Those that nothing may be done with are none of them;
        `refused` says why."""
        found = [base for base in map(self._base, self.bases.ids()) if isinstance(base, Base)]
        return sorted(found, key=lambda base: base.start)

    def refused(self) -> list[str]:
        """What is wrong with each base that nobody known has signed, or that is damaged; and what was put aside."""
        found = [base for base in map(self._base, self.bases.ids()) if isinstance(base, str)]
        words = "nobody known has signed it, and the server has not written such a piece"
        aside = sorted(self.wal.glob(f"*{REFUSED}"))
        return found + [f"{path} was put aside: {words}. Look who put it there, and remove it." for path in aside]

    def _base(self, name: str) -> Base | str:
        try:
            return self.base(name)
        except MoeenError as error:
            return error.cause
        except OSError as error:
            return f"Base {name} cannot be read: {error.strerror}."

    def segments(self) -> list[str]:
        """The names of all pieces, in the order of the WAL; the last may be one that is not full."""
        found = self.wal.iterdir() if self.wal.is_dir() else ()
        return sorted(path.name for path in found if _SEGMENT.fullmatch(path.name) and path.is_file())

    def bytes(self) -> int:
        """What it takes on the disk."""
        found = 0
        for path in self.folder.rglob("*"):
            # An archivist may be at work: what was there a moment ago has another name by now, or is gone.
            with suppress(FileNotFoundError):
                found += path.lstat().st_size if path.is_file() else 0
        return found


def archives(folder: Path) -> Iterator[Archive]:
    """All in that folder."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name.isdigit() and path.is_dir() and not path.is_symlink():
            yield Archive(path, path.name)


def believed(kind: type[_P], data: bytes, *, name: str) -> _P:
    """The paper in these bytes, if a known key has signed it; raises MoeenError (3), and manifest.Damaged."""
    text, signature = manifest.signature_of(data, name=name)
    if not signature or not keys.is_signed(text, signature, keys.trusted()):
        raise MoeenError(
            f"{name} of the archive is signed by no key that is known here, or was changed since.",
            next_step="If the key that made it was another one, add its public key to BACKUP_PUBLIC_KEYS. Otherwise "
            "use a moment that does not need it, or a backup; manage.py archive check looks at all of it.",
            exit_code=FINDINGS,
            code=Code.NOT_TRUSTED,
        )
    return manifest.read_as(kind, data, name=name)


def segment_name(lsn: int, *, timeline: int, size: int) -> str:
    """XLogFileName of PostgreSQL's xlog_internal.h."""
    number, per = lsn // size, _LSN_SPAN // size
    return f"{timeline:08X}{number // per:08X}{number % per:08X}"


def end_of(name: str, *, size: int) -> int:
    """The position behind that piece of WAL."""
    return (int(name[8:16], 16) * (_LSN_SPAN // size) + int(name[16:], 16) + 1) * size


def following(name: str, *, size: int) -> str:
    """The name of the piece of WAL after that one."""
    return segment_name(end_of(name, size=size), timeline=int(name[:8], 16), size=size)


def lsn(text: str) -> int:
    """`0/2000028` as a number."""
    high, _, low = text.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


#: How the name ends of what lay among the pieces of WAL and was put aside.
REFUSED = ".refused"
#: The file of a base: a tar of pg_basebackup's, packed.
FILES = "files.tar.gz"

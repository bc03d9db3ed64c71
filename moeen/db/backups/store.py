"""Where backups lie: a local folder, or any Django storage. A backup is a folder named by its id.

Everything is made in a temporary folder first. A local one is synced and renamed last; to another storage the manifest
is written last. What bears an id and has no manifest is a damaged backup: somebody took it away, or an upload was cut.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.files import File as DjangoFile
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, InvalidStorageError, Storage, storages

from moeen.db.backups import manifest
from moeen.db.backups.manifest import Manifest, Pin, Verification
from moeen.db.codes import Code
from moeen.db.errors import USAGE, MoeenError

ALIAS = "backups"
#: The moment, then what tells two of one second apart: in ids of older versions by chance, else microseconds first.
_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{6}(?:[0-9a-f]{3})?")
_MOMENT = "%Y%m%dT%H%M%SZ"
#: Clocks of two machines differ by so much.
_AHEAD = timedelta(minutes=5)
DATED_AHEAD = "is dated in the future: a clock was wrong when it was made, or is now"
_UNFINISHED = ".unfinished-"
_CHUNK = 1 << 20
#: No paper is longer; what is would fill the memory of whoever looks.
_PAPER_BYTES = 64 << 20


def made_at(name: str) -> datetime:
    """When the backup of that id was made, by the clock of the machine that made it."""
    return datetime.strptime(name.partition("-")[0], _MOMENT).replace(tzinfo=UTC)


def is_id(name: str) -> bool:
    """Whether a backup may be called that: what bears another name is none, and nobody's concern here."""
    try:
        return _ID.fullmatch(name) is not None and bool(made_at(name))
    except ValueError:
        return False


def is_ahead(moment: datetime, *, now: datetime) -> bool:
    """Whether a backup of that moment is dated in the future. Then it is no newest."""
    return moment > now + _AHEAD


@dataclass(frozen=True)
class Store:
    """One place for backups. `folder` is None where the storage is not a local folder."""

    name: str
    storage: Storage | None
    folder: Path | None

    def ids(self) -> list[str]:
        """The ids of all backups, oldest first; of those that are damaged, too."""
        if self.folder is not None:
            entries = self.folder.iterdir() if self.folder.is_dir() else ()
            return sorted(path.name for path in entries if is_id(path.name) and path.is_dir())
        assert self.storage is not None
        names = [name for name in self.storage.listdir("")[0] if is_id(name)]
        # A storage may go on naming a folder that nothing lies in any more.
        return sorted(name for name in names if any(True for _ in self._walk(name)))

    def resolve(self, words: str) -> str:
        """The id that is meant by an id or the beginning of one; raises MoeenError. `origin.chosen` knows `latest`."""
        found = [name for name in self.ids() if name.startswith(words)]
        if len(found) != 1 or not words:
            what = "is no backup" if not found else "is the beginning of several backups' ids"
            raise MoeenError(f"{words!r} {what} in {self.name}.", next_step="List them: manage.py list_backups",
                             exit_code=USAGE, code=Code.NO_BACKUP)  # fmt: skip
        return found[0]

    def manifest(self, name: str) -> Manifest:
        """Raises manifest.Damaged. Its signature is not looked at: `trust` does."""
        return self.read_manifest(name, self.manifest_bytes(name))

    def manifest_bytes(self, name: str) -> bytes:
        """Raises manifest.Damaged where there are none."""
        if self.folder is not None and (self.folder / name).is_symlink():
            raise manifest.Damaged(manifest.NAME, "its folder is a link to another place", backup=name)
        if self.folder is not None and not os.access(self.folder / name, os.R_OK | os.X_OK, effective_ids=True):
            raise manifest.Damaged(manifest.NAME, "this user may not look into its folder", backup=name)
        if not self._exists(f"{name}/{manifest.NAME}"):
            raise manifest.Damaged(manifest.NAME, "it is missing", backup=name)
        return self._read(f"{name}/{manifest.NAME}")

    @staticmethod
    def read_manifest(name: str, data: bytes) -> Manifest:
        """The manifest in these bytes, if it is that backup's; raises manifest.Damaged."""
        found = manifest.read(data, name=manifest.NAME)
        if found.id != name:
            raise manifest.Damaged(manifest.NAME, f"it belongs to backup {found.id}")
        return found

    def verification(self, name: str) -> Verification | None:
        """The record of the last one, None where there is none. A damaged record counts as none."""
        if not self._exists(f"{name}/{manifest.VERIFIED}"):
            return None
        with suppress(manifest.Damaged):
            return manifest.read_as(Verification, self._read(f"{name}/{manifest.VERIFIED}"), name=manifest.VERIFIED)
        return None

    def pin(self, name: str) -> Pin | None:
        """What a person last said about keeping it, None where nobody did. A damaged record keeps it."""
        if not self._exists(f"{name}/{manifest.PIN}"):
            return None
        try:
            return manifest.read_as(Pin, self._read(f"{name}/{manifest.PIN}"), name=manifest.PIN)
        except manifest.Damaged:
            return Pin(at="", kept=True, reason="its record is damaged")

    def record(self, name: str, fact: Verification | Pin) -> None:
        """Keep that in place of what was recorded before."""
        data = manifest.sealed(fact)
        file = manifest.PIN if isinstance(fact, Pin) else manifest.VERIFIED
        if self.folder is not None:
            try:
                _write(self.folder / name, file, data)
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(self.folder / name / file)) from error
            return
        assert self.storage is not None
        path = f"{name}/{file}"
        if self.storage.exists(path):
            self.storage.delete(path)
        self.storage.save(path, ContentFile(data))

    @contextmanager
    def opened(self, name: str) -> Iterator[Path]:
        """The backup as a local folder that nobody else can change. Nothing is decrypted.

        Where it lies or, if that is no such folder, a copy that is removed afterwards: what was held against the
        manifest must be what is used then.
        """
        if self.folder is not None and _is_ours(self.folder / name):
            handle = os.open(self.folder / name, os.O_RDONLY)
            try:
                # Nobody deletes it meanwhile.
                fcntl.flock(handle, fcntl.LOCK_SH)
                yield self.folder / name
            finally:
                os.close(handle)
            return
        with tempfile.TemporaryDirectory(prefix="moeen-fetch-") as scratch:
            target = Path(scratch) / name
            target.mkdir(mode=0o700)
            for path in self._walk(name):
                if ".." in Path(path).parts or Path(path).is_absolute():
                    raise manifest.Damaged(path, "it lies outside of the backup", backup=name)
                local = target / path
                local.parent.mkdir(parents=True, exist_ok=True)
                # A link, or what is no file, is left out, and missed by whoever compares.
                with suppress(_NoFile), self._stream(f"{name}/{path}") as source, local.open("wb") as copy:
                    shutil.copyfileobj(source, copy, _CHUNK)
            yield target

    @contextmanager
    def making(self) -> Iterator[tuple[str, Path]]:
        """A new id and the folder to fill; published when the block ends well, removed when it does not."""
        now = datetime.now(UTC)
        name = f"{now:{_MOMENT}}-{now.microsecond:05x}{secrets.token_hex(2)}"
        parent = self.folder if self.folder is not None else Path(tempfile.gettempdir())
        try:
            if self.folder is not None:
                parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._sweep(parent)
            staging = parent / f"{_UNFINISHED}{name}"
            staging.mkdir(mode=0o700)
        except OSError as error:
            raise MoeenError(
                f"Backups cannot be written to {parent}: {error.strerror}.",
                next_step="Let BACKUP_DIR name a folder that this user may write, or use --to STORAGE.",
                code=Code.STORAGE,
            ) from error
        handle = os.open(staging, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield name, staging
            self._publish(name, staging)
        finally:
            os.close(handle)
            shutil.rmtree(staging, ignore_errors=True)

    def delete(self, name: str) -> bool:
        """Remove the backup, whole: half a backup is none. False, and nothing done, where somebody has it `opened`."""
        if self.folder is not None:
            doomed = self.folder / f"{_UNFINISHED}{name}"
            handle = os.open(self.folder / name, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                (self.folder / name).rename(doomed)
                shutil.rmtree(doomed)
            except BlockingIOError:
                return False
            finally:
                os.close(handle)
            return True
        assert self.storage is not None
        paths = sorted(self._walk(name), key=lambda path: path != manifest.NAME)
        for path in paths:
            self.storage.delete(f"{name}/{path}")
        return True

    def files(self, name: str) -> list[str]:
        """The paths of all files that lie in the backup's folder."""
        return sorted(self._walk(name))

    # -- within ----------------------------------------------------------------------------------------------

    def _publish(self, name: str, staging: Path) -> None:
        if self.folder is not None:
            for path in (*staging.rglob("*"), staging):
                sync(path)
            staging.rename(self.folder / name)
            sync(self.folder)
            return
        assert self.storage is not None
        paths = [path for path in staging.rglob("*") if path.is_file()]
        done: list[str] = []
        try:
            for path in sorted(paths, key=lambda path: path.name == manifest.NAME):
                goal = f"{name}/{path.relative_to(staging).as_posix()}"
                with path.open("rb") as stream:
                    done.append(self.storage.save(goal, DjangoFile(stream)))
                if done[-1] != goal:
                    raise MoeenError(
                        f"The storage {self.name} renamed {goal} to {done[-1]}; it cannot hold backups.",
                        next_step="Set its option that lets a file keep its name, or name another BACKUP_STORAGE.",
                        code=Code.STORAGE,
                    )
        except BaseException:
            # Half a backup would be listed as a damaged one.
            with suppress(Exception):
                for goal in done:
                    self.storage.delete(goal)
            raise

    @staticmethod
    def _sweep(parent: Path) -> None:
        """Remove what killed backups left behind; the lock of one that still runs is held."""
        for left in parent.glob(f"{_UNFINISHED}*"):
            try:
                handle = os.open(left, os.O_RDONLY | os.O_NOFOLLOW)
            except OSError:
                continue
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
            except BlockingIOError:
                pass
            finally:
                os.close(handle)

    def _exists(self, path: str) -> bool:
        if self.folder is not None:
            # Not Path.is_file: whose folder we may not look into must be told of, and not end a whole list.
            return os.path.isfile(self.folder / path)
        assert self.storage is not None
        return self.storage.exists(path)

    def _read(self, path: str) -> bytes:
        file = path.rpartition("/")[2]
        try:
            with self._stream(path) as stream:
                data: bytes = stream.read(_PAPER_BYTES + 1)
        except FileNotFoundError as error:
            raise manifest.Damaged(file, "it is missing") from error
        except PermissionError as error:
            raise manifest.Damaged(file, "this user may not read it") from error
        except _NoFile as error:
            raise manifest.Damaged(file, "it is a link to another place, or no file") from error
        if len(data) > _PAPER_BYTES:
            raise manifest.Damaged(file, "it is longer than any that is written")
        return data

    def _stream(self, path: str) -> IO[bytes]:
        """Raises _NoFile for a link, and for what is no file."""
        if self.folder is None:
            assert self.storage is not None
            stored: IO[bytes] = self.storage.open(path)
            return stored
        try:
            # A pipe would be waited for.
            stream = open(os.open(self.folder / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")  # noqa: SIM115
        except IsADirectoryError as error:
            raise _NoFile from error
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise _NoFile from error
            raise
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            stream.close()
            raise _NoFile
        return stream

    def _walk(self, name: str, within: str = "") -> Iterator[str]:
        if self.folder is not None:
            root = self.folder / name
            yield from (path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir())
            return
        assert self.storage is not None
        folders, files = self.storage.listdir(f"{name}/{within}".rstrip("/"))
        yield from (within + file for file in files)
        for folder in folders:
            yield from self._walk(name, f"{within}{folder}/")


def of(words: str = "") -> Store:
    """The store by that name: an alias of STORAGES, or a path with a slash; without one, STORAGES["backups"]."""
    if "/" in words:
        return Store(words, None, Path(words).expanduser().absolute())
    try:
        storage: Any = storages[words or ALIAS]
    except InvalidStorageError as error:
        raise MoeenError(
            f"There is no storage {words or ALIAS!r} in STORAGES.",
            next_step="Name one that settings.STORAGES has, or a folder by a path with a slash (./folder).",
            exit_code=USAGE,
        ) from error
    local = Path(storage.location) if isinstance(storage, FileSystemStorage) else None
    return Store(str(local) if local else words or ALIAS, storage, local)


class _NoFile(Exception):
    """It is a link, a folder, a pipe: nothing that a backup consists of."""


def _is_ours(folder: Path) -> bool:
    """Whether nobody but us, root and the project's owner can change what lies there, or put something in its place."""
    trusted = {0, os.geteuid(), os.stat(settings.BASE_DIR).st_uid}

    def is_closed(path: Path, *, sticky: int) -> bool:
        facts = path.lstat()
        open_to_others = facts.st_mode & 0o022 and not facts.st_mode & sticky and not stat.S_ISLNK(facts.st_mode)
        return facts.st_uid in trusted and not open_to_others

    try:
        # In a folder like /tmp nobody takes away what is another's.
        above = {*folder.absolute().parents, *folder.resolve().parents}
        return all(is_closed(path, sticky=stat.S_ISVTX) for path in above) and all(
            is_closed(path, sticky=0) for path in (folder, *folder.rglob("*"))
        )
    except OSError:
        return False


def _write(folder: Path, name: str, data: bytes) -> None:
    """Put the file there in one step. Raises OSError where the folder is a link to another place."""
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fresh = f"{name}.new"
        # What lies there may be somebody's link to another file.
        with suppress(FileNotFoundError):
            os.unlink(fresh, dir_fd=place)
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=place), "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(fresh, name, src_dir_fd=place, dst_dir_fd=place)
    finally:
        os.close(place)


def sync(path: Path) -> None:
    """Have the disk keep what was done in a folder: the names of its files."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""Copies of a server's files: pg_basebackup's stream, packed and encrypted on its way to the disk."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import IO, Any

from moeen.db.archiving.papers import FILES, Archive, Base, lsn
from moeen.db.backups import encryption, manifest, program_errors
from moeen.db.backups.keys import Signer
from moeen.db.backups.login import Login
from moeen.db.backups.tools import Tools
from moeen.db.backups.verify import intact
from moeen.db.codes import Code
from moeen.db.errors import MoeenError

APPLICATION = "moeen archive base"
_PIECE = 1 << 18
#: pg_basebackup's own list of all files, the last entry of its stream.
LIST = "backup_manifest"
#: `wbits` of gzip's form.
_GZIP = 31


def take(
    login: Login,
    archive: Archive,
    programs: Tools,
    *,
    signer: Signer,
    recipients: Sequence[str],
    lists: Path,
    parent: Base | None = None,
    at_once: bool = False,
    started: Callable[[subprocess.Popen[bytes]], None] = lambda process: None,
) -> Base:
    """Copy the server's files into the archive. The server goes on; nothing is locked.

    `lists`: the folder where the list of a base's files is kept for the next increment, which `parent` asks for.
    `at_once`: with a checkpoint now in place of a spread one. `started` gets the program, to be ended from elsewhere.
    Raises MoeenError, OSError, psycopg.Error; then there is no new base.
    """
    began = time.monotonic()
    facts = _facts(login)
    to = encryption.recipients(recipients)
    command = [programs.program("pg_basebackup"), "--no-password", "--pgdata=-", "--format=tar", "--wal-method=none",
               "--manifest-checksums=SHA256",
               f"--checkpoint={'fast' if at_once else 'spread'}"]  # fmt: skip
    if parent is not None:
        command.append(f"--incremental={lists / parent.id}")
    with archive.bases.making() as (name, staging), tempfile.TemporaryFile() as said:
        path = staging / (FILES + (".age" if to else ""))
        process = subprocess.Popen(
            command,
            env={**login.environment(application=APPLICATION), **programs.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
        )
        started(process)
        assert process.stdout is not None
        try:
            packing = _Packing(process.stdout)
            with path.open("xb") as target:
                if to:
                    encryption.encrypt(packing, target, to)  # type: ignore[arg-type]
                else:
                    shutil.copyfileobj(packing, target, _PIECE)
            code = process.wait()
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        if code:
            said.seek(0)
            raise program_errors.failure("pg_basebackup", said.read().decode("utf-8", "replace"), code)
        (span,) = json.loads(bytes(packing.kept))["WAL-Ranges"]
        base = Base(
            id=name,
            system=archive.system,
            created_at=_now(login),
            timeline=span["Timeline"],
            start=lsn(span["Start-LSN"]),
            end=lsn(span["End-LSN"]),
            parent=parent.id if parent else "",
            recipients=list(recipients),
            seconds=round(time.monotonic() - began, 3),
            files=[manifest.file_of(staging, path)],
            **facts,
        )
        (staging / manifest.NAME).write_bytes(manifest.sealed(base, signer=signer))
        for file in staging.iterdir():
            file.chmod(0o600)
        lists.mkdir(mode=0o700, parents=True, exist_ok=True)
        for older in lists.iterdir():
            older.unlink()
        (lists / name).write_bytes(packing.kept)
    return base


def unpack(archive: Archive, base: Base, target: Path, keys: Sequence[Any], *, become: dict[str, Any]) -> None:
    """The files of a base, in that folder, as the user of the operating system that `become` names.

    They are held against the base's signed paper first and, as somebody could put others there meanwhile, what was read
    afterwards. Raises MoeenError (3) where they are not what was signed.
    """
    path = check(archive, base) / base.files[0].path
    with path.open("rb") as file, tempfile.TemporaryFile() as said:
        source = _Reading(file)
        process = subprocess.Popen(
            ["tar", "-x", "-f", "-", "-C", str(target)], stdin=subprocess.PIPE, stdout=said, stderr=said, cwd="/",
            **become,
        )  # fmt: skip
        assert process.stdin is not None
        with process.stdin as into:
            unpacking = _Unpacking(into)
            if base.recipients:
                encryption.decrypt(source, unpacking, keys)  # type: ignore[arg-type]
            else:
                shutil.copyfileobj(source, unpacking, _PIECE)
            while source.read(_PIECE):
                pass
        if process.wait():
            said.seek(0)
            raise program_errors.failure("tar", said.read().decode("utf-8", "replace"), process.returncode)
    if source.digest.hexdigest() != base.files[0].sha256:
        raise manifest.Damaged(base.files[0].path, "it was changed while it was read", backup=base.id)


def check(archive: Archive, base: Base) -> Path:
    """The folder of a base, whose files are as its paper says; raises Damaged."""
    folder = archive.bases.folder
    assert folder is not None
    for finding in intact(folder / base.id, base):
        raise manifest.Damaged(finding.object, f"{finding.kind}: {finding.found}", backup=base.id)
    return folder / base.id


def verify(folder: Path) -> None:
    """Hold unpacked files against pg_basebackup's list of them, which names all; raises Damaged.

    As pg_verifybackup does it: that of the wheel's PostgreSQL 18 does not start.
    """
    listed = {file["Path"]: file for file in json.loads((folder / LIST).read_bytes())["Files"]}
    for name, said in listed.items():
        path = folder / name
        if not path.is_file() or manifest.file_of(folder, path) != manifest.File(name, said["Size"], said["Checksum"]):
            raise manifest.Damaged(name, "it is not as pg_basebackup listed it")
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    for name in sorted(there - listed.keys() - {LIST}):
        raise manifest.Damaged(name, "pg_basebackup did not list it")


@dataclass
class _Packing:
    """A stream of tar, read packed. What it says of its last entry, the list of files, is kept."""

    source: IO[bytes]
    kept: bytearray = field(default_factory=bytearray)
    _ready: bytearray = field(default_factory=bytearray)
    _open: bytearray = field(default_factory=bytearray)
    _left: int = 0
    _keeping: int = 0
    _pack: Any = field(default_factory=lambda: zlib.compressobj(1, zlib.DEFLATED, _GZIP))

    def read(self, size: int = -1) -> bytes:
        while self._pack is not None and (size < 0 or len(self._ready) < size):
            piece = self.source.read(_PIECE)
            self._ready += self._pack.compress(piece) if piece else self._pack.flush()
            self._pack = self._pack if piece else None
            self._follow(piece)
        size = len(self._ready) if size < 0 else size
        given = bytes(self._ready[:size])
        del self._ready[:size]
        return given

    def _follow(self, piece: bytes) -> None:
        """From entry to entry: a head of 512 bytes, then the content, filled up to a multiple of 512."""
        self._open += piece
        while self._open:
            if self._left:
                part = min(self._left, len(self._open))
                self.kept += self._open[: min(part, self._keeping)]
                self._keeping -= min(part, self._keeping)
                self._left -= part
            elif len(self._open) < tarfile.BLOCKSIZE:
                return
            else:
                part = tarfile.BLOCKSIZE
                head = bytes(self._open[:part])
                size = tarfile.nti(head[124:136]) if any(head) else 0  # type: ignore[attr-defined]
                self._keeping = size if head.partition(b"\0")[0] == LIST.encode() else 0
                self._left = -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
            del self._open[:part]


@dataclass
class _Reading:
    """A file, and the SHA-256 of what was read of it so far."""

    source: IO[bytes]
    digest: Any = field(default_factory=hashlib.sha256)

    def read(self, size: int = -1) -> bytes:
        data = self.source.read(size)
        self.digest.update(data)
        return data


@dataclass
class _Unpacking:
    """What is written to it goes on unpacked."""

    target: IO[bytes]
    _reader: Any = field(default_factory=lambda: zlib.decompressobj(_GZIP))

    def write(self, data: bytes) -> int:
        self.target.write(self._reader.decompress(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""


def _facts(login: Login) -> dict[str, Any]:
    with login.connect(application=APPLICATION) as connection:
        ((version, superuser, databases, segment, spaces),) = connection.execute(
            """
            SELECT split_part(current_setting('server_version'), ' ', 1),
                   -- initdb's role has this number in every server (pg_authid.dat)
                   (SELECT rolname::text FROM pg_roles WHERE oid = 10),
                   ARRAY(SELECT datname::text FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1),
                   (SELECT setting::int FROM pg_settings WHERE name = 'wal_segment_size'),
                   ARRAY(SELECT spcname::text FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global'))
            """
        ).fetchall()
    if spaces:
        raise MoeenError(
            f"The server has tablespaces ({', '.join(spaces)}); their files lie outside of its folder, and are not "
            "archived here.",
            next_step="Use pgBackRest (docs/archive.md), or move what is in them to pg_default and drop them.",
            code=Code.ARCHIVE,
        )
    return {"server_version": version, "superuser": superuser, "databases": databases, "segment_bytes": segment}


def _now(login: Login) -> str:
    """The server's clock, which commits are dated by."""
    with login.connect(application=APPLICATION) as connection:
        ((now,),) = connection.execute("SELECT clock_timestamp()").fetchall()
    return str(now.astimezone(UTC).isoformat(timespec="milliseconds"))

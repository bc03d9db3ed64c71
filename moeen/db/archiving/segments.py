"""Pieces of WAL as they lie in the archive, a file each: a signed paper and behind it the piece, packed, encrypted."""

from __future__ import annotations

import hashlib
import io
import os
import zlib
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from moeen.db.archiving.papers import Archive, Segment, believed
from moeen.db.backups import encryption, manifest
from moeen.db.backups.keys import Signer
from moeen.db.backups.manifest import Damaged
from moeen.db.backups.store import sync

#: What ends the paper; within it every closing bracket is indented.
_END = b"\n}\n"
_PAPER_BYTES = 64 * 1024


def write(
    archive: Archive,
    name: str,
    data: bytes,
    *,
    until: datetime,
    lsn: int,
    signer: Signer,
    recipients: Sequence[str],
) -> None:
    """Put the piece into the archive, in place of an older state of it, in one step. Raises OSError."""
    packed = zlib.compress(data, 1)
    if recipients:
        sealed = io.BytesIO()
        encryption.encrypt(io.BytesIO(packed), sealed, encryption.recipients(recipients))
        packed = sealed.getvalue()
    paper = Segment(
        system=archive.system, name=name, until=until.isoformat(timespec="milliseconds"), lsn=lsn, bytes=len(data),
        sha256=hashlib.sha256(packed).hexdigest(), recipients=list(recipients),
    )  # fmt: skip
    fresh = archive.wal / f".{name}"
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(manifest.sealed(paper, signer=signer))
        file.write(packed)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(archive.wal / name)
    sync(archive.wal)


def paper(archive: Archive, name: str) -> Segment:
    """What is said of it; the piece itself is not looked at. Raises MoeenError (3) for what nobody known has signed.

    A file that is as it was when this process last looked is not read again.
    """
    path = archive.wal / name
    _refuse_link(path)
    there = path.stat()
    return _read_paper(archive, name, there.st_mtime_ns, there.st_size)


@lru_cache(maxsize=1 << 14)
def _read_paper(archive: Archive, name: str, written: int, size: int) -> Segment:
    with (archive.wal / name).open("rb") as file:
        return _paper(archive, name, file.read(_PAPER_BYTES))[0]


def read(archive: Archive, name: str, keys: Sequence[Any]) -> bytes:
    """The piece itself, as PostgreSQL wrote it; raises MoeenError (3) where it is not what was signed."""
    found, packed = checked(archive, name)
    if found.recipients:
        plain = io.BytesIO()
        encryption.decrypt(io.BytesIO(packed), plain, keys)
        packed = plain.getvalue()
    reader = zlib.decompressobj()
    data = reader.decompress(packed, found.bytes)
    if len(data) != found.bytes:
        raise Damaged(f"wal/{name}", "it is cut")
    return data


def checked(archive: Archive, name: str) -> tuple[Segment, bytes]:
    """Its paper and what is stored, which agree; raises MoeenError (3)."""
    path = archive.wal / name
    _refuse_link(path)
    found, packed = _paper(archive, name, path.read_bytes())
    if hashlib.sha256(packed).hexdigest() != found.sha256:
        raise Damaged(f"wal/{name}", "its bytes are not those that were signed")
    return found, packed


def _refuse_link(path: Path) -> None:
    if path.is_symlink():
        raise Damaged(f"wal/{path.name}", "it is a link to another place")


def _paper(archive: Archive, name: str, data: bytes) -> tuple[Segment, bytes]:
    said, end, rest = data.partition(_END)
    found = believed(Segment, said + end, name=f"wal/{name}")
    if (found.system, found.name) != (archive.system, name):
        raise Damaged(f"wal/{name}", "it is another piece of WAL")
    return found, rest

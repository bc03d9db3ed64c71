"""The table of contents of what pg_dump wrote, read as pg_restore reads it, without running anything.

Both forms begin alike: a head, then every entry with all the SQL that a restore would send for it. In the custom form
it is the beginning of the file, in the folder form the file toc.dat (pg_backup_archiver.c: ReadHead, ReadToc).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO

from moeen.db.backups.manifest import Damaged

#: The file of the folder form.
TOC = "toc.dat"
_MAGIC = b"PGDMP"
# pg_dump 12 to 18 write these; what a newer one writes is not guessed at.
_VERSIONS = ((1, 14), (1, 15), (1, 16))
#: The byte that names the form; of the folder form it says "tar", whose programs share the head.
_FORMS = {"custom": 1, "directory": 3}
_INT_BYTES, _OFFSET_BYTES = 4, 8
#: Nothing in a table of contents is longer, and no table of contents has more entries.
_LONGEST, _MOST = 256 * 1024 * 1024, 10_000_000


@dataclass(frozen=True)
class Entry:
    """One entry: what it is (`kind`: TABLE, POLICY, TABLE DATA, ...), and every text that reaches the server.

    `create`, `drop` and `copy` are SQL. `has_data`: rows lie in the dump for it; `file` is theirs, in the folder form.
    """

    id: int
    kind: str
    schema: str
    name: str
    owner: str
    create: str
    drop: str
    copy: str
    has_data: bool
    file: str = ""

    def pretty(self) -> str:
        """One line for a person."""
        return " ".join(word for word in (f"entry {self.id}:", self.kind, self.schema, self.name) if word)


def read(source: IO[bytes], *, form: str, file: str) -> list[Entry]:
    """All entries in their order; raises Damaged, naming `file`, for anything but what pg_dump writes.

    `form` is custom or directory. Reads no further than the table of contents.
    """
    try:
        return _Reader(source, form).entries()
    except (_Strange, UnicodeDecodeError, ValueError, MemoryError) as error:
        what = str(error) if isinstance(error, _Strange) else "a text in it is malformed"
        raise Damaged(file, f"its table of contents is not one that pg_dump writes ({what})") from error


class _Strange(Exception):
    """Something that pg_dump does not write."""


class _Reader:
    def __init__(self, source: IO[bytes], form: str) -> None:
        self._source = source
        self._form = form

    def entries(self) -> list[Entry]:
        version = self._head()
        count = self._integer()
        if not 0 <= count <= _MOST:
            raise _Strange("the number of entries")
        found = [self._entry(version) for _ in range(count)]
        if len({entry.id for entry in found}) != len(found):
            raise _Strange("two entries of one number")
        return found

    def _head(self) -> tuple[int, int]:
        if self._bytes(5) != _MAGIC:
            raise _Strange("its first bytes")
        version = (self._byte(), self._byte())
        self._byte()
        if version not in _VERSIONS:
            raise _Strange(f"format {version[0]}.{version[1]}")
        if (self._byte(), self._byte()) != (_INT_BYTES, _OFFSET_BYTES):
            raise _Strange("the width of its numbers")
        if self._byte() != _FORMS[self._form]:
            raise _Strange("its form")
        _ = self._byte() if version >= (1, 15) else self._integer()
        for _ in range(7):
            self._integer()
        for _ in ("database", "server's version", "pg_dump's version"):
            self._text()
        return version

    def _entry(self, version: tuple[int, int]) -> Entry:
        number, has_data = self._integer(), self._integer()
        if number <= 0 or has_data not in (0, 1):
            raise _Strange("the number of an entry")
        self._text(), self._text()
        name, kind = self._text(), self._text()
        self._integer()
        create, drop, copy, schema = self._text(), self._text(), self._text(), self._text()
        self._text(), self._text()
        if version >= (1, 16):
            self._integer()
        owner = self._text()
        self._text()
        while self._optional() is not None:
            pass
        file = ""
        if self._form == "custom":
            self._byte()
            self._bytes(_OFFSET_BYTES)
        else:
            file = self._text()
        return Entry(number, kind, schema, name, owner, create, drop, copy, bool(has_data), file)

    def _bytes(self, number: int) -> bytes:
        data = bytearray()
        while len(data) < number:
            part = self._source.read(min(number - len(data), 1 << 20))
            if not part:
                raise _Strange("it is cut")
            data += part
        return bytes(data)

    def _byte(self) -> int:
        return self._bytes(1)[0]

    def _integer(self) -> int:
        negative = self._byte()
        value = int.from_bytes(self._bytes(_INT_BYTES), "little")
        # pg_restore keeps it in a C int.
        if negative not in (0, 1) or value >= 1 << 31:
            raise _Strange("a number")
        return -value if negative else value

    def _optional(self) -> str | None:
        length = self._integer()
        if length < 0:
            return None
        if length > _LONGEST:
            raise _Strange("the length of a text")
        data = self._bytes(length)
        # To pg_restore the text would end there, and something else begin.
        if b"\0" in data:
            raise _Strange("a text with a zero byte")
        return data.decode("utf-8")

    def _text(self) -> str:
        return self._optional() or ""

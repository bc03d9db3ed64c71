"""The two papers of a backup: the manifest, which anybody may read, and the content, which a restore is measured by.

`manifest.json` says what the backup is and lists every other file with size and SHA-256; its last line seals it with
the SHA-256 of all bytes before. `content.json` holds counts and digests of tables, every object, grant and role; of
an encrypted backup it is encrypted too, since the digest of a small table can be guessed at.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from moeen.db.backups.digests import Digest
from moeen.db.backups.inventory import Inventory, Role, Settings, Stub
from moeen.db.errors import FINDINGS, MoeenError

NAME = "manifest.json"
CONTENT = "content.json"
VERIFIED = "verified.json"
FORMAT = 2
_SEALED = re.compile(rb'\A(\{\n.*),\n  "seal": "([0-9a-f]{64})"\n\}\n\Z', re.S)


class Damaged(MoeenError):
    """A paper of a backup is not as it was written; `file` names it, and `backup` the backup where it is known."""

    def __init__(self, file: str, what: str, *, backup: str = "") -> None:
        super().__init__(
            f"{file}{f' of backup {backup}' if backup else ''} is damaged: {what}.",
            next_step="Use another backup (manage.py list_backups), or an intact copy of this one.",
            exit_code=FINDINGS,
        )
        self.file = file
        self.what = what


@dataclass(frozen=True)
class File:
    """A file of the backup: its path within, size in bytes, SHA-256 in hexadecimal."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a backup is. `created_at` is the moment of the snapshot in UTC; `seconds` is how long it all took.

    `fingerprint` is the schema's, as validate_schema and the ledger of migrations have it; `inventory` is the SHA-256
    of all objects in `content.json`, those of other tables and schemas included.
    """

    id: str
    created_at: str
    label: str
    database: str
    server_version: str
    project_version: str
    tools_version: str
    python_version: str
    digest_algorithm: str
    format: str
    jobs: int
    recipients: list[str]
    rows: int
    tables: int
    fingerprint: str
    inventory: str
    left_out: list[str]
    migrations: dict[str, list[str]]
    seconds: float
    files: list[File]
    version: int = FORMAT

    @property
    def encrypted(self) -> bool:
        return bool(self.recipients)

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    @property
    def major(self) -> int:
        """The server's major version."""
        return int(self.server_version.split(".")[0])

    @property
    def dump(self) -> str:
        """The path of the dump within the backup: a folder, or a file."""
        return {"directory": "dump", "custom": "dump.custom"}[self.format] + (".age" if self.encrypted else "")

    @property
    def content(self) -> str:
        return CONTENT + (".age" if self.encrypted else "")


@dataclass(frozen=True)
class Content:
    """What a restore must bring back."""

    tables: dict[str, Digest]
    #: What each sequence said before the dump and after it; pg_dump read it in between.
    sequences: dict[str, list[str]]
    large_objects: Digest
    inventory: Inventory
    roles: list[Role]
    settings: Settings
    stubs: list[Stub] = field(default_factory=list)
    #: As validate_schema prints it.
    fingerprint: str = ""

    @property
    def rows(self) -> int:
        return sum(digest.rows for digest in self.tables.values())


@dataclass(frozen=True)
class Verification:
    """The last time a backup was restored and compared."""

    at: str
    ok: bool
    findings: int
    seconds: float
    server_version: str


def sealed(value: Manifest | Verification) -> bytes:
    """The paper as it is written."""
    text = json.dumps(asdict(value), indent=2, ensure_ascii=False, sort_keys=True).encode()
    body = text.removesuffix(b"\n}")
    return body + b',\n  "seal": "' + hashlib.sha256(body).hexdigest().encode() + b'"\n}\n'


def read(data: bytes, *, name: str = NAME) -> Manifest:
    """The manifest in these bytes; raises Damaged for anything but what `sealed` wrote."""
    fields = _unsealed(data, name=name)
    if fields.get("version") == 1:
        # It had one fingerprint, of everything in content.json.
        fields |= {"inventory": fields["fingerprint"], "fingerprint": ""}
    elif fields.get("version") != FORMAT:
        raise MoeenError(
            f"The backup was made by a newer version of the project (format {fields.get('version')}).",
            next_step="Use that version to verify or restore it.",
        )
    fields["files"] = [File(**entry) for entry in fields["files"]]
    return Manifest(**fields)


def read_verification(data: bytes) -> Verification:
    return Verification(**_unsealed(data, name=VERIFIED))


def _unsealed(data: bytes, *, name: str) -> dict[str, Any]:
    found = _SEALED.fullmatch(data)
    if found is None:
        raise Damaged(name, "its form is not the one it was written in")
    if hashlib.sha256(found[1]).hexdigest().encode() != found[2]:
        raise Damaged(name, "its text and its seal do not agree")
    value: dict[str, Any] = json.loads(found[1] + b"\n}")
    return value


def content_to_json(content: Content) -> bytes:
    return json.dumps(asdict(content), ensure_ascii=False, sort_keys=True).encode()


def content_of_json(data: bytes) -> Content:
    raw: Mapping[str, Any] = json.loads(data)
    return Content(
        tables={label: Digest(**value) for label, value in raw["tables"].items()},
        sequences=raw["sequences"],
        large_objects=Digest(**raw["large_objects"]),
        inventory=raw["inventory"],
        roles=[Role(**value) for value in raw["roles"]],
        settings=Settings(**raw["settings"]),
        stubs=[Stub(**value) for value in raw["stubs"]],
        fingerprint=raw.get("fingerprint", ""),
    )


def file_of(folder: Path, path: Path) -> File:
    """Size and SHA-256 of a file, read in pieces."""
    with path.open("rb") as stream:
        return File(
            path.relative_to(folder).as_posix(),
            path.stat().st_size,
            hashlib.file_digest(stream, "sha256").hexdigest(),
        )

"""The two papers of a backup: the manifest, which anybody may read, and the content, which a restore is measured by.

`manifest.json` says what the backup is and lists every other file with size and SHA-256. Its last lines are a
signature of what stands before (see `keys`), which nobody can forge, and a SHA-256, which finds damage by chance.
`content.json` holds counts and digests of tables, every object, grant and role; of an encrypted backup it is encrypted
too, since the digest of a small table can be guessed at.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, is_dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, TypeVar, get_args, get_origin, get_type_hints

from moeen.db import statements
from moeen.db.backups.digests import Digest
from moeen.db.backups.inventory import Inventory, Role, Settings
from moeen.db.backups.keys import Signer
from moeen.db.backups.outside import Outside, Stub
from moeen.db.codes import Code
from moeen.db.errors import FINDINGS, MoeenError, shown_on_a_line

#: What a backup is for.
NIGHTLY, CHANGE, RESTORE, PRE_ADOPTION = "nightly", "change", "restore", "pre-adoption"
PURPOSES = (NIGHTLY, CHANGE, RESTORE, PRE_ADOPTION)
NAME = "manifest.json"
CONTENT = "content.json"
VERIFIED = "verified.json"
PIN = "pin.json"
FORMAT = 4
_DUMPS = {"directory": "dump", "custom": "dump.custom"}
#: Kinds of objects that a restore looks up.
_NEEDED = frozenset(("schema", "extension", "event trigger", "owner", "grant", "default grant"))
_VERSION = re.compile(r"[1-9][0-9]{1,2}(?:\D|\Z)")
_SEALED = re.compile(rb'\A(\{\n.*),\n  "seal": "([0-9a-f]{64})"\n\}\n\Z', re.S)
_SIGNED = re.compile(rb'(.*),\n  "signature": "([0-9A-Za-z:+/=]*)"\Z', re.S)


class Damaged(MoeenError):
    """A paper of a backup is not as it was written; `file` names it, and `backup` the backup where it is known."""

    default_code = Code.DAMAGED

    def __init__(self, file: str, what: str, *, backup: str = "") -> None:
        what = shown_on_a_line(what)
        super().__init__(
            f"{file}{f' of backup {backup}' if backup else ''} is damaged: {what}.",
            next_step="Use another backup (manage.py list_backups), or an intact copy of this one.",
            exit_code=FINDINGS,
        )
        self.file = file
        self.what = what


class Unfit(ValueError):
    """A field has the right type and a value that nothing may be done with."""


class Paper(Protocol):
    """A dataclass that is written as one file; `check` raises ValueError for a value that nothing may be done with."""

    def check(self) -> None: ...


_P = TypeVar("_P", bound=Paper)


class Listing(Protocol):
    """A paper that lists the other files of its folder."""

    @property
    def files(self) -> list[File]: ...

    @property
    def bytes(self) -> int: ...


@dataclass(frozen=True)
class File:
    """A file of the backup: its path within, size in bytes, SHA-256 in hexadecimal."""

    path: str
    bytes: int
    sha256: str

    def check(self) -> None:
        """Raises Unfit for a path that leads out of the folder."""
        path = PurePosixPath(self.path)
        if path.is_absolute() or ".." in path.parts or path.as_posix() != self.path or not self.path.isprintable():
            raise Unfit("it lists a file outside of the backup")


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
    #: The server's own number, which no other has, and what the backup is for. Both from format 3 on.
    system: str = ""
    purpose: str = NIGHTLY
    version: int = FORMAT

    def check(self) -> None:
        """Raises Unfit for a value that could lead outside of the backup's folder, or into nothing."""
        moment_of(self.created_at)
        if self.purpose not in PURPOSES:
            raise Unfit("nobody knows what it is for")
        if self.format not in _DUMPS or not _VERSION.match(self.server_version):
            raise Unfit("its form or its server's version is none")
        for file in self.files:
            file.check()

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
        return _DUMPS[self.format] + (".age" if self.encrypted else "")

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
    #: From format 4 on.
    outside: Outside = field(default_factory=Outside)
    #: As validate_schema prints it.
    fingerprint: str = ""

    def check(self) -> None:
        """Raises Unfit for a role that no restore may make, and an owner that is none of the roles."""
        names = [role.name for role in self.roles]
        if any(not name or name.startswith("pg_") for name in names):
            raise Unfit("one of its roles is no role of a database's")
        if len(set(names)) != len(names) or self.settings.owner not in names:
            raise Unfit("its roles are not those of a database")
        if self.settings.provider not in ("", "c", "i", "b"):
            raise Unfit("its locale is of no provider")
        for stub in self.stubs:
            if stub.schema.startswith("pg_") or not all(map(_declares, (stub.arguments, stub.result))):
                raise Unfit("a function of the platform is none")
        schemas = [table.schema for table in self.outside.tables] + [kind.schema for kind in self.outside.types]
        if any(schema.startswith("pg_") for schema in schemas):
            raise Unfit("a table or a type of the platform is none")
        if not set(self.inventory) >= _NEEDED:
            raise Unfit("its kinds of objects are not those of a database")

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

    def check(self) -> None:
        """Raises ValueError for a moment that is none."""
        moment_of(self.at)


def moment_of(text: str) -> datetime:
    """The moment that is written there, with its zone: others cannot be compared. Raises ValueError."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise Unfit("a moment of it has no zone")
    return found


def _declares(text: str) -> bool:
    """Whether it could stand in a function's declaration: nothing ends, no bracket closes that was not opened."""
    depth = 0
    for token in statements.tokens(text):
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if token.kind in ("end", "body", "comment") or depth < 0:
            return False
    return depth == 0


@dataclass(frozen=True)
class Pin:
    """Whether a person wants a backup kept until they say otherwise, and why."""

    at: str
    kept: bool
    reason: str

    def check(self) -> None:
        """Raises ValueError for a moment that is none."""
        moment_of(self.at)


def sealed(value: Paper, *, signer: Signer | None = None) -> bytes:
    """The paper as it is written, signed where there is somebody who signs."""
    fields = asdict(value)  # type: ignore[call-overload]
    text = json.dumps(fields, indent=2, ensure_ascii=False, sort_keys=True).encode()
    body = text.removesuffix(b"\n}")
    if signer is not None:
        body += f',\n  "signature": "{signer.sign(body)}"'.encode()
    return body + b',\n  "seal": "' + hashlib.sha256(body).hexdigest().encode() + b'"\n}\n'


def signature_of(data: bytes, *, name: str = NAME) -> tuple[bytes, str]:
    """What is signed of a paper, and its signature: "" where it has none, as before format 3. Raises Damaged."""
    found = _SEALED.fullmatch(data)
    if found is None:
        raise Damaged(name, "its form is not the one it was written in")
    signed = _SIGNED.fullmatch(found[1])
    return (signed[1], signed[2].decode()) if signed else (found[1], "")


def read(data: bytes, *, name: str = NAME) -> Manifest:
    """The manifest in these bytes; raises Damaged for anything but what `sealed` wrote."""
    fields = _unsealed(data, name=name)
    if fields.get("version") == 1:
        # It had one fingerprint, of everything in content.json.
        fields |= {"inventory": fields.get("fingerprint"), "fingerprint": ""}
    elif (version := fields.get("version")) not in (2, 3, FORMAT):
        if not isinstance(version, int):
            raise Damaged(name, "its format is none")
        raise MoeenError(
            f"The backup was made by a newer version of the project (format {version}).",
            next_step="Use that version to verify or restore it.",
            exit_code=FINDINGS,
            code=Code.TARGET_UNFIT,
        )
    fields.pop("signature", None)
    return _made(Manifest, fields, name=name)


def read_as(kind: type[_P], data: bytes, *, name: str) -> _P:
    """The paper of that kind in these bytes; raises Damaged, naming it, for anything but what `sealed` wrote."""
    fields = _unsealed(data, name=name)
    fields.pop("signature", None)
    return _made(kind, fields, name=name)


def _unsealed(data: bytes, *, name: str) -> dict[str, Any]:
    found = _SEALED.fullmatch(data)
    if found is None:
        raise Damaged(name, "its form is not the one it was written in")
    if hashlib.sha256(found[1]).hexdigest().encode() != found[2]:
        raise Damaged(name, "its text and its seal do not agree")
    try:
        value: dict[str, Any] = json.loads(found[1] + b"\n}")
    except (ValueError, RecursionError) as error:
        raise Damaged(name, "it is no JSON") from error
    return value


def content_to_json(content: Content) -> bytes:
    return json.dumps(asdict(content), ensure_ascii=False, sort_keys=True).encode()


def content_of_json(data: bytes) -> Content:
    """Raises Damaged for anything but what `content_to_json` wrote."""
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Damaged(CONTENT, "it is no JSON") from error
    return _made(Content, raw, name=CONTENT)


def file_of(folder: Path, path: Path) -> File:
    """Size and SHA-256 of a file, read in pieces."""
    with path.open("rb") as stream:
        return File(
            path.relative_to(folder).as_posix(),
            path.stat().st_size,
            hashlib.file_digest(stream, "sha256").hexdigest(),
        )


def _made(kind: type[_P], raw: Any, *, name: str) -> _P:
    """The paper with these fields. Whoever wrote them, each has the type that is declared, and is fit to be used."""
    try:
        paper: _P = _typed(kind, raw)
        paper.check()
    except (Unfit, TypeError, KeyError, ValueError, AttributeError, RecursionError) as error:
        what = f"{error}" if isinstance(error, Unfit) else "a field is missing, unknown or of another type"
        raise Damaged(name, what) from error
    return paper


def _typed(kind: Any, raw: Any) -> Any:
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        if not isinstance(raw, dict) or not raw.keys() <= hints.keys():
            raise TypeError
        return kind(**{key: _typed(hints[key], value) for key, value in raw.items()})  # type: ignore[operator]
    base, parts = get_origin(kind), get_args(kind)
    if base is dict and isinstance(raw, dict):
        return {_typed(parts[0], key): _typed(parts[1], value) for key, value in raw.items()}
    if base is list and isinstance(raw, list):
        return [_typed(parts[0], value) for value in raw]
    if kind is float and isinstance(raw, int) and not isinstance(raw, bool):
        return float(raw)
    if base is not None or type(raw) is not kind or (kind is str and "\0" in raw):
        raise TypeError
    return raw

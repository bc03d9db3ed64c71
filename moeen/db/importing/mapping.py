"""The mapping: a TOML file, reviewed like code, that says where each table of ours comes from.

Whatever is wrong with it is said with its line.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping as Dictionary
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moeen.db.codes import Code
from moeen.db.errors import USAGE, MoeenError, of_file

_HEADER = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(?:#.*)?")
_ASSIGNMENT = re.compile(r"\s*((?:[\w-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[\w-]+|\"[^\"]*\"|'[^']*'))*)\s*=")
_PART = re.compile(r"[\w-]+|\"[^\"]*\"|'[^']*'")
_NUL = re.compile(r"\\(u0000|U00000000)")
_MULTILINE = re.compile(r'"""|\'\'\'')
_NAME = re.compile(r"[\w .-]{1,100}")
#: Stands where somebody has yet to decide: for a constant, a value, what becomes of NULL, a reason.
UNDECIDED = "?"


class MappingError(MoeenError):
    """The mapping cannot be carried out. Nothing was changed."""

    default_code = Code.MAPPING


@dataclass(frozen=True, kw_only=True)
class Column:
    """Where the value of one column of ours comes from: one of a column, an expression and a constant.

    ``values`` replaces what was found, NULL by ``null``. ``references``: a table of ours whose old key the value is.
    """

    name: str
    line: int
    column: str = ""
    sql: str = ""
    constant: str | None = None
    values: Dictionary[str, str] | None = None
    null: str | None = None
    references: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Where the rows of one table of ours come from: ``source`` names a table or view, or is a SELECT.

    ``match``: a column of ours; a row whose value stands there already is that one, and is not written.
    """

    name: str
    line: int
    source: str
    key: tuple[str, ...]
    columns: Dictionary[str, Column]
    public_id: Column | None = None
    match: str = ""
    left_out: Dictionary[str, str] = field(default_factory=dict)
    lines: Dictionary[str, int] = field(default_factory=dict)

    @property
    def is_query(self) -> bool:
        return re.match(r"(?is)\s*(select|with)\b", self.source) is not None

    @property
    def expressions(self) -> list[Column]:
        """What is filled by SQL."""
        return [one for one in (*self.columns.values(), self.public_id) if one and one.sql]


@dataclass(frozen=True, kw_only=True)
class Mapping:
    """The whole file. ``zone``: of times that hold none, and of days that are taken from times; "" where not said.

    ``undecided``: dotted names of what is still to be decided -> their lines.
    """

    path: Path
    text: str
    source: str
    schema: str
    zone: str
    tables: Dictionary[str, Table]
    left_out: Dictionary[str, str]
    lines: Dictionary[str, int]
    undecided: Dictionary[str, int]

    def error(self, line: int, cause: str, *, next_step: str = "") -> MappingError:
        return MappingError(f"{self.path.name}, line {line}: {cause}", next_step=next_step, exit_code=USAGE)


def load(path: Path) -> Mapping:
    """Read and check the form of a mapping. Raises MappingError (2) with the line of what is wrong."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors begin a file with a mark
    except (OSError, UnicodeDecodeError) as error:
        step = "import_database --propose writes a first one." if isinstance(error, FileNotFoundError) else ""
        raise MappingError(
            f"The mapping {path} cannot be read: {of_file(error)}.", next_step=step, exit_code=USAGE
        ) from error
    return parse(text, path=path)


def parse(text: str, *, path: Path) -> Mapping:
    """The mapping that a text holds; ``path`` names it in errors."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise MappingError(f"{path.name} is no TOML: {error}.", exit_code=USAGE) from error
    except RecursionError as error:
        raise MappingError(f"{path.name} is nested too deeply.", exit_code=USAGE) from error
    if nothing := _NUL.search(text):
        line = text.count("\n", 0, nothing.start()) + 1
        raise MappingError(f"{path.name}, line {line}: PostgreSQL knows no character 0.", exit_code=USAGE)
    return _Reader(path, text, document).mapping()


class _Reader:
    def __init__(self, path: Path, text: str, document: dict[str, Any]) -> None:
        self.path, self.text, self.document = path, text, document
        self.lines = _lines(text)
        self.undecided: dict[str, int] = {}

    def mapping(self) -> Mapping:
        document = self.document
        self._known(document, "", ("source", "schema", "zone", "tables", "left_out"))
        name = self._text(document, "", "source")
        if not _NAME.fullmatch(name):
            raise self._error("source", "source is a short name for the database the rows come from.")
        tables = self._tables(document, "", "tables")
        if not tables:
            raise self._error("", "it names no table: [tables.NAME] says where the rows of a table come from.")
        found = {one: self._table(one, said, f"tables.{one}") for one, said in tables.items()}
        left_out = self._texts(document, "", "left_out")
        return Mapping(
            path=self.path,
            text=self.text,
            source=name,
            schema=self._text(document, "", "schema", "public"),
            zone=self._text(document, "", "zone", ""),
            tables=found,
            left_out=left_out,
            lines=self.lines,
            undecided=self.undecided,
        )

    def _table(self, name: str, said: Any, at: str) -> Table:
        if not isinstance(said, dict):
            raise self._error(at, f"[{at}] is a table of TOML.")
        self._known(said, at, ("from", "key", "public_id", "match", "columns", "left_out"))
        key = said.get("key", "id")
        key = [key] if isinstance(key, str) else key
        if not isinstance(key, list) or not key or not all(isinstance(one, str) and one for one in key):
            raise self._error(f"{at}.key", "key is the name of a column, or a list of names.")
        columns = self._tables(said, at, "columns")
        public_id = said.get("public_id")
        return Table(
            name=name,
            line=self._line(at),
            source=self._text(said, at, "from", name),
            key=tuple(key),
            columns={one: self._column(one, what, f"{at}.columns.{one}") for one, what in columns.items()},
            public_id=None if public_id is None else self._column("public_id", public_id, f"{at}.public_id"),
            match=self._text(said, at, "match", ""),
            left_out=self._texts(said, at, "left_out"),
            lines={one: self._line(f"{at}.{one}") for one in ("from", "key", "match")},
        )

    def _column(self, name: str, said: Any, at: str) -> Column:
        if isinstance(said, str):
            said = {"column": said}
        if not isinstance(said, dict):
            raise self._error(at, f"{name} is the name of a column, or {{ sql = ... }}, {{ constant = ... }}.")
        self._known(said, at, ("column", "sql", "constant", "values", "null", "references"))
        if len(said.keys() & {"column", "sql", "constant"}) != 1:
            raise self._error(at, f"{name} comes from one of column, sql and constant.")
        values = said.get("values")
        if values is not None and (not isinstance(values, dict) or not values):
            raise self._error(at, "values is a table: what stands in the source = what stands here.")
        return Column(
            name=name,
            line=self._line(at),
            column=self._text(said, at, "column", ""),
            sql=self._text(said, at, "sql", ""),
            constant=None if "constant" not in said else self._scalar(said["constant"], at),
            values=None if values is None else {one: self._scalar(what, at) for one, what in values.items()},
            null=None if "null" not in said else self._scalar(said["null"], at),
            references=self._text(said, at, "references", ""),
        )

    def _scalar(self, value: Any, at: str) -> str:
        if value == UNDECIDED:
            self.undecided[at] = self._line(at)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str | int | float):
            return str(value)
        raise self._error(at, "a value is a text, a number, true or false.")

    def _text(self, said: Dictionary[str, Any], at: str, name: str, default: str | None = None) -> str:
        value = said.get(name, default)
        if not isinstance(value, str) or (name in said and not value.strip()):
            raise self._error(f"{at}.{name}", f"{name} is a text.")
        return value

    def _tables(self, said: Dictionary[str, Any], at: str, name: str) -> dict[str, Any]:
        value = said.get(name, {})
        if not isinstance(value, dict):
            raise self._error(f"{at}.{name}", f"{name} is a table of TOML.")
        return value

    def _texts(self, said: Dictionary[str, Any], at: str, name: str) -> dict[str, str]:
        found = self._tables(said, at, name)
        for one, reason in found.items():
            if not isinstance(reason, str) or not reason.strip():
                raise self._error(f"{at}.{name}.{one}", f"{one} is left out without a reason.")
            if reason == UNDECIDED:
                where = f"{at}.{name}.{one}".strip(".")
                self.undecided[where] = self._line(where)
        return found

    def _known(self, said: Dictionary[str, Any], at: str, names: tuple[str, ...]) -> None:
        for one in said:
            if one not in names:
                raise self._error(f"{at}.{one}", f"{one} is not known here; what may stand here: {', '.join(names)}.")

    def _line(self, at: str) -> int:
        """Of what is called so, or of the nearest thing around it."""
        at = at.strip(".")
        while at and at not in self.lines:
            at = at.rpartition(".")[0]
        return self.lines.get(at, 1)

    def _error(self, at: str, cause: str) -> MappingError:
        return MappingError(f"{self.path.name}, line {self._line(at)}: {cause}", exit_code=USAGE)


def _lines(text: str) -> dict[str, int]:
    """Dotted path of TOML -> the line it begins at."""
    found: dict[str, int] = {}
    header, inside = "", False
    for number, line in enumerate(text.split("\n"), start=1):
        if not inside:
            if match := _HEADER.fullmatch(line):
                header = ".".join(_parts(match[1]))
                found.setdefault(header, number)
            elif match := _ASSIGNMENT.match(line):
                path = ".".join((*([header] if header else []), *_parts(match[1])))
                found.setdefault(path, number)
        if len(_MULTILINE.findall(line)) % 2:
            inside = not inside
    return found


def _parts(dotted: str) -> list[str]:
    return [part.strip("\"'") for part in _PART.findall(dotted)]

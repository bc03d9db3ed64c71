"""Shipped migrations that were edited since, knowingly: ``edits.toml`` beside them tells of each.

    [0002_indexes]
    replaces = ["<checksum of the file as it was>"]
    by = "<checksum of the file as it is>"
    reason = "Its indexes are raw SQL now; the catalog is the same."

A migration may be edited only when every database ends in the same catalog by either form. Both checksums (those of
`ledger.file_checksum`) are named, so that a further edit is noticed in every database, whichever form it ran.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from moeen.db.codes import Code
from moeen.db.errors import USAGE, MoeenError

FILE = "edits.toml"


@dataclass(frozen=True)
class Edit:
    """One edited migration: the checksums that its file had, the one it has, and why the two are one to a database."""

    replaces: frozenset[str]
    by: str
    reason: str


def excused(folder: Path, name: str, *, recorded: str, current: str) -> bool:
    """Whether ``folder`` says that the migration's file with checksum ``current`` takes the place of ``recorded``."""
    edit = read(folder).get(name)
    return edit is not None and edit.by == current and recorded in edit.replaces


@functools.cache
def read(folder: Path) -> Mapping[str, Edit]:
    """Migration's name -> its edit, of one folder of migrations. Raises MoeenError where it is malformed."""
    path = folder / FILE
    if not path.is_file():
        return {}
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
        return {
            name: Edit(frozenset(map(str, entry["replaces"])), str(entry["by"]), str(entry["reason"]))
            for name, entry in entries.items()
        }
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise MoeenError(
            f"{path.parent.parent.name}/migrations/{FILE} cannot be read: {type(error).__name__} {error}.",
            next_step='A migration\'s entry is [NNNN_name] with replaces = ["..."], by = "..." and reason = "...".',
            exit_code=USAGE,
            code=Code.LINT,
        ) from None

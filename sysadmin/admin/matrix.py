"""What a role may do to each table, as pages show it: read live, and held against what is declared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from moeen.db.roles import PREFIX
from moeen.db.security import access
from moeen.db.security.access import Cell

COMMANDS: dict[str, Any] = {"S": _("See"), "I": _("Add"), "U": _("Change"), "D": _("Delete")}
_ROWS: dict[str, Any] = {"all": _("all rows"), "some": _("some rows")}


@dataclass(frozen=True)
class Shown:
    """A cell as people read it. `declared`: what it should say, "" where it says so."""

    command: str
    says: str = ""
    columns: str = ""
    policy: str = ""
    condition: str = ""
    declared: str = ""


@dataclass(frozen=True)
class Line:
    """A table, and what may be done to it; cells in the order of COMMANDS."""

    name: str
    table: str
    cells: tuple[Shown, ...]

    @property
    def differs(self) -> bool:
        return any(cell.declared for cell in self.cells)


def of_role(connection: BaseDatabaseWrapper, role: str) -> list[Line]:
    """Of a role without its prefix: the tables that it may do something to, or should be able to."""
    live = _by_place(access.effective(connection, roles=[PREFIX + role]))
    wanted = _by_place(cell for cell in access.declared(connection) if cell.role == role)
    names = {model._meta.db_table: str(model._meta.verbose_name_plural) for model in apps.get_models()}
    tables = {table for table, _letter in live.keys() | wanted.keys()}
    return [
        Line(
            names.get(table, table),
            table,
            tuple(_shown(letter, live.get((table, letter)), wanted.get((table, letter))) for letter in COMMANDS),
        )
        for table in sorted(tables, key=lambda table: names.get(table, table))
    ]


def _by_place(cells: Any) -> dict[tuple[str, str], Cell]:
    return {(cell.table, cell.command): cell for cell in cells}


def _shown(letter: str, live: Cell | None, wanted: Cell | None) -> Shown:
    same = (live and live.pretty()) == (wanted and wanted.pretty())
    declared = "" if same else _summary(wanted) if wanted else str(_("nothing"))
    if live is None:
        return Shown(str(COMMANDS[letter]), declared=declared)
    columns = ", ".join(live.columns)
    return Shown(str(COMMANDS[letter]), _summary(live), columns, live.policy, live.condition, declared)


def _summary(cell: Cell) -> str:
    rows = str(_ROWS[cell.rows])
    return f"{rows}{_comma()}{_number(cell.columns)}" if cell.columns else rows


def _number(columns: Sequence[str]) -> str:
    return ngettext("%(count)d column", "%(count)d columns", len(columns)) % {"count": len(columns)}


def _comma() -> str:
    return str(_(", "))

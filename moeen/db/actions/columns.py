"""Columns are added, changed and filled."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from moeen.db.actions.action import Action, Change, Deed, Lock, Mode
from moeen.db.sql import compose, fragment


def column_definition(
    name: str, type_sql: str, *, default: str = "", generated: str = "", identity: str = "", not_null: bool = False
) -> str:
    """A column's part of CREATE TABLE or ADD COLUMN."""
    parts = [
        compose("{c}", c=name),
        type_sql,
        f"DEFAULT {default}" if default else "",
        f"GENERATED ALWAYS AS ({generated}) STORED" if generated else "",
        f"GENERATED {identity} AS IDENTITY" if identity else "",
        "NOT NULL" if not_null else "",
    ]
    return " ".join(part for part in parts if part)


@dataclass(frozen=True)
class AddColumn(Change):
    """``steady``: the default is one value for all rows that stand, as of a constant or now(); others are written."""

    type: str = ""
    default: str = ""
    not_null: bool = False
    generated: str = ""
    identity: str = ""
    steady: bool = False
    deed = Deed.ADD
    advice = "add the column without default, SET DEFAULT, then backfill"

    @property
    def rewrites(self) -> bool:
        return bool(self.generated or self.identity or (self.default and not self.steady))

    @property
    def scans(self) -> bool:
        return self.rewrites or (self.not_null and not self.default)

    def clause(self) -> str:
        return "ADD COLUMN " + column_definition(
            self.target.part,
            self.type,
            default=self.default,
            generated=self.generated,
            identity=self.identity,
            not_null=self.not_null,
        )


@dataclass(frozen=True)
class DropColumn(Change):
    """Its values stay in the file, and nobody can read them."""

    deed = Deed.DROP

    def clause(self) -> str:
        return compose("DROP COLUMN {c}", c=self.target.part)


class ColumnChange(Change):
    """A change of a column that stands."""

    @abstractmethod
    def change(self) -> str:
        """What follows the column's name."""

    def clause(self) -> str:
        return compose("ALTER COLUMN {c} {change}", c=self.target.part, change=fragment(self.change()))


@dataclass(frozen=True)
class SetDefault(ColumnChange):
    """For new rows; without ``default`` they get none."""

    default: str = ""

    def change(self) -> str:
        return f"SET DEFAULT {self.default}" if self.default else "DROP DEFAULT"


@dataclass(frozen=True)
class SetNotNull(ColumnChange):
    """``proven``: a validated check says already that no row holds NULL, so that none need be read."""

    proven: bool = False

    @property
    def scans(self) -> bool:
        return not self.proven

    def change(self) -> str:
        return "SET NOT NULL"


@dataclass(frozen=True)
class DropNotNull(ColumnChange):
    """NULL is allowed from now on."""

    deed = Deed.DROP

    def change(self) -> str:
        return "DROP NOT NULL"


@dataclass(frozen=True)
class ChangeType(ColumnChange):
    """``type`` with its collation. ``keeps``: the values stay as they are stored.

    ``proven_anew``: a check names the column, and PostgreSQL proves it for every row.
    """

    type: str = ""
    using: str = ""
    keeps: bool = False
    proven_anew: bool = False
    advice = "add a column of the new type, backfill it, swap the two"

    @property
    def rewrites(self) -> bool:
        return not self.keeps

    @property
    def scans(self) -> bool:
        return self.rewrites or self.proven_anew

    def change(self) -> str:
        return f"TYPE {self.type}" + (f" USING {self.using}" if self.using else "")


@dataclass(frozen=True)
class SetStorage(ColumnChange):
    """Where long values written from now on are kept, and whether compressed: PLAIN, MAIN, EXTERNAL or EXTENDED."""

    storage: str = "EXTENDED"

    def change(self) -> str:
        return f"SET STORAGE {self.storage}"


@dataclass(frozen=True)
class SetCompression(ColumnChange):
    """How values that are written from now on are compressed."""

    method: str = "default"

    def change(self) -> str:
        return f"SET COMPRESSION {self.method}"


@dataclass(frozen=True)
class SetStatistics(ColumnChange):
    """How many values of the column the planner looks at; -1: as many as the server's setting says."""

    count: str = "-1"
    lock = Lock.SHARE_UPDATE_EXCLUSIVE

    def change(self) -> str:
        return f"SET STATISTICS {self.count}"


@dataclass(frozen=True)
class SetIdentity(ColumnChange):
    """What makes numbers for new rows; ``stands``: something does already."""

    identity: str = ""
    stands: bool = False

    def change(self) -> str:
        if not self.identity:
            return "DROP IDENTITY"
        return f"SET GENERATED {self.identity}" if self.stands else f"ADD GENERATED {self.identity} AS IDENTITY"


@dataclass(frozen=True)
class DropExpression(ColumnChange):
    """A generated column becomes a plain one that keeps its values."""

    def change(self) -> str:
        return "DROP EXPRESSION"


@dataclass(frozen=True)
class FillValues(Action):
    """An UPDATE of the rows that meet a condition, range by range. ``columns``: those that get a value."""

    assignments: str = ""
    condition: str = ""
    columns: tuple[str, ...] = ()
    lock = Lock.ROW_EXCLUSIVE
    mode = Mode.BATCHES
    scans = True

    def statements(self) -> tuple[str, ...]:
        sets, where = fragment(self.assignments), fragment(self.condition)
        return (compose("UPDATE {t} SET {s} WHERE ({w})", t=self.target.relation.identifier(), s=sets, w=where),)

"""What pg_restore could not bring back: rows are loaded without the checks in their way, and each loss is told.

A cause is the server's SQLSTATE: the statement is tried once more and undone. What a program says is in whatever
language the server speaks, and may quote what a row holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import psycopg
from psycopg import sql

from moeen.db import statements
from moeen.db.backups.archive import Entry
from moeen.db.backups.login import Login
from moeen.db.backups.manifest import Content
from moeen.db.backups.outside import ForeignKey
from moeen.db.findings import Finding, Fix
from moeen.db.kinds import Kind
from moeen.db.sql import fragment

_CONSTRAINTS = ("FK CONSTRAINT", "CHECK CONSTRAINT", "CONSTRAINT")
_ROWS = ("TABLE DATA", "MATERIALIZED VIEW DATA")
#: Entries whose name begins with that of their table.
_PARTS = (*_CONSTRAINTS, "TRIGGER", "POLICY", "RULE", "DEFAULT")
#: Losing one of these, all that belongs to it is lost with it.
_WHOLE = ("TABLE", "FOREIGN TABLE", "VIEW", "MATERIALIZED VIEW", "FUNCTION", "PROCEDURE", "AGGREGATE", "TYPE", "DOMAIN",
          "SEQUENCE", "SCHEMA")  # fmt: skip
#: Classes of SQLSTATE whose message names objects and never holds a value, and states of names that are not found.
_SPEAKABLE = ("0A", "2B", "3F", "42", "53", "54", "55")
_UNFOUND = ("3F000", "42703", "42704", "42883", "42P01")
_LIVE = "in the database that was backed up"
#: How pg_dump calls what is said of a constraint.
_COMMENTED = re.compile(rf"CONSTRAINT ({statements.PATH}) ON ({statements.PATH})")
_BY_HAND = "look at it with `pg_restore -f - FILE`, and make it by hand, as a superuser if need be"


@dataclass(frozen=True, order=True)
class Loss:
    """Something that a restore failed at. `missing`: it is not there as it was; otherwise it was put back afterwards.

    `object` is what content.json calls it; `expected` and `restored` are rows of its table, -1 where it has none.
    `outside`: what it needs is not the backup's to bring back, so the backup is whole without it.
    """

    object: str
    cause: str
    mend: str
    table: str = ""
    missing: bool = True
    whole: bool = False
    expected: int = -1
    restored: int = -1
    outside: bool = False

    def as_dict(self) -> dict[str, Any]:
        told = asdict(self)
        rows = {name: None if told[name] < 0 else told[name] for name in ("expected", "restored")}
        return {name: told[name] for name in ("object", "cause", "mend")} | rows

    def told(self) -> str:
        """A line for a person."""
        return f"{self.object}: {self.cause}. To mend it: {self.mend}."

    def finding(self) -> Finding:
        return Finding(self.object, Kind.RESTORE, "restored", self.cause, fix=Fix(advice=self.mend))

    def covers(self, finding: Finding) -> bool:
        """Whether the difference is this loss, or follows from it."""
        # A dump's entry names it without quotes.
        lost, found = self.object.replace('"', ""), finding.object.replace('"', "")
        label = lost.partition(" ")[2]
        if found in (lost, label) or lost == f"rows of {found}":
            return True
        # `column public.t.c`, `owner relation public.t`.
        mine, words = label.replace(".", " ").split(), found.replace(".", " ").split()
        return self.whole and mine in (words[at : at + len(mine)] for at in (1, 2))


def mended(into: Login, failed: Sequence[Entry], *, again: Callable[[Entry], str]) -> tuple[Loss, ...]:
    """Bring back what can be, and say why each entry failed. They are in the dump's order.

    `again` has pg_restore restore one entry, and returns "" or why that failed.
    """
    if not failed:
        return ()
    losses: list[Loss] = []
    with into.connect(application="moeen restore_database") as connection:
        # As pg_restore does it.
        connection.execute("SELECT set_config('search_path', '', false)")
        connection.execute("SET check_function_bodies = off; SET row_security = off")
        rows = [entry for entry in failed if entry.kind == "TABLE DATA"]
        checks = [(entry, check) for entry in rows for check in _set_aside(connection, entry)]
        for entry in rows:
            if cause := again(entry):
                losses.append(_loss(entry, cause, f"look at its rows {_LIVE}"))
            else:
                cause = "a check of the table fails while one table is loaded after the other; loaded without"
                losses.append(_loss(entry, cause, f"make a trigger of it {_LIVE} (validate_schema)", missing=False))
        for entry, check in checks:
            losses += _put_back(connection, entry, *check)
        for entry in failed:
            if entry not in rows:
                losses.append(_tried(connection, entry, again))
    return tuple(losses)


def unmade(entries: Mapping[Entry, str]) -> tuple[Loss, ...]:
    """What no restore makes (`allowed`), and why."""
    return tuple(_loss(entry, why, _BY_HAND) for entry, why in entries.items())


def keys_outside(entries: Iterable[Entry], keys: Sequence[ForeignKey]) -> dict[Entry, ForeignKey]:
    """The entries that make a foreign key to a table which the backup leaves out, or comment on one."""
    return {entry: key for entry in entries for key in keys if _is_of(entry, key)}


def _is_of(entry: Entry, key: ForeignKey) -> bool:
    if entry.schema != key.schema:
        return False
    if entry.kind == "FK CONSTRAINT":
        return entry.name == f"{key.table} {key.name}"
    said = _COMMENTED.fullmatch(entry.name) if entry.kind == "COMMENT" else None
    return said is not None and [statements.parts_of(path) for path in said.groups()] == [(key.name,), (key.table,)]


def put_back_outside(
    into: Login, entries: Mapping[Entry, ForeignKey], *, stood_in: Container[str], again: Callable[[Entry], str]
) -> tuple[Loss, ...]:
    """Foreign keys whose rows need not be there: put back for all rows, or else for new ones (NOT VALID).

    One to a stand-in would let nobody be written: it is left out. `again` is that of `mended`.
    """
    losses: list[Loss] = []
    with into.connect(application="moeen restore_database") as connection:
        for entry, key in entries.items():
            if entry.kind == "COMMENT":
                # Of one that was left out nothing is said.
                again(entry)
                continue
            statement = " ".join(entry.create.split())
            if key.target in stood_in:
                loss = _loss(entry, f"{key.target} is an empty stand-in here", f"with the platform's own: {statement}")
                losses.append(replace(loss, outside=True))
            elif again(entry):
                cause, mend = f"{key.target} lacks its rows, or may not be referred to", f"once it may: {statement}"
                if _for_new_rows(connection, entry):
                    cause += "; put back for new rows alone (NOT VALID)"
                    change = sql.SQL("ALTER TABLE {} VALIDATE CONSTRAINT {}").format(
                        sql.Identifier(key.schema, key.table), sql.Identifier(key.name)
                    )
                    mend = f"once it has them: {change.as_string(None)}"
                losses.append(replace(_loss(entry, cause, mend), outside=True))
    return tuple(losses)


def _for_new_rows(connection: psycopg.Connection[Any], entry: Entry) -> bool:
    """Add a constraint that the rows break, for new ones; whether that could be done."""
    return _refusal(connection, fragment(entry.create.rstrip().removesuffix(";") + " NOT VALID")) is None


def _set_aside(connection: psycopg.Connection[Any], entry: Entry) -> list[tuple[str, str, str | None]]:
    """The checks of a table: name, definition and comment; they are dropped."""
    table = sql.Identifier(entry.schema, entry.name)
    checks = connection.execute(
        """
        SELECT conname, pg_get_constraintdef(oid), obj_description(oid, 'pg_constraint') FROM pg_constraint
        WHERE conrelid = to_regclass(%s) AND contype = 'c' AND coninhcount = 0 ORDER BY 1
        """,
        [table.as_string(None)],
    ).fetchall()
    drop = sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}")
    return [check for check in checks if _refusal(connection, drop.format(table, sql.Identifier(check[0]))) is None]


def _put_back(
    connection: psycopg.Connection[Any], entry: Entry, name: str, definition: str, comment: str | None
) -> Iterator[Loss]:
    """Add a check again now that all is loaded; one that the rows break holds for new ones."""
    table, check = sql.Identifier(entry.schema, entry.name), sql.Identifier(name)
    add = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(table, check, fragment(definition))
    refusal = _refusal(connection, add)
    if refusal is not None:
        cause, mend = _told(refusal)
        added = _refusal(connection, sql.SQL("{} NOT VALID").format(add)) is None
        cause += "; put back for new rows alone (NOT VALID)" if added else ""
        of = f"{entry.schema}.{entry.name}"
        yield Loss(f"constraint {of} {name}", cause, mend, table=of)
    if comment and (refusal is None or added):
        change = sql.SQL("COMMENT ON CONSTRAINT {} ON {} IS {}")
        connection.execute(change.format(check, table, sql.Literal(comment)))


def _tried(connection: psycopg.Connection[Any], entry: Entry, again: Callable[[Entry], str]) -> Loss:
    refusal = None if entry.kind == "ACL" else _refusal(connection, fragment(entry.create), keep=False)
    if refusal is None:
        cause = again(entry)
        return _loss(
            entry, cause or "it needs what the dump makes after it", f"look at it {_LIVE}", missing=bool(cause)
        )
    cause, mend = _told(refusal)
    if entry.kind in ("FK CONSTRAINT", "CHECK CONSTRAINT") and not entry.create.rstrip().endswith("NOT VALID;"):
        if _for_new_rows(connection, entry):
            cause += "; put back for new rows alone (NOT VALID)"
    elif entry.kind == "INDEX":
        mend += f"; then here: {' '.join(entry.create.split())}"
    return _loss(entry, cause, mend)


def _refusal(
    connection: psycopg.Connection[Any], statement: sql.SQL | sql.Composed, *, keep: bool = True
) -> psycopg.Error | None:
    try:
        with connection.transaction(force_rollback=not keep):
            connection.execute(statement)
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        return error
    return None


def _told(refusal: psycopg.Error) -> tuple[str, str]:
    """Cause and mending, without a value of a row."""
    state, primary = refusal.sqlstate or "", refusal.diag.message_primary or ""
    if state == "23503":
        return "rows refer to none of the table that it names", f"correct or remove them {_LIVE} (validate_schema)"
    if state == "23514":
        return "rows break it", f"correct them, or make a trigger of it {_LIVE} (validate_schema)"
    if state == "23505":
        return "rows stand there twice", f"remove one of each two {_LIVE}"
    if state in _UNFOUND and refusal.diag.context:
        cause = f"{primary}: a function that it runs finds names by the search path"
        return cause, f"give the function a search_path of its own {_LIVE} (validate_schema names it)"
    said = primary if state[:2] in _SPEAKABLE else type(refusal).__name__
    return said, "make there what is missing" if state in _UNFOUND else f"look at it {_LIVE}"


def _loss(entry: Entry, cause: str, mend: str, *, missing: bool = True) -> Loss:
    word = "constraint" if entry.kind in _CONSTRAINTS else "rows of" if entry.kind in _ROWS else entry.kind.lower()
    # As content.json calls it.
    word = word.replace("foreign table", "table")
    table = f"{entry.schema}.{entry.name.partition(' ')[0]}" if entry.kind in (*_PARTS, *_ROWS, "TABLE") else ""
    if entry.kind == "INDEX" and (found := re.search(rf" ON (?:ONLY )?({statements.PATH}) USING", entry.create)):
        table = ".".join(statements.parts_of(found[1]))
    name = ".".join(filter(None, (entry.schema, entry.name)))
    return Loss(f"{word} {name}", cause, mend, table, missing, entry.kind in _WHOLE)


def not_covered(findings: Iterable[Finding], losses: Sequence[Loss]) -> list[Finding]:
    """The differences that follow from none of the losses."""
    return [finding for finding in findings if not any(loss.covers(finding) for loss in losses)]


def bill(losses: Sequence[Loss], findings: Sequence[Finding], expected: Content, found: Content) -> tuple[Loss, ...]:
    """All that is not as it was: what failed, and what differs besides; with the rows of its table."""
    lost = [loss for loss in losses if loss.missing]
    rest = not_covered(findings, lost)
    lost = [loss for loss in lost if not loss.outside]
    lost += [Loss(f.object, f.told().removeprefix(f"{f.object}: "), "", f.object) for f in rest]
    return tuple(sorted(_with_rows(loss, expected, found) for loss in lost))


def _with_rows(loss: Loss, expected: Content, found: Content) -> Loss:
    if loss.table not in expected.tables:
        return loss
    now = found.tables.get(loss.table)
    return replace(loss, expected=expected.tables[loss.table].rows, restored=now.rows if now else 0)

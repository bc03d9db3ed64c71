"""Why somebody may see or change a row, or why not: each hurdle in its way, tried as they are.

Conditions of policies are evaluated by PostgreSQL itself, under the person's signed identity, over the values that the
row has. What those values are is read as whoever asks, who must see the row themselves; it is the columns that policies
ask about and no others. All of it happens in a read-only transaction that is rolled back.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

import psycopg
from django.db import DatabaseError, DataError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from moeen.db import public_ids
from moeen.db.errors import USAGE, MoeenError
from moeen.db.security import access, barriers, identity, reads
from moeen.db.security.barriers import Barriers, Policy
from moeen.db.security.rights import COMMANDS

YES, NO, UNKNOWN = "yes", "no", "unknown"
#: Of a hurdle: what is asked there, in the order in which PostgreSQL asks.
KINDS = {
    "account": "is active",
    "schema": "may use the schema",
    "grant": "holds the privilege on the table",
    "column": "holds the privilege on the column",
    "key": "may read the key that the row is found by",
    "policy": "a policy lets the row through",
    "restrictive": "no restrictive policy keeps it back",
    "sight": "the row may be seen, too",
    "new row": "a policy lets the row through as it is to be",
    "trigger": "no trigger refuses it",
    "constraint": "no constraint refuses it",
    "answer": "the database answers so",
}
Row = Mapping[str, str | None]

#: How long a change that is tried may wait for somebody else's.
_PATIENCE = "SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = '10s'"


@dataclass(frozen=True, kw_only=True)
class Question:
    """`row`: a public id, present or former; with `table`, the key of a row there.

    `changes`: column -> the value it is to have, as PostgreSQL reads it, for UPDATE. `attempt`: carry the change out as
    the person, and roll it back.
    """

    row: str
    command: str = "SELECT"
    column: str = ""
    changes: Mapping[str, str | None] = field(default_factory=dict)
    table: str = ""
    attempt: bool = False


@dataclass(frozen=True)
class Part:
    """A condition, or a part of one, and what it comes to: true, false, null, which is no yes, or why it fails."""

    text: str
    value: str


@dataclass(frozen=True)
class Hurdle:
    """`passed`: yes, no or unknown. `parts`: the conditions; `values`: what the row and the person bring to them."""

    kind: str
    name: str
    passed: str
    says: str = ""
    parts: tuple[Part, ...] = ()
    values: tuple[tuple[str, str | None], ...] = ()

    def lines(self) -> Iterator[str]:
        yield f"{self.passed:8}{KINDS[self.kind]}: {self.name}{f' ({self.says})' if self.says else ''}"
        for part in self.parts:
            yield f"{'':8}{part.value:8}{part.text}"
        for name, value in self.values:
            yield f"{'':8}where   {name} is {'NULL' if value is None else value}"


@dataclass(frozen=True)
class Why:
    """`allowed`: yes, no or unknown; `reason`: the kind of the first hurdle that is not passed, "" where all are.

    `triggers`: those that fire, by name, and could refuse it, unless it was `tried`.
    """

    who: str
    role: str
    command: str
    table: str
    row: str
    column: str
    hurdles: tuple[Hurdle, ...]
    triggers: tuple[tuple[str, str], ...] = ()
    tried: bool = False

    @property
    def allowed(self) -> str:
        answers = {hurdle.passed for hurdle in self.hurdles}
        return NO if NO in answers else UNKNOWN if UNKNOWN in answers else YES

    @property
    def contradicted(self) -> bool:
        """Whether the database itself lets through what one of its policies refuses: then neither is explained."""
        proof = [hurdle.passed for hurdle in self.hurdles if hurdle.kind == "answer"]
        return self.allowed == NO and YES in proof

    @property
    def decisive(self) -> Hurdle | None:
        """The hurdle that decides: the first that is not passed."""
        short = (hurdle for word in (NO, UNKNOWN) for hurdle in self.hurdles if hurdle.passed == word)
        return next(short, None)

    @property
    def reason(self) -> str:
        return self.decisive.kind if self.decisive else ""

    def lines(self) -> Iterator[str]:
        what = f"{self.command} {f'{self.column} of ' if self.column else ''}{self.row} of {self.table}"
        yield f"{self.who} acts as {self.role}. May they {what}? {self.allowed.capitalize()}."
        for hurdle in self.hurdles:
            yield from hurdle.lines()
        for name, about in () if self.tried else self.triggers:
            yield f"fires   {name}{f': {about}' if about else ''} (not tried)"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"allowed": self.allowed, "reason": self.reason}


def explain(connection: BaseDatabaseWrapper, asked: access.Subject, question: Question) -> Why:
    """Why they may do it, or why not. Nothing is changed. Raises MoeenError for an unknown row, command or column."""
    letter = next((letter for letter, word in COMMANDS.items() if word == question.command), "")
    if not letter or (letter == "D" and question.column) or (question.changes and letter != "U"):
        raise MoeenError(
            "This cannot be asked.",
            next_step=f"One of {', '.join(COMMANDS.values())}; a column goes with all but DELETE, a value with UPDATE.",
            exit_code=USAGE,
        )
    with transaction.atomic(using=connection.alias):
        if not identity.current().read_only:
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('transaction_read_only', 'on', true)")
        found = _Examination(connection, question, letter, asked)
        hurdles = tuple(found.hurdles())
        transaction.set_rollback(True, using=connection.alias)
    if question.attempt and letter in "UD" and asked.is_active:
        hurdles += found.tried(hurdles)
    triggers = tuple((trigger.name, trigger.about) for trigger in found.barriers.triggers)
    return Why(
        asked.name, asked.identity.role, question.command, found.barriers.table, question.row, found.column, hurdles,
        triggers, question.attempt and letter in "UD",
    )  # fmt: skip


class _Examination:
    """One question, in the transaction of explain()."""

    def __init__(self, connection: BaseDatabaseWrapper, question: Question, letter: str, asked: access.Subject) -> None:
        self.connection, self.letter, self.asked, self.attempt = connection, letter, asked, question.attempt
        self.changes = dict(question.changes)
        self.column = question.column or ", ".join(self.changes)
        columns = tuple(self.changes) or ((question.column,) if question.column else ())
        self.columns = columns
        table, by, value = self._found(question)
        self.barriers = self._barriers(table)
        row = self._values(by, value)
        if row is None and by:
            table, by, value = self._formerly(question.row)
            self.barriers = self._barriers(table)
            row = self._values(by, value)
        if row is None:
            raise _no_row()
        self.key, self.row = row
        self.after: dict[str, str | None] = self.row | self.changes

    def _barriers(self, table: str) -> Barriers:
        role, written = self.asked.identity.role, self.columns if self.letter == "U" else ()
        found = barriers.read(self.connection, table=table, role=role, letter=self.letter, written=written)
        for name in self.columns:
            if name not in found.columns:
                raise MoeenError(
                    f"{table} has no column {name!r}.",
                    next_step=f"It has {', '.join(found.columns)}.",
                    exit_code=USAGE,
                )
        return found

    def _found(self, question: Question) -> tuple[str, str, str]:
        """The table, the column that the row is looked up by ("" for its key), and the value of that."""
        if question.table:
            return question.table, "", question.row
        with suppress(public_ids.PublicIdError):
            return public_ids.parse(question.row).model._meta.db_table, "public_id", question.row
        return self._formerly(question.row)

    def _formerly(self, text: str) -> tuple[str, str, str]:
        """The same of an id that a row bore before."""
        alias = self.connection.alias
        bearer = public_ids.bearer_of_alias(text, using=alias) if public_ids.may_be_alias(text) else None
        if bearer is None:
            raise _no_row()
        return bearer.table, "", str(bearer.row_id)

    def _values(self, by: str, value: str) -> tuple[str, dict[str, str | None]] | None:
        """The row's key, and its values in the columns that policies ask about, as text."""
        wanted = {name for policy in self.barriers.policies for name in policy.columns}
        wanted |= set(self.columns) if self.attempt else set()
        names = [column.name for column in self.barriers.columns.values() if column.name in wanted and column.shown]
        query = sql.SQL("SELECT {}::text{} FROM public.{} WHERE {}").format(
            sql.Identifier(self.barriers.key),
            sql.SQL("").join(sql.SQL(", {}::text").format(sql.Identifier(name)) for name in names),
            sql.Identifier(self.barriers.table),
            self._is(by or self.barriers.key),
        )
        try:
            found = self._ask(query, [value])
        except DataError:  # no key of this table could be written so
            raise _no_row() from None
        if found is None:
            return None
        key, *values = found
        with suppress(ValueError):
            reads.told(self.barriers.table, uuid.UUID(key), names)
        return key, dict(zip(names, values, strict=True))

    def hurdles(self) -> Iterator[Hurdle]:
        """In the order in which PostgreSQL asks; after a privilege that is not held, it asks no more."""
        if not self.asked.is_active:
            yield Hurdle("account", self.asked.name, NO, "deactivated, and so cannot sign in")
            return
        stand = self.barriers
        first = [
            Hurdle("schema", "public", _said(stand.schema)),
            Hurdle("grant", f"{COMMANDS[self.letter]} on {stand.table}", _said(bool(stand.allowed(self.letter)))),
            *(
                Hurdle("column", f"{COMMANDS[self.letter]} of {name}", _said(name in stand.allowed(self.letter)))
                for name in self.columns
            ),
        ]
        if self.letter in "UD":
            first.append(Hurdle("key", f"SELECT of {stand.key}", _said(stand.key in stand.allowed("S"))))
        for hurdle in first:
            yield hurdle
            if hurdle.passed != YES:
                return
        if not stand.secured:
            yield Hurdle("policy", "row security is off, or does not bind this role", YES)
            return
        with identity.bound(self.asked.identity):
            yield from self._of_policies()

    def _of_policies(self) -> Iterator[Hurdle]:
        letter, writes = self.letter, self.letter == "U"
        asked = [(p, False) for p in self.barriers.policies if p.is_for(letter) or (letter in "UD" and p.is_for("S"))]
        written = [(p, True) for p in self.barriers.policies if p.is_for(letter)]
        if letter == "I":
            yield from self._through("I", "policy", self.row, self._evaluated(self.row, written), written=True)
            return
        now = self._evaluated(self.row, asked + (written if writes and not self.changes else []))
        yield from self._through(letter, "policy", self.row, now)
        if letter == "S":
            yield self._answer(now)
            return
        yield from self._through("S", "sight", self.row, now)
        if writes:
            after = self._evaluated(self.after, written + asked) if self.changes else now
            yield from self._through("U", "new row", self.after, after, written=True)
            if self.changes:  # what is written must be seen afterwards as well, since the row is found by its key
                yield from self._through("S", "new row", self.after, after)

    def _through(
        self, letter: str, kind: str, row: Row, known: Mapping[str, str | None], *, written: bool = False
    ) -> Iterator[Hurdle]:
        """One of the permissive ones must let the row through, and each of the restrictive ones."""
        of_command = [policy for policy in self.barriers.policies if policy.is_for(letter)]
        given = [policy for policy in of_command if policy.permissive]
        if not given:
            yield Hurdle(kind, f"none for {COMMANDS[letter]}", NO)
        checked = [self._checked(policy, kind, row, known, written=written) for policy in given]
        yield from [hurdle for hurdle in checked if hurdle.passed == YES][:1] or checked
        for policy in of_command:
            if not policy.permissive:
                said = kind if kind != "policy" else "restrictive"
                yield self._checked(policy, said, row, known, written=written)

    def _checked(
        self, policy: Policy, kind: str, row: Row, known: Mapping[str, str | None], *, written: bool
    ) -> Hurdle:
        condition = policy.condition(written=written)
        if set(policy.columns) - row.keys():
            said = "it asks about a column that you may not read"
            return Hurdle(kind, policy.name, UNKNOWN, said, (Part(condition, UNKNOWN),))
        parts = tuple(Part(text, str(known[text])) for text in (condition, *barriers.parts_of(condition)))
        values = [(name, row[name]) for name in policy.columns if re.search(rf"\b{re.escape(name)}\b", condition)]
        values += [(name, known[name]) for name in policy.functions if name in condition]
        return Hurdle(kind, policy.name, _said(parts[0].value == "true"), "", parts, tuple(values))

    def _evaluated(self, row: Row, asked: Sequence[tuple[Policy, bool]]) -> dict[str, str | None]:
        """Text -> of a condition and its parts true, false, null or why it fails, of a function its value."""
        queries: dict[str, sql.Composable] = {}
        for policy, written in asked:
            if policy.columns and set(policy.columns) - row.keys():
                continue
            condition = policy.condition(written=written)
            for text in (condition, *barriers.parts_of(condition)):
                queries[text] = sql.SQL("coalesce(({})::text, 'null')").format(_literal(text))
            queries |= {text: sql.SQL(_VALUES).format(_literal(text)) for text in policy.functions}
        if self.letter == "S" and self.barriers.key in self.barriers.allowed("S"):
            queries[_ANSWER] = self._asking()
        try:
            return dict(zip(queries, self._over(row, list(queries.values())), strict=True))
        except DatabaseError:
            return {text: self._alone(row, query) for text, query in queries.items()}

    def _alone(self, row: Row, query: sql.Composable) -> str:
        """Where one fails, the others are known all the same."""
        try:
            return str(self._over(row, [query])[0])
        except DatabaseError as error:
            return f"fails: {_message(error)}"

    def _over(self, row: Row, asked: Sequence[sql.Composable]) -> tuple[Any, ...]:
        """The row as a table of its name, so that PostgreSQL's own text of a policy can be asked about it."""
        values = sql.SQL(", ").join(
            sql.SQL("%s::{} AS {}").format(_literal(self.barriers.columns[name].type), sql.Identifier(name))
            for name in row
        )
        query = sql.SQL("SELECT {} FROM (SELECT {}) AS {}").format(
            sql.SQL(", ").join(asked), values, sql.Identifier(self.barriers.table)
        )
        with transaction.atomic(using=self.connection.alias):
            return self._ask(query, list(row.values())) or ()

    def _answer(self, known: Mapping[str, str | None]) -> Hurdle:
        """What the table itself answers when the person asks for the row by its key: the proof of all that is said."""
        said = known.get(_ANSWER)
        if said is None:
            return Hurdle("answer", self.barriers.table, UNKNOWN, "its key may not be read")
        return Hurdle("answer", self.barriers.table, _said(said == "true"), said.partition("fails: ")[2])

    def _asking(self) -> sql.Composable:
        table, key = sql.Identifier(self.barriers.table), self.barriers.columns[self.barriers.key]
        return sql.SQL("(SELECT EXISTS (SELECT FROM public.{} WHERE {} = {}::{}))::text").format(
            table, sql.Identifier(key.name), sql.Literal(self.key), _literal(key.type)
        )

    def tried(self, hurdles: Sequence[Hurdle]) -> tuple[Hurdle, ...]:
        """The change itself: what triggers and constraints say, and what policies say of the row after triggers."""
        if any(hurdle.passed == NO for hurdle in hurdles):
            return ()
        table, row = sql.Identifier(self.barriers.table), self._is(self.barriers.key)
        values: list[str | None] = []
        if self.letter == "D":
            query = sql.SQL("DELETE FROM public.{} WHERE {}").format(table, row)
        else:
            readable = self.barriers.allowed("S")
            columns = self.columns or [name for name in self.barriers.allowed("U") if name in readable][:1]
            setting = sql.SQL(", ").join(
                sql.SQL("{} = %s::{}").format(sql.Identifier(name), _literal(self.barriers.columns[name].type))
                if name in self.after
                else sql.SQL("{0} = {0}").format(sql.Identifier(name))
                for name in columns
            )
            query = sql.SQL("UPDATE public.{} SET {} WHERE {}").format(table, setting, row)
            values = [self.after[name] for name in columns if name in self.after]
        alias = self.connection.alias
        try:
            with transaction.atomic(using=alias), identity.bound(self.asked.identity):
                with self.connection.cursor() as cursor:
                    cursor.execute(_PATIENCE)
                    cursor.execute(query.as_string(None), [*values, self.key])
                    changed = cursor.rowcount
                    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
                transaction.set_rollback(True, using=alias)
        except DatabaseError as error:
            return (self._refusal(error),)
        return (Hurdle("answer", "tried, and rolled back", _said(changed == 1), f"{changed} rows"),)

    def _refusal(self, error: DatabaseError) -> Hurdle:
        """Which hurdle an error speaks of."""
        cause = error.__cause__
        assert isinstance(cause, psycopg.Error)
        said, diag = _message(error), cause.diag
        called = re.findall(r"function (\S+?)\(.*?\)", diag.context or "")
        fired = [t.name for name in called for t in self.barriers.triggers if t.function.startswith(f"{name}(")]
        if called:
            return Hurdle("trigger", fired[0] if fired else called[-1], NO, said)
        if diag.constraint_name:
            return Hurdle("constraint", diag.constraint_name, NO, said)
        if "row-level security" in said:
            return Hurdle("new row", self.barriers.table, NO, said)
        return Hurdle("answer", self.barriers.table, NO, said)

    def _is(self, column: str) -> sql.Composable:
        """The condition for a value of this column, in its own type, so that an index finds it."""
        type_ = _literal(self.barriers.columns[column].type)
        return sql.SQL("{} = %s::{}").format(sql.Identifier(column), type_)

    def _ask(self, query: sql.Composable, values: Sequence[Any]) -> tuple[Any, ...] | None:
        with self.connection.cursor() as cursor:
            cursor.execute(query.as_string(None), values)
            row: tuple[Any, ...] | None = cursor.fetchone()
        return row


#: Among conditions and functions, the row itself.
_ANSWER = "the row by its key"
# Of a function that returns many values, how many.
_VALUES = """(SELECT CASE WHEN count(*) = 0 THEN 'no rows' WHEN count(*) > 3 THEN count(*) || ' rows'
                          ELSE string_agg(v::text, ', ') END FROM {} AS v)"""


def _literal(text: str) -> sql.SQL:
    """SQL that PostgreSQL wrote, in a statement that has parameters."""
    return sql.SQL(text.replace("%", "%%"))


def _said(answer: bool) -> str:
    return YES if answer else NO


def _message(error: DatabaseError) -> str:
    """The server's first line alone: what stands in its details are values."""
    cause = error.__cause__
    return (isinstance(cause, psycopg.Error) and cause.diag.message_primary) or type(error).__name__


def _no_row() -> MoeenError:
    return MoeenError(
        "There is no such row, or none that you may see.",
        next_step="Name it by its public id, or with --table by its key.",
        exit_code=USAGE,
    )

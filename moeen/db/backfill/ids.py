"""Public ids for the rows of older databases, and the end of the guard that stands until they have them."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from moeen.db import catalog, public_ids, registry
from moeen.db.adoption import Legacy
from moeen.db.backfill.definition import Backfill
from moeen.db.converge import declared, execution, steps, subject, values
from moeen.db.errors import USAGE, MoeenError

COLUMN = "public_id"
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
#: Every three base-36 characters, in order; those from _LETTERS on begin with a letter.
_TRIPLES = "".join(a + b + c for a in _DIGITS for b in _DIGITS for c in _DIGITS).encode()
_ALL, _LETTERS = 36**3, 10 * 36**2


class PublicIds(Backfill):
    """A table's missing public ids: SHA-256 of a random key and the row's id, written in base 36.

    The key has 256 bits, is made anew by each worker and never leaves its memory, so the ids are as good as random:
    124 bits, none predictable from another. The eight 32-bit words of a hash give three characters each, cut from a
    table; the bias is below one in 90,000. About 1.2 microseconds an id, where app.generate_public_id takes 7.
    """

    name = "public_ids"

    def __init__(self, model: type[models.Model]) -> None:
        self.model = model
        self.table = model._meta.db_table
        self.prefix = public_ids.prefix_of(model)
        self.columns = (COLUMN,)
        self.missing = f"{COLUMN} IS NULL"
        self.assignment = f"{COLUMN} = {_expression()}"

    def parameters(self) -> Mapping[str, Any]:
        return {"prefix": self.prefix, "key": secrets.token_bytes(32), "triples": _TRIPLES}

    def samples(self) -> list[str]:
        return [public_ids.generate(self.prefix) for _ in range(3)]

    def is_final(self, connection: BaseDatabaseWrapper) -> bool:
        live = catalog.read_tables(connection, [self.table]).get(self.table)
        return live is None or live.columns[COLUMN].not_null

    def final_steps(self, connection: BaseDatabaseWrapper) -> list[str]:
        if self.is_final(connection):
            return []
        check, trigger = values.guard_names(self.table, COLUMN)
        return [
            f"prove that {COLUMN} holds a value in every row (VALIDATE CONSTRAINT; nobody waits)",
            f"set NOT NULL on {COLUMN}, drop check {check} and trigger {trigger} (a moment's exclusive lock)",
        ]

    def finalize(self, connection: BaseDatabaseWrapper, tell: Callable[[str], None]) -> None:
        for step in steps.plan(connection, self._subject(connection)):
            tell(f"{step.table}: {step.purpose}")
            execution.execute(connection, step)

    def _subject(self, connection: BaseDatabaseWrapper) -> subject.Subject:
        """The table reduced to its public id, so that nothing else of it is touched."""
        with connection.schema_editor(collect_sql=True) as editor:
            want = declared.compile_table(self.model, editor)
        live = catalog.read_tables(connection, [self.table])[self.table]
        own = {f"{self.table}_{COLUMN}_check", f"{self.table}_{COLUMN}_key", values.guard_names(self.table, COLUMN)[0]}
        return subject.examine(
            connection,
            replace(
                want,
                columns=tuple(column for column in want.columns if column.name == COLUMN),
                constraints=tuple(constraint for constraint in want.constraints if constraint.name in own),
                foreign_keys=(),
                indexes=(),
            ),
            replace(
                live,
                columns={COLUMN: live.columns[COLUMN]},
                constraints={name: one for name, one in live.constraints.items() if name in own},
                indexes={name: one for name, one in live.indexes.items() if one.constraint in own},
                triggers={},
                policies={},
                row_security=True,
                comment=want.comment,
            ),
            Legacy(),
        )


class Remint(PublicIds):
    """New ids for the rows whose ids can be guessed. The old ones stay in public_id_aliases, and resolve for ever."""

    def __init__(self, model: type[models.Model], form: public_ids.Form) -> None:
        super().__init__(model)
        self.name = f"remint_{form}"
        body, new = public_ids.BODIES[form], public_ids.BODIES[public_ids.Form.CUID2]
        # The forms legacy and cuid2 meet at 24 characters, where nobody can tell them apart.
        self.missing = f"{COLUMN} ~ '^{self.prefix}{body}$' AND {COLUMN} !~ '^{self.prefix}{new}$'"

    def beforehand(self, part: sql.Composable) -> sql.Composed:
        return sql.SQL(
            "INSERT INTO public_id_aliases (alias, table_name, row_id) SELECT {column}, {name}, id FROM {table}"
            " WHERE {part} AND {missing} ON CONFLICT (alias) DO NOTHING"
        ).format(
            column=sql.Identifier(COLUMN),
            name=sql.Literal(self.table),
            table=self.relation,
            part=part,
            missing=self.condition,
        )

    def is_final(self, connection: BaseDatabaseWrapper) -> bool:
        return True


def public_id_backfills(tables: Iterable[str] = ()) -> list[PublicIds]:
    """Those of the named tables, or of all that bear public ids. Raises MoeenError for any other name."""
    return [PublicIds(model) for model in _models(tables)]


def pending() -> tuple[str, list[Any]]:
    """A query for the tables whose public ids wait for a backfill, and its values. Whoever asks: the catalog tells."""
    return _PENDING, [[model._meta.db_table for model in public_ids.PREFIXES.values()], COLUMN]


_PENDING = """SELECT c.relname::text FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY (%s) AND c.relkind IN ('r', 'p')
      AND a.attname = %s AND NOT a.attisdropped AND NOT a.attnotnull ORDER BY 1"""


def remint_backfills(form: str, tables: Collection[str] = ()) -> list[Remint]:
    """The same for rows that have ids of an older form; of all tables but those appended to only, or of those named.

    Raises MoeenError for one of those as well.
    """
    chosen, kept = _models(tables), registry.facts().append_only
    for table in kept.intersection(tables):
        raise MoeenError(f"{kept_words(table)} Nothing was changed.", next_step="Leave it out.", exit_code=USAGE)
    return [Remint(model, public_ids.Form(form)) for model in chosen if model._meta.db_table not in kept]


def kept_words(table: str) -> str:
    """Why the rows of a table are given no other ids."""
    return f"Table {table} is append-only, for its owner too: its entries keep their public ids."


def _models(tables: Iterable[str]) -> list[type[models.Model]]:
    models_by_table = {model._meta.db_table: model for model in public_ids.PREFIXES.values()}
    wanted = list(dict.fromkeys(tables)) or sorted(models_by_table)
    unknown = [table for table in wanted if table not in models_by_table]
    if unknown:
        raise MoeenError(
            f"No table with public ids is called {', '.join(unknown)}.",
            next_step=f"The tables are: {', '.join(sorted(models_by_table))}.",
            exit_code=USAGE,
        )
    return [models_by_table[table] for table in wanted]


@functools.cache
def _expression() -> str:
    # A scalar subquery over a subquery that OFFSET keeps from being flattened: one hash a row, read 32 times.
    parts = "||".join(_three(4 * word, letter_first=word == 0) for word in range(8))
    hashed = "(SELECT sha256(%(key)s::bytea || uuid_send(id)) AS h OFFSET 0)"
    return f"(SELECT %(prefix)s::text || convert_from({parts}, 'SQL_ASCII') FROM {hashed} AS hashed)"  # noqa: S608


def _three(byte: int, *, letter_first: bool) -> str:
    """Three characters from the four bytes of ``h`` that begin at ``byte``."""
    # PostgreSQL gives << and | the same precedence.
    shifts = ((byte, 24), (byte + 1, 16), (byte + 2, 8))
    number = "(" + "|".join(f"(get_byte(h,{at})::int8 << {by})" for at, by in shifts) + f"|get_byte(h,{byte + 3}))"
    index = f"({_LETTERS} + {number} %% {_ALL - _LETTERS})" if letter_first else f"({number} %% {_ALL})"
    return f"substr(%(triples)s::bytea, ({index} * 3 + 1)::int, 3)"

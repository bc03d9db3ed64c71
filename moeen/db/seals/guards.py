"""What writes and keeps the audit log, as the catalog has it, and whether anybody has touched it between two seals.

Each row of PostgreSQL's catalog bears the number of the transaction that wrote it (xmin). A trigger that is switched
off and on again, a function that is replaced and put back, a column whose values an ALTER TABLE computes anew without
firing a trigger: each leaves another number, for however short a time it was. So seals state these numbers, and whoever
silences the trail is found though they left no entry. Vacuum and freezing keep them; a restored dump has others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.types.json import Jsonb

from moeen.db import registry
from moeen.db.backups.login import Login
from moeen.db.findings import Finding, Fix, Severity
from moeen.db.kinds import Kind
from moeen.db.seals import entry
from moeen.db.sql import compose

#: Object -> the numbers of its row in the catalog. "database" is the server's and the database's own.
Guards = dict[str, str]

_WHY = "what was written meanwhile may have left no entry, and unsealed entries may be gone"
_NAMED = 5

#: A table is recorded where app.audit_statement() stands on it. Its file number changes when it is written anew. With
#: the functions of triggers come those that they call: who acts is told by them.
_GUARDS = """
    WITH RECURSIVE used AS (
        SELECT t.tgrelid, t.tgname, t.tgenabled, t.xmin AS written, t.tgfoid, p.proname,
               format('%%I.%%I', n.nspname, c.relname) AS relation
        FROM pg_catalog.pg_trigger AS t
        JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
        JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE NOT t.tgisinternal AND p.pronamespace = 'app'::regnamespace AND n.nspname IN ('public', 'app')
          AND (p.prosrc LIKE '%%audit%%' OR c.relname = ANY (%(logs)s))
    ), recorded AS (SELECT DISTINCT tgrelid, relation FROM used WHERE proname = 'audit_statement'
    ), called AS (
        SELECT tgfoid AS oid FROM used
        UNION
        SELECT p.oid FROM called JOIN pg_catalog.pg_proc AS caller ON caller.oid = called.oid
        JOIN pg_catalog.pg_proc AS p ON caller.prosrc ~ ('app[.]' || p.proname || '[(]')
        WHERE p.pronamespace = 'app'::regnamespace
    )
    SELECT 'database', concat_ws(' ', (SELECT system_identifier FROM pg_control_system()), oid)
    FROM pg_catalog.pg_database WHERE datname = current_database()
    UNION ALL
    -- A rule that is made on it, another name that it has for a while.
    SELECT format('log %%I', c.relname), concat_ws(' ', c.xmin, c.oid)
    FROM pg_catalog.pg_class AS c WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY (%(logs)s)
    UNION ALL
    SELECT format('trigger %%I on %%s', tgname, relation), concat_ws(' ', written, tgenabled) FROM used
    UNION ALL
    SELECT format('function app.%%I(%%s)', p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)),
           p.xmin::text
    FROM called JOIN pg_catalog.pg_proc AS p ON p.oid = called.oid
    UNION ALL
    SELECT format('table %%s', r.relation), concat_ws(' ', c.relfilenode, c.oid)
    FROM recorded AS r JOIN pg_catalog.pg_class AS c ON c.oid = r.tgrelid
    UNION ALL
    SELECT format('column %%I of %%s', a.attname, r.relation), concat_ws(' ', a.xmin, a.attnum)
    FROM recorded AS r JOIN pg_catalog.pg_attribute AS a ON a.attrelid = r.tgrelid
    WHERE a.attnum > 0 AND NOT a.attisdropped
"""
#: The seals that state guards, and whether an operator explains by it.
_STATED = """
    SELECT number, guards, CASE WHEN explains THEN reason ELSE '' END FROM (
        SELECT number, guards, reason,
               lost_from IS NULL AND pruned_through = lag(pruned_through, 1, 0::bigint) OVER w AS explains
        FROM audit_seals WINDOW w AS (ORDER BY number)
    ) AS s WHERE guards <> '{}' ORDER BY number
"""
#: The action of an entry that says what work made anew, and what stands in the place of its table.
WORK = "MIGRATE"
_WORKED_ON = "django_migrations"
_KEEP = "INSERT INTO {t} (action, table_name, new_values) VALUES (%s, %s, %s)"
_WORK = """
    SELECT new_values, created_at FROM {t} WHERE table_name = %s AND action = %s AND new_values ? 'guards'
    ORDER BY created_at, transaction_id
"""
_CAN_BE_STATED = """
    SELECT EXISTS (SELECT FROM pg_catalog.pg_attribute
                   WHERE attrelid = to_regclass('public.audit_seals') AND attname = 'guards' AND NOT attisdropped)
"""
_ARE_STATED = "SELECT EXISTS (SELECT FROM public.audit_seals WHERE guards <> '{}')"


@dataclass(frozen=True)
class Touched:
    """Guards that are others than a seal states: `where` in the chain, each for people, `why` where it is known."""

    where: str
    what: tuple[str, ...]
    why: str

    def finding(self) -> Finding:
        more = f" and {len(self.what) - _NAMED} more" if len(self.what) > _NAMED else ""
        words = "; ".join(self.what[:_NAMED]) + more
        fix = Fix(advice="manage.py validate_schema says how they stand; once it is known who did it and why, "
                         "manage.py seal_audit_log --explain REASON")  # fmt: skip
        return Finding(self.where, Kind.TRAIL_TOUCHED, "as they were", words, Severity.UNSAFE, fix, _WHY)

    def note(self) -> str:
        return f"{self.where[0].upper()}{self.where[1:]}: {len(self.what)} were made anew: {self.why}"


def read(connection: psycopg.Connection[Any]) -> Guards:
    """As they stand now."""
    logs = [registry.facts().audit_table, "audit_seals"]
    return {str(name): str(said) for name, said in connection.execute(_GUARDS, {"logs": logs}).fetchall()}


def stated(connection: psycopg.Connection[Any]) -> Guards:
    """What the seals say last; nothing where none says anything."""
    rows = connection.execute(_STATED).fetchall()
    return dict(rows[-1][1]) if rows else {}


def touched(connection: psycopg.Connection[Any]) -> list[Touched]:
    """What became of them from seal to seal, and since the last one. Work explains what it made anew itself."""
    seals = connection.execute(_STATED).fetchall()
    if not seals:
        return []
    works = [
        _Work(f"{said['work']} ({at:%Y-%m-%d %H:%M})", said["guards"])
        for said, at in connection.execute(compose(_WORK, t=entry.table()), [_WORKED_ON, WORK]).fetchall()
    ]
    steps = [(f"before seal {number}", guards) for number, guards, _ in seals]
    steps.append(("since the last seal", read(connection)))
    found = []
    for place, ((_, before), (where, after)) in enumerate(pairwise(steps), start=1):
        what = _differing(before, after)
        said = next((f"{reason} (seal {number})" for number, _, reason in seals[place:] if reason), "")
        by_work = {name: why for name in what if (why := _explained(works, name, before[name], after.get(name)))}
        where = f"the log's guards {where}"
        if by_work:
            found.append(Touched(where, tuple(by_work), "; ".join(dict.fromkeys(by_work.values()))))
        if rest := tuple(words for name, words in what.items() if name not in by_work):
            found.append(Touched(where, rest, said))
    return found


@contextmanager
def recorded(wrapper: BaseDatabaseWrapper, work: str) -> Iterator[None]:
    """Enter in the log what this work makes anew, from what and to what: nothing else is explained by it.

    Where no seal states any, nothing is looked at.
    """
    before = _before(wrapper)
    try:
        yield
    finally:
        # On the way back nobody asks any more once the seals state none.
        if before and wrapper.is_usable() and _are_stated(wrapper):
            with Login.of_wrapper(wrapper).connect(application="moeen seals") as connection:
                after = read(connection)
                names = sorted(name for name in before | after if before.get(name) != after.get(name))
                if names:
                    made = {name: [before.get(name), after.get(name)] for name in names}
                    said = Jsonb({"work": work, "guards": made})
                    connection.execute(compose(_KEEP, t=entry.table()), [WORK, _WORKED_ON, said])


def _before(wrapper: BaseDatabaseWrapper) -> Guards:
    if not _are_stated(wrapper):
        return {}
    with Login.of_wrapper(wrapper).connect(application="moeen seals") as connection:
        return read(connection) if stated(connection) else {}


def _are_stated(wrapper: BaseDatabaseWrapper) -> bool:
    with wrapper.cursor() as cursor:
        for question in (_CAN_BE_STATED, _ARE_STATED):
            cursor.execute(question)
            if cursor.fetchone() != (True,):
                return False
    return True


@dataclass(frozen=True)
class _Work:
    """What was done, and of each guard that it made anew what it was and what it became."""

    words: str
    made: Mapping[str, tuple[str | None, str | None]]


def _explained(works: Iterable[_Work], name: str, before: str, after: str | None) -> str:
    """The work that led from what it was to what it is, without a step that nobody entered; "" where there is one."""
    stands: str | None = before
    said = []
    for one in works:
        if name in one.made and one.made[name][0] == stands:
            stands = one.made[name][1]
            said.append(one.words)
    return ", ".join(dict.fromkeys(said)) if stands == after else ""


def look(wrapper: BaseDatabaseWrapper) -> Iterator[Finding]:
    """The findings alone, for validation. Raises psycopg.Error before the migration that makes the column."""
    with Login.of_wrapper(wrapper).connect(application="moeen seals") as connection:
        yield from (one.finding() for one in touched(connection) if not one.why)


def _differing(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
    """Those that are gone or were written anew, in words. Of another database, a restored one, nothing can be said."""
    if before.get("database") != after.get("database"):
        return {}
    found = {}
    for name, stood in sorted(before.items()):
        stands = after.get(name)
        kind, _, rest = name.partition(" ")
        if stands is None:
            found[name] = f"{name} is gone"
        elif stands != stood and kind in ("trigger", "function", "log"):
            off = " and is switched off" if stands.endswith((" D", " R")) else ""
            found[name] = f"{name} was written by transaction {stands.partition(' ')[0]}{off}"
        elif stands != stood and kind == "column":
            # Rights and statistics leave its values alone; a new type or expression writes the table anew.
            table = f"table {rest.rpartition(' of ')[2]}"
            if before.get(table) != after.get(table):
                found[name] = f"{name} was written by transaction {stands.partition(' ')[0]}, with its table"
    return found

"""What writes and keeps the audit log, as the catalog has it, and whether anybody has touched it between two seals.

Each row of PostgreSQL's catalog bears the number of the transaction that wrote it (xmin). A trigger that is switched
off and on again, a function that is replaced and put back, a column whose values an ALTER TABLE computes anew without
firing a trigger: each leaves another number, for however short a time it was. So seals state these numbers, and whoever
silences the trail is found though they left no entry. Vacuum and freezing keep them; a restored dump has others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from moeen.db import registry
from moeen.db.backups.login import Login
from moeen.db.findings import Finding, Fix, Severity
from moeen.db.kinds import Kind

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
#: The seals that state guards, each with the moment of the seal before it, and whether an operator explains by it.
_STATED = """
    SELECT number, sealed_at, coalesce(before, sealed_at), guards, CASE WHEN explains THEN reason ELSE '' END FROM (
        SELECT number, sealed_at, lag(sealed_at) OVER w AS before, guards, reason,
               lost_from IS NULL AND pruned_through = lag(pruned_through, 1, 0::bigint) OVER w AS explains
        FROM audit_seals WINDOW w AS (ORDER BY number)
    ) AS s WHERE guards <> '{}' ORDER BY number
"""
_LAST_SEALED = "SELECT max(sealed_at), clock_timestamp() FROM audit_seals"
_RUN = """
    SELECT started_at FROM {} WHERE started_at <= %(until)s AND coalesce(finished_at, %(until)s) >= %(since)s
    ORDER BY started_at DESC LIMIT 1
"""


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
    return dict(rows[-1][3]) if rows else {}


def touched(connection: psycopg.Connection[Any]) -> list[Touched]:
    """What became of them from seal to seal, and since the last one. A run of migrate explains it, or an operator."""
    seals = connection.execute(_STATED).fetchall()
    if not seals:
        return []
    ((last, now),) = connection.execute(_LAST_SEALED).fetchall()
    steps = [(f"before seal {number}", since, at, guards) for number, at, since, guards, _ in seals]
    steps.append(("since the last seal", last, now, read(connection)))
    found = []
    for place, ((*_, before), (where, since, until, after)) in enumerate(pairwise(steps), start=1):
        if what := _differing(before, after):
            said = next((f"{reason} (seal {number})" for number, *_, reason in seals[place:] if reason), "")
            found.append(Touched(f"the log's guards {where}", tuple(what), said or _migrated(connection, since, until)))
    return found


def look(wrapper: BaseDatabaseWrapper) -> Iterator[Finding]:
    """The findings alone, for validation. Raises psycopg.Error before the migration that makes the column."""
    with Login.of_wrapper(wrapper).connect(application="moeen seals") as connection:
        yield from (one.finding() for one in touched(connection) if not one.why)


def _migrated(connection: psycopg.Connection[Any], since: datetime, until: datetime) -> str:
    """The run of migrate that was at work meanwhile; "" where there was none."""
    runs = sql.SQL(_RUN).format(sql.Identifier("public", registry.LEDGER_TABLES[0]))
    row = connection.execute(runs, {"since": since, "until": until}).fetchone()
    return f"migrate of {row[0]:%Y-%m-%d %H:%M}" if row else ""


def _differing(before: Mapping[str, str], after: Mapping[str, str]) -> Sequence[str]:
    """Those that are gone or were written anew. Of another database, a restored one, nothing can be said."""
    if before.get("database") != after.get("database"):
        return ()
    found = []
    for name, stood in sorted(before.items()):
        stands = after.get(name)
        kind, _, rest = name.partition(" ")
        if stands is None:
            found.append(f"{name} is gone")
        elif stands != stood and kind in ("trigger", "function"):
            off = " and is switched off" if stands.endswith((" D", " R")) else ""
            found.append(f"{name} was written by transaction {stands.partition(' ')[0]}{off}")
        elif stands != stood and kind == "column":
            # Rights and statistics leave its values alone; a new type or expression writes the table anew.
            table = f"table {rest.rpartition(' of ')[2]}"
            if before.get(table) != after.get(table):
                found.append(f"{name} was written by transaction {stands.partition(' ')[0]}, with its table")
    return found

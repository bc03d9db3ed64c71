"""Pruning: whole seals' entries that are old enough are removed; their leaves stay, and so does the proof of the rest.

First the log is proven; then an entry says what is removed, and a seal, for which the log's trigger lets it pass; then
the entries go, one seal's in a transaction. A run that was stopped is gone on with by the next.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from moeen.db import registry
from moeen.db.backups.login import Login
from moeen.db.backups.progress import Tell, silent
from moeen.db.codes import Code
from moeen.db.engine import session
from moeen.db.errors import FINDINGS, MoeenError
from moeen.db.seals import entry, seal, sealing, verification
from moeen.db.seals.anchor import Anchor
from moeen.db.seals.seal import Seal


@dataclass(frozen=True)
class Pruned:
    """What a run has removed, or would: `entries` older than `before`, of seals up to `through`; 0 for none."""

    before: datetime
    through: int
    entries: int
    dry_run: bool

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"before": self.before.isoformat()}


def prune(
    wrapper: BaseDatabaseWrapper,
    *,
    years: int,
    days: int = 0,
    anchor: Anchor | None = None,
    dry_run: bool = False,
    tell: Tell = silent,
) -> Pruned:
    """Remove the entries of all seals whose every entry is older. Raises MoeenError: 3 where the log is not proven."""
    session.refuse_unfit(wrapper, "pruning")
    with Login.of_wrapper(wrapper).connect(application="moeen prune") as connection:
        ((before,),) = connection.execute(
            "SELECT now() - make_interval(years => %s, days => %s)", [years, days]
        ).fetchall()
        seals = seal.every(connection)
        through = _through(connection, seals, before)
        declared = seals[-1].pruned_through if seals else 0
        going = list(_standing(connection, [one for one in seals if one.number <= max(through, declared)], declared))
        entries = sum(one.entries for one in going)
        if not going or dry_run:
            return Pruned(before, max((one.number for one in going), default=0), entries, dry_run)
        found = verification.verify(wrapper, anchor=anchor, tell=tell)
        if not found.ok:
            raise MoeenError(
                f"The audit log is not as it was sealed: {found.findings[0].told()}. Nothing was removed.",
                next_step="manage.py verify_audit_log lists it. What is removed could not be looked into any more.",
                exit_code=FINDINGS,
                code=Code.AUDIT_DIFFERS,
            )
        if through > declared:
            _say(connection, before, [one for one in going if one.number > declared])
            words = f"entries from before {before:%Y-%m-%d} are removed"
            sealing.make(wrapper, anchor=anchor, pruned_through=through, reason=words, tell=tell)
        done = 0
        for one in going:
            done += _remove(connection, one)
            tell("prune", done, entries)
        return Pruned(before, going[-1].number, done, dry_run)


def _through(connection: psycopg.Connection[Any], seals: Sequence[Seal], before: datetime) -> int:
    """The last seal up to which every entry is from before that moment; never the last of all."""
    through = seals[-1].pruned_through if seals else 0
    for one in seals[:-1]:
        if one.number <= through:
            continue
        leaves = entry.split(seal.leaves(connection, [one.number])[one.number])
        if any(entry.moment(leaf) >= before for leaf in leaves):
            break
        through = one.number
    return through


def _standing(connection: psycopg.Connection[Any], seals: Sequence[Seal], declared: int) -> Iterator[Seal]:
    """Those whose entries stand still. A run removes from the first seal on, so that before a gone one all are gone."""
    found: list[Seal] = []
    for one in reversed(seals):
        if not one.entries:
            continue
        if one.number <= declared and not _count(connection, one):
            break
        found.append(one)
    yield from reversed(found)


def _ids(connection: psycopg.Connection[Any], one: Seal) -> list[UUID]:
    return [UUID(bytes=leaf[:16]) for leaf in entry.split(seal.leaves(connection, [one.number])[one.number])]


def _count(connection: psycopg.Connection[Any], one: Seal) -> int:
    query = sql.SQL("SELECT count(*) FROM {} WHERE id = ANY (%s)").format(entry.table())
    row = connection.execute(query, [_ids(connection, one)]).fetchone()
    return int(row[0]) if row else 0


def _remove(connection: psycopg.Connection[Any], one: Seal) -> int:
    query = sql.SQL("DELETE FROM {} WHERE id = ANY (%s)").format(entry.table())
    return connection.execute(query, [_ids(connection, one)]).rowcount


def _say(connection: psycopg.Connection[Any], before: datetime, going: Sequence[Seal]) -> None:
    """The entry that stays in place of those that go."""
    told = {
        "seals": [going[0].number, going[-1].number],
        "entries": sum(one.entries for one in going),
        "before": before.isoformat(),
    }
    connection.execute(
        sql.SQL("INSERT INTO {} (action, table_name, new_values) VALUES ('PRUNE', %s, %s)").format(entry.table()),
        [registry.facts().audit_table, json.dumps(told)],
    )

"""Carries an import out: read, judge, write, prove. A check stops after the judgement, and has written nothing.

The same steps serve the first run, one that goes on after a stop, and the second before the switch: what is written is
what the source holds and `legacy_keys` does not know in that form.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from moeen.db import registry, schema
from moeen.db.backfill.connecting import connector
from moeen.db.backups import digests
from moeen.db.codes import Code
from moeen.db.errors import FINDINGS, MoeenError
from moeen.db.explain import explain
from moeen.db.findings import Finding
from moeen.db.importing import (
    judgement,
    mapping,
    proof,
    proposal,
    proposal_text,
    refusals,
    runs,
    selection,
    target,
    writing,
)
from moeen.db.importing.mapping import Mapping
from moeen.db.importing.proof import TableProof
from moeen.db.importing.proposal import Proposal
from moeen.db.importing.selection import Selection
from moeen.db.importing.source import Connection, Source
from moeen.db.importing.staging import Counts, ExpressionFailed, Staging
from moeen.db.importing.words import Words
from moeen.db.kinds import Kind

Told = Callable[[str, int, int], None]


@dataclass(frozen=True)
class TableCheck:
    """What would become of the rows of one table."""

    table: str
    counts: Counts


@dataclass(frozen=True)
class Check:
    """What a check found; nothing was written. ``open``: something is to be decided or corrected."""

    source: str
    tables: tuple[TableCheck, ...]
    findings: tuple[Finding, ...]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "ok": not self.findings,
            "seconds": round(self.seconds, 3),
            "tables": [{"table": one.table, **vars(one.counts)} for one in self.tables],
            "findings": [finding.as_dict() for finding in self.findings],
        }


@dataclass(frozen=True)
class Receipt:
    """What a run did, and the proof of it. ``rejects``: the file with the rows that were refused, "" without any."""

    id: str
    source: str
    tables: tuple[TableProof, ...]
    findings: tuple[Finding, ...]
    rejects: str
    seconds: float
    phases: dict[str, float] = field(default_factory=dict)

    @property
    def again(self) -> float:
        """Seconds that a second run takes at most, besides what changed: it reads and proves the same, and less."""
        return self.phases.get("read", 0.0) + self.phases.get("prove", 0.0)

    @property
    def ok(self) -> bool:
        return not self.findings and all(table.ok for table in self.tables)

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "source": self.source,
            "ok": self.ok,
            "seconds": round(self.seconds, 3),
            "phases": {name: round(seconds, 3) for name, seconds in self.phases.items()},
            "again_seconds": round(self.again, 3),
            "rejects": self.rejects,
            "tables": [table.as_dict() for table in self.tables],
            "findings": [finding.as_dict() for finding in self.findings],
        }


@dataclass(frozen=True, kw_only=True)
class Options:
    """``rejects``: where refused rows go, at most ``max_rejects``; ``recipients``: whom they are encrypted to."""

    rejects: Path
    max_rejects: int = 0
    recipients: Sequence[str] = ()
    told: Told = lambda stage, done, total: None


class Refused(MoeenError):
    """Rows that cannot be written; nothing was written. ``check`` says which."""

    default_code = Code.NOT_IMPORTABLE

    def __init__(self, found: Check, rejects: Path | None) -> None:
        count = sum(table.counts.refused for table in found.tables)
        undecided = sum(finding.kind is Kind.IMPORT_LEAVES_OUT for finding in found.findings)
        words = [f"{count:,} rows of the source would not be written"] if count else []
        words += [f"the mapping leaves {undecided:,} columns, tables or lines undecided"] * bool(undecided)
        step = "import_database --check tells of each kind. Correct the rows, or the mapping."
        super().__init__(
            f"{'; '.join(words)}. Nothing was changed.",
            next_step=f"{step} Refused rows are in {rejects}; --max-rejects N allows so many." if rejects else step,
            exit_code=FINDINGS,
        )
        self.check = found


def check(wrapper: BaseDatabaseWrapper, url: str, file: Path, *, told: Told) -> Check:
    """Everything but writing. Raises MappingError, and MoeenError where source or target cannot be used."""
    started = time.monotonic()
    with _opened(wrapper, url, file, told) as work:
        work.read()
        return work.found(started)


def propose(wrapper: BaseDatabaseWrapper, url: str, words: Words, *, schema: str, zone: str) -> tuple[Proposal, str]:
    """A first mapping, and its text. ``zone`` is taken for the clinic's where the source does not tell."""
    targets = {one.name: one for one in target.every(wrapper).values() if one.name not in registry.facts().append_only}
    with Source.opened(url, schema=schema) as source, wrapper.cursor() as cursor:
        full = set()
        for name, one in targets.items():
            cursor.execute(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(one.relation))
            if cursor.fetchone()[0]:
                full.add(name)
        made = proposal.propose(source, targets, words, full=full)
        return made, proposal_text.text(made, source, zone=zone)


def run(wrapper: BaseDatabaseWrapper, url: str, file: Path, options: Options) -> Receipt:
    """Import, or carry over what changed since. Raises Refused (3) before anything is written."""
    started = time.monotonic()
    with _opened(wrapper, url, file, options.told) as work:
        runs.lock(work.target)
        work.read()
        rejects = refusals.write(options.rejects, work.stagings, recipients=options.recipients)
        found = work.found(started)
        counts = {one.table: one.counts for one in found.tables}
        is_open = any(finding.kind is Kind.IMPORT_LEAVES_OUT for finding in found.findings)
        if is_open or sum(count.refused for count in counts.values()) > options.max_rejects:
            raise Refused(found, rejects)
        read = time.monotonic()
        run_id = runs.begin(work.target, source=work.mapping.source, mapping=work.mapping.text)
        tables = {name: {"new": c.new, "changed": c.changed, "gone": c.gone} for name, c in counts.items()}
        runs.audit(work.target, run_id, {"source": work.mapping.source, "tables": tables})
        try:
            writing.write(work.target, work.stagings, told=options.told)
            for one in [*(staging.selection.target.name for staging in work.stagings), "legacy_keys"]:
                work.target.execute(sql.SQL("ANALYZE {}").format(sql.Identifier("public", one)))
            written = time.monotonic()
            proofs = proof.prove(work.target, work.stagings)
            findings = schema.validate(wrapper).unexpected
        except BaseException as error:
            known = explain(error)
            _end(work.target, run_id, "failed", {}, known.cause if known else type(error).__name__)
            raise
        now = time.monotonic()
        receipt = Receipt(
            id=str(run_id),
            source=work.mapping.source,
            tables=tuple(proofs),
            findings=findings,
            rejects=str(rejects or ""),
            seconds=now - started,
            phases={"read": read - started, "write": written - read, "prove": now - written},
        )
        _end(work.target, run_id, "done" if receipt.ok else "failed", receipt.as_dict(), "")
        return receipt


def _end(connection: Connection, run_id: Any, outcome: str, receipt: dict[str, Any], error: str) -> None:
    if not connection.closed:
        runs.end(connection, run_id, outcome=outcome, receipt=receipt, error=error)


@contextmanager
def _opened(wrapper: BaseDatabaseWrapper, url: str, file: Path, told: Told) -> Iterator[_Work]:
    whole = mapping.load(file)
    targets = _targets(wrapper, whole)
    connect = connector(wrapper, what="an import", application="moeen import")
    with Source.opened(url, schema=whole.schema) as source:
        composed = [selection.of_table(whole, whole.tables[name], one, source) for name, one in targets.items()]
        selections = selection.in_order(whole, composed)
        with connect() as connection:
            digests.prepare(connection)
            connection.execute("SET search_path = public")
            # All that is asked is of whole tables, most of them temporary and without statistics.
            connection.execute("SET enable_nestloop = off")
            connection.execute("SET work_mem = '64MB'")
            connection.execute("SET temp_buffers = '64MB'")
            yield _Work(whole, source, connection, selections, told)


def _targets(wrapper: BaseDatabaseWrapper, whole: Mapping) -> dict[str, target.Target]:
    found = target.read(wrapper, whole.tables)
    for table in whole.tables.values():
        if table.name not in found:
            raise whole.error(
                table.line, f"there is no table {table.name} here to be filled.",
                next_step="Run `manage.py migrate` first; describe_schema lists the tables.",
            )  # fmt: skip
    return found


class _Work:
    """One import, with both sessions open."""

    def __init__(
        self, whole: Mapping, source: Source, connection: Connection, selections: list[Selection], told: Told
    ) -> None:
        self.mapping, self.source, self.target, self.told = whole, source, connection, told
        self.selections = selections
        self.stagings = [
            Staging(one, number, source=source, target=connection, name=whole.source)
            for number, one in enumerate(selections)
        ]

    def read(self) -> None:
        """Read and judge all tables."""
        self._refuse_strangers()
        judged: dict[str, Staging] = {}
        for staging in self.stagings:
            total = self._estimate(staging)
            try:
                staging.fill(partial(self._told, staging.table, total), judged)
            except ExpressionFailed as error:
                raise self._culprit(staging.selection, error) from error
            judgement.judge(staging, judged)
            judged[staging.table] = staging

    def _told(self, table: str, total: int, rows: int) -> None:
        self.told(f"read {table}", rows, max(rows, total))

    def found(self, started: float) -> Check:
        findings = [finding for staging in self.stagings for finding in refusals.findings(staging)]
        findings += refusals.open_lines(self.mapping)
        findings += refusals.undecided(self.source, self.selections, self.mapping.left_out)
        tables = tuple(TableCheck(staging.table, staging.count()) for staging in self.stagings)
        return Check(self.mapping.source, tables, tuple(findings), time.monotonic() - started)

    def _refuse_strangers(self) -> None:
        """Rows that no earlier run of this import wrote: not to be mixed with."""
        for one in self.selections:
            if one.table.match:
                continue
            row = self.target.execute(
                sql.SQL(
                    """SELECT count(*) FROM {} AS t WHERE NOT EXISTS (SELECT FROM public.legacy_keys AS l
                       WHERE l.new_id = t.id AND l.source = {} AND l.table_name = {})"""
                ).format(one.target.relation, sql.Literal(self.mapping.source), sql.Literal(one.target.name))
            ).fetchone()
            if row and row[0]:
                raise MoeenError(
                    f"{one.target.name} holds {row[0]:,} rows that did not come by this import.",
                    next_step="Import into a database that is migrated and empty, or say in the mapping by which "
                    'column rows that stand are the same: match = "name". Nothing was changed.',
                    exit_code=FINDINGS,
                    code=Code.IMPORT_TARGET,
                )

    def _estimate(self, staging: Staging) -> int:
        if staging.selection.table.is_query:
            return 0
        name = staging.selection.rows.as_string(None)
        rows = self.source.rows(
            sql.SQL("SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = to_regclass({})").format(
                sql.Literal(name)
            )
        )
        return int(rows[0][0]) if rows else 0

    def _culprit(self, one: Selection, error: ExpressionFailed) -> MoeenError:
        """Which of the expressions fails, by trying each of them alone."""
        for name, expression in one.columns.items():
            try:
                self.source.rows(sql.SQL("SELECT count({}) FROM {} AS s").format(expression, one.rows))
            except psycopg.DataError as found:
                return self.mapping.error(
                    one.table.columns[name].line,
                    f"the expression for {name} fails at some row of the source: {type(found).__name__}.",
                    next_step="Nothing was changed. The row is not shown: it may be a patient's.",
                )
        return error

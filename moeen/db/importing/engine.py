"""Carries an import out: read, judge, write, prove. A check stops after the judgement, and has written nothing.

The same steps serve the first run, one that goes on after a stop, and the second before the switch: what is written is
what the source holds and `legacy_keys` does not know in that form.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from psycopg import sql

from moeen.db import registry, schema
from moeen.db.backfill.connecting import connector
from moeen.db.backups import digests
from moeen.db.codes import Code
from moeen.db.errors import FINDINGS, USAGE, MoeenError
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
from moeen.db.importing.staging import Counts, ExpressionFailed, Sides, Staging, why, workplace
from moeen.db.importing.words import Words
from moeen.db.kinds import Kind

Told = Callable[[str, int, int], None]
#: A check looks at so many rows of each table first, where some table holds so many that to look at all takes long.
SAMPLE, LARGE = 1_000, 100_000


@dataclass(frozen=True)
class TableCheck:
    """What would become of the rows of one table."""

    table: str
    counts: Counts


@dataclass(frozen=True)
class Check:
    """What a check found; nothing was written. ``is_sample``: of some rows of each table, which was enough."""

    source: str
    tables: tuple[TableCheck, ...]
    findings: tuple[Finding, ...]
    seconds: float
    is_sample: bool = False

    def as_dict(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "ok": not self.findings,
            "sample": self.is_sample,
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
    """``rejects``: where refused rows go, at most ``max_rejects``; ``recipients``: whom they are encrypted to.

    ``retake``: rows that were changed here since they came are taken anew. ``max_gone``: so many rows may be gone from
    the source where it has lost most of a table: it may be another database under the same name.
    """

    rejects: Path
    max_rejects: int = 0
    max_gone: int = 0
    retake: bool = False
    recipients: Sequence[str] = ()
    told: Told = lambda stage, done, total: None


class Refused(MoeenError):
    """Rows that cannot be written; nothing was written. ``check`` says which."""

    default_code = Code.NOT_IMPORTABLE

    def __init__(self, found: Check, rejects: Path | None, max_gone: int = 0) -> None:
        count = sum(table.counts.refused for table in found.tables)
        undecided = sum(finding.kind is Kind.IMPORT_LEAVES_OUT for finding in found.findings)
        lost = [table.counts.gone for table in found.tables if table.counts.has_lost_most]
        gone = sum(lost)
        held = sum(finding.kind is Kind.IMPORT_LOSES for finding in found.findings) > len(lost) * (gone > max_gone)
        words = [f"{count:,} rows of the source would not be written"] if count else []
        words += [f"the mapping leaves {undecided:,} columns, tables or lines undecided"] * bool(undecided)
        words += [f"{gone:,} rows that came before are gone from it"] * (gone > max_gone)
        words += ["rows that were made here refer to rows that are gone from it"] * held
        step = "import_database --check tells of each kind. Correct the rows, or the mapping."
        super().__init__(
            f"{'; '.join(words)}. Nothing was changed.",
            next_step=f"{step} Refused rows are in {rejects}; --max-rejects N allows so many." if rejects else step,
            exit_code=FINDINGS,
        )
        self.check = found


def check(
    wrapper: BaseDatabaseWrapper, url: str, file: Path, *, told: Told, retake: bool = False, max_gone: int = 0
) -> Check:
    """Everything but writing. Raises MappingError, and MoeenError where source or target cannot be used."""
    started = time.monotonic()
    with _opened(wrapper, url, file, told) as work:
        if (found := work.sampled(started)) and found.findings:
            return found
        work.read(retake=retake)
        return work.found(started, max_gone=max_gone)


def propose(wrapper: BaseDatabaseWrapper, url: str, words: Words, *, schema: str, zone: str) -> tuple[Proposal, str]:
    """A first mapping, and its text. ``zone`` is taken for the clinic's where the source does not tell."""
    _refuse_unmigrated(wrapper)
    targets = {one.name: one for one in target.every(wrapper).values() if one.name not in registry.facts().append_only}
    with Source.opened(url, schema=schema) as source, wrapper.cursor() as cursor:
        if not source.has_schema():
            raise MoeenError(f"The source has no schema {schema}.", exit_code=USAGE)
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
        work.read(retake=options.retake)
        rejects = refusals.write(options.rejects, work.stagings, recipients=options.recipients)
        found = work.found(started, max_gone=options.max_gone)
        counts = {one.table: one.counts for one in found.tables}
        is_open = any(finding.kind in (Kind.IMPORT_LEAVES_OUT, Kind.IMPORT_LOSES) for finding in found.findings)
        if is_open or sum(count.refused for count in counts.values()) > options.max_rejects:
            raise Refused(found, rejects, options.max_gone)
        read = time.monotonic()
        run_id = runs.begin(work.target, source=work.mapping.source, mapping=work.mapping.text)
        tables = {name: {"new": c.new, "changed": c.changed, "gone": c.gone} for name, c in counts.items()}
        runs.audit(work.target, run_id, {"source": work.mapping.source, "tables": tables})
        try:
            writing.write(work.target, work.stagings, told=options.told)
            written = time.monotonic()
            proofs, findings = work.prove(counts, wrapper)
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


def _much_changed(counts: dict[str, Counts]) -> list[str]:
    """Tables of which the planner's statistics tell little any more; the others are the server's own to see to."""
    changed = {name: count.new + count.changed + count.gone for name, count in counts.items()}
    return [name for name, count in counts.items() if changed[name] > count.same // 10]


def _end(connection: Connection, run_id: Any, outcome: str, receipt: dict[str, Any], error: str) -> None:
    if not connection.closed:
        runs.end(connection, run_id, outcome=outcome, receipt=receipt, error=error)


@contextmanager
def _opened(wrapper: BaseDatabaseWrapper, url: str, file: Path, told: Told) -> Iterator[_Work]:
    whole = mapping.load(file)
    _refuse_unmigrated(wrapper)
    targets = _targets(wrapper, whole)
    connect = connector(wrapper, what="an import", application="moeen import")
    with Source.opened(url, schema=whole.schema) as source, source.beside() as other:
        if not source.has_schema():
            raise whole.error(whole.lines.get("schema", 1), f"the source has no schema {whole.schema}.")
        if whole.zone and not source.knows_zone(whole.zone):
            raise whole.error(whole.lines["zone"], f"the source knows no time zone {whole.zone}.")
        composed = [selection.of_table(whole, whole.tables[name], one, source) for name, one in targets.items()]
        selections = selection.in_order(whole, composed)
        with connect() as connection, connect() as beside:
            for one in (connection, beside):
                digests.prepare(one)
                for name, value in _SETTINGS.items():
                    one.execute("SELECT set_config(%s, %s, false)", [name, value])
            runs.lock(connection)
            with workplace(connection):
                yield _Work(whole, (Sides(source, connection), Sides(other, beside)), selections, told)


#: Of the target's sessions. What is asked is of whole tables, most of them without statistics.
_SETTINGS = {
    "search_path": "public",
    "enable_nestloop": "off",
    "work_mem": "64MB",
    "maintenance_work_mem": "128MB",
    # A statement may take minutes; of one whose import was killed the server learns so, and the next may begin.
    "client_connection_check_interval": "2s",
    # Others may stand in the way of a change of a table for so long; then the run is stopped, and can be run again.
    "lock_timeout": "30s",
}


def _refuse_unmigrated(wrapper: BaseDatabaseWrapper) -> None:
    executor = MigrationExecutor(wrapper)
    if waiting := len(executor.migration_plan(executor.loader.graph.leaf_nodes())):
        raise MoeenError(
            f"{waiting} {'migration waits' if waiting == 1 else 'migrations wait'} in the database to be filled.",
            next_step="Run `manage.py migrate` first. Nothing was changed.",
            exit_code=FINDINGS,
            code=Code.IMPORT_TARGET,
        )


def _targets(wrapper: BaseDatabaseWrapper, whole: Mapping) -> dict[str, target.Target]:
    found = target.read(wrapper, whole.tables)
    for table in whole.tables.values():
        if table.name not in found:
            raise whole.error(
                table.line, f"there is no table {table.name} here to be filled.",
                next_step="`manage.py describe_schema` lists the tables.",
            )  # fmt: skip
        if table.name in _OWN | registry.facts().append_only:
            raise whole.error(table.line, f"{table.name} is written by the database itself, and takes no others' rows.")
    return found


#: Tables that an import keeps its own record in.
_OWN = frozenset({"legacy_keys", "import_runs", "public_id_aliases"})


class _Work:
    """One import, with two sessions of each side open. All but the reading is done in the first ones."""

    def __init__(self, whole: Mapping, workers: tuple[Sides, Sides], selections: list[Selection], told: Told) -> None:
        self.mapping, self.workers = whole, workers
        self.source, self.target = workers[0].source, workers[0].target
        self.selections = selections
        self._by_name = {one.target.name: one for one in selections}
        one_at_a_time = Lock()

        def telling(stage: str, done: int, total: int) -> None:
            with one_at_a_time:
                told(stage, done, total)

        self.told = telling
        self.stagings = [
            Staging(one, number, sides=workers[0], name=whole.source) for number, one in enumerate(selections)
        ]

    def read(self, *, retake: bool = False) -> None:
        """Read and judge all tables. ``retake``: with the rows that were changed here since they came."""
        self._refuse_strangers()
        self._fill()
        judged: dict[str, Staging] = {}
        for staging in self.stagings:
            hashed = writing.row_hash(staging.selection.target, list(staging.selection.columns), "t")
            settling = partial(staging.settle, judged, self._telling(staging), retaken=hashed if retake else None)
            self._asked(staging, settling)
            judgement.judge(staging, judged)
            judged[staging.table] = staging

    def _fill(self) -> None:
        """Read the tables, and judge what each tells alone."""
        totals = {staging.table: self._estimate(staging) for staging in self.stagings}

        def fill(staging: Staging) -> None:
            staging.fill(self._telling(staging, totals[staging.table]))
            staging.know(twice=judgement.judge_keys(staging))
            if staging.is_whole:
                judgement.judge_values(staging)

        largest_first = sorted(self.stagings, key=lambda staging: -totals[staging.table])
        with self._each(largest_first, fill):
            pass

    def prove(self, counts: dict[str, Counts], wrapper: BaseDatabaseWrapper) -> tuple[list[TableProof], Any]:
        """Of each table that what was read is what stands; and what stands in the schema that should not."""
        changed = _much_changed(counts)
        proofs: dict[str, TableProof] = {}

        def prove(staging: Staging) -> None:
            if staging.table in changed:
                staging.connection.execute(sql.SQL("ANALYZE {}").format(staging.selection.target.relation))
            proofs[staging.table] = proof.of_table(staging)

        if changed:
            self.target.execute("ANALYZE public.legacy_keys")
        with self._each(sorted(self.stagings, key=lambda staging: -staging.read), prove):
            findings = schema.validate(wrapper).unexpected
        return [proofs[staging.table] for staging in self.stagings], findings

    @contextmanager
    def _each(self, stagings: Sequence[Staging], doing: Callable[[Staging], None]) -> Iterator[None]:
        """Do something with each table in turn, with two workers; none waits for another. Within it the caller does
        something else meanwhile."""
        free: SimpleQueue[Sides] = SimpleQueue()
        for sides in self.workers:
            free.put(sides)

        def do(staging: Staging) -> None:
            sides = free.get()
            try:
                with staging.at(sides):
                    doing(staging)
            finally:
                free.put(sides)

        with ThreadPoolExecutor(len(self.workers)) as pool:
            futures = {pool.submit(do, staging): staging for staging in stagings}
            failed = set(futures)
            try:
                yield
                failed = {one for one in wait(futures, return_when=FIRST_EXCEPTION).done if one.exception()}
            finally:
                if failed:
                    pool.shutdown(wait=False, cancel_futures=True)
                    for sides in self.workers:
                        sides.cancel()
        for future in failed:
            self._asked(futures[future], future.result)

    def _telling(self, staging: Staging, total: int = 0) -> Callable[[int], None]:
        return lambda rows: self.told(f"read {staging.table}", rows, max(rows, total))

    def _asked(self, staging: Staging, reading: Callable[[], None]) -> None:
        """Say which expression of the mapping it is where one fails."""
        try:
            reading()
        except ExpressionFailed as error:
            raise self._culprit(staging.selection, error) from error

    def sampled(self, started: float) -> Check | None:
        """What some rows of each table show at once, where to read all takes long; None where it does not."""
        totals = [self._estimate(staging) for staging in self.stagings]
        if max(totals) < LARGE:
            return None
        tables, findings = [], list(refusals.open_lines(self.mapping))
        for number, (one, total) in enumerate(zip(self.selections, totals, strict=True)):
            staging = Staging(one, f"sample_{number}", sides=self.workers[0], name=self.mapping.source)
            self._asked(staging, partial(staging.sample, SAMPLE, total))
            judgement.judge_values(staging)
            findings += refusals.findings(staging, self._by_name)
            tables.append(TableCheck(staging.table, staging.count()))
        return Check(self.mapping.source, tuple(tables), tuple(findings), time.monotonic() - started, is_sample=True)

    def found(self, started: float, *, max_gone: int) -> Check:
        findings = [one for staging in self.stagings for one in refusals.findings(staging, self._by_name)]
        findings += refusals.open_lines(self.mapping)
        findings += refusals.undecided(self.source, self.selections, self.mapping)
        tables = tuple(TableCheck(staging.table, staging.count()) for staging in self.stagings)
        for staging, one in zip(self.stagings, tables, strict=True):
            if one.counts.gone:
                findings += refusals.held(staging, self._by_name)
        lost = [one for one in tables if one.counts.has_lost_most]
        if sum(one.counts.gone for one in lost) > max_gone:
            findings += [refusals.lost(one.table, one.counts) for one in lost]
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
        """About how many rows a table of the source holds; 0 for what no sample can be taken of."""
        if staging.selection.table.is_query:
            return 0
        name = staging.selection.rows.as_string(None)
        rows = self.source.rows(
            sql.SQL(
                "SELECT greatest(reltuples, 0)::bigint FROM pg_class "
                "WHERE oid = to_regclass({}) AND relkind IN ('r', 'p', 'm')"
            ).format(sql.Literal(name))
        )
        return int(rows[0][0]) if rows else 0

    def _culprit(self, one: Selection, error: ExpressionFailed) -> MoeenError:
        """Which of the expressions fails, by trying each of them alone."""
        table = one.table
        tries = [(table.lines["from"], "the SELECT", sql.SQL("1")), (table.lines["key"], "the key", one.key)]
        if table.public_id and one.public_id:
            tries.append((table.public_id.line, "the expression for public_id", one.public_id))
        for name, expression in one.columns.items():
            tries.append((table.columns[name].line, f"the expression for {name}", expression))
        for line, what, expression in tries:
            try:
                whole = sql.SQL("SELECT count(convert_to(({})::text, 'UTF8')) FROM {} AS s")
                self.source.rows(whole.format(expression, one.rows))
            except psycopg.Error as found:
                return self.mapping.error(
                    line, f"{what} fails at some row of the source: {why(found)}.",
                    next_step="Nothing was changed. The row is not shown: it may be a patient's.",
                )  # fmt: skip
        return error

"""Carries backfills out: workers that fill ranges of pages, one cursor for all, and somebody who watches.

The heap of a table is walked in order up to a bound that is frozen at the start; rows that others write later have
values by themselves. A last sweep looks for rows that moved. The cursor, ``position`` in backfill_runs, is saved in
the transaction of each batch, so a run that was killed goes on where it was.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db import logs
from moeen.db.backfill import runs, throttle
from moeen.db.backfill.batches import Batches, Stopped, TooManyFailures, is_lost
from moeen.db.backfill.connecting import connector
from moeen.db.backfill.definition import Backfill
from moeen.db.backfill.notes import Note, Why
from moeen.db.backfill.pace import Limit, Pace
from moeen.db.backfill.parts import Pages
from moeen.db.backfill.reports import Failure, Progress, Report, TableReport
from moeen.db.backfill.surveys import Size, measure
from moeen.db.codes import Code
from moeen.db.errors import FINDINGS, MoeenError
from moeen.db.explain import explain

#: Sweeps after the first: under steady writes by code that leaves values out, with no guard, there is no last one.
MOST_SWEEPS = 6
WATCH_SECONDS = 1.0
LOG_SECONDS = 10.0
#: So long after the last use of the table by others it counts as in use.
LIVE_MEMORY_SECONDS = 10.0


class Busy(MoeenError):
    """Another run fills the same table."""

    default_code = Code.ANOTHER_RUN


class Cancelled(MoeenError):
    """An administrator asked for the end of the run."""

    default_code = Code.CANCELLED


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to run. ``batch_size``: rows in the first batch, from where sizes adapt to ``target_ms``.

    While ``pause_file`` exists, the run waits. ``finalize`` False leaves the last steps to a later run. ``tell`` takes
    lines for people, ``progress`` what a bar shows.
    """

    batch_size: int = 2_000
    target_ms: int = 500
    max_rows_per_second: float | None = None
    workers: int = 1
    pause_file: Path | None = None
    finalize: bool = True
    limits: throttle.Limits = field(default_factory=throttle.Limits)
    tell: Callable[[str], None] = lambda line: None
    progress: Callable[[Progress], None] = lambda progress: None


def run(wrapper: BaseDatabaseWrapper, items: Sequence[Backfill], options: Options) -> Report:
    """Fill the tables one after the other. What ends before its time is left as far as it came.

    Raises Busy when another run is at one of them, and whatever ended a run before its time.
    """
    return Report(dry_run=False, tables=tuple(_Table(wrapper, item, options).run() for item in items))


class _Table:
    """The run over one table, by this call."""

    def __init__(self, wrapper: BaseDatabaseWrapper, item: Backfill, options: Options) -> None:
        self.wrapper, self.item, self.options = wrapper, item, options
        self.connect = connector(wrapper)
        self.connection = self.connect()
        self.log = logs.logger("backfill")
        self.stop = threading.Event()
        self.free = threading.Event()  # cleared while the run shall wait
        self.free.set()
        self.failures: dict[str, Failure] = {}
        self.batches = 0
        self.filled = 0
        self._claims = _Claims(0, 0)
        self._counting = threading.Lock()
        self._use: tuple[int, float] | None = None  # by others: the number seen last, and until when it counts

    def run(self) -> TableReport:
        item, started = self.item, time.monotonic()
        try:
            self._lock()
            size = measure(self.connection, item)
            report = partial(TableReport, item.table, item.prefix, rows_total=size.total, rows_missing=size.missing)
            unfinished = self.connection.execute(
                "SELECT id FROM backfill_runs WHERE name = %s AND table_name = %s AND finished_at IS NULL",
                [item.name, item.table],
            ).fetchone()
            left = size.missing
            if size.missing or unfinished:
                left = self._fill(size)
            finalized = False
            if not left and self.options.finalize and not item.is_final(self.wrapper):
                item.finalize(self.wrapper, self.options.tell)
                finalized = True
                self.log.info("finalized", extra={"table": item.table})
            return report(
                rows_filled=self.filled,
                batches=self.batches,
                seconds=time.monotonic() - started,
                rows_left=left,
                failures=tuple(self.failures.values()),
                finalized=finalized,
            )
        finally:
            self.connection.close()

    def _lock(self) -> None:
        """One run a table: the lock belongs to the session, and goes with it however it ends."""
        key = [runs.LOCK, f"{self.item.name} {self.item.table}"]
        for _ in range(10):  # a run that was killed just now may not have been noticed yet
            row = self.connection.execute("SELECT pg_try_advisory_lock(%s, hashtext(%s))", key).fetchone()
            if row and row[0]:
                return
            time.sleep(0.1)
        holder = self.connection.execute(
            """
            SELECT a.pid, a.usename, extract(epoch FROM clock_timestamp() - a.backend_start)::int
            FROM pg_locks l JOIN pg_stat_activity a USING (pid)
            WHERE l.locktype = 'advisory' AND l.granted AND l.classid::bigint = %s
              -- An oid has no sign, hashtext has one.
              AND (l.objid::bigint << 32 >> 32) = hashtext(%s)
              AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            """,
            key,
        ).fetchone()
        who = f": pid {holder[0]}, role {holder[1]}, for {holder[2]} s" if holder else ""
        raise Busy(
            f"Another backfill of {self.item.table} is running{who}.",
            next_step="Wait for it, or end it; then run the command again.",
            exit_code=FINDINGS,
        )

    # --- filling ------------------------------------------------------------------------------------------------

    def _fill(self, size: Size) -> int:
        """Sweep until no row is missing, or only such as refuse. Returns the rows that are left."""
        item, options = self.item, self.options
        state = runs.begin(self.connection, item, total=size.total, missing=size.missing, pages=size.pages)
        density = max(size.total / max(size.pages, 1), 0.1)
        self.pace = Pace(
            rows=options.batch_size,
            density=density,
            target_seconds=options.target_ms / 1000,
            rows_per_second=options.max_rows_per_second,
        )
        self.limit = Limit(options.max_rows_per_second)
        self.log.info(
            "started",
            extra={"table": item.table, "backfill": item.name, "missing": size.missing, "position": state.position},
        )
        before, self.rows = state.rows_filled, size.total
        status, failures = "failed", self.failures
        note: Note | str = ""
        try:
            left = size.missing
            for sweep in range(MOST_SWEEPS):
                if sweep:
                    pages = measure(self.connection, item).pages
                    runs.next_sweep(self.connection, state, pages=pages)
                    self._claims = _Claims(0, pages)
                else:
                    self._claims = _Claims(state.position, state.bound)
                failures.clear()
                self._sweep(state, size.missing, patient=sweep > 0)
                left = measure(self.connection, item).missing
                # A row of an earlier call may lie before the position: one whole sweep before giving up.
                if left == 0 or (left <= len(failures) and (sweep or state.position == 0)):
                    break
            status = "finished" if left == 0 else "incomplete"
            return left
        except TooManyFailures:
            status, note = "incomplete", Note(Why.REFUSED, str(len(failures)))
            options.tell(f"{item.table}: {note}.")
            return measure(self.connection, item).missing
        except (KeyboardInterrupt, Stopped, Cancelled) as ending:
            status, note = "stopped", Note(Why.CANCELLED) if isinstance(ending, Cancelled) else ""
            raise
        except Exception as error:
            known = explain(error)
            note = known.cause if known else type(error).__name__
            raise
        finally:
            self._end(state, status, note, before)

    def _end(self, state: runs.Run, status: str, note: Note | str, before: int) -> None:
        self.log.info(
            status,
            extra={"table": self.item.table, "batches": self.batches, "refused": len(self.failures), "note": str(note)},
        )
        try:
            if self.connection.closed:
                self.connection = self.connect()
            runs.end(self.connection, state, status, failures=self.failures.values(), note=note)
            # What the database says: a batch whose commit was cut off counts if it was done.
            row = self.connection.execute("SELECT rows_filled FROM backfill_runs WHERE id = %s", [state.id]).fetchone()
            self.filled = row[0] - before if row else self.filled
        except psycopg.Error:
            if status == "finished":
                raise

    def _sweep(self, state: runs.Run, missing: int, *, patient: bool) -> None:
        with ThreadPoolExecutor(self.options.workers, thread_name_prefix="backfill") as pool:
            workers: list[Batches] = []
            futures: list[Future[None]] = []
            try:
                for _ in range(self.options.workers):
                    workers.append(
                        Batches(
                            self.connect,
                            self.item,
                            state.id,
                            stop=self.stop,
                            done=self._batch_done,
                            failures=self.failures,
                            patient=patient,
                        )
                    )
                self.free.clear()  # until the first look found nothing against it
                futures = [pool.submit(self._work, worker) for worker in workers]
                self._watch(state, missing, workers, futures)
                errors = [error for error in (future.exception() for future in futures) if error]
                # One worker's error stops the others.
                for error in sorted(errors, key=lambda error: isinstance(error, Stopped)):
                    raise error
            except BaseException:
                self.stop.set()
                self.free.set()
                for worker in workers:
                    worker.cancel()
                wait(futures)
                raise
            finally:
                for worker in workers:
                    worker.close()

    def _work(self, worker: Batches) -> None:
        """A worker's life: take pages, fill them, until there are none."""
        try:
            while True:
                self.limit.wait(self.stop)
                self.free.wait()
                if self.stop.is_set():
                    return
                claim = self._claims.take(self.pace.pages)
                if claim is None:
                    return
                worker.fill(claim, before=partial(self._claims.done_below, claim))
                self._claims.settle(claim)
        except BaseException:
            self.stop.set()
            raise

    def _batch_done(self, rows: int, pages: int, seconds: float) -> None:
        with self._counting:
            self.batches += 1
            self.filled += rows
        if pages:
            self.pace.took(pages, seconds)
        self.limit.spent(rows)

    # --- watching -----------------------------------------------------------------------------------------------

    def _watch(self, state: runs.Run, missing: int, workers: list[Batches], futures: list[Future[None]]) -> None:
        """Until the workers end: show progress, keep the run's row alive, hold the workers back when need be."""
        started, logged, held = time.monotonic(), time.monotonic(), 0.0
        note: Note | None = None
        rates = _Rate()
        over = False
        while not over:
            new = self._reason(state, [worker.pid for worker in workers], note, held)
            if new != note:
                held = time.monotonic()
                self.options.tell(f"{self.item.table}: " + (f"waiting, {new}." if new else "going on."))
                self.log.info(
                    "waiting" if new else "going on", extra={"table": self.item.table, "note": str(new or "")}
                )
                note = new
            if note:
                self.free.clear()
            else:
                self.free.set()
            over = not wait(futures, timeout=WATCH_SECONDS).not_done
            now = time.monotonic()
            rate = rates.at(now - started, self.filled)
            eta = max(missing - self.filled, 0) / rate if rate and not note else None
            self.options.progress(Progress(self.item.table, self.filled, missing, rate, eta, str(note or "")))
            if now - logged > LOG_SECONDS or over:
                logged = now
                done = {"filled": self.filled, "missing": missing, "rows_per_second": round(rate)}
                self.log.info("progress", extra={"table": self.item.table, "batch_pages": self.pace.pages, **done})

    def _reason(self, state: runs.Run, pids: list[int], note: Note | None, held: float) -> Note | None:
        """Why to wait now, if at all. A connection that broke is made anew, and the lock with it."""
        pause_file = self.options.pause_file
        paused = Note(Why.PAUSE_FILE, str(pause_file)) if pause_file and pause_file.exists() else None
        why: Note | None = paused
        try:
            if self.connection.closed:
                self.connection = self.connect()
                self._lock()
            if paused:
                runs.sign_of_life(self.connection, state, paused)
                self._heed_cancel()
                return paused
            why = throttle.reason(self.connection, self.item.table, self.rows, pids, self.options.limits)
            self._notice_use()
            patience = self.options.limits.dead_rows_patience
            if why and why.why is Why.DEAD_ROWS and note and time.monotonic() - held > patience:
                why = None
            if runs.sign_of_life(self.connection, state, why):
                why = Note(Why.PAUSE_ASKED)
                runs.sign_of_life(self.connection, state, why)
            self._heed_cancel()
        except psycopg.OperationalError as error:
            if not is_lost(error, self.connection):
                raise
            self.connection.close()
            why = paused or note  # as it was; the next look may tell
        return why

    def _notice_use(self) -> None:
        """Whether others use the table now. At first it counts as used, for a moment: only a second look can tell."""
        seen, now = throttle.use(self.connection, self.item.table), time.monotonic()
        if self._use is None:
            self._use = seen, now + 2 * WATCH_SECONDS
        elif seen != self._use[0]:
            self._use = seen, now + LIVE_MEMORY_SECONDS
        self.pace.live = now < self._use[1]

    def _heed_cancel(self) -> None:
        if runs.is_cancelled(self.connection, self.item.table):
            raise Cancelled(
                f"An administrator cancelled the backfill of {self.item.table}. What is filled stays.",
                next_step="The same command goes on where it was.",
                exit_code=FINDINGS,
            )


class _Claims:
    """Which pages are taken, and up to where everything is done. For all workers."""

    def __init__(self, position: int, bound: int) -> None:
        self._next, self._bound = position, bound
        self._taken: set[int] = set()
        self._lock = threading.Lock()

    def take(self, pages: int) -> Pages | None:
        with self._lock:
            if self._next >= self._bound:
                return None
            claim = Pages(self._next, min(self._next + pages, self._bound))
            self._next = claim.end
            self._taken.add(claim.first)
            return claim

    def done_below(self, claim: Pages) -> int:
        """The page below which everything is done as soon as this claim is."""
        with self._lock:
            return min(self._taken - {claim.first}, default=self._next)

    def settle(self, claim: Pages) -> None:
        with self._lock:
            self._taken.discard(claim.first)


class _Rate:
    """Rows a second over the last half minute."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, int]] = [(0.0, 0)]

    def at(self, seconds: float, filled: int) -> float:
        self._seen.append((seconds, filled))
        while len(self._seen) > 2 and seconds - self._seen[0][0] > 30.0:
            self._seen.pop(0)
        (then, before) = self._seen[0]
        return (filled - before) / (seconds - then) if seconds > then else 0.0

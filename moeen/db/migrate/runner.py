"""The safe migrate: one at a time, looked at first, backed up, with short locks, checked and recorded.

Django's own command works out what to do; ``Executor`` takes the place of Django's and does it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

from moeen.db import notes, schema
from moeen.db.catalog.sizes import holds_rows
from moeen.db.codes import Code
from moeen.db.converge import failures, locks, triggers
from moeen.db.engine import session
from moeen.db.errors import USAGE, MoeenError
from moeen.db.explain import explain
from moeen.db.findings import Finding, Severity
from moeen.db.history import ledger, reports
from moeen.db.history.own_apps import own_apps
from moeen.db.logs import logger
from moeen.db.migrate import (
    bodies,
    feeds,
    grantees,
    invariants,
    mutex,
    policies,
    preflight,
    rehearsal,
    states,
    stock_django,
)
from moeen.db.migrate.plan import Blocking, blocking, describe, large_tables_stand, losses
from moeen.db.migrate.refusals import AdoptionRefused, HistoryChanged, InvariantBroken, NotConfirmed, SchemaDiffers
from moeen.db.migrate.watch import Watch
from moeen.db.operations import CreateTable
from moeen.db.seals import guards
from moeen.db.security import web_login
from moeen.db.server import project

Plan = Sequence[tuple[Migration, bool]]
BackupHook = Callable[[BaseDatabaseWrapper], str]


@dataclass
class MigrateOptions:
    """How a run is to be made, and what became of it.

    ``drop_policies``, ``keep_policies`` (name -> reason): what becomes of others' policies that open rows to our roles.
    ``closes_to``, ``keeps`` (name -> reason): what becomes of roles that would see nothing any more; ``kept``: with the
    policies by which those that are kept go on, worked out beforehand.
    ``hold_triggers``, ``fire_triggers``: what becomes of others' triggers at the rows that adoption changes.
    ``yes_here``: tables of another application's are known of. ``tell`` takes progress lines; ``backup`` makes a backup
    and gives its id; ``confirm`` is asked before reversing migrations loses what it is given. ``watch``: this is a
    rehearsal, watched by it, and ``broken`` takes what would stop a run.
    Afterwards ``run`` is what was done (None: nothing) and ``plan`` what was to be done.
    """

    lock_wait: float = 600.0
    backup: BackupHook | None = None
    no_backup_reason: str = ""
    no_rehearsal_reason: str = ""
    hold_triggers: bool = False
    fire_triggers: bool = False
    drop_policies: tuple[str, ...] = ()
    keep_policies: Mapping[str, str] = field(default_factory=dict)
    closes_to: tuple[str, ...] = ()
    keeps: Mapping[str, str] = field(default_factory=dict)
    kept: tuple[grantees.Kept, ...] = ()
    allow_blocking: tuple[str, ...] = ()
    yes_here: bool = False
    tell: Callable[[str], None] = lambda line: None
    confirm: Callable[[list[str]], bool] = lambda losses: True
    watch: Watch | None = None

    broken: list[Finding] = field(default_factory=list, init=False)
    run: ledger.Run | None = field(default=None, init=False)
    targets: Any = field(default=None, init=False)
    held: ExitStack = field(default_factory=ExitStack, init=False)
    plan: Plan = field(default=(), init=False)
    validation: schema.Validation | None = field(default=None, init=False)
    loader: Any = field(default=None, init=False)

    @property
    def rehearses(self) -> bool:
        return self.watch is not None

    @property
    def decisions(self) -> str:
        """What was decided for the run, as the ledger keeps it."""
        said = policies.said(self.drop_policies, self.keep_policies)
        said += grantees.said(self.closes_to, self.keeps)
        said += ["triggers held off"] if self.hold_triggers else []
        said += ["triggers let fire"] if self.fire_triggers else []
        said += ["here, beside another application"] if self.yes_here else []
        if self.no_rehearsal_reason:
            said.append(f"no rehearsal: {self.no_rehearsal_reason}")
        return "\n".join(said)


@contextmanager
def safely(command_module: Any, options: MigrateOptions) -> Iterator[MigrateOptions]:
    """Within it, Django's migrate command (its module is given) works with our executor."""

    djangos = command_module.MigrationExecutor
    command_module.MigrationExecutor = partial(Executor, options=options)
    try:
        with options.held:
            yield options
    finally:
        command_module.MigrationExecutor = djangos


class Executor(MigrationExecutor):
    """Django's executor with a lock, a survey, a backup, retries, checks and a ledger around it."""

    def __init__(
        self, connection: BaseDatabaseWrapper, progress_callback: Any = None, *, options: MigrateOptions
    ) -> None:
        stock_django.refuse(connection)  # Django would refuse as well, and not say what to do
        super().__init__(connection, progress_callback)
        self.options = options
        self.log = logger("migration")

    def migration_plan(self, targets: Any, clean_start: bool = False) -> Any:
        plan = super().migration_plan(targets, clean_start)
        if not clean_start:
            self.options.plan, self.options.loader, self.options.targets = plan, self.loader, targets
        return plan

    def migrate(
        self,
        targets: Any,
        plan: Plan | None = None,
        state: ProjectState | None = None,
        fake: bool = False,
        fake_initial: bool = False,
    ) -> ProjectState:
        options = self.options
        session.refuse_unfit(self.connection, "migrate")
        # Held until the command ends: Django's own work after the migrations (permissions, content types) races too.
        waited = options.held.enter_context(
            mutex.held(self.connection, wait_seconds=options.lock_wait, tell=options.tell)
        )
        pending = bool(self.migration_plan(targets) if plan is None else plan)
        # Another runner may have done it while we waited; its work is what we find now.
        self.loader.build_graph()
        plan = self.migration_plan(targets)
        refuse_changed_history(self.connection, self.loader)
        if not plan and not (options.drop_policies or options.keep_policies):
            if pending:
                options.tell("Another run did it; nothing is left to do.")
            state = super().migrate(targets, [], None, fake, fake_initial)
            self._make_web_login()
            self._prove()
            return state.clone()
        if not fake and not options.rehearses:
            verdict = judge(self.connection, options)
            keep(self.connection, options, verdict)
            if verdict.refusal is not None:
                raise verdict.refusal
            if verdict.adopting:
                tables = ", ".join(f"{name} ({rows:,} rows)" for name, rows in verdict.adopting.items())
                options.tell(f"Adopting tables that stand already: {tables}")
            for grantee in verdict.grantees:
                options.tell(grantee.pretty(kept=grantee.name in options.keeps))
            for words in verdict.feeds:
                options.tell(words)
            options.kept = grantees.kept(verdict.grantees, options.keeps)
            lost = losses(self.connection, plan, self.loader)
            if lost and not options.confirm(lost):
                raise NotConfirmed
        run = options.run = ledger.Run(
            from_version=self._version(), lock_wait_seconds=waited, decisions=options.decisions
        )
        run.own_objects = sorted(self._own_objects())
        kept = options.keep_policies.keys()
        # What is done again after a crash need not wait for the disk; the record that all is done does.
        with self._recorded(run), session.unhurried(self.connection):
            self._back_up(run)
            for role in options.kept:
                grantees.keep(self.connection, role)
                for made in role.policies:
                    options.tell(f"Made, as told: {'; '.join(made.statements())}")
            for policy in policies.drop(self.connection, options.drop_policies):
                options.tell(f"Dropped policy {policy.name} on {policy.table}, as told.")
            with triggers.holding(options.hold_triggers):
                before = states.State.of(self._create_project_state(with_applied_migrations=True))
                after = super().migrate(targets, list(plan), before, fake, fake_initial)
            own = {policy.words for policy in policies.foreign(self.connection) if policy.is_named & kept}
            if own or run.own_objects or options.kept:
                # What stood before and was of the older scripts is gone by now.
                standing = schema.own_objects(self.connection)
                own |= grantees.own(standing, options.kept)
                run.own_objects = sorted((own | set(run.own_objects)) & standing)
                ledger.write(self.connection, run)
            self._make_web_login()
            self._validate(run)
            return states.whole(after).clone()  # Django renders into it; ours is kept

    def _create_project_state(self, with_applied_migrations: bool = False) -> ProjectState:
        make: Callable[[], ProjectState] = partial(
            super()._create_project_state,  # type: ignore[misc]
            with_applied_migrations,
        )
        if not with_applied_migrations:
            return make()
        nodes = self.loader.graph.nodes
        applied = {type(nodes[key]) for key in self.loader.applied_migrations if key in nodes}
        self._behind: states.Behind = frozenset(applied | self.loader.unmigrated_apps)
        return states.root(self._behind, make=make)

    def apply_migration(
        self, state: ProjectState, migration: Migration, fake: bool = False, fake_initial: bool = False
    ) -> ProjectState:
        if fake or fake_initial:
            # Where Django may leave an operation out, or all of them, it goes its own way.

            def fake_it(base: ProjectState) -> ProjectState:
                return MigrationExecutor.apply_migration(
                    self, states.whole(base).clone(), migration, fake, fake_initial
                )

            return self._step(migration, state, fake_it, "faked" if fake else "applied")
        ready = states.ready(migration, states.steps(migration, state=state, behind=self._behind))

        def apply(base: ProjectState) -> ProjectState:
            return MigrationExecutor.apply_migration(self, base, ready)

        after = self._step(migration, state, apply, "applied")
        self._behind |= {type(migration)}
        return after

    def unapply_migration(self, state: ProjectState, migration: Migration, fake: bool = False) -> ProjectState:
        def unapply(base: ProjectState) -> ProjectState:
            # The state is changed meanwhile, so each try gets its own.
            return MigrationExecutor.unapply_migration(self, base.clone(), migration, fake)

        return self._step(migration, state, unapply, "unapplied")

    def _step(
        self,
        migration: Migration,
        state: ProjectState,
        action: Callable[[ProjectState], ProjectState],
        outcome: str,
    ) -> ProjectState:
        """One migration: with retries, measured, recorded, and checked afterwards."""
        connection, run = self.connection, self.options.run
        assert run is not None  # migrate() made it
        spent, digest = locks.Waiting(listeners=[self.options.tell]), ledger.SQLDigest()
        started, clock = datetime.now(UTC), time.monotonic()
        token = locks.waiting.set(spent)

        def attempt() -> ProjectState:
            said.clear()
            if not migration.atomic:
                return action(state)
            with locks.short_transaction(connection):
                return action(state)

        def record(result: str, note: str = "") -> None:
            checksum = ledger.file_checksum(migration)
            seconds = time.monotonic() - clock
            step = ledger.MigrationStep(
                app=migration.app_label,
                name=migration.name,
                outcome=result,
                started_at=started,
                seconds=seconds,
                retries=spent.retries,
                lock_wait_seconds=spent.seconds,
                file_checksum=checksum,
                sql_checksum=digest.hexdigest(),
                note=note,
            )
            run.steps.append(step)
            ledger.write(connection, run)
            words = {"migration": f"{step.app}.{step.name}", "outcome": result, "seconds": round(seconds, 3)}
            if not self.options.rehearses:
                self.log.info("step", extra=words | {"retries": spent.retries, "note": note})

        purpose = f"run {migration.app_label}.{migration.name}"

        def rehearse() -> ProjectState:
            done = failures.attempt(connection, attempt, purpose=purpose)
            # As if it had run: what is behind it is to be tried as well.
            if done is None and outcome == "applied":
                self.recorder.record_applied(migration.app_label, migration.name)
            return done or migration.mutate_state(state, preserve=True)

        try:
            with (
                guards.recorded(connection, f"{migration.app_label}.{migration.name} {outcome}"),
                connection.execute_wrapper(digest), notes.taking() as said,
            ):  # fmt: skip
                if self.options.watch is not None:
                    with self.options.watch.over(connection, f"{migration.app_label}.{migration.name}"):
                        after = rehearse()
                else:
                    after = locks.patiently(connection, attempt, purpose=purpose) if migration.atomic else attempt()
        except Exception as error:
            if connection.is_usable():
                record("failed", _words(error))
            raise
        finally:
            locks.waiting.reset(token)
        for line in said:
            self.options.tell(line)
        record(outcome, " ".join(said))
        grantees.let_write(connection, self.options.kept)
        found = invariants.findings(connection)
        if found and not self.options.rehearses:
            raise InvariantBroken(migration, found)
        self.options.broken += [finding for finding in found if finding not in self.options.broken]
        return after

    @contextmanager
    def _recorded(self, run: ledger.Run) -> Iterator[None]:
        """The run in ledger and log, whatever becomes of it."""
        ledger.mark_interrupted(self.connection)
        ledger.write(self.connection, run)
        if not self.options.rehearses:
            self.log.info("run", extra={"ledger_id": str(run.id), "actor": run.actor, "from": run.from_version})
        try:
            yield
        except BaseException as error:
            run.outcome, run.error = "failed", _words(error)
            raise
        else:
            run.outcome = "done"
        finally:
            level = logging.INFO if run.outcome == "done" else logging.ERROR
            words = {"run": str(run.id), "error": run.error, "steps": len(run.steps)}
            if not self.options.rehearses:
                self.log.log(level, run.outcome, extra=words)
            if self.connection.is_usable():
                ledger.write(self.connection, run)

    def _back_up(self, run: ledger.Run) -> None:
        """A backup before anything is changed, if there is anything to lose."""
        options = self.options
        if not holds_rows(self.connection):
            return
        if options.no_backup_reason:
            run.no_backup_reason = options.no_backup_reason
            options.tell(f"No backup, as told: {options.no_backup_reason}")
        elif options.backup is not None:
            options.tell("Backing up first ...")
            run.backup_id = options.backup(self.connection)
            options.tell(f"Backup {run.backup_id} is done.")
        ledger.write(self.connection, run)

    def _own_objects(self) -> frozenset[str]:
        """At the first run that can record it, on a database that holds tables: what stands beside ours."""
        if ledger.records_own_objects(self.connection) or not rehearsal.holds_tables(self.connection):
            return frozenset()
        return schema.own_objects(self.connection)

    def _make_web_login(self) -> None:
        """On the embedded server, whose administrator is this project; elsewhere that is somebody else's to do."""
        words = self.connection.settings_dict
        if not words.get("EMBEDDED"):
            return
        server, login = project.configured_server(), web_login.name_for(words["NAME"])
        with server.connect_as_superuser(server.ensure_running(), database=words["NAME"]) as administrator:
            if web_login.ensure(administrator, login=login):
                self.options.tell(f"The web serves as {login}, which owns nothing.")

    def _validate(self, run: ledger.Run) -> None:
        """The whole schema, once nothing is pending any more. What breaks fails the run; the rest is reported."""
        loader = MigrationLoader(self.connection)
        if everything_applied(loader):
            result = self.options.validation = schema.validate(self.connection, loader=loader)
            run.fingerprint = result.fingerprint
            if self.options.rehearses:
                self.options.broken += _breaking(result)
            else:
                _refuse_broken(result, ())

    def _prove(self) -> None:
        """The same where nothing was pending, with what is otherwise looked at after each migration."""
        if everything_applied(self.loader):
            result = self.options.validation = schema.validate(self.connection, loader=self.loader)
            _refuse_broken(result, invariants.findings(self.connection))

    def _version(self) -> str:
        """The newest applied migration of each app of ours."""
        newest: dict[str, str] = {}
        for app, name in sorted(self.loader.applied_migrations):
            if app in own_apps(self.loader):
                newest[app] = name
        return " ".join(f"{app}.{name}" for app, name in newest.items()) or "nothing"


@dataclass(frozen=True)
class Verdict:
    """``refusal``: why a run would stop before it changes anything, None where it would go through.

    ``grantees``: the roles that lose rights by it, whether or not somebody has to decide on them.
    ``feeds``: in words, who is sent the rows of the adopted tables, and functions that work with a type of theirs.
    """

    refusal: MoeenError | None
    adopting: Mapping[str, int]
    rehearsal: rehearsal.Rehearsal | None = None
    grantees: tuple[grantees.Grantee, ...] = ()
    feeds: tuple[str, ...] = ()


def judge(connection: BaseDatabaseWrapper, options: MigrateOptions) -> Verdict:
    """Look at what a run of ``options.plan`` would meet, and rehearse it on a twin. Nothing is changed."""
    adopted = {
        operation.options["db_table"]: [name for name, _ in operation.fields]
        for migration, backwards in options.plan
        for operation in migration.operations
        if isinstance(operation, CreateTable) and not backwards
    }
    token = locks.waiting.set(locks.Waiting(listeners=[options.tell]))
    try:
        with locks.telling_of_waits(connection, "look at the database"):
            # What refuses before anything can be looked at comes first.
            verdict = _judged(connection, options)
            told = (*feeds.look(connection, adopted), *bodies.look(connection, adopted))
            return replace(verdict, feeds=told)
    finally:
        locks.waiting.reset(token)


def keep(connection: BaseDatabaseWrapper, options: MigrateOptions, verdict: Verdict) -> None:
    """For the page of operations. It was tried on a twin without rows, so nothing of a row is in it."""
    if verdict.rehearsal is None:
        return
    ok, tried = verdict.refusal is None, verdict.rehearsal
    said = tried.pretty() if verdict.refusal is None else verdict.refusal.cause
    report = {
        "migrations": [f"{migration.app_label}.{migration.name}" for migration, _ in options.plan],
        "says": said.partition("\n")[0],
        "obstacles": [rehearsal.told(finding) for finding in tried.obstacles],
    }
    reports.keep(connection, reports.REHEARSAL, ok=ok, report=report)


def _judged(connection: BaseDatabaseWrapper, options: MigrateOptions) -> Verdict:
    plan, loader = options.plan, options.loader
    adopting: Mapping[str, int] = {}
    losing: tuple[grantees.Grantee, ...] = ()
    mismatches: list[Finding] = []
    try:
        session.refuse_unfit(connection, "migrate")
        if not options.yes_here:
            preflight.refuse_another_application(connection)
        decided = options.hold_triggers or options.fire_triggers
        try:
            adopting = preflight.check(connection, plan, loader, triggers_decided=decided).adopting
        except AdoptionRefused as error:
            mismatches += error.findings
        undecided, losing = _undecided(connection, options)
        mismatches += undecided
    except MoeenError as error:
        return Verdict(error, adopting)
    try:
        tried = rehearsed(connection, options, kept=grantees.kept(losing, options.keeps))
    except MoeenError as error:
        return Verdict(AdoptionRefused(mismatches) if mismatches else error, adopting, grantees=losing)
    obstacles = tried.obstacles if tried else ()
    if mismatches:
        # What fails on a table that is refused as it is, or on none in particular, fails of that.
        told = {"database", *(finding.table for finding in mismatches)}
        more = [finding for finding in obstacles if finding.table not in told]
        return Verdict(AdoptionRefused([*mismatches, *more]), adopting, tried, losing)
    if tried is not None and obstacles:
        return Verdict(rehearsal.RehearsalFailed(tried), adopting, tried, losing)
    # A table that does not fit cannot be planned for.
    if large_tables_stand(connection):
        planned = describe(connection, plan, loader, seen=tried.seen if tried else ())
        if stopping := blocking(planned, allowed=options.allow_blocking):
            return Verdict(Blocking(stopping), adopting, tried, losing)
    return Verdict(None, adopting, tried, losing)


def _undecided(
    connection: BaseDatabaseWrapper, options: MigrateOptions
) -> tuple[list[Finding], tuple[grantees.Grantee, ...]]:
    """What somebody has to decide before the run opens rows to some or closes them to others; and all that lose."""
    pending = [migration for migration, backwards in options.plan if not backwards]
    if not pending:
        return [], ()
    opening = list(policies.undecided(connection, {*options.drop_policies, *options.keep_policies}))
    # What nobody has decided on counts as dropped: one look tells of everybody who needed it.
    gone = {*options.drop_policies, *(f"{policy.table}.{policy.name}" for policy in opening)}
    closed = grantees.closed_by([operation for migration in pending for operation in migration.operations])
    losing = tuple(grantees.look(connection, closed, gone=gone))
    said = {*options.closes_to, *options.keeps}
    asked = [grantee.finding() for grantee in losing if grantee.asks and grantee.name not in said]
    return [*(policy.finding() for policy in opening), *asked], losing


def rehearsed(
    connection: BaseDatabaseWrapper, options: MigrateOptions, *, kept: tuple[grantees.Kept, ...] = ()
) -> rehearsal.Rehearsal | None:
    """The run of this plan on a twin; None where there is nothing to try it on, or it is left out knowingly."""
    if options.no_rehearsal_reason or not options.plan or not rehearsal.holds_tables(connection):
        return None
    options.tell("Rehearsing the run on a twin without rows ...")

    own: list[str] = []

    def run(twin: BaseDatabaseWrapper, watch: Watch) -> Sequence[Finding]:
        inner = MigrateOptions(
            no_backup_reason="a rehearsal",
            hold_triggers=options.hold_triggers,
            fire_triggers=options.fire_triggers,
            drop_policies=options.drop_policies,
            keep_policies=options.keep_policies,
            kept=kept,
            watch=watch,
        )
        executor = Executor(twin, options=inner)
        with inner.held:
            executor.migrate(options.targets)
        own.extend(inner.run.own_objects if inner.run else ())
        return inner.broken

    backwards = any(backwards for _, backwards in options.plan)
    done = {(migration.app_label, migration.name) for migration, _ in options.plan}
    complete = not backwards and everything_applied(options.loader, after=done)
    tried = rehearsal.rehearse(connection, run, complete=complete)
    return replace(tried, own=tuple(own))


def refuse_changed_history(connection: BaseDatabaseWrapper, loader: MigrationLoader) -> None:
    """Raises HistoryChanged when the applied migrations are not those of this code."""
    found = ledger.findings(connection, loader, labels=own_apps(loader))
    if found:
        raise HistoryChanged(found)


def everything_applied(loader: MigrationLoader, *, after: Collection[tuple[str, str]] = ()) -> bool:
    """Whether no migration of ours is pending, or will be ``after`` these, by app and name."""
    ours = {key for key in loader.disk_migrations if key[0] in own_apps(loader)}
    return not ours - loader.applied_migrations.keys() - set(after)


def _breaking(result: schema.Validation) -> list[Finding]:
    return [finding for finding in result.unexpected if finding.severity == Severity.BREAKS]


def _refuse_broken(result: schema.Validation, more: Sequence[Finding]) -> None:
    broken = _breaking(result)
    if broken or more:
        raise SchemaDiffers([*broken, *more])


def accept_changed(connection: BaseDatabaseWrapper, migration: Migration, *, reason: str) -> ledger.MigrationStep:
    """Record that an applied migration's file was changed knowingly. Raises MoeenError without a ledger or a reason."""
    if not reason.strip():
        raise MoeenError("--accept-changed needs --reason.", exit_code=USAGE)
    if not ledger.stands(connection):
        raise MoeenError("The ledger's tables do not stand yet.", next_step="manage.py migrate", code=Code.NOT_MIGRATED)
    step = ledger.MigrationStep(
        app=migration.app_label,
        name=migration.name,
        outcome="accepted",
        started_at=datetime.now(UTC),
        seconds=0.0,
        retries=0,
        lock_wait_seconds=0.0,
        file_checksum=ledger.file_checksum(migration),
        sql_checksum="",
        note=reason,
    )
    run = ledger.Run(from_version="accept-changed", outcome="done", steps=[step])
    ledger.write(connection, run)
    return step


def _words(error: BaseException) -> str:
    """What may be written down of an error: its explanation, or its class; never the server's DETAIL."""
    known = explain(error)
    return known.cause if known else type(error).__name__

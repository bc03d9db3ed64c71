"""A backup is put back: checked first, restored into an empty database, verified there, and only then put in place.

Over a database that holds something, a fresh backup of that is taken first; the restored database is made under a
name of its own beside it, verified, and swapped in by renaming both. Any failure leaves the old one as it was.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from moeen.db.backups import (
    allowed,
    compare,
    database_settings,
    digests,
    dump,
    encryption,
    identity_keys,
    inventory,
    keys,
    origin,
    pg_restore,
    progress,
    restorer,
    salvage,
    stubs,
    swap,
    tools,
    trust,
    verify,
)
from moeen.db.backups.content import Rows, read_content
from moeen.db.backups.dump import Backup
from moeen.db.backups.login import Login
from moeen.db.backups.manifest import RESTORE, Content, Manifest
from moeen.db.backups.restorer import Restorer
from moeen.db.backups.salvage import Loss
from moeen.db.backups.store import Store
from moeen.db.codes import Code
from moeen.db.engine.project import refuse_other_project
from moeen.db.errors import FINDINGS, MoeenError
from moeen.db.findings import Finding
from moeen.db.interruption import PEACE_SECONDS, interruptible
from moeen.db.kinds import Kind
from moeen.db.logs import logger
from moeen.db.roles import right_to_become


@dataclass(frozen=True)
class Restored:
    """What was done. `before`: the backup of what stood there; `kept`: its database's name now. Both may be "".

    `bill`: what a salvage could not bring back. `unsaved`: where the old database was to be dropped, what it holds that
    its backup does not; it is kept then.
    """

    id: str
    database: str
    rows: int
    tables: int
    created_roles: tuple[str, ...]
    notes: tuple[str, ...]
    findings: tuple[Finding, ...]
    before: str
    kept: str
    seconds: float
    unsaved: tuple[Finding, ...] = ()
    bill: tuple[Loss, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "database": self.database,
            "rows": self.rows,
            "tables": self.tables,
            "ok": not self.findings and not self.bill,
            "created_roles": list(self.created_roles),
            "notes": list(self.notes),
            "findings": [finding.as_dict() for finding in self.findings],
            "before": self.before,
            "kept": self.kept,
            "unsaved": [finding.as_dict() for finding in self.unsaved],
            "bill": [loss.as_dict() for loss in self.bill],
            "seconds": self.seconds,
        }


@dataclass(frozen=True)
class Target:
    """Where a restore goes: a login of a database that stands on the server, and the name of the database."""

    login: Login
    database: str
    exists: bool
    empty: bool

    @property
    def origin(self) -> origin.Origin:
        """Which database that is."""
        return origin.Origin.of(self.login, self.database)


def target_named(server: BaseDatabaseWrapper, database: str) -> Target:
    """That database on the server of the given connection; it may or may not stand, also the connection's own."""
    try:
        login = Login.of_wrapper(server)
    except (psycopg.OperationalError, OperationalError):
        maintenance = server.copy()
        maintenance.settings_dict = {**maintenance.settings_dict, "NAME": "postgres"}
        try:
            login = _beside(server.settings_dict["NAME"], lambda: Login.of_wrapper(maintenance))
        finally:
            maintenance.close()
    return _target(login, database)


def target_at(url: str, *, project: str = "") -> Target:
    """The database of a URL, which may or may not stand. `project`: a hosting project that it must belong to."""
    login = Login.of_url(url)
    words = {"HOST": login.parameters.get("host", ""), "USER": login.parameters.get("user", ""), "PROJECT_REF": project}
    refuse_other_project({**words, "OPTIONS": dict(login.parameters)})
    name = login.database
    try:
        settled = login.settled()
    except psycopg.OperationalError:
        settled = _beside(name, login.to("postgres").settled)
    return _target(settled, name)


def _beside(database: str, connect: Callable[[], Login]) -> Login:
    """The way in by a maintenance database, if that one could not be connected to because it does not stand.

    Whether it does is asked: the server refuses in its own language, and without an SQLSTATE. Raises the error of the
    first attempt, which is being handled, where it stands or nobody is let in there either.
    """
    first = sys.exc_info()[1]
    assert first is not None
    try:
        login = connect()
        with login.connect(application=swap.APPLICATION) as connection:
            stands = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone()
    except (psycopg.OperationalError, OperationalError):
        raise first from None
    if stands is not None:
        raise first from None
    return login


def _target(login: Login, database: str) -> Target:
    with login.connect(application=swap.APPLICATION) as connection:
        row = connection.execute("SELECT datistemplate FROM pg_database WHERE datname = %s", [database]).fetchone()
    if row == (True,):
        raise MoeenError(
            f"Database {database} is a template: each database made after it would hold what is restored. Nothing was "
            "changed.",
            next_step="Restore into another name: --to NAME.",
            exit_code=FINDINGS,
            code=Code.TARGET_UNFIT,
        )
    return Target(login, database, row is not None, row is None or is_empty(login.to(database)))


def is_empty(login: Login) -> bool:
    """Whether nothing was ever made in it: no tables, functions, types or schemas but those of extensions."""
    with login.connect(application=swap.APPLICATION) as connection:
        row = connection.execute(
            """
            SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                           WHERE n.nspname = 'public' AND NOT EXISTS (
                               SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e'))
                OR EXISTS (SELECT FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND NOT EXISTS (
                               SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e'))
                OR EXISTS (SELECT FROM pg_namespace n
                           WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('public', 'information_schema')
                             AND pg_has_role(n.nspowner, 'MEMBER'))
            """
        ).fetchone()
    assert row is not None
    return not row[0]


def refuse_standing(target: Target, *, replace_existing: bool, salvaging: bool) -> None:
    """Raise MoeenError (3) where something stands in the target that is not to be replaced."""
    if salvaging and target.exists:
        raise MoeenError(
            f"Database {target.database} stands, and what is salvaged never takes the place of anything. Nothing was "
            "changed.",
            next_step="Name one that does not stand yet: --to NAME.",
            exit_code=FINDINGS,
            code=Code.TARGET_STANDS,
        )
    if not target.empty and not replace_existing:
        raise MoeenError(
            f"Database {target.database} is not empty. Nothing was changed.",
            next_step="Restore into another name (--to NAME), or say --replace: it is backed up first, and kept.",
            exit_code=FINDINGS,
            code=Code.TARGET_STANDS,
        )


def put_back(
    store: Store,
    name: str,
    target: Target,
    *,
    replace_existing: bool = False,
    drop_old: bool = False,
    identity: Path | None = None,
    recipients: list[str] | None = None,
    jobs: int | None = None,
    of: str = "",
    unsigned: str = "",
    trusted: Sequence[keys.PublicKey] = (),
    kept_in: Store | None = None,
    salvaging: bool = False,
    tell: progress.Tell = progress.silent,
    say: Callable[[str], None] = lambda line: None,
) -> Restored:
    """Restore the backup to the target and verify it there.

    Raises MoeenError, and changes nothing, where no known key has signed the backup (and `unsigned` gives no reason to
    believe it all the same), it is of another database than the one it would replace (and `of` does not name that), it
    is damaged or holds what no restore may run, the target is not empty (3) and
    `replace_existing` is not set, or a right is missing. With `drop_old` the replaced database is not kept, unless
    something was written to it after its backup. With `salvaging` what cannot be restored is left out and put on the
    bill; the target must not stand then. `trusted`: keys of its own that have signed it. `kept_in`: where the backup of
    what is replaced goes, if not into the same store.
    """
    log = logger("backup")
    try:
        with interruptible(peace=PEACE_SECONDS):
            done = _put_back(
                store,
                name,
                target,
                replace_existing,
                drop_old,
                identity,
                recipients or [],
                jobs,
                of,
                unsigned,
                trusted,
                kept_in or store,
                salvaging,
                tell,
                say,
            )
    except BaseException as error:
        words = {"id": name, "database": target.database, "error": type(error).__name__}
        log.error("restore failed", extra=words | {"cause": getattr(error, "cause", "")})
        raise
    log.log(
        40 if done.findings or done.bill else 20,
        "salvage" if salvaging else "restore",
        extra=done.as_dict() | {"findings": len(done.findings), "unsaved": len(done.unsaved)},
    )
    return done


def _put_back(
    store: Store,
    name: str,
    target: Target,
    replace_existing: bool,
    drop_old: bool,
    identity: Path | None,
    recipients: list[str],
    jobs: int | None,
    of: str,
    unsigned: str,
    trusted: Sequence[keys.PublicKey],
    kept_in: Store,
    salvaging: bool,
    tell: progress.Tell,
    say: Callable[[str], None],
) -> Restored:
    started = time.monotonic()
    paper = trust.manifest_of(store, name, unsigned=unsigned, trusted=trusted)
    opening = encryption.identities(identity)
    refuse_standing(target, replace_existing=replace_existing, salvaging=salvaging)
    if not target.empty:
        origin.refuse_another(paper, target.origin, of=of)
        swap.refuse_losing(target.login.to(target.database))
    with ExitStack() as stack:
        # An empty one may be all that this role can connect to, and is not renamed.
        stand = target.login if target.empty else swap.elsewhere(target.login, target.database)
        stack.enter_context(swap.alone(stand, target.database))
        folder = stack.enter_context(store.opened(name))
        damaged = verify.intact(folder, paper, tell=tell)
        if damaged:
            lines = "\n".join(f"  {finding.pretty()}" for finding in damaged)
            raise MoeenError(
                f"Backup {name} is damaged. Nothing was changed.\n{lines}",
                next_step="Use another backup (manage.py list_backups).",
                exit_code=FINDINGS,
                code=Code.DAMAGED,
            )
        content = verify.content_of(folder, paper, opening)
        chosen = pg_restore.allowed_entries(folder, paper, opening, losing=not unsigned)
        if not salvaging:
            chosen.refuse_lost(file=paper.dump)
        login = target.login
        with login.connect(application=swap.APPLICATION, alone_for="a restore") as connection:
            major = connection.info.server_version // 10000
            if major < paper.major:
                raise MoeenError(
                    f"The backup is of PostgreSQL {paper.major}, the target of {major}. Nothing was changed.",
                    next_step=f"Restore to a server of version {paper.major} or newer.",
                    code=Code.TARGET_UNFIT,
                )
            programs = tools.find(major, tls=login.tls)
            if unsigned and restorer.powerful(connection, [connection.info.user]):
                raise MoeenError(
                    f"Role {connection.info.user} may reach the server's files and programs, and nobody known has "
                    "signed this backup. Nothing was changed.",
                    next_step="Connect as an ordinary role: one that owns the database, and is no superuser.",
                    exit_code=FINDINGS,
                    code=Code.NOT_TRUSTED,
                )
            _may_create(connection, needed=not (target.exists and target.empty))
            created = pg_restore.create_roles(connection, content.roles)
        swap.sweep(login, target.database, say=say)
        with login.connect(application=swap.APPLICATION) as connection:
            restorer.sweep(connection)  # what they owned is gone by now
        before: Backup | None = None
        if not target.empty:
            say(f"Backing up {target.database} as it is now ...")
            before = dump.take_from(
                login.to(target.database),
                store=kept_in,
                signer=keys.signer_or_none(),
                label=f"before the restore of {name}",
                purpose=RESTORE,
                recipients=recipients,
                tell=tell,
            )
        fresh = target.database
        if not (target.exists and target.empty):
            fresh = swap.name_for(target.database, "restoring") if target.exists else target.database
            if fresh != target.database:
                stack.enter_context(swap.claimed(login, target.database, fresh))
            _create(login, fresh, content)
        goal = login.to(fresh)
        kept = ""
        try:
            with goal.connect(application=swap.APPLICATION) as connection:
                unavailable = pg_restore.create_extensions(connection, content)
                stood_in = stubs.create(connection, content)
            owners = {entry.owner for entry in chosen.run} - {""}
            with restorer.lent(goal, owners, always=bool(unsigned)) as into:
                with into.login.connect(application=swap.APPLICATION) as connection:
                    rights = pg_restore.rights_of(connection, content, unavailable=unavailable, withheld=into.withheld)
                place = None if target.empty else login.to(target.database)
                is_same = origin.Origin.of_backup(paper).same(target.origin)

                def read(reader: Login) -> tuple[Rows, str]:
                    rows = verify.rows_of(reader, content, tell)
                    return rows, identity_keys.settle(reader, place=place, is_same=is_same)

                losses, (rows, own_key) = pg_restore.restore(
                    folder, paper, content, chosen, into=into, programs=programs, rights=rights, read=read,
                    keys=opening, jobs=jobs, stood_in=stood_in.tables, keep_going=salvaging, tell=tell,
                )  # fmt: skip
                findings, found = _compared(goal, paper, content, rights, major, rows)
            findings = salvage.not_covered(findings, [loss for loss in losses if loss.outside])
            differing, unset = database_settings.apply(goal, content.settings)
            findings += differing
            bill = salvage.bill(losses, findings, content, found) if salvaging else ()
            findings = [] if salvaging else findings
            if findings and not target.empty:
                lines = "\n".join(f"  {finding.pretty()}" for finding in findings[:20])
                raise MoeenError(
                    f"What was restored is not what was backed up; {target.database} was left as it was.\n{lines}",
                    next_step="Use another backup (manage.py list_backups).",
                    exit_code=FINDINGS,
                    code=Code.DAMAGED,
                )
            if not target.empty:
                kept = swap.swap(login, target.database, fresh)
        except BaseException:
            _undo(login, target, fresh)
            raise
    unsaved: tuple[Finding, ...] = ()
    if kept and drop_old:
        assert before is not None
        try:
            unsaved = _dropped(login, kept, before, tell)
        except psycopg.Error as error:
            raise MoeenError(
                f"{name} is restored and stands as {target.database}; what stood there, now {kept}, was not dropped.",
                next_step=f"Look why, then: DROP DATABASE {kept}; its backup is {before.id}.",
                code=Code.NOT_SWAPPED,
            ) from error
        kept = kept if unsaved else ""
    return Restored(
        id=name,
        database=target.database,
        rows=found.rows,
        tables=len(found.tables),
        created_roles=tuple(created),
        notes=(
            *_notes(content, found, rights, into, stood_in, chosen),
            *unset,
            *_troubles(losses),
            *_key_note(own_key),
        ),
        findings=tuple(findings),
        before=before.id if before else "",
        kept=kept,
        seconds=round(time.monotonic() - started, 3),
        unsaved=unsaved,
        bill=bill,
    )


def _may_create(connection: psycopg.Connection[Any], *, needed: bool) -> None:
    row = connection.execute("SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    assert row is not None
    if needed and not row[0]:
        raise MoeenError(
            f"Role {connection.info.user} may not create the database that the restore goes into. Nothing was changed.",
            next_step=f"As an administrator: ALTER ROLE {connection.info.user} CREATEDB; or create an empty database "
            "that this role owns, and restore to it.",
            code=Code.PRIVILEGE,
        )


def _create(login: Login, name: str, content: Content) -> None:
    with login.connect(application=swap.APPLICATION) as connection:
        # Its owner alone makes schemas there and, from 15 on, tables in schema public.
        ((may_give,),) = connection.execute(
            """SELECT coalesce(bool_and(pg_has_role(r.oid, 'USAGE') AND pg_has_role(r.oid, %s)), false)
               FROM pg_roles r WHERE rolname = %s""",
            [right_to_become(connection.info.server_version), content.settings.owner],
        ).fetchall()
        database_settings.create(connection, name, content.settings, owner=content.settings.owner if may_give else "")
        # While it fills, nobody else may look in: who may, the backup tells at the end.
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))


def _compared(
    goal: Login, paper: Manifest, content: Content, rights: pg_restore.Rights, major: int, rows: Rows
) -> tuple[list[Finding], Content]:
    with goal.connect(application=swap.APPLICATION) as connection:
        found = verify.read_restored(connection, content, rows)
    findings = compare.compare(content, found, rights=rights, majors=(paper.major, major))
    if not rights.superuser:
        # What was created here belongs to this role already; grants of its own, and to itself, are no difference.
        own = ("to <owner>",) if rights.owners else ("to <owner>", f"to {goal.user}")
        findings = [f for f in findings if not (f.kind is Kind.INVENTORY_GRANT and f.object.endswith(own))]
    return findings, found


def _undo(login: Login, target: Target, fresh: str) -> None:
    """Remove what the restore made; what stood before stays. A database that was empty stays, and may hold a part."""
    if fresh == target.database and target.exists:
        return
    try:
        swap.drop(login, fresh)
    except (psycopg.Error, MoeenError):
        # The first error is the one to tell; this one must not take its place.
        logger("backup").warning("left behind", extra={"database": fresh})


def _notes(
    content: Content, found: Content, rights: pg_restore.Rights, into: Restorer, stood_in: stubs.Made,
    chosen: allowed.Chosen,
) -> list[str]:  # fmt: skip
    notes, user = [into.note] if into.note else [], into.login.user
    if not rights.owners:
        owners = ", ".join(sorted(set(content.inventory["owner"].values()) - {user}))
        if owners:
            notes.append(f"Objects of {owners} belong to {user} now, who may not act for them.")
    if stood_in.functions:
        notes.append(
            f"Functions of the platform that the backup comes from were made as stand-ins that answer NULL: "
            f"{', '.join(stood_in.functions)}. Policies that ask them let nobody through."
        )
    if stood_in.tables:
        notes.append(f"Tables of that platform were made as stand-ins that are empty: {', '.join(stood_in.tables)}.")
    if stood_in.types:
        notes.append(f"Types of that platform were made as they are there: {', '.join(stood_in.types)}.")
    notes += content.outside.notes()
    standing = found.inventory["event trigger"]
    beyond = [f"event trigger {name}" for name in content.inventory["event trigger"] if name not in standing]
    if into.power is None and not rights.superuser:
        beyond += [f"publication {entry.name}" for entry in chosen.run if entry.kind == "PUBLICATION"]
    if beyond:
        notes.append(f"Left out, as a superuser makes them: {', '.join(beyond)}.")
    if rights.unavailable:
        notes.append(f"Extensions that cannot be made there were left out: {', '.join(rights.unavailable)}.")
    return notes


def _key_note(own_key: str) -> list[str]:
    if not own_key:
        return []
    return [
        f"It signs identities with a key of its own, {own_key}, and no key of its original signs here. What serves it "
        "needs that key as IDENTITY_KEY: `manage.py rotate_identity_key --print`, with its DATABASE_URL."
    ]


def _troubles(losses: Sequence[Loss]) -> list[str]:
    """What failed and was put back all the same, where the next backup fails as well; and what needs the platform's."""
    return [loss.told() for loss in losses if loss.outside or not loss.missing]


def _dropped(login: Login, kept: str, before: Backup, tell: progress.Tell) -> tuple[Finding, ...]:
    """Remove the database that was swapped out, unless it holds what its backup does not; returns what that is.

    Nobody can be connected under its new name; what was written between the backup and the swap stands in it alone.
    """
    assert before.content is not None
    goal = login.to(kept)
    with goal.connect(application=swap.APPLICATION) as connection:
        digests.prepare(connection)
        now = read_content(connection, inventory.scope(connection), told=lambda done, of: tell("compare", done, of))
        major = connection.info.server_version // 10000
    rights = pg_restore.Rights(owners=True, superuser=True)
    differing = compare.compare(before.content, now, rights=rights, majors=(major, major))
    if not differing:
        swap.drop(login, kept)
    return tuple(differing)

"""A backup is taken: pg_dump and the content's digests at once, from one exported snapshot."""

from __future__ import annotations

import os
import platform
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC
from typing import Any

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db.backups import digests, encryption, inventory, keys, manifest, progress, tools
from moeen.db.backups.content import Connection, ContentReader, refuse_if_blind, write_content
from moeen.db.backups.login import Login
from moeen.db.backups.manifest import Content, Manifest
from moeen.db.backups.pg_dump import PgDump
from moeen.db.backups.store import Store
from moeen.db.codes import Code
from moeen.db.errors import FINDINGS, USAGE, MoeenError
from moeen.db.interruption import PEACE_SECONDS, interruptible
from moeen.db.logs import logger
from moeen.db.version import project_version

#: "moeen" in ASCII, and 2 for backup; migrate's lock is 1.
LOCK = (0x6D6F65, 2)
#: From here on a dump is made by several jobs into a folder.
PARALLEL_BYTES = 512 * 1024 * 1024
MOST_JOBS = 4
#: Several jobs write a file for each table and each large object; the manifest names each, and is read whole.
MOST_FILES = 100_000


@dataclass(frozen=True)
class Backup:
    """A finished backup. `path` is its folder, or its name in a storage that is none; `sha256` is the manifest's.

    `content` is what it holds, for who goes on to compare.
    """

    id: str
    path: str
    bytes: int
    files: int
    rows: int
    fingerprint: str
    encrypted: bool
    seconds: float
    sha256: str
    left_out: tuple[str, ...] = ()
    content: Content | None = field(default=None, repr=False, compare=False)

    def as_dict(self) -> dict[str, Any]:
        names = ("id", "path", "bytes", "files", "rows", "fingerprint", "encrypted", "seconds")
        return {name: getattr(self, name) for name in names}


def take(
    connection: BaseDatabaseWrapper,
    *,
    store: Store,
    jobs: int | None = None,
    label: str = "",
    purpose: str = manifest.NIGHTLY,
    recipients: Sequence[str] = (),
    tell: progress.Tell = progress.silent,
) -> Backup:
    """Back up the database of this connection, over connections of its own, signed with this installation's key.

    `jobs` None: chosen by the database's size. `purpose`: one of manifest.PURPOSES, by which it is kept. `recipients`:
    age recipients; the dump is then encrypted on its way to the disk, by one job. Raises MoeenError; exit code 3 where
    the role does not see every row, a backup of this database is running, or a pooler in transaction mode stands before
    the server. Whatever happens, older backups stay as they are.
    """
    # The embedded server is for a machine that starts from nothing; elsewhere the key is the operator's to place.
    signer = keys.signer(may_make=bool(connection.settings_dict.get("EMBEDDED")))
    return take_from(
        Login.of_wrapper(connection), store=store, signer=signer, jobs=jobs, label=label, purpose=purpose,
        recipients=recipients, tell=tell,
    )  # fmt: skip


def take_from(
    login: Login,
    *,
    store: Store,
    signer: keys.Signer | None,
    jobs: int | None = None,
    label: str = "",
    purpose: str = manifest.NIGHTLY,
    recipients: Sequence[str] = (),
    tell: progress.Tell = progress.silent,
) -> Backup:
    """`take`, for a login. Without a signer it is not signed."""
    log = logger("backup")
    try:
        # SIGTERM ends pg_dump too, and leaves no unfinished dump in the clear.
        with interruptible(peace=PEACE_SECONDS):
            done = _take(login, store, signer, jobs, label, purpose, list(recipients), tell)
    except BaseException as error:
        log.error("backup failed", extra={"error": type(error).__name__, "cause": getattr(error, "cause", "")})
        raise
    log.info("backup", extra=done.as_dict() | {"label": label, "manifest_sha256": done.sha256})
    return done


def _take(
    login: Login,
    store: Store,
    signer: keys.Signer | None,
    jobs: int | None,
    label: str,
    purpose: str,
    recipients: list[str],
    tell: progress.Tell,
) -> Backup:
    started = time.monotonic()
    readers = encryption.recipients(recipients)
    if readers and (jobs or 1) > 1:
        raise MoeenError(
            "An encrypted backup is written by one job: several would need the plain dump on the disk.",
            next_step="Leave out --jobs, or --encrypt-to and BACKUP_RECIPIENTS.",
            exit_code=USAGE,
        )
    with ExitStack() as stack:
        held = stack.enter_context(login.connect(application="moeen backup_database", alone_for="a backup"))
        major = held.info.server_version // 10000
        programs = tools.find(major, tls=login.tls)
        digests.prepare(held)
        held.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        _only_one(held)
        scope = inventory.scope(held)
        refuse_if_blind(held, scope.schemas)
        size, snapshot, now = _first(
            held, "SELECT pg_database_size(current_database()), pg_export_snapshot(), clock_timestamp()"
        )
        system = inventory.system(held)
        (many,) = _first(
            held,
            """SELECT (SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'm') AND oid >= 16384)
                    + (SELECT count(*) FROM pg_largeobject_metadata) > %s""",
            [MOST_FILES],
        )
        if jobs is None:
            parallel = size >= PARALLEL_BYTES and not readers and not many
            jobs = min(MOST_JOBS, os.cpu_count() or 1) if parallel else 1
        elif jobs > 1 and many:
            raise MoeenError(
                f"Several jobs would write more than {MOST_FILES:,} files: one for each table and large object. "
                "Nothing was backed up.",
                next_step="Leave out --jobs: one job writes one file.",
                exit_code=USAGE,
            )
        backup_id, staging = stack.enter_context(store.making())
        form = "directory" if jobs > 1 else "custom"
        target = staging / ({"directory": "dump", "custom": "dump.custom"}[form] + (".age" if readers else ""))
        run = PgDump(
            programs, login, application=f"moeen backup {backup_id}", target=target, form=form, jobs=jobs,
            snapshot=snapshot, left_out=scope.left_out, keys=readers,
        )  # fmt: skip
        before = digests.of_sequences(held, scope.schemas)
        reader = ContentReader(held, scope)
        with login.connect(application="moeen backup_database") as watcher:
            copies = progress.Copies(watcher, application=run.application, totals=progress.estimates(watcher))
            try:
                run.start()
                reader.start()
                while not (run.finished() and reader.finished()):
                    with suppress(psycopg.Error):
                        tell("backup", copies.done(), copies.total)
                    run.wait(progress.POLL_SECONDS)
                    # Without its digests the dump is of no use, and the other way round.
                    if reader.error is not None or run.failed():
                        break
                # Either may have failed because the other did, or the server stopped under both: pg_dump knows best.
                run.check()
                content = reader.result()
                after = digests.of_sequences(held, scope.schemas)
                content = replace(content, sequences={k: [before.get(k, v), v] for k, v in after.items()})
            except BaseException:
                run.kill()
                held.cancel()
                reader.join()
                raise
            tell("backup", copies.total, copies.total)
        applied = _applied(held)
        (version,) = _first(held, "SELECT split_part(current_setting('server_version'), ' ', 1)")
        write_content(staging, content, readers)
        if purpose == manifest.CHANGE and content.tables and not applied:
            # What stood before the project took it over: no later backup of the project's holds that.
            purpose = manifest.PRE_ADOPTION
        files = [manifest.file_of(staging, path) for path in sorted(staging.rglob("*")) if path.is_file()]
        paper = Manifest(
            id=backup_id,
            created_at=now.astimezone(UTC).isoformat(timespec="seconds"),
            label=label,
            database=login.database,
            server_version=version,
            project_version=project_version(),
            tools_version=programs.version,
            python_version=platform.python_version(),
            digest_algorithm=digests.ALGORITHM,
            format=form,
            jobs=jobs,
            recipients=recipients,
            rows=content.rows,
            tables=len(content.tables),
            fingerprint=content.fingerprint,
            inventory=inventory.fingerprint(content.inventory),
            left_out=scope.left_out,
            migrations=applied,
            seconds=round(time.monotonic() - started, 3),
            files=files,
            system=system,
            purpose=purpose,
        )
        data = manifest.sealed(paper, signer=signer)
        (staging / manifest.NAME).write_bytes(data)
        seal = manifest.file_of(staging, staging / manifest.NAME).sha256
        for path in staging.rglob("*"):
            path.chmod(0o700 if path.is_dir() else 0o600)
    return Backup(
        id=backup_id,
        path=f"{store.name}/{backup_id}",
        bytes=paper.bytes + len(data),
        files=len(files) + 1,
        rows=paper.rows,
        fingerprint=paper.fingerprint,
        encrypted=paper.encrypted,
        seconds=round(time.monotonic() - started, 3),
        sha256=seal,
        left_out=tuple(scope.left_out),
        content=content,
    )


def _only_one(connection: Connection) -> None:
    """One backup of a database at a time; the lock ends with the transaction, however that ends."""
    (got,) = _first(connection, "SELECT pg_try_advisory_xact_lock(%s, %s)", LOCK)
    if not got:
        raise MoeenError(
            "Another backup of this database is running.",
            next_step="Wait for it; pg_stat_activity shows it as `moeen backup ...`.",
            exit_code=FINDINGS,
            code=Code.ANOTHER_RUN,
        )


def _applied(connection: Connection) -> dict[str, list[str]]:
    (stands,) = _first(connection, "SELECT to_regclass('public.django_migrations') IS NOT NULL")
    found: dict[str, list[str]] = defaultdict(list)
    if stands:
        rows = connection.execute("SELECT app, name FROM public.django_migrations ORDER BY app, name").fetchall()
        for app, name in rows:
            found[app].append(name)
    return dict(found)


def _first(connection: Connection, query: Any, parameters: Sequence[Any] = ()) -> tuple[Any, ...]:
    row = connection.execute(query, parameters or None).fetchone()
    assert row is not None
    return row

"""A backup is taken: pg_dump and the content's digests at once, from one exported snapshot."""

from __future__ import annotations

import io
import os
import platform
import subprocess
import tempfile
import threading
import time
import tomllib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import psycopg
from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db import schema
from moeen.db.backups import digests, encryption, inventory, manifest, program_errors, progress, tools
from moeen.db.backups.login import Login
from moeen.db.backups.manifest import Content, Manifest
from moeen.db.backups.store import Store
from moeen.db.errors import FINDINGS, USAGE, MoeenError
from moeen.db.logs import logger

#: "moeen" in ASCII, and 2 for backup; migrate's lock is 1.
LOCK = (0x6D6F65, 2)
#: From here on a dump is made by several jobs into a folder.
PARALLEL_BYTES = 512 * 1024 * 1024
MOST_JOBS = 4
LOCK_WAIT_SECONDS = 60
Connection = psycopg.Connection[tuple[Any, ...]]


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
    recipients: Sequence[str] = (),
    tell: progress.Tell = progress.silent,
) -> Backup:
    """Back up the database of this connection, over connections of its own.

    `jobs` None: chosen by the database's size. `recipients`: age recipients; the dump is then encrypted on its way to
    the disk, by one job. Raises MoeenError; exit code 3 where the role does not see every row, or a backup of this
    database is running. Whatever happens, older backups stay as they are.
    """
    return take_from(
        Login.of_wrapper(connection), store=store, jobs=jobs, label=label, recipients=recipients, tell=tell
    )


def take_from(
    login: Login,
    *,
    store: Store,
    jobs: int | None = None,
    label: str = "",
    recipients: Sequence[str] = (),
    tell: progress.Tell = progress.silent,
) -> Backup:
    """`take`, for a login."""
    log = logger("backup")
    try:
        done = _take(login, store, jobs, label, list(recipients), tell)
    except BaseException as error:
        log.error("backup failed", extra={"error": type(error).__name__, "cause": getattr(error, "cause", "")})
        raise
    log.info("backup", extra=done.as_dict() | {"label": label, "manifest_sha256": done.sha256})
    return done


def _take(
    login: Login, store: Store, jobs: int | None, label: str, recipients: list[str], tell: progress.Tell
) -> Backup:
    started = time.monotonic()
    keys = encryption.recipients(recipients)
    if keys and (jobs or 1) > 1:
        raise MoeenError(
            "An encrypted backup is written by one job: several would need the plain dump on the disk.",
            next_step="Leave out --jobs, or --encrypt-to and BACKUP_RECIPIENTS.",
            exit_code=USAGE,
        )
    with ExitStack() as stack:
        held = stack.enter_context(login.connect(application="moeen backup_database", autocommit=True))
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
        if jobs is None:
            parallel = size >= PARALLEL_BYTES and not keys
            jobs = min(MOST_JOBS, os.cpu_count() or 1) if parallel else 1
        backup_id, staging = stack.enter_context(store.making())
        form = "directory" if jobs > 1 else "custom"
        target = staging / ({"directory": "dump", "custom": "dump.custom"}[form] + (".age" if keys else ""))
        run = _Dump(
            programs, login, application=f"moeen backup {backup_id}", target=target, form=form, jobs=jobs,
            snapshot=snapshot, left_out=scope.left_out, keys=keys,
        )  # fmt: skip
        before = digests.of_sequences(held, scope.schemas)
        reader = _Reader(held, scope)
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
        _write_content(staging, content, keys)
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
        )
        data = manifest.sealed(paper)
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


def refuse_if_blind(connection: Connection, schemas: list[str]) -> None:
    """Raise MoeenError (3) where row security or a missing grant hides rows of a table from this role."""
    rows = connection.execute(
        """
        SELECT format('%%I.%%I', n.nspname, c.relname), row_security_active(c.oid), has_table_privilege(c.oid, 'SELECT')
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = ANY (%s) AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
          AND has_schema_privilege(n.oid, 'USAGE') ORDER BY 1
        """,
        [schemas],
    ).fetchall()
    user = connection.info.user
    hidden = [label for label, active, _ in rows if active]
    if hidden:
        raise MoeenError(
            f"Row security hides rows from role {user}: {_some(hidden)}. Nothing was backed up: what it does not see "
            "would be missing without a word.",
            next_step="Connect as the owner of the tables (row security not forced), or as a role with BYPASSRLS.",
            exit_code=FINDINGS,
        )
    closed = [label for label, _, readable in rows if not readable]
    if closed:
        raise MoeenError(
            f"Role {user} may not read {_some(closed)}. Nothing was backed up.",
            next_step=f"Connect as their owner, or GRANT SELECT on them TO {user}.",
            exit_code=FINDINGS,
        )


def project_version() -> str:
    """The version that pyproject.toml states."""
    try:
        text = (Path(settings.BASE_DIR) / "pyproject.toml").read_text(encoding="utf-8")
        return str(tomllib.loads(text)["project"]["version"])
    except (OSError, KeyError, tomllib.TOMLDecodeError):
        return "unknown"


def read_content(
    connection: Connection, scope: inventory.Scope, *, told: Callable[[int, int], None] = lambda done, total: None
) -> Content:
    """Count, digest and describe everything in scope; the caller has prepared the session."""
    chosen = digests.tables(connection, scope.schemas)
    return Content(
        tables=digests.of_tables(connection, chosen, told=told),
        sequences={label: [value, value] for label, value in digests.of_sequences(connection, scope.schemas).items()},
        large_objects=digests.of_large_objects(connection),
        inventory=inventory.read(connection, scope.schemas),
        roles=inventory.roles(connection),
        settings=inventory.settings(connection),
        stubs=inventory.stubs(connection, scope.left_out),
        fingerprint=schema.fingerprint_with(psycopg.ClientCursor(connection)),
    )


class _Reader(threading.Thread):
    """Reads the content while pg_dump runs."""

    def __init__(self, connection: Connection, scope: inventory.Scope) -> None:
        super().__init__(name="digests", daemon=True)
        self._connection = connection
        self._scope = scope
        self._content: Content | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._content = read_content(self._connection, self._scope)
        except BaseException as error:
            self.error = error

    def finished(self) -> bool:
        return not self.is_alive()

    def result(self) -> Content:
        self.join()
        if self.error is not None:
            raise self.error
        assert self._content is not None
        return self._content


class _Dump:
    """One run of pg_dump, and of the encryption behind it."""

    def __init__(
        self,
        programs: tools.Tools,
        login: Login,
        *,
        application: str,
        target: Path,
        form: str,
        jobs: int,
        snapshot: str,
        left_out: Sequence[str],
        keys: Sequence[Any],
    ) -> None:
        self.application = application
        self._login = login
        self._target = target
        self._keys = keys
        self._environment: Mapping[str, str] = programs.environment
        self._command = [
            programs.program("pg_dump"), "--no-password", f"--format={form}", f"--snapshot={snapshot}", "--no-sync",
            "--no-subscriptions", f"--lock-wait-timeout={LOCK_WAIT_SECONDS * 1000}", "--encoding=UTF8",
        ]  # fmt: skip
        if jobs > 1:
            self._command.append(f"--jobs={jobs}")
        if not keys:
            self._command.append(f"--file={target}")
        for name in left_out:
            self._command.append('--exclude-schema="' + name.replace('"', '""') + '"')
        if left_out:
            # Publications of a platform are the platform's as well.
            self._command.append("--no-publications")
        self._stack = ExitStack()
        self._said: IO[bytes] = self._stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        self._process: subprocess.Popen[bytes] | None = None
        self._cipher: threading.Thread | None = None
        self._cipher_error: BaseException | None = None

    def start(self) -> None:
        environment = self._login.environment(application=self.application)
        self._process = subprocess.Popen(
            self._command,
            env={**environment, **self._environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if self._keys else subprocess.DEVNULL,
            stderr=self._said,
        )
        if self._keys:
            self._cipher = threading.Thread(target=self._encrypt, name="age", daemon=True)
            self._cipher.start()

    def _encrypt(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            with self._process.stdout as plain, self._target.open("wb") as target:
                encryption.encrypt(plain, target, self._keys)
        except BaseException as error:
            self._cipher_error = error

    def finished(self) -> bool:
        assert self._process is not None
        return self._process.poll() is not None and not (self._cipher and self._cipher.is_alive())

    def failed(self) -> bool:
        assert self._process is not None
        return self._cipher_error is not None or bool(self._process.poll())

    def wait(self, seconds: float) -> None:
        assert self._process is not None
        if self.finished():
            time.sleep(0.02)
            return
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def check(self) -> None:
        """Raise what went wrong, once pg_dump has ended; otherwise leave it running."""
        assert self._process is not None
        if self._cipher_error is not None:
            raise self._cipher_error
        code = self._process.poll()
        if code is None:
            # The digests failed. Often pg_dump fails of the same a moment later, and says it better.
            with suppress(subprocess.TimeoutExpired):
                code = self._process.wait(2)
        if code:
            self._said.seek(0)
            raise program_errors.failure("pg_dump", self._said.read().decode("utf-8", "replace"), code)
        if code == 0 and self._cipher is not None:
            self._cipher.join()
            if self._cipher_error is not None:
                raise self._cipher_error
        if code is not None:
            self._stack.close()

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._cipher is not None:
            self._cipher.join()
        self._stack.close()


def _only_one(connection: Connection) -> None:
    """One backup of a database at a time; the lock ends with the transaction, however that ends."""
    (got,) = _first(connection, "SELECT pg_try_advisory_xact_lock(%s, %s)", LOCK)
    if not got:
        raise MoeenError(
            "Another backup of this database is running.",
            next_step="Wait for it; pg_stat_activity shows it as `moeen backup ...`.",
            exit_code=FINDINGS,
        )


def _applied(connection: Connection) -> dict[str, list[str]]:
    (stands,) = _first(connection, "SELECT to_regclass('public.django_migrations') IS NOT NULL")
    found: dict[str, list[str]] = defaultdict(list)
    if stands:
        rows = connection.execute("SELECT app, name FROM public.django_migrations ORDER BY app, name").fetchall()
        for app, name in rows:
            found[app].append(name)
    return dict(found)


def _write_content(staging: Path, content: Content, keys: Sequence[Any]) -> None:
    data = manifest.content_to_json(content)
    if not keys:
        (staging / manifest.CONTENT).write_bytes(data)
        return
    # From memory: the plain text never is a file.
    with (staging / f"{manifest.CONTENT}.age").open("wb") as target:
        encryption.encrypt(io.BytesIO(data), target, keys)


def _first(connection: Connection, query: Any, parameters: Sequence[Any] = ()) -> tuple[Any, ...]:
    row = connection.execute(query, parameters or None).fetchone()
    assert row is not None
    return row


def _some(names: list[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

"""pg_restore, run into an empty database: from a folder, a file, or a stream that is decrypted on the way."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psycopg
from psycopg import sql

from moeen.db.backups import encryption, program_errors, progress
from moeen.db.backups.inventory import Role
from moeen.db.backups.login import Login
from moeen.db.backups.manifest import Content, Manifest
from moeen.db.backups.tools import Tools
from moeen.db.errors import MoeenError


@dataclass(frozen=True)
class Rights:
    """What the restoring role can keep of the original. `unavailable`: extensions that the server does not offer."""

    owners: bool
    superuser: bool
    unavailable: tuple[str, ...] = ()


def content_of(folder: Path, paper: Manifest, keys: Sequence[Any]) -> bytes:
    """The plain bytes of the content's file."""
    path = folder / paper.content
    if not paper.encrypted:
        return path.read_bytes()
    with path.open("rb") as source, tempfile.SpooledTemporaryFile(max_size=1 << 30) as plain:
        encryption.decrypt(source, plain, keys)
        plain.seek(0)
        return plain.read()


def restore(
    folder: Path,
    paper: Manifest,
    content: Content,
    *,
    into: Login,
    programs: Tools,
    rights: Rights,
    keys: Sequence[Any] = (),
    jobs: int | None = None,
    tell: progress.Tell = progress.silent,
) -> None:
    """Raises MoeenError at the first thing that could not be restored; what stands by then stays."""
    keys = keys if paper.encrypted else ()
    jobs = 1 if paper.encrypted else jobs or min(4, os.cpu_count() or 1)
    application = f"moeen restore {paper.id}"
    dump = folder / paper.dump
    with tempfile.TemporaryDirectory(prefix="moeen-list-") as scratch:
        environment = {**into.environment(application=application), **programs.environment}
        command = [programs.program("pg_restore"), "--no-password"]
        options = ["--exit-on-error", "--no-tablespaces", f"--dbname={into.database}"]
        if not rights.owners:
            options.append("--no-owner")
        if jobs > 1:
            options.append(f"--jobs={jobs}")
        chosen = _chosen(content, rights)
        if chosen is not None:
            listed = _run([*command, "--list"], dump, environment, keys)
            path = Path(scratch) / "list"
            path.write_text("".join(line for line in listed.splitlines(keepends=True) if not chosen.search(line)))
            options.append(f"--use-list={path}")
        with (
            _without_default_grants(into),
            into.connect(application="moeen restore progress") as watcher,
            _started([*command, *options], dump, environment, keys) as (process, said),
        ):
            _watch(process, watcher, application, content, tell)
            process.wait()
            _check(process, said)
    tell("restore", content.rows, content.rows)


@contextmanager
def _without_default_grants(into: Login) -> Iterator[None]:
    """What a platform grants on every new table of a schema is taken back meanwhile, and given again.

    A dump says whom to grant what beyond PostgreSQL's own defaults; it does not take back what a target adds to them.
    """
    with into.connect(application="moeen restore_database", autocommit=True) as connection:
        granted = connection.execute(
            """
            SELECT r.rolname, n.nspname, k.name, g.rolname,
                   string_agg(x.privilege_type, ', ') FILTER (WHERE NOT x.is_grantable),
                   string_agg(x.privilege_type, ', ') FILTER (WHERE x.is_grantable)
            FROM pg_default_acl d
            JOIN pg_roles r ON r.oid = d.defaclrole
            JOIN pg_namespace n ON n.oid = d.defaclnamespace
            JOIN (VALUES ('r', 'TABLES'), ('S', 'SEQUENCES'), ('f', 'FUNCTIONS'), ('T', 'TYPES')) AS k (kind, name)
              ON k.kind = d.defaclobjtype::text
            CROSS JOIN aclexplode(d.defaclacl) AS x
            LEFT JOIN pg_roles g ON g.oid = x.grantee
            WHERE pg_has_role(d.defaclrole, 'MEMBER')
            GROUP BY r.rolname, n.nspname, k.name, g.rolname, x.grantee
            """
        ).fetchall()

        def change(form: str, role: str, schema: str, kind: str, to: str | None, *, privileges: str = "") -> None:
            connection.execute(
                sql.SQL(f"ALTER DEFAULT PRIVILEGES FOR ROLE {{role}} IN SCHEMA {{schema}} {form}").format(
                    role=sql.Identifier(role),
                    schema=sql.Identifier(schema),
                    privileges=sql.SQL(privileges),
                    kind=sql.SQL(kind),
                    to=sql.Identifier(to) if to else sql.SQL("PUBLIC"),
                )
            )

        for *place, _, _ in granted:
            change("REVOKE ALL ON {kind} FROM {to}", *place)
        try:
            yield
        finally:
            for *place, plain, grantable in granted:
                if plain:
                    change("GRANT {privileges} ON {kind} TO {to}", *place, privileges=plain)
                if grantable:
                    change("GRANT {privileges} ON {kind} TO {to} WITH GRANT OPTION", *place, privileges=grantable)


def create_roles(connection: psycopg.Connection[Any], roles: Sequence[Role]) -> list[str]:
    """Create those that are missing, without passwords, and never a superuser; returns their names.

    Raises MoeenError naming them where this role may not.
    """
    standing = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles").fetchall()}
    missing = [role for role in roles if role.name not in standing]
    ((may, bypass),) = connection.execute(
        "SELECT rolcreaterole OR rolsuper, rolbypassrls OR rolsuper FROM pg_roles WHERE rolname = current_user"
    ).fetchall()
    needs_bypass = any(role.bypassrls for role in missing)
    if missing and (not may or (needs_bypass and not bypass)):
        names = ", ".join(role.name for role in missing)
        statements = " ".join(f'CREATE ROLE "{role.name}"{_attributes(role)};' for role in missing)
        raise MoeenError(
            f"The backup needs roles that the target has not: {names}; {connection.info.user} may not create them.",
            next_step=f"As an administrator there, run: {statements}",
        )
    for role in missing:
        connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role.name)) + sql.SQL(_attributes(role)))
    made = {role.name for role in missing}
    for role in missing:
        for other in role.member_of:
            if other in standing | made:
                connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(other), sql.Identifier(role.name)))
    return sorted(made)


def rights_of(connection: psycopg.Connection[Any], content: Content) -> Rights:
    """What the connected role can keep; the roles stand by now."""
    kind = "SET" if connection.info.server_version >= 160000 else "MEMBER"
    owners = sorted(set(content.inventory["owner"].values()))
    ((superuser, keeps, offered),) = connection.execute(
        """
        SELECT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
               (SELECT coalesce(bool_and(pg_has_role(o, %s)), true) FROM unnest(%s::text[]) o),
               ARRAY(SELECT name::text FROM pg_available_extensions)
        """,
        [kind, owners],
    ).fetchall()
    unavailable = tuple(name for name in content.inventory["extension"] if name not in offered)
    return Rights(owners=keeps, superuser=superuser, unavailable=unavailable)


def _attributes(role: Role) -> str:
    flags = [
        (role.login, " LOGIN"), (not role.inherit, " NOINHERIT"), (role.createrole, " CREATEROLE"),
        (role.createdb, " CREATEDB"), (role.bypassrls, " BYPASSRLS"),
    ]  # fmt: skip
    return "".join(words for on, words in flags if on)


def _chosen(content: Content, rights: Rights) -> re.Pattern[str] | None:
    """Lines of the dump's table of contents that this role or server cannot carry out; None where it can do all."""
    unwanted = []
    if content.inventory["extension"]:
        # Only its owner may comment on an extension, and the comment comes with it anyway.
        unwanted.append(r"^\d+; \d+ \d+ COMMENT - EXTENSION ")
    if rights.unavailable:
        names = "|".join(re.escape(name) for name in rights.unavailable)
        unwanted.append(rf"^\d+; \d+ \d+ EXTENSION - (?:{names})\s")
    if content.inventory["event trigger"]:
        unwanted.append(r"^\d+; \d+ \d+ (?:COMMENT - )?EVENT TRIGGER ")
    if not rights.superuser:
        unwanted.append(r"^\d+; \d+ \d+ (?:PUBLICATION|PUBLICATION TABLE|SUBSCRIPTION) ")
    if not rights.owners and content.inventory["default grant"]:
        unwanted.append(r"^\d+; \d+ \d+ DEFAULT ACL ")
    return re.compile("|".join(unwanted)) if unwanted else None


@contextmanager
def _started(
    command: list[str], dump: Path, environment: dict[str, str], keys: Sequence[Any], *, output: bool = False
) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """A running pg_restore that reads the dump itself or, of an encrypted one, a stream."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command if keys else [*command, str(dump)],
            env=environment,
            stdin=subprocess.PIPE if keys else subprocess.DEVNULL,
            stdout=subprocess.PIPE if output else subprocess.DEVNULL,
            stderr=said,
        )
        failed: list[BaseException] = []
        feeder = threading.Thread(target=_feed, args=(process, dump, keys, failed), daemon=True)
        try:
            if keys:
                feeder.start()
            yield process, said
            if keys:
                feeder.join()
        except BaseException:
            process.kill()
            process.wait()
            if failed and isinstance(failed[0], MoeenError):
                raise failed[0] from None
            raise
        if failed and not isinstance(failed[0], BrokenPipeError):
            raise failed[0]


def _feed(process: subprocess.Popen[bytes], dump: Path, keys: Sequence[Any], failed: list[BaseException]) -> None:
    assert process.stdin is not None
    try:
        with dump.open("rb") as source:
            encryption.decrypt(source, process.stdin, keys)
    except BaseException as error:
        failed.append(error)
    with suppress(BrokenPipeError):
        process.stdin.close()


def _run(command: list[str], dump: Path, environment: dict[str, str], keys: Sequence[Any]) -> str:
    with _started(command, dump, environment, keys, output=True) as (process, said):
        assert process.stdout is not None
        with process.stdout as stream:
            text = stream.read().decode("utf-8", "replace")
        process.wait()
        _check(process, said)
    return text


def _check(process: subprocess.Popen[bytes], said: IO[bytes]) -> None:
    if process.returncode:
        said.seek(0)
        raise program_errors.failure("pg_restore", said.read().decode("utf-8", "replace"), process.returncode)


def _watch(
    process: subprocess.Popen[bytes],
    watcher: psycopg.Connection[Any],
    application: str,
    content: Content,
    tell: progress.Tell,
) -> None:
    labels: dict[str, int] = {}
    copies: progress.Copies | None = None
    while process.poll() is None:
        with suppress(psycopg.Error):
            if len(labels) < len(content.tables):
                labels = dict(watcher.execute(_LABELS).fetchall())
                totals = {oid: content.tables[label].rows for label, oid in labels.items() if label in content.tables}
                seen = copies
                copies = progress.Copies(watcher, application=application, totals=totals)
                if seen is not None:
                    copies.adopt(seen)
            if copies is not None:
                tell("restore", copies.done(), content.rows)
        with suppress(subprocess.TimeoutExpired):
            process.wait(progress.POLL_SECONDS)


_LABELS = """
    SELECT n.nspname || '.' || c.relname, c.oid::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND c.oid >= 16384
"""

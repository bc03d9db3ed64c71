"""pg_restore, run into an empty database: from a folder, a file, or a stream that is decrypted on the way."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import IO, Any, LiteralString, TypeVar

import psycopg
from psycopg import sql

from moeen.db.backups import allowed, archive, encryption, program_errors, progress, salvage
from moeen.db.backups.archive import Entry
from moeen.db.backups.inventory import Role
from moeen.db.backups.login import Login
from moeen.db.backups.manifest import Content, Manifest
from moeen.db.backups.restorer import Restorer
from moeen.db.backups.salvage import Loss
from moeen.db.backups.tools import Tools
from moeen.db.codes import Code
from moeen.db.errors import MoeenError
from moeen.db.roles import right_to_become

R = TypeVar("R")


@dataclass(frozen=True)
class Rights:
    """What the restoring role can keep of the original. `unavailable`: extensions that are not made there."""

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


def allowed_entries(folder: Path, paper: Manifest, keys: Sequence[Any], *, losing: bool = False) -> allowed.Chosen:
    """What of the dump may run; nothing runs here. Raises allowed.Refused, and manifest.Damaged. `losing`: see
    allowed.choose."""
    dump = folder / paper.dump
    path = dump / archive.TOC if paper.format == "directory" else dump
    with _plain(path, keys if paper.encrypted else ()) as source:
        entries = archive.read(source, form=paper.format, file=paper.dump)
        chosen = allowed.choose(entries, file=paper.dump, losing=losing)
    if paper.format == "directory":
        allowed.check_blobs(dump, chosen.run, file=paper.dump)
    return chosen


def restore(
    folder: Path,
    paper: Manifest,
    content: Content,
    chosen: allowed.Chosen,
    *,
    into: Restorer,
    programs: Tools,
    rights: Rights,
    read: Callable[[Login], R],
    keys: Sequence[Any] = (),
    jobs: int | None = None,
    stood_in: Sequence[str] = (),
    keep_going: bool = False,
    tell: progress.Tell = progress.silent,
) -> tuple[tuple[Loss, ...], R]:
    """Run the chosen entries, and `read` as the restorer while all rows are still its own. Returns what was lost, and
    what was read. Raises MoeenError at the first thing that could not be restored; what stands then stays.

    With `keep_going` everything else is restored, and what failed is returned, with its cause, and what no restore
    makes (`chosen.lost`). Foreign keys to what the backup leaves out are returned as well where they could not be put
    back, and end nothing; `stood_in` names the stand-ins among their tables. Who lent the restorer
    makes what takes power and runs nothing: publications, grants that others than the owners have made, and those on
    what the restorer could not give away.
    """
    keys = keys if paper.encrypted else ()
    jobs = 1 if paper.encrypted else jobs or min(4, os.cpu_count() or 1)
    run = _Run(folder / paper.dump, paper, content, into, programs, rights, keys, tell, [] if keep_going else None)
    others = [entry for entry in chosen.run if into.power and _takes_power(entry, into)]
    entries = [entry for entry in chosen.run if entry not in others and _can(entry, rights)]
    schemas = [entry for entry in entries if entry.kind == "SCHEMA"]
    # What a schema allows is set last, and what is computed from rows after it.
    last = [entry for entry in entries if entry.kind == "ACL" and entry.name.startswith("SCHEMA ")]
    # Several jobs may switch the trigger of a partition off before that of its table makes it.
    last += [entry for entry in entries if entry.kind == "TRIGGER" and not entry.create.lstrip().startswith("CREATE")]
    last += [entry for entry in entries if entry.kind == "MATERIALIZED VIEW DATA"]
    outside = salvage.keys_outside(entries, content.outside.foreign_keys)
    apart = {*schemas, *last, *outside}
    rest = [entry for entry in entries if entry not in apart]
    into.see_all()
    with _without_default_grants(into.login):
        run.these(schemas)
        with _owners_may_create(into.login, entries, needed=rights.owners and not rights.superuser):
            run.these(rest, jobs=jobs)
        run.these(last)
        losses = run.mended(entries)
        losses += salvage.put_back_outside(into.login, outside, stood_in=stood_in, again=run.again)
    found = read(into.login)
    into.hand_over()
    if into.power is not None:
        run = replace(run, into=Restorer(into.power), failed=[] if keep_going else None)
        run.these(others)
        losses += run.mended(others)
    tell("restore", content.rows, content.rows)
    return (*salvage.unmade(chosen.lost), *losses), found


#: How pg_dump writes a grant that somebody else than the owner has made.
_BY_OTHERS = "SET SESSION AUTHORIZATION"


@dataclass(frozen=True)
class _Run:
    """How pg_restore is run, again and again, with some of a dump's entries."""

    dump: Path
    paper: Manifest
    content: Content
    into: Restorer
    programs: Tools
    rights: Rights
    keys: Sequence[Any]
    tell: progress.Tell
    #: Entries that failed; None: the first failure ends it.
    failed: list[Entry] | None

    def mended(self, entries: Sequence[Entry]) -> tuple[Loss, ...]:
        """What of these failed, in their order, after what could be done about it."""
        places = {entry: place for place, entry in enumerate(entries)}
        failed = sorted(set(self.failed or ()), key=places.__getitem__)
        return salvage.mended(self.into.login, failed, again=self.again)

    def again(self, entry: Entry) -> str:
        """Restore that entry alone, and return "" or why it failed."""
        try:
            replace(self, failed=None).these([entry])
        except MoeenError as error:
            return error.cause
        return ""

    def these(self, entries: Sequence[Entry], *, jobs: int = 1) -> None:
        """Exactly these entries, in their order. None: nothing is run."""
        for withheld, group in groupby(entries, key=lambda entry: self.into.keeps(entry.owner)):
            self._at_once(list(group), jobs=jobs, owners=self.rights.owners and not withheld)

    def _at_once(self, entries: Sequence[Entry], *, jobs: int, owners: bool) -> None:
        """By one pg_restore. `owners`: each object is given to its owner."""
        login = self.into.login
        application = f"moeen restore {self.paper.id}"
        environment = {**login.environment(application=application), **self.programs.environment}
        with tempfile.TemporaryDirectory(prefix="moeen-list-") as scratch:
            path = Path(scratch) / "list"
            path.write_text("".join(f"{entry.id};\n" for entry in entries), encoding="ascii")
            command = [
                self.programs.program("pg_restore"), "--no-password", "--no-tablespaces",
                f"--dbname={login.dbname}", f"--use-list={path}",
            ]  # fmt: skip
            if not owners:
                command.append("--no-owner")
            command.append("--exit-on-error" if self.failed is None else "--verbose")
            if jobs > 1:
                command.append(f"--jobs={jobs}")
            with (
                login.connect(application="moeen restore progress") as watcher,
                _started(command, self.dump, environment, self.keys) as (process, said),
            ):
                _watch(process, watcher, application, self.content, self.tell)
                process.wait()
                if process.returncode:
                    said.seek(0)
                    self._blame(entries, said.read().decode("utf-8", "replace"), process.returncode)

    def _blame(self, entries: Sequence[Entry], said: str, code: int) -> None:
        """Keep the entries that failed, or raise what ended it all."""
        numbers = {int(number) for number in _FAILED.findall(said)}
        blamed = [entry for entry in entries if entry.id in numbers]
        said = _CHATTER.sub("", said)
        general = code < 0 or program_errors.is_general(said)
        if self.failed is not None and blamed and not general:
            self.failed.extend(blamed)
            return
        failure = program_errors.failure("pg_restore", said, code, otherwise=_ALL)
        next_step = failure.next_step or ("" if general else _ALL)
        raise type(failure)(failure.cause, next_step=next_step, exit_code=failure.exit_code, code=failure.code)


#: What it says with LC_ALL=C and --verbose; lines of several jobs mingle, the words behind `pg_restore: ` are whole.
_FAILED = re.compile(r"from TOC entry (\d+); \d+ \d+ [A-Z]")
_CHATTER = re.compile(r"^pg_restore: (?!error|warning).*\n", re.MULTILINE)
_ALL = "manage.py verify_backup names all that cannot be restored; restore_database --salvage brings back the rest."


def _takes_power(entry: Entry, into: Restorer) -> bool:
    """Whether who lent the restorer makes it."""
    if entry.kind in ("ACL", "DEFAULT ACL"):
        return _BY_OTHERS in entry.create or into.keeps(entry.owner)
    return allowed.is_of_publication(entry)


def _can(entry: Entry, rights: Rights) -> bool:
    """Whether a role with these rights can make it."""
    if allowed.is_of_publication(entry):
        return rights.superuser
    return entry.kind != "DEFAULT ACL" or rights.owners


@contextmanager
def _owners_may_create(into: Login, entries: Sequence[Entry], *, needed: bool) -> Iterator[None]:
    """Every owner may create in every schema meanwhile: without that, nothing there can be given to them.

    PostgreSQL demands it of the new owner unless a superuser gives, as the server that was backed up may have done.
    """
    owners = sorted({entry.owner for entry in entries if entry.owner})
    schemas = sorted({entry.schema for entry in entries if entry.schema})
    if not needed:
        yield
        return
    with into.connect(application="moeen restore_database") as connection:
        rows = connection.execute(
            """
            SELECT n.nspname, r.rolname FROM pg_namespace n CROSS JOIN pg_roles r
            WHERE n.nspname = ANY (%s) AND r.rolname = ANY (%s) AND NOT has_schema_privilege(r.oid, n.oid, 'CREATE')
              AND pg_has_role(n.nspowner, 'USAGE')
            """,
            [schemas, owners],
        ).fetchall()

        def change(form: LiteralString) -> None:
            for schema, role in rows:
                connection.execute(sql.SQL(form).format(sql.Identifier(schema), sql.Identifier(role)))

        change("GRANT CREATE ON SCHEMA {} TO {}")
        try:
            yield
        finally:
            with suppress(psycopg.OperationalError):
                change("REVOKE CREATE ON SCHEMA {} FROM {}")


@contextmanager
def _without_default_grants(into: Login) -> Iterator[None]:
    """What a platform grants on every new table of a schema is taken back meanwhile, and given again.

    A dump says whom to grant what beyond PostgreSQL's own defaults; it does not take back what a target adds to them.
    """
    with into.connect(application="moeen restore_database") as connection:
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

    They become members of no superuser, nor of what PostgreSQL lets reach beyond the database (`pg_*`). Raises
    MoeenError naming them where this role may not.
    """
    standing = dict(connection.execute("SELECT rolname, rolsuper FROM pg_roles").fetchall())
    missing = [role for role in roles if role.name not in standing]
    ((may, bypass),) = connection.execute(
        "SELECT rolcreaterole OR rolsuper, rolbypassrls OR rolsuper FROM pg_roles WHERE rolname = current_user"
    ).fetchall()
    needs_bypass = any(role.bypassrls for role in missing)
    made = [_create_role(role) for role in missing]
    if missing and (not may or (needs_bypass and not bypass)):
        names = ", ".join(role.name for role in missing)
        raise MoeenError(
            f"The backup needs roles that the target has not: {names}; {connection.info.user} may not create them.",
            next_step=f"As an administrator there, run: {' '.join(f'{one.as_string()};' for one in made)}",
            code=Code.ROLES,
        )
    for one in made:
        connection.execute(one)
    joinable = {name for name, superuser in standing.items() if not superuser} | {role.name for role in missing}
    for role in missing:
        for other in role.member_of:
            if other in joinable and not other.startswith("pg_"):
                connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(other), sql.Identifier(role.name)))
    return sorted(role.name for role in missing)


def create_extensions(connection: psycopg.Connection[Any], content: Content) -> tuple[str, ...]:
    """Make those of the backup that are trusted and offered; returns the names of the others.

    They are made by us and not by the dump: of most, PostgreSQL wants a superuser for it.
    """
    missing = []
    offered = {name for (name,) in connection.execute("SELECT name FROM pg_available_extensions").fetchall()}
    standing = {name for (name,) in connection.execute("SELECT extname FROM pg_extension").fetchall()}
    for name, schema in sorted(content.inventory["extension"].items()):
        if name in standing:
            continue
        if name not in allowed.EXTENSIONS or name not in offered:
            missing.append(name)
            continue
        try:
            with connection.transaction():
                stands = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [schema]).fetchone()
                if stands is None:
                    connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
                connection.execute(
                    sql.SQL("CREATE EXTENSION {} SCHEMA {}").format(sql.Identifier(name), sql.Identifier(schema))
                )
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.FeatureNotSupported):
            missing.append(name)
    return tuple(missing)


def rights_of(
    connection: psycopg.Connection[Any], content: Content, *, unavailable: tuple[str, ...] = (), withheld: str = ""
) -> Rights:
    """What the connected role can keep; the roles stand by now. `withheld`: an owner who is given theirs by another."""
    owners = sorted(set(content.inventory["owner"].values()) - {withheld})
    ((superuser, keeps),) = connection.execute(
        """
        SELECT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
               (SELECT coalesce(bool_and(pg_has_role(o, %s)), true) FROM unnest(%s::text[]) o)
        """,
        [right_to_become(connection.info.server_version), owners],
    ).fetchall()
    return Rights(owners=keeps, superuser=superuser, unavailable=unavailable)


def _create_role(role: Role) -> sql.Composed:
    return sql.SQL("CREATE ROLE {}").format(sql.Identifier(role.name)) + sql.SQL(_attributes(role))


def _attributes(role: Role) -> LiteralString:
    flags: list[tuple[bool, LiteralString]] = [
        (role.login, " LOGIN"), (not role.inherit, " NOINHERIT"), (role.createrole, " CREATEROLE"),
        (role.createdb, " CREATEDB"), (role.bypassrls, " BYPASSRLS"),
    ]  # fmt: skip
    return "".join(words for on, words in flags if on)


@contextmanager
def _plain(path: Path, keys: Sequence[Any]) -> Iterator[IO[bytes]]:
    """The file to be read from its beginning as far as the reader likes, decrypted where there are keys."""
    if not keys:
        with path.open("rb") as source:
            yield source
        return
    inside, outside = os.pipe()
    failed: list[BaseException] = []
    feeder = threading.Thread(target=_feed, args=(os.fdopen(outside, "wb"), path, keys, failed), daemon=True)
    with open(inside, "rb") as source:
        feeder.start()
        try:
            yield source
        except BaseException:
            # A wrong key is heard of as a stream that ends too early.
            source.close()
            feeder.join()
            if failed and isinstance(failed[0], MoeenError):
                raise failed[0] from None
            raise
    feeder.join()


@contextmanager
def _started(
    command: list[str], dump: Path, environment: dict[str, str], keys: Sequence[Any]
) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """A running pg_restore that reads the dump itself or, of an encrypted one, a stream."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command if keys else [*command, str(dump)],
            env=environment,
            stdin=subprocess.PIPE if keys else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        failed: list[BaseException] = []
        feeder = threading.Thread(target=_feed, args=(process.stdin, dump, keys, failed), daemon=True)
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


def _feed(target: IO[bytes], dump: Path, keys: Sequence[Any], failed: list[BaseException]) -> None:
    try:
        with dump.open("rb") as source:
            encryption.decrypt(source, target, keys)
    except BaseException as error:
        failed.append(error)
    with suppress(BrokenPipeError):
        target.close()


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

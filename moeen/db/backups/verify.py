"""A backup is proven: every file against the manifest, then a whole restore against the content."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import filterfalse
from pathlib import Path
from typing import Any

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db.backups import (
    allowed,
    compare,
    database_settings,
    digests,
    encryption,
    inventory,
    manifest,
    pg_restore,
    program_errors,
    progress,
    salvage,
    scratch,
    stubs,
    tools,
    trust,
)
from moeen.db.backups.content import Rows, read_content, read_rows, refuse_if_blind
from moeen.db.backups.inventory import Scope
from moeen.db.backups.login import Login
from moeen.db.backups.manifest import Content, Damaged, Manifest, Verification
from moeen.db.backups.restorer import Restorer
from moeen.db.backups.salvage import Loss
from moeen.db.backups.store import Store
from moeen.db.codes import Code
from moeen.db.errors import MoeenError, of_file
from moeen.db.findings import Finding, Severity
from moeen.db.kinds import Kind
from moeen.db.logs import logger

_DATABASE = "restored"


@dataclass(frozen=True)
class Report:
    """The outcome of a verification: `ok` when there is no finding. `notes`: what could not be tried here."""

    id: str
    checked: dict[str, int]
    findings: tuple[Finding, ...]
    server_version: str
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.findings

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "ok": self.ok,
            "checked": self.checked,
            "findings": [finding.as_dict() for finding in self.findings],
            "notes": list(self.notes),
            "seconds": self.seconds,
        }


def prove(
    store: Store,
    backup_id: str,
    *,
    identity: Path | None = None,
    live: BaseDatabaseWrapper | None = None,
    jobs: int | None = None,
    unsigned: str = "",
    tell: progress.Tell = progress.silent,
) -> Report:
    """Restore the backup into a throwaway server and compare everything; with `live`, compare that database as well.

    The result is recorded beside the backup. Damage becomes findings that name the file. Raises trust.Untrusted for one
    that no known key has signed, unless `unsigned` gives a reason to believe it all the same, and MoeenError where the
    verification itself could not be done: no key, no server's programs, no space.
    """
    started = time.monotonic()
    log = logger("backup")
    keys = encryption.identities(identity)
    checked: dict[str, int] = {}
    version, notes = "", tuple[str, ...]()
    try:
        paper = trust.manifest_of(store, backup_id, unsigned=unsigned)
    except Damaged as damage:
        findings = [_damage(damage)]
    else:
        with store.opened(backup_id) as folder:
            findings = intact(folder, paper, tell=tell)
            checked |= {"files": len(paper.files) + 1, "bytes": paper.bytes}
            if not findings:
                content, version, found, lost = _restored(folder, paper, keys, jobs, tell, losing=not unsigned)
                notes = tuple(map(_untried, filter(_is_locale, found)))
                findings += filterfalse(_is_locale, found)
                if content is not None:
                    notes += (*content.outside.notes(), *(loss.told() for loss in lost))
                    checked |= compare.checked(content)
                    if live is not None:
                        findings += against_live(content, paper, live)
    report = Report(backup_id, checked, tuple(sorted(findings)), version, round(time.monotonic() - started, 3), notes)
    record = Verification(
        datetime.now(UTC).isoformat(timespec="seconds"), report.ok, len(report.findings), report.seconds, version
    )
    try:
        store.record(backup_id, record)
    except OSError as error:
        unkept = f"The outcome could not be kept beside the backup: {of_file(error)}. list_backups does not know of it."
        report = replace(report, notes=(*notes, unkept))
    log.log(
        20 if report.ok else 40,
        "verification",
        extra={
            "id": backup_id,
            "ok": report.ok,
            "findings": [f.object for f in report.findings],
            "seconds": report.seconds,
        },
    )
    return report


def intact(folder: Path, paper: manifest.Listing, *, tell: progress.Tell = progress.silent) -> list[Finding]:
    """Every file that is not as the manifest says: missing, of another size or content, or unknown."""
    findings = []
    listed = {file.path: file for file in paper.files}
    done = 0
    for file in paper.files:
        path = folder / file.path
        if _is_link(path, folder):
            findings.append(Finding(file.path, Kind.FILE_DAMAGED, "a file", "a link to another place"))
            continue
        if not path.is_file():
            findings.append(Finding(file.path, Kind.FILE_MISSING, "present", "missing"))
            continue
        size = path.stat().st_size
        if size != file.bytes:
            findings.append(Finding(file.path, Kind.FILE_SIZE, f"{file.bytes:,} bytes", f"{size:,} bytes"))
        else:
            real = manifest.file_of(folder, path).sha256
            if real != file.sha256:
                findings.append(Finding(file.path, Kind.FILE_CHECKSUM, file.sha256, real))
        done += file.bytes
        tell("files", done, paper.bytes)
    ours = {manifest.NAME} | {name + end for name in (manifest.VERIFIED, manifest.PIN) for end in ("", ".new")}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_dir() and name not in listed and name not in ours:
            findings.append(Finding(name, Kind.FILE_UNEXPECTED, "absent", "present"))
    return findings


def _is_link(path: Path, folder: Path) -> bool:
    """Whether it, or a folder of the backup that it lies in, is a symbolic link."""
    inside = (path, *path.parents)
    return any(part.is_symlink() for part in inside[: len(path.relative_to(folder).parts)])


def content_of(folder: Path, paper: Manifest, keys: Sequence[Any]) -> Content:
    """The content's file, decrypted; raises Damaged."""
    content = manifest.content_of_json(pg_restore.content_of(folder, paper, keys))
    said = (inventory.fingerprint(content.inventory), content.fingerprint, content.rows)
    if said != (paper.inventory, paper.fingerprint, paper.rows):
        raise Damaged(paper.content, "it is another backup's")
    return content


def against_live(content: Content, paper: Manifest, live: BaseDatabaseWrapper) -> list[Finding]:
    """What differs between the backup and that database as it is now."""
    with Login.of_wrapper(live).connect(application="moeen verify_backup", alone_for="a comparison") as connection:
        digests.prepare(connection)
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        scope = inventory.scope(connection)
        refuse_if_blind(connection, scope.schemas)
        now = read_content(connection, scope)
        major = connection.info.server_version // 10000
    rights = pg_restore.Rights(owners=True, superuser=True)
    found = compare.compare(content, now, rights=rights, majors=(paper.major, major))
    return [replace(finding, object=f"{finding.object} in the live database") for finding in found]


def rows_of(login: Login, content: Content, tell: progress.Tell) -> Rows:
    """The restored rows, of the schemas that the backup covers, as that login reads them."""
    with login.connect(application="moeen verify_backup") as connection:
        digests.prepare(connection)
        told = partial(tell, "compare")
        return read_rows(connection, sorted(_schemas(content)), told=told)


def read_restored(connection: psycopg.Connection[Any], content: Content, rows: Rows) -> Content:
    """What stands in the restored database, of the schemas that the backup covers: these rows, and what else there is.
    Nothing of the backup's runs."""
    digests.prepare(connection)
    return read_content(connection, Scope(sorted(_schemas(content)), []), rows=rows)


def _restored(
    folder: Path, paper: Manifest, keys: Sequence[Any], jobs: int | None, tell: progress.Tell, *, losing: bool
) -> tuple[Content | None, str, list[Finding], list[Loss]]:
    content = None
    try:
        content = content_of(folder, paper, keys)
        # Before anything of it runs, or a server is made for it.
        chosen = pg_restore.allowed_entries(folder, paper, keys, losing=losing)
        with scratch.server(tools.find_server(paper.major)) as superuser:

            def watched(stage: str, done: int, total: int) -> None:
                scratch.refuse_full()
                tell(stage, done, total)

            return content, *_restored_into(superuser, folder, paper, content, chosen, keys, jobs, watched)
    except (Damaged, allowed.Refused) as refusal:
        return content, "", [_refusal(refusal)], []


def _restored_into(
    superuser: Login,
    folder: Path,
    paper: Manifest,
    content: Content,
    chosen: allowed.Chosen,
    keys: Sequence[Any],
    jobs: int | None,
    tell: progress.Tell,
) -> tuple[str, list[Finding], list[Loss]]:
    """The server's version, what is not as it was, and what the backup is whole without."""
    target = scratch.without_power(superuser, content.roles, database=_DATABASE, settings=content.settings)
    superuser = superuser.to(_DATABASE)
    with superuser.connect(application="moeen verify_backup") as connection:
        unavailable = pg_restore.create_extensions(connection, content)
    with target.connect(application="moeen verify_backup") as connection:
        stood_in = stubs.create(connection, content)
        rights = pg_restore.rights_of(connection, content, unavailable=unavailable)
        version = str(connection.info.parameter_status("server_version")).split()[0]
        major = connection.info.server_version // 10000
    programs = tools.Tools(tools.find_server(paper.major), major, version)
    try:
        losses, rows = pg_restore.restore(
            folder, paper, content, chosen, into=Restorer(target, superuser), programs=programs, rights=rights,
            read=lambda login: rows_of(login, content, tell), keys=keys, jobs=jobs, stood_in=stood_in.tables,
            keep_going=True, tell=tell,
        )  # fmt: skip
    except program_errors.Stopped:
        # It says nothing about the backup, which is neither proven nor refuted.
        raise
    except MoeenError as error:
        return version, [Finding(paper.dump, Kind.RESTORE, "complete", error.cause)], []
    with superuser.connect(application="moeen verify_backup") as connection:
        restored = read_restored(connection, content, rows)
    found = compare.compare(content, restored, rights=rights, majors=(paper.major, major))
    found = salvage.not_covered(found, losses) + [loss.finding() for loss in losses if not loss.outside]
    # Last: a limit of connections may shut others out. What this role may not set is no proof against the backup.
    differing, _ = database_settings.apply(target, content.settings)
    return version, found + differing, [loss for loss in losses if loss.outside]


def _is_locale(finding: Finding) -> bool:
    """A machine that verifies need not have the locales of the one that serves."""
    return (finding.kind, finding.object) == (Kind.DATABASE_SETTING, database_settings.LOCALE)


def _untried(finding: Finding) -> str:
    return f"Not tried, as this machine has not got it: locale {finding.expected}. Text was ordered by {finding.found}."


def _schemas(content: Content) -> set[str]:
    return {json.loads(name) if name.startswith('"') else name for name in content.inventory["schema"]}


def _damage(damage: Damaged) -> Finding:
    return Finding(damage.file, Kind.FILE_DAMAGED, "as it was written", damage.what)


def _refusal(refusal: Damaged | allowed.Refused) -> Finding:
    if isinstance(refusal, Damaged):
        return _damage(refusal)
    return Finding(
        refusal.file, Kind.DUMP_CONTENTS, "what pg_dump writes", "; ".join(refusal.found[:20]), Severity.UNSAFE
    )


def failed(report: Report) -> MoeenError:
    """What a caller that needs a proven backup raises of a report with findings."""
    lines = "\n".join(f"  {finding.pretty()}" for finding in report.findings[:20])
    return MoeenError(
        f"Backup {report.id} did not pass its verification.\n{lines}",
        next_step="Make a new backup and verify it; keep the older ones.",
        exit_code=3,
        code=Code.DAMAGED,
    )

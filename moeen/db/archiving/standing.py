"""How an archive stands: how far back one can go, what a crash now would lose, and what about it is worrying."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from django.conf import settings
from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db.archiving import keeping, reach
from moeen.db.archiving.archivist import PROMISED_SECONDS, TROUBLE
from moeen.db.archiving.papers import Archive, archives, lsn
from moeen.db.archiving.reach import Span, shown
from moeen.db.backups import inventory
from moeen.db.backups.login import Login
from moeen.db.codes import Code
from moeen.db.errors import FINDINGS, MoeenError
from moeen.db.server import project

#: An archivist that has run for longer has a base, or something is wrong.
_FIRST_BASE_SECONDS = 300.0


@dataclass(frozen=True)
class Standing:
    """`lost_seconds`: how much the loss of the server, disk and all, would cost now; None where that cannot be told.

    `pid`: of the archivist. `worries`: lines for people, none where all is well.
    """

    on: bool
    pid: int | None
    folder: str
    spans: tuple[Span, ...]
    lost_seconds: float | None
    bytes: int
    worries: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "on": self.on,
            "running": self.pid is not None,
            "pid": self.pid,
            "folder": self.folder,
            "reach": [span.as_dict() for span in self.spans],
            "lost_seconds": self.lost_seconds,
            "bytes": self.bytes,
            "limit_bytes": settings.ARCHIVE_GB * 1_000_000_000,
            "worries": list(self.worries),
        }

    def pretty(self) -> str:
        """One line: the moments, and what a crash would lose."""
        if not self.spans:
            return "no moment can be had yet"
        moments = ", ".join(span.pretty() for span in self.spans)
        lost = "what was written since" if self.lost_seconds is None else f"{self.lost_seconds:.0f} s"
        lost = "nothing" if self.lost_seconds == 0 else lost
        return f"any moment from {moments}; the loss of the server now would cost {lost}"


def look(connection: BaseDatabaseWrapper) -> Standing:
    """At the archive of that connection's server, which is not started for it."""
    pid, there = keeping.pid(), any(archives(settings.ARCHIVE_DIR))
    system, position, now = _server(connection) if there else ("", None, datetime.now(UTC))
    archive = of_server(system)
    spans = reach.spans(archive) if archive else []
    worries = archive.refused() if archive else []
    size = archive.bytes() if archive else 0
    lost: float | None = None
    if spans and position is not None:
        lost = 0.0 if position <= spans[-1].lsn else max(0.0, (now - spans[-1].until).total_seconds())
    return Standing(
        on=settings.ARCHIVE,
        pid=pid,
        folder=str(archive.folder if archive else settings.ARCHIVE_DIR),
        spans=tuple(spans),
        lost_seconds=lost,
        bytes=size,
        worries=(*worries, *_worries(pid, spans, lost, size, stopped=_is_stopped(connection))),
    )


def of_server(system: str) -> Archive | None:
    """The archive of the server of that number, the only one where the number is not known."""
    found = list(archives(settings.ARCHIVE_DIR))
    if system:
        return next((archive for archive in found if archive.system == system), None)
    return found[0] if len(found) == 1 else None


def of_target(system: str, database: str) -> Archive:
    """The archive that holds that database: of that server, or of another whose files are gone. Raises MoeenError."""
    found = of_server(system)
    if found is not None:
        return found
    others = [archive for archive in archives(settings.ARCHIVE_DIR) if _holds(archive, database)]
    if len(others) != 1:
        there = f"those of servers {', '.join(archive.system for archive in others)}" if others else "none"
        raise MoeenError(
            f"{settings.ARCHIVE_DIR} has no archive of server {system}. Of others that hold {database}: {there}.",
            next_step="Name the server (--of NUMBER/DATABASE), or restore a backup (manage.py list_backups).",
            exit_code=FINDINGS,
            code=Code.NO_MOMENT,
        )
    return others[0]


def _holds(archive: Archive, database: str) -> bool:
    return any(database in base.databases for base in archive.all_bases())


def _server(connection: BaseDatabaseWrapper) -> tuple[str, int | None, datetime]:
    """The server's number, how far its WAL goes, and its clock; "" and None where it is down."""
    if _is_stopped(connection):
        return "", None, datetime.now(UTC)
    try:
        with Login.of_wrapper(connection).connect(application="moeen archive") as server:
            system = inventory.system(server)
            ((position, now),) = server.execute(
                """SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_flush_lsn()::text END,
                          clock_timestamp()"""
            ).fetchall()
    except (psycopg.Error, DatabaseError):
        return "", None, datetime.now(UTC)
    return system, lsn(position) if position else None, now


def _is_stopped(connection: BaseDatabaseWrapper) -> bool:
    """Whether it is the embedded server, which starts when it is needed, and not before."""
    return bool(connection.settings_dict.get("EMBEDDED")) and not project.configured_status().running


def _worries(pid: int | None, spans: list[Span], lost: float | None, size: int, *, stopped: bool) -> list[str]:
    # Where it is off, the one that runs here is of another server: the embedded one's, for whom DATABASE_URL names one.
    found = list(_worries_of_archivist(pid, spans, lost, stopped=stopped)) if settings.ARCHIVE else []
    found += [f"moments are missing behind {shown(span.until)}: {span.gap}" for span in spans if span.gap]
    limit = settings.ARCHIVE_GB * 1_000_000_000
    if size > 2 * limit:
        found.append(f"it takes {size / 1e9:.1f} GB, and ARCHIVE_GB allows {settings.ARCHIVE_GB}: raise it")
    return found


def _worries_of_archivist(pid: int | None, spans: list[Span], lost: float | None, *, stopped: bool) -> Iterator[str]:
    if pid is None and not stopped:
        yield "no archivist runs: manage.py archive start"
    trouble = keeping.own_folder() / TROUBLE
    if trouble.exists():
        yield " ".join(trouble.read_text(encoding="utf-8").split())
    if not spans and keeping.age() > _FIRST_BASE_SECONDS:
        yield "no moment can be had: there is no base yet"
    if lost is not None and min(lost, keeping.age()) > PROMISED_SECONDS:
        yield f"the archive is {lost:.0f} s behind; {PROMISED_SECONDS:.0f} s are promised"

"""The archivist: one process that keeps the archive of a server, until it is told to end or the server is gone.

Every some seconds what was received is put into the archive, the last piece as far as it is filled. Once a day the
files are copied: weekly all, in between from PostgreSQL 17 on what has changed. What is older than asked for goes, and
what takes more room than allowed. When the disk itself is nearly full, the archive ends before the server has to.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from moeen.db import alarm
from moeen.db.archiving import bases, reach, receiver, segments
from moeen.db.archiving.papers import REFUSED, Archive, Base, end_of, lsn
from moeen.db.backups import inventory, keys, tools
from moeen.db.backups.keys import Signer
from moeen.db.backups.login import Login
from moeen.db.backups.store import is_ahead
from moeen.db.codes import Code
from moeen.db.errors import FAILED, MoeenError
from moeen.db.logs import logger
from moeen.db.server import places

#: How often what was received goes into the archive: what the loss of this machine costs at most, and a little more.
SHIP_SECONDS = 10.0
#: An idle server's archive is told to reach on after so long.
IDLE_SECONDS = 30.0
#: What is promised. Trouble that lasts so long is told.
PROMISED_SECONDS = 60.0
RETRY_SECONDS = 5.0
#: After a base that failed.
BASE_RETRY_SECONDS = 300.0
BASE_HOURS, WHOLE_DAYS = 24, 7
_TOLD_AGAIN_SECONDS = 3600.0
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Rules:
    """How much is kept: moments of so many days, in so many bytes. `on_trouble` is told of it, as ON_FAILURE is."""

    days: int
    bytes: int
    on_trouble: str = ""


class NoRoom(MoeenError):
    """The disk is nearly full, and the archive gives way."""

    default_code = Code.DISK_FULL


@dataclass
class Archivist:
    """Keeps one server's archive in `folder`, and its own files in `own`.

    `patience`: a server that does not come back within so many seconds was stopped; None waits for ever.
    """

    login: Login
    folder: Path
    own: Path
    signer: Signer
    recipients: Sequence[str]
    rules: Rules
    patience: float | None = None
    _stopping: bool = False
    _wake: threading.Event = field(default_factory=threading.Event)
    #: Until when, and how far, the archive reaches.
    _until: datetime = _NEVER
    _position: str = ""
    _base: _Making | None = None
    _next_base: float = 0.0
    _next_whole: bool = False
    _trouble: _Trouble = field(default_factory=lambda: _Trouble())

    def stop(self) -> None:
        """Have `run` end; from another thread or a signal's handler."""
        self._stopping = True
        self._wake.set()

    def run(self) -> None:
        """Until `stop`, or until the server is gone for longer than `patience`."""
        seen = time.monotonic()
        while not self._stopping:
            try:
                self._keep()
            except (psycopg.Error, MoeenError, OSError) as error:
                if self._answers():
                    seen = time.monotonic()
                    self._say(error)
                elif self._position:
                    # It was there until now.
                    seen, self._position = time.monotonic(), ""
                elif self.patience is not None and time.monotonic() - seen > self.patience:
                    return
                self._wake.wait(RETRY_SECONDS if self._answers() else 0.5)

    def _keep(self) -> None:
        with self.login.connect(application=receiver.APPLICATION) as connection:
            archive = self._archive(connection)
            try:
                self._archiving(connection, archive)
            except NoRoom:
                receiver.release(connection, self.slot)
                raise

    def _archiving(self, connection: receiver.Connection, archive: Archive) -> None:
        self._refuse_full(archive)
        programs = tools.find(connection.info.server_version // 10000, tls=self.login.tls)
        incoming = self.own / "incoming" / archive.system
        held = receiver.hold(connection, self.slot)
        if held != receiver.HELD:
            shutil.rmtree(incoming, ignore_errors=True)
        if held == receiver.LOST:
            self._tell("The archive fell so far behind that the server let it go. Moments are missing; it begins anew.")
        increments = receiver.summarizes(connection)
        try:
            while not self._stopping:
                self._wake.clear()
                self._refuse_unbelieved()
                if self._is_ahead(connection, archive):
                    return
                self._ship(connection, archive, programs, incoming)
                self._copy(archive, programs, increments=increments)
                self._prune(archive)
                self._refuse_full(archive)
                self._well()
                self._wake.wait(SHIP_SECONDS)
            self._ship(connection, archive, programs, incoming)
        finally:
            if self._base is not None:
                self._base.end()
                self._base = None

    @property
    def slot(self) -> str:
        """The name of what has the server keep WAL for this archivist, and no other."""
        return f"moeen_archive_{hashlib.sha256(str(self.own.absolute()).encode()).hexdigest()[:8]}"

    # -- what is received goes into the archive --------------------------------------------------------------

    def _ship(self, connection: receiver.Connection, archive: Archive, programs: tools.Tools, incoming: Path) -> None:
        """Put into the archive what the server has written until now."""
        ((position, now),) = connection.execute("SELECT pg_current_wal_flush_lsn()::text, clock_timestamp()").fetchall()
        if position == self._position and (now - self._until).total_seconds() < IDLE_SECONDS:
            return
        receiver.receive(self.login, programs, incoming, slot=self.slot, until=lsn(position))
        pieces = list(receiver.pieces(incoming))
        for name, path, whole in pieces:
            last = path == pieces[-1][1]
            data = path.read_bytes()
            segments.write(
                archive, name, data, until=now if last else self._until,
                lsn=lsn(position) if last else end_of(name, size=len(data)),
                signer=self.signer, recipients=self.recipients,
            )  # fmt: skip
            # pg_receivewal goes on after the newest file that it finds: that one stays.
            if whole and not last:
                path.unlink()
        self._until, self._position = now, position

    # -- copies of the files ---------------------------------------------------------------------------------

    def _copy(self, archive: Archive, programs: tools.Tools, *, increments: bool) -> None:
        """Begin a base where one is due, and look after the one that is being made."""
        if self._base is not None:
            if not self._base.is_alive():
                made, self._base = self._base, None
                self._made(made)
            # The WAL until its end comes with the next round.
            return
        if time.monotonic() < self._next_base:
            return
        spans = reach.spans(archive)
        current = spans[-1].newest if spans and not spans[-1].gap else None
        crowded = archive.bytes() > self.rules.bytes // 2
        if current is None or self._is_due(archive, current):
            whole = self._next_whole or crowded or not increments
            parent = None if current is None or whole else self._parent(archive, current)
            self._base = _Making(self, archive, programs, parent, at_once=current is None)
            self._base.start()

    def _made(self, made: _Making) -> None:
        if made.error is None:
            self._next_whole = False
            self._trouble.of_base = False
            return
        # An increment needs notes of the server's that may be missing: a whole one does not.
        self._next_whole = made.parent is not None
        self._next_base = time.monotonic() + (0 if made.parent is not None else BASE_RETRY_SECONDS)
        self._trouble.of_base = True
        self._say(made.error)

    def _is_due(self, archive: Archive, current: Base) -> bool:
        if not _is_recent(current.at, timedelta(hours=BASE_HOURS)):
            return True
        # The base before it can go only once there is a newer one.
        since = [name for name in archive.segments() if name > current.segment(current.end)]
        return sum((archive.wal / name).stat().st_size for name in since) > self.rules.bytes // 2

    def _parent(self, archive: Archive, current: Base) -> Base | None:
        """What the next base is an increment to; None where a whole one is due."""
        whole = next((base.at for base in reversed(archive.all_bases()) if not base.parent), _NEVER)
        listed = (self.own / "lists" / current.id).exists()
        return current if listed and _is_recent(whole, timedelta(days=WHOLE_DAYS)) else None

    # -- room ------------------------------------------------------------------------------------------------

    def _prune(self, archive: Archive) -> None:
        """Drop the oldest whole base, its increments and its WAL, where it is not needed or there is no room for it."""
        groups: list[list[Base]] = []
        for base in archive.all_bases():
            if base.parent and groups:
                groups[-1].append(base)
            else:
                groups.append([base])
        wanted = datetime.now(UTC) - timedelta(days=self.rules.days)
        while len(groups) > 1:
            crowded = archive.bytes() > self.rules.bytes or self._is_full(archive)
            if groups[1][0].at > wanted and not crowded:
                break
            for base in reversed(groups.pop(0)):
                if not archive.bases.delete(base.id):
                    return  # a restore reads it, and needs the log behind it, too
                self._log("dropped", id=base.id, reason="room" if crowded else "age")
            first = groups[0][0].segment(groups[0][0].start)
            for name in archive.segments():
                if name < first:
                    (archive.wal / name).unlink()

    def _is_full(self, archive: Archive) -> bool:
        return any(map(places.is_nearly_full, (archive.folder, self.own)))

    def _refuse_full(self, archive: Archive) -> None:
        if self._is_full(archive):
            raise NoRoom(
                f"The disk of {archive.folder} or {self.own} is nearly full: archiving has ended, so that the "
                "server can go on. It begins anew once there is room.",
                next_step="Make room on that disk, or let ARCHIVE_DIR name another.",
            )

    def _refuse_unbelieved(self) -> None:
        """What nobody here believes counts for nothing, and a base would be made each time, until the disk is full."""
        if self.signer.public not in keys.trusted():
            raise MoeenError(
                f"Nothing is archived: it would be signed with the key {self.signer.public.name}, which "
                "BACKUP_PUBLIC_KEYS does not hold.",
                next_step="Add it to them (manage.py make_backup_keys --show).",
                code=Code.BACKUP_KEY,
            )

    # -- the archive -----------------------------------------------------------------------------------------

    def _archive(self, connection: receiver.Connection) -> Archive:
        """This server's, made where it is missing. One that is ahead of the server is put aside."""
        archive = Archive(self.folder / (system := inventory.system(connection)), system)
        if self._is_ahead(connection, archive):
            aside = archive.folder.with_name(f"{system}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
            archive.folder.rename(aside)
            receiver.release(connection, self.slot)
            self._tell(f"The server was put back to an older state. Its archive until then is now {aside}.")
        for folder in (archive.folder, archive.wal, self.own):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return archive

    def _is_ahead(self, connection: receiver.Connection, archive: Archive) -> bool:
        """Whether it holds what the server has not written yet.

        A piece of that sort which nobody known has signed is none of the server's. It is put aside and told: as the
        last one it would make a gap of all that comes, and have a base made each time.
        """
        ((position, current),) = connection.execute(
            "SELECT f::text, pg_walfile_name(f) FROM pg_current_wal_flush_lsn() AS f"
        ).fetchall()
        for name in archive.segments():
            if name < current:
                continue
            try:
                if segments.paper(archive, name).lsn > lsn(position):
                    return True
            except MoeenError as error:
                if name > current:
                    (archive.wal / name).replace(aside := archive.wal / f"{name}{REFUSED}")
                    self._tell(f"{error.cause} The server has not written such a piece: it is now {aside}.")
        return False

    # -- who is told -----------------------------------------------------------------------------------------

    def _answers(self) -> bool:
        try:
            self.login.connect(application=receiver.APPLICATION).close()
        except psycopg.Error:
            return False
        return True

    def _say(self, error: Exception) -> None:
        """It may be over in a moment: told to others only when it lasts."""
        first = str(error).splitlines()[0] if str(error) else ""
        self._tell(str(error) if isinstance(error, MoeenError) else f"{type(error).__name__}: {first}", at_once=False)

    def _tell(self, words: str, *, at_once: bool = True) -> None:
        now, trouble = time.monotonic(), self._trouble
        trouble.since = trouble.since or now
        if words != trouble.words:
            self._log("trouble", level=40, cause=words.splitlines()[0])
            with suppress(OSError):
                self.own.mkdir(mode=0o700, parents=True, exist_ok=True)
                fresh = self.own / f"{TROUBLE}.new"
                fresh.write_text(words, encoding="utf-8")
                fresh.replace(self.own / TROUBLE)
        trouble.words = words
        due = at_once or now - trouble.since > PROMISED_SECONDS
        if due and now > trouble.told_again_at and self.rules.on_trouble:
            trouble.told_again_at = now + _TOLD_AGAIN_SECONDS
            alarm.tell(self.rules.on_trouble, alarm.Event("archive", self.login.database, FAILED, "archive", words))

    def _well(self) -> None:
        # What an archivist before this one had is over as well.
        if not self._trouble.of_base and (self._trouble.words or (self.own / TROUBLE).exists()):
            self._log("well")
            self._trouble = _Trouble()
            (self.own / TROUBLE).unlink(missing_ok=True)

    def _log(self, what: str, *, level: int = 20, **more: Any) -> None:
        logger("archive").log(level, what, extra=more)


def _is_recent(moment: datetime, span: timedelta) -> bool:
    """Whether it is no longer ago than that. One in the future was told by a clock that was wrong."""
    now = datetime.now(UTC)
    return now - moment < span and not is_ahead(moment, now=now)


#: The file of `own` that says what is wrong.
TROUBLE = "trouble"


@dataclass
class _Trouble:
    """What is wrong, since when, and from when on it may be told again. `of_base`: a base failed; WAL goes on."""

    words: str = ""
    since: float = 0.0
    told_again_at: float = 0.0
    of_base: bool = False


class _Making(threading.Thread):
    """A base in the making, while what is received goes on into the archive."""

    def __init__(
        self, keeper: Archivist, archive: Archive, programs: tools.Tools, parent: Base | None, *, at_once: bool
    ) -> None:
        super().__init__(name="base", daemon=True)
        self.parent = parent
        self.error: Exception | None = None
        self._keeper, self._archive, self._programs, self._at_once = keeper, archive, programs, at_once
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        keeper = self._keeper
        try:
            done = bases.take(
                keeper.login, self._archive, self._programs, signer=keeper.signer, recipients=keeper.recipients,
                lists=keeper.own / "lists", parent=self.parent, at_once=self._at_once, started=self._has_begun,
            )  # fmt: skip
            keeper._log("base", id=done.id, bytes=done.bytes, seconds=done.seconds, parent=done.parent)
        except Exception as error:
            self.error = error
        keeper._wake.set()

    def _has_begun(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def end(self) -> None:
        """Give it up, if it is not done."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
        self.join()

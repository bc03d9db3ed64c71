"""A server as it was at a moment, and the one database of it that is carried into its target.

Recovery works on a whole server: a base and the WAL behind it, replayed in a scratch server of its own. What is wanted
of it is then backed up there and restored as any backup is, checked and compared.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings

from moeen.db.archiving import bases, reach, segments
from moeen.db.archiving.papers import Archive, Base, Segment, lsn, segment_name
from moeen.db.archiving.reach import Span
from moeen.db.backups import dump, encryption, keys, program_errors, progress, restore, scratch, store
from moeen.db.backups.login import Login
from moeen.db.backups.restore import Restored, Target
from moeen.db.codes import Code
from moeen.db.errors import FINDINGS, USAGE, MoeenError
from moeen.db.logs import logger
from moeen.db.server.cluster import Server
from moeen.db.server.programs import bin_dir
from moeen.db.server.users import become

#: What a scratch server that replays WAL needs besides the settings of every one. None of the archived ones is taken.
SETTINGS = (
    ("lc_messages", "C"),
    ("hot_standby", "off"),
    ("max_prepared_transactions", "1000"),
    ("recovery_target_action", "promote"),
    ("recovery_target_timeline", "current"),
)
#: What a server says that has replayed everything and met no commit after the moment: then that is the moment.
_ENDED_BEFORE = "recovery ended before configured recovery target was reached"
#: Replaying takes its time, and ends by itself.
_START_SECONDS = 24 * 3600.0


@dataclass(frozen=True)
class Moment:
    """A moment that an archive reaches: `at` is None for the latest, `until` is how far that goes."""

    archive: Archive
    at: datetime | None
    span: Span
    base: Base

    @property
    def until(self) -> datetime:
        return self.at or self.span.until

    def pretty(self) -> str:
        return reach.shown(self.until)


def parse(words: str) -> datetime | None:
    """`latest` (None) or a moment as `2026-11-24 09:30`, in the project's time zone unless it names an offset."""
    if words == "latest":
        return None
    try:
        found = datetime.fromisoformat(words)
        found = found if found.tzinfo else found.replace(tzinfo=ZoneInfo(settings.TIME_ZONE))
        return found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise MoeenError(
            f"{words!r} is no moment.",
            next_step=f'The form is "2026-11-24 09:30" or 09:30:15, in {settings.TIME_ZONE}; +03:00 behind it says '
            "another zone. Or: latest.",
            exit_code=USAGE,
        ) from None


def moment(archive: Archive, at: datetime | None) -> Moment:
    """Raises MoeenError (3), which says what can be had, where the archive does not reach that moment.

    The latest is the end of the archive. Where a gap lies before that, an older moment must be asked for by its time.
    """
    spans = reach.spans(archive)
    fitting = [span for span in spans if (span.since <= at <= span.until if at else not span.gap)]
    if not fitting:
        there = ", ".join(span.pretty() for span in spans) or "nothing"
        what = reach.shown(at) if at else "its own end" if spans else "any moment"
        gaps = "".join(f" Behind {reach.shown(span.until)} there is a gap: {span.gap}" for span in spans if span.gap)
        gaps += "".join(f" {cause}" for cause in archive.refused())
        raise MoeenError(
            f"The archive of server {archive.system} does not reach {what}. It reaches: {there}.{gaps} Nothing was "
            "changed.",
            next_step="Name a moment within, or restore a backup (manage.py list_backups).",
            exit_code=FINDINGS,
            code=Code.NO_MOMENT,
        )
    span = fitting[-1]
    return Moment(archive, at, span, [base for base in span.bases if base.at <= (at or span.until)][-1])


def put_back(
    wanted: Moment,
    database: str,
    target: Target,
    *,
    kept_in: store.Store,
    identity: Path | None = None,
    tell: progress.Tell = progress.silent,
    say: Callable[[str], None] = lambda line: None,
    **options: Any,
) -> Restored:
    """Restore that database, as it was at the moment, to the target, and verify it there.

    `kept_in`: where the backup goes of what stands in the target. `options` are those of restore.put_back, which does
    it: what it raises and leaves behind is the same.
    """
    restore.refuse_standing(target, replace_existing=options["replace_existing"], salvaging=options["salvaging"])
    with recovered(wanted, identity=identity, tell=tell, say=say) as (root, superuser):
        inside = _known(superuser, database, user=target.login.user)
        place = store.Store("the archive", None, root / "backup")
        # Nobody else could have made it: signed for this one restore.
        signer = keys.Signer.made()
        say(f"Carrying {database} over ...")
        taken = dump.take_from(inside, store=place, signer=signer, label="a moment", tell=tell)
        done = restore.put_back(
            place, taken.id, target, trusted=[signer.public], kept_in=kept_in, tell=tell, say=say, **options
        )
    logger("archive").info("restored", extra={"moment": wanted.pretty(), "base": wanted.base.id, "database": database})
    return replace(done, id=f"{database} of {wanted.pretty()}")


@contextmanager
def recovered(
    wanted: Moment,
    *,
    identity: Path | None = None,
    tell: progress.Tell = progress.silent,
    say: Callable[[str], None] = lambda line: None,
) -> Iterator[tuple[Path, Login]]:
    """A scratch server as it was at the moment: its place, and the way in of its superuser. Both are gone afterwards.

    Whatever is used of the archive is held against its signature before anything is run. Raises MoeenError (3).
    """
    programs = bin_dir(wanted.base.major)
    if programs is None:
        raise MoeenError(
            f"The archive is of PostgreSQL {wanted.base.major}, and none of that version is here to replay it.",
            next_step=f"Install it (Debian and Ubuntu: apt-get install postgresql-{wanted.base.major}).",
            code=Code.PROGRAMS_MISSING,
        )
    opening = encryption.identities(identity)
    with scratch.place("moment") as root:
        user = scratch.os_user()
        made = scratch.server_in(root, programs, superuser=wanted.base.superuser, start_seconds=_START_SECONDS)
        wal = _folder(root / "wal", user)
        pieces = _needed(wanted)
        for number, piece in enumerate(pieces, 1):
            scratch.refuse_full()
            data = segments.read(wanted.archive, piece.name, opening)
            # The last one may have been put away while pg_receivewal was about to fill it up with zeros.
            _give(wal / piece.name, data.ljust(wanted.base.segment_bytes, b"\0"), user)
            tell("pieces", number, len(pieces))
        _lay(wanted, made, root, opening, user)
        _give(made.data_dir / "pg_hba.conf", b"local all all trust\n", user)
        for name in ("postgresql.conf", "postgresql.auto.conf", "pg_ident.conf", "recovery.signal"):
            _give(made.data_dir / name, b"", user)
        say(f"Replaying from base {wanted.base.id} to {wanted.pretty()} ...")
        yield root, _replayed(wanted, made, wal, last=pieces[-1])


def _needed(wanted: Moment) -> list[Segment]:
    """The pieces of WAL from the beginning of the base to the first that is sure to go beyond the moment."""
    found = []
    for piece in reach.wal_of(wanted.base, reach.pieces(wanted.archive)):
        found.append(piece)
        beyond = wanted.at is not None and datetime.fromisoformat(piece.until) > wanted.at
        if beyond and piece.lsn >= wanted.base.end:
            break
    return found


def _lay(wanted: Moment, made: Server, root: Path, opening: Sequence[Any], user: Any) -> None:
    """The files of the base in the server's folder: unpacked, put together with what it adds to, verified."""
    known = {base.id: base for base in wanted.archive.all_bases()}
    chain = [known[name] for name in reversed(reach.parents(wanted.base, known))] + [wanted.base]
    folders = [
        _folder(root / f"base-{number}" if len(chain) > 1 else made.data_dir, user) for number in range(len(chain))
    ]
    for base, folder in zip(chain, folders, strict=True):
        scratch.refuse_full()
        bases.unpack(wanted.archive, base, folder, opening, become=become(user))
    if len(chain) > 1:
        _folder(made.data_dir, user)
        _combine(made, folders, user)
    bases.verify(made.data_dir)


def _replayed(wanted: Moment, made: Server, wal: Path, *, last: Segment) -> Login:
    fetch = f'cp "{wal}/%f" "%p"'
    words = (*made.settings, *SETTINGS, ("restore_command", fetch))
    target = (("recovery_target_time", wanted.at.isoformat()),) if wanted.at else ()
    made = replace(made, settings=(*words, *target))
    try:
        address = made.ensure_running()
    except MoeenError:
        if not target or _ENDED_BEFORE not in made.log.read_text(encoding="utf-8", errors="replace"):
            raise
        # Nothing was committed between the moment and the end of the archive, which lies behind it.
        made, target = replace(made, settings=words), ()
        address = made.ensure_running()
    if not target:
        _refuse_short(made, last, size=wanted.base.segment_bytes)
    with made.connect_as_superuser(address) as connection:
        return Login.of(connection)


def _refuse_short(made: Server, last: Segment, *, size: int) -> None:
    """Raise where the WAL ended before the archive does: its pieces are not of one server's one life.

    A record that begins before the end, and was not received whole, may be missing.
    """
    (*_, history) = sorted((made.data_dir / "pg_wal").glob("*.history"))
    (*_, line) = history.read_text(encoding="utf-8").strip().splitlines()
    # Timeline, where it was left, why (xlogrecovery.c: "a new timeline was made at this position").
    ended = lsn(line.split("\t")[1])
    if ended + size < last.lsn:
        name = segment_name(ended, timeline=int(last.name[:8], 16), size=size)
        raise MoeenError(
            f"The archive's WAL can be replayed to {ended:X} in wal/{name}, and goes on to {last.lsn:X}: a piece of it "
            "does not follow the one before. Nothing was changed.",
            next_step="Name a moment before that (--at), or restore a backup (manage.py list_backups).",
            exit_code=FINDINGS,
            code=Code.NO_MOMENT,
        )


def _known(superuser: Login, database: str, *, user: str) -> Login:
    """The way into that database: as the role that restores, where it stood then, so that the same is carried over."""
    with superuser.connect(application="moeen restore_database") as connection:
        databases = [name for (name,) in connection.execute("SELECT datname FROM pg_database WHERE datallowconn")]
        role = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s AND rolcanlogin", [user]).fetchone()
    if database not in databases:
        raise MoeenError(
            f"There was no database {database} at that moment. Nothing was changed.",
            next_step=f"These were there: {', '.join(sorted(databases))}. Name one: --of NAME.",
            exit_code=FINDINGS,
            code=Code.NO_MOMENT,
        )
    return superuser.to(database, user=user if role else "")


def _folder(path: Path, user: Any) -> Path:
    path.mkdir(mode=0o700)
    if user is not None:
        os.chown(path, user.pw_uid, user.pw_gid)
    return path


def _give(path: Path, data: bytes, user: Any) -> None:
    path.write_bytes(data)
    path.chmod(0o600)
    if user is not None:
        os.chown(path, user.pw_uid, user.pw_gid)


def _combine(made: Server, folders: list[Path], user: Any) -> None:
    words = [*map(str, folders), "--no-sync", "--manifest-checksums=SHA256", f"--output={made.data_dir}"]
    with tempfile.TemporaryFile() as said:
        done = subprocess.run(
            [str(made.bin_dir / "pg_combinebackup"), *words], stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            cwd="/", env={"PATH": os.defpath, "LC_ALL": "C"}, check=False, **become(user),
        )  # fmt: skip
        said.seek(0)
        if done.returncode:
            raise program_errors.failure("pg_combinebackup", said.read().decode("utf-8", "replace"), done.returncode)

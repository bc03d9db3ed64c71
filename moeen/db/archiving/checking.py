"""An archive is checked: every paper's signature, every file's digest, and that a server starts from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from moeen.db.archiving import bases, reach, recovery, segments
from moeen.db.archiving.papers import Archive
from moeen.db.backups import progress
from moeen.db.errors import MoeenError


def check(archive: Archive, *, tell: progress.Tell = progress.silent) -> list[str]:
    """What is not as it was signed, a line each; nothing is decrypted or run."""
    found = []
    names = archive.bases.ids()
    for name in names:
        found += _lines(lambda name=name: bases.check(archive, archive.base(name)))  # type: ignore[misc]
    pieces = archive.segments()
    for number, name in enumerate(pieces, 1):
        found += _lines(lambda name=name: segments.checked(archive, name))  # type: ignore[misc]
        tell("pieces", number, len(pieces))
    if not found:
        spans = reach.spans(archive)
        if not spans:
            found.append("no moment can be had from it: there is no base whose WAL is whole")
    return found


def rehearse(
    archive: Archive, *, identity: Path | None = None, tell: progress.Tell = progress.silent
) -> recovery.Moment:
    """Bring the latest moment up in a scratch server, which is gone afterwards. Raises what recovery raises."""
    wanted = recovery.moment(archive, None)
    with (
        recovery.recovered(wanted, identity=identity, tell=tell) as (_, superuser),
        superuser.connect(application="moeen archive check") as connection,
    ):
        connection.execute("SELECT count(*) FROM pg_class")
    return wanted


def _lines(look: Callable[[], object]) -> list[str]:
    try:
        look()
    except MoeenError as error:
        return [error.cause]
    except OSError as error:
        return [f"{error.filename}: {error.strerror}"]
    return []

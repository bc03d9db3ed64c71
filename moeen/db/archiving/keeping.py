"""Whether an archivist runs here, and how one is started and ended: one for each installation, by a lock it holds."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

from moeen.db.codes import Code
from moeen.db.errors import FINDINGS, MoeenError
from moeen.db.explain import named_by
from moeen.db.server import project
from moeen.db.server.cluster import LOG_BYTES
from moeen.db.server.processes import is_alive
from moeen.db.server.users import become

if TYPE_CHECKING:
    from moeen.db.archiving.archivist import Archivist
    from moeen.db.backups.login import Login

#: An embedded server that is away for so long was stopped; an archivist of it ends then.
PATIENCE_SECONDS = 5.0
_START_SECONDS = 20.0
_STOP_SECONDS = 60.0


def own_folder() -> Path:
    """ARCHIVE_STATE: what an archivist keeps for itself on this machine."""
    found: Path = settings.ARCHIVE_STATE
    return found


def is_embedded() -> bool:
    return bool(connections.settings[DEFAULT_DB_ALIAS].get("EMBEDDED"))


def pid() -> int | None:
    """Of the archivist that runs here; None where none does."""
    try:
        handle = os.open(own_folder() / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        said = os.read(handle, 20).decode("ascii", "replace").strip()
        return int(said) if said.isdigit() else 0
    finally:
        os.close(handle)
    return None


def age() -> float:
    """For how many seconds the one has run that runs here; 0 where none does."""
    try:
        return time.time() - (own_folder() / "lock").stat().st_mtime if pid() is not None else 0.0
    except OSError:
        return 0.0


def ensure() -> None:
    """Start one for the embedded server, if that runs and archiving is on. Waits for nothing."""
    if settings.ARCHIVE and is_embedded() and pid() is None and project.configured_status().running:
        start(wait=False)


def start(*, wait: bool = True) -> int:
    """Start one that outlives this process, and return its process id. Raises MoeenError where it does not stay."""
    found = pid()
    if found is not None:
        return found
    base = Path(settings.BASE_DIR)
    owner = pwd.getpwuid(base.stat().st_uid) if os.geteuid() == 0 and base.stat().st_uid else None
    folder = own_folder()
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if owner is not None:
        # Made by root in somebody's checkout: theirs, as their server is.
        for each in made:
            os.chown(each, owner.pw_uid, owner.pw_gid)
    log = folder / "log"
    with open(log, "ab") as said:
        if owner is not None:
            os.fchown(said.fileno(), owner.pw_uid, owner.pw_gid)
        if said.tell() > LOG_BYTES:
            said.truncate(0)
        process = subprocess.Popen(
            [sys.executable, str(base / "manage.py"), "archive", "run"], stdin=subprocess.DEVNULL, stdout=said,
            stderr=said, cwd=base, start_new_session=True, **become(owner),
        )  # fmt: skip
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if pid() or not wait:
            # Nobody waits for this child, which is meant to outlive us.
            process.returncode = 0
            return process.pid
        time.sleep(0.05)
    raise MoeenError("The archivist did not start.", next_step=f"What it said is in {log}.", code=Code.ARCHIVE)


def stop() -> bool:
    """End the one that runs here, once it has put away what it received; False where none does."""
    found = pid()
    if not found:
        return False
    os.kill(found, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while is_alive(found):
        if time.monotonic() > deadline:
            raise MoeenError(
                f"The archivist (process {found}) does not end.",
                next_step="Look what it waits for; kill it.",
                code=Code.ARCHIVE,
            )
        time.sleep(0.05)
    return True


def run() -> None:
    """Be the archivist, until SIGTERM, Ctrl-C or, for the embedded server, until that was stopped."""
    with _alone():
        # Whoever writes to the database comes first.
        os.nice(5)
        made = archivist()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: made.stop())
        made.run()


def archivist() -> Archivist:
    """The one that the settings describe."""
    # Only here: commands that merely look whether one runs load none of it.
    from moeen.db.archiving.archivist import Archivist, Rules
    from moeen.db.backups import default_recipients, keys

    return Archivist(
        login=login(),
        folder=settings.ARCHIVE_DIR,
        own=own_folder(),
        signer=keys.signer(may_make=is_embedded()),
        recipients=default_recipients(),
        rules=Rules(settings.ARCHIVE_DAYS, settings.ARCHIVE_GB * 1_000_000_000, settings.ON_FAILURE),
        patience=PATIENCE_SECONDS if is_embedded() else None,
    )


def login() -> Login:
    """Who archives: the embedded server's superuser, ARCHIVE_DATABASE_URL, or the project's own role."""
    from moeen.db.backups.login import Login

    if is_embedded():
        address = project.configured_server().ensure_running()
        with project.configured_server().connect_as_superuser(address) as connection:
            return Login.of(connection)
    if settings.ARCHIVE_DATABASE_URL:
        with named_by("ARCHIVE_DATABASE_URL"):
            return Login.of_url(settings.ARCHIVE_DATABASE_URL).settled()
    return Login.of_wrapper(connections[DEFAULT_DB_ALIAS])


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    own_folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(own_folder() / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    except BlockingIOError:
        raise MoeenError(
            "An archivist runs here already.",
            next_step="manage.py archive status",
            exit_code=FINDINGS,
            code=Code.ANOTHER_RUN,
        ) from None
    finally:
        os.close(handle)

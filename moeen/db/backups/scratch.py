"""A throwaway server: made for one verification or one rehearsal, gone afterwards, also when we are killed.

What is restored into it may have been written by an enemy. So its files and its socket lie in a folder of its own that
nothing else uses, root runs it as a user of the operating system that runs nothing else, its superuser has a name that
no dump can know, and what a restore runs it runs as a role that may do nothing but fill one database.

It may hold people's data in the clear. A small shell that waits for the end of our pipe stops it and removes it when
this process ends in whatever way; a machine that lost power is cleaned when the next one is made.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from psycopg import sql

from moeen.db.backups import database_settings, program_errors, restorer
from moeen.db.backups.inventory import Role, Settings
from moeen.db.backups.login import Login
from moeen.db.codes import Code
from moeen.db.server import places, sockets, users
from moeen.db.server.cluster import Server
from moeen.db.server.programs import bin_dir

_PREFIX = "moeen-{purpose}-"
#: Who runs it for root: a user of the operating system who owns nothing else.
OS_USER = "moeen-scratch"
#: Fast and forgetful: nothing in it needs to outlive a crash.
SETTINGS = (
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("wal_level", "minimal"),
    ("max_wal_senders", "0"),
    ("max_wal_size", "4GB"),
    ("autovacuum", "off"),
    ("shared_buffers", "256MB"),
    ("maintenance_work_mem", "256MB"),
    ("max_connections", "30"),
)
# SIGQUIT is PostgreSQL's immediate shutdown; the pid stands in the first line of the server's own file. An initdb or a
# server that is just starting has no such line yet, and goes on making files for a while.
_GUARD = """
read -r x
for round in $(seq 60); do
    kill -QUIT "$(head -n 1 "$1/data/postmaster.pid")" && sleep 1
    rm -rf "$1" "$2" && sleep 1
    test -e "$1" || exit 0
done
"""


@contextmanager
def server(programs: Path, *, purpose: str = "verify") -> Iterator[Login]:
    """A running empty server of these programs; its superuser's way in, database `postgres`."""
    with place(purpose) as root:
        made = server_in(root, programs, superuser=f"scratch_{secrets.token_hex(8)}")
        address = made.ensure_running()
        with made.connect_as_superuser(address) as connection:
            login = Login.of(connection)
        yield login


@contextmanager
def place(purpose: str) -> Iterator[Path]:
    """A folder for one server (`server_in`) and what belongs to it; both are gone afterwards.

    `purpose` is one word of the folder's name; what an ended process left behind for the same is removed first.
    """
    parent, prefix = Path(tempfile.gettempdir()), _PREFIX.format(purpose=purpose)
    _sweep(parent, prefix)
    root = parent / f"{prefix}{secrets.token_hex(8)}"
    socket = sockets.socket_folder(root / "data", user=os_user())
    # The other end of the guard's pipe stays open here, in no child, and is closed by the kernel when we end.
    inside, outside = os.pipe()
    guard = subprocess.Popen(
        ["/bin/sh", "-c", _GUARD, "sh", str(root), str(socket)],
        stdin=inside,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        # A Ctrl-C is not for it.
        start_new_session=True,
    )
    os.close(inside)
    root.mkdir(mode=0o700)
    # The user who runs the server for root passes through; the data folder itself is closed by initdb.
    root.chmod(0o711)
    handle = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield root
    finally:
        _end(root)
        shutil.rmtree(socket, ignore_errors=True)
        guard.kill()
        guard.wait()
        os.close(outside)
        os.close(handle)


def server_in(
    root: Path, programs: Path, *, superuser: str, settings: Sequence[tuple[str, str]] = (), start_seconds: float = 120
) -> Server:
    """The server of a `place`, not started yet: of these programs, with these settings besides SETTINGS."""
    user = os_user()
    owner = user.pw_name if user else None
    usable = places.usable_programs(programs, data_dir=root / "data", owner=owner)
    return Server(
        data_dir=root / "data", bin_dir=usable, settings=(*SETTINGS, *settings), durable=False, owner=owner, role="",
        superuser=superuser, start_seconds=start_seconds,
    )  # fmt: skip


def refuse_full() -> None:
    """Raise program_errors.Stopped where the disk of such places is nearly full: a live server may be on it, too."""
    folder = Path(tempfile.gettempdir())
    if places.is_nearly_full(folder):
        raise program_errors.Stopped(
            f"The disk of {folder}, where a throwaway server is filled, is nearly full: that has ended, so that "
            "others on this disk can go on. It says nothing about the backup.",
            next_step="Make room on that disk, or let TMPDIR name a folder on another.",
            code=Code.DISK_FULL,
        )


def os_user() -> pwd.struct_passwd | None:
    """Who runs it for root; None where it is whoever calls."""
    return pwd.getpwnam(users.ensure_user(OS_USER)) if os.geteuid() == 0 else None


def without_power(superuser: Login, roles: Sequence[Role], *, database: str, settings: Settings) -> Login:
    """An empty database on a throwaway server, and a role that may fill it: no superuser, in no role of PostgreSQL's.

    The roles are there by name alone: none may log in, create anything, or pass row security. The settings' owner is
    one of them.
    """
    with superuser.connect(application="moeen verify_backup") as connection:
        for role in roles:
            connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role.name)))
        name = restorer.create(connection, [role.name for role in roles])
        database_settings.create(connection, database, settings, owner=settings.owner)
    return superuser.to(database, user=name)


def _end(root: Path) -> None:
    """Stop the server of that place, if there is one, and remove all."""
    data = root / "data"
    with suppress(Exception):
        programs = bin_dir(int((data / "PG_VERSION").read_text(encoding="ascii")))
        assert programs is not None
        made = Server(data_dir=data, bin_dir=places.usable_programs(programs, data_dir=data))
        address = made.status().address
        made.stop(mode="immediate")
        if address is not None:
            shutil.rmtree(address.host, ignore_errors=True)
    shutil.rmtree(root, ignore_errors=True)


def _sweep(parent: Path, prefix: str) -> None:
    """End the servers of processes that no longer run; the lock of one that does is held."""
    for left in parent.glob(f"{prefix}*"):
        try:
            if left.lstat().st_uid != os.geteuid():
                continue
            handle = os.open(left, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
        except OSError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _end(left)
        except BlockingIOError:
            pass
        finally:
            os.close(handle)

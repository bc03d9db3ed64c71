"""The unix socket: a folder of its own, short, and closed to everyone but the server's user."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import pwd
import socket
import stat
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moeen.db.codes import Code
from moeen.db.errors import MoeenError
from moeen.db.server.users import user_name

PORT = 5432
# sockaddr_un.sun_path holds 108 bytes on Linux and 104 elsewhere, with the closing zero.
SOCKET_PATH_BYTES = 103


@dataclass(frozen=True)
class SocketAddress:
    """Where a running server listens: `host` is the folder of the socket, `port` names the file in it."""

    host: str
    port: int = PORT

    @property
    def path(self) -> str:
        return f"{self.host}/.s.PGSQL.{self.port}"


def addressed(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """libpq's parameters, so that they lead to the socket which they name: PGHOSTADDR would lead elsewhere."""
    is_socket = str(parameters.get("host") or "").startswith(("/", "@"))
    return {**({"hostaddr": ""} if is_socket else {}), **parameters}


def socket_folder(data_dir: Path, *, user: pwd.struct_passwd | None = None) -> Path:
    """A folder for the socket, made if missing: short, and closed to everyone but the server's user.

    The data folder itself will not do: its path may be longer than a socket address can be.
    """
    uid = user.pw_uid if user is not None else os.geteuid()
    name = socket_name(data_dir, uid=uid)
    for parent in _socket_parents(own=user is None):
        folder = parent / name
        if len(os.fsencode(SocketAddress(str(folder)).path)) > SOCKET_PATH_BYTES:
            continue
        with contextlib.suppress(FileExistsError):
            try:
                folder.mkdir(mode=0o700)
            except (FileNotFoundError, PermissionError, OSError) as error:
                if error.errno == errno.EEXIST:
                    raise
                continue
            if user is not None:
                os.chown(folder, user.pw_uid, user.pw_gid)
        check_socket_folder(folder, uid=uid)
        return folder
    raise MoeenError(
        "No folder for the embedded server's socket could be made.",
        next_step="Let TMPDIR name a folder with a short path that can be written.",
        code=Code.EMBEDDED_FOLDER,
    )


def socket_name(data_dir: Path, *, uid: int) -> str:
    """The name of the socket's folder: one for each user and data folder."""
    return f"moeen-{uid}-{hashlib.sha256(os.fsencode(data_dir.absolute())).hexdigest()[:12]}"


def _socket_parents(*, own: bool) -> Iterator[Path]:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if own and runtime.startswith("/"):
        with contextlib.suppress(OSError):
            facts = os.stat(runtime)
            if facts.st_uid == os.geteuid() and not facts.st_mode & 0o077:
                yield Path(runtime)
    yield Path(tempfile.gettempdir())
    yield Path("/tmp")


def check_socket_folder(folder: Path, *, uid: int) -> None:
    """Refuse a folder that another user could have put there, or could put a socket into."""
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != uid or facts.st_mode & 0o077:
        raise MoeenError(
            f"{folder} is not a folder that belongs to {user_name(uid)} alone; the embedded server's socket "
            "does not go there.",
            next_step="Remove it if it is not needed, or let TMPDIR name another folder.",
            code=Code.EMBEDDED_FOLDER,
        )


def accepts(address: SocketAddress) -> bool:
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with probe:
        probe.settimeout(5)
        try:
            probe.connect(address.path)
        except OSError:
            return False
    return True

"""Who runs the server: PostgreSQL refuses to run as root, so root becomes another user of the operating system."""

from __future__ import annotations

import contextlib
import pwd
import subprocess
import sys
from pathlib import Path
from typing import Any

from moeen.db.codes import Code
from moeen.db.errors import MoeenError

FALLBACK_USER = "moeen"


def os_user(data_dir: Path, *, owner: str | None = None) -> pwd.struct_passwd:
    """Who runs the server when root asks for it: the owner of the data, else the given owner (the project's),
    else `postgres`, else a system user `moeen` that is created."""
    if data_dir.exists() and data_dir.stat().st_uid != 0:
        with contextlib.suppress(KeyError):
            return pwd.getpwuid(data_dir.stat().st_uid)
    for name in filter(None, (owner, "postgres", FALLBACK_USER)):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    return _create_user(FALLBACK_USER)


def ensure_user(name: str) -> str:
    """The name, of a system user that stands by now; `nobody` where none can be made."""
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(name).pw_name
    with contextlib.suppress(MoeenError):
        return _create_user(name).pw_name
    return pwd.getpwnam("nobody").pw_name


def _create_user(name: str) -> pwd.struct_passwd:
    print(f"PostgreSQL does not run as root: creating the system user {name!r} for it.", file=sys.stderr)
    attempts = (
        ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", name],
        ["adduser", "-S", "-D", "-H", "-s", "/sbin/nologin", name],  # busybox
    )
    for command in attempts:
        with contextlib.suppress(FileNotFoundError):
            subprocess.run(command, capture_output=True, check=False)
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise MoeenError(
        "PostgreSQL does not run as root, and no other user could be created for it.",
        next_step=f"Create it (useradd --system {name}), or run the command as an ordinary user.",
        code=Code.EMBEDDED_START,
    )


def become(user: pwd.struct_passwd | None) -> dict[str, Any]:
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user is not None else {}


def may(user: pwd.struct_passwd, *, test: str, path: Path) -> bool:
    """Whether that user may do this with the path; asked of the kernel, which also knows access control
    lists."""
    command = ["/bin/sh", "-c", f'test {test} "$1"', "sh", str(path)]
    return subprocess.run(command, cwd="/", capture_output=True, check=False, **become(user)).returncode == 0


def user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user number {uid}"

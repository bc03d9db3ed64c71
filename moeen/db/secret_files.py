"""Secrets, each in a file that nobody but its owner reads, or in the environment."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from moeen.db.errors import ConfigurationError, of_file

#: Read, written or run by the group or by everybody.
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
#: Characters; no secret is longer.
_LONGEST = 100_000


def led_to(words: str, *, folder: Path) -> str:
    """The secret that `env:VARIABLE` names, or `file:PATH`, which is relative to the folder.

    Raises ConfigurationError where there is none, and for a file that is open to others. It names the place and never
    what stands there.
    """
    kind, _, name = words.partition(":")
    if kind == "env" and name:
        if found := os.environ.get(name, "").strip():
            return found
        raise ConfigurationError(f"{words} names nothing.", next_step=f"Set the variable {name}, or correct the name.")
    if kind == "file" and name:
        return _private(folder / Path(name).expanduser())
    raise ConfigurationError(
        "A secret is named, never written out.",
        next_step="env:VARIABLE, or file:PATH of a file that only its owner may read.",
    )


def _private(path: Path) -> str:
    try:
        # A pipe would keep us waiting for whoever writes into it.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), encoding="utf-8") as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise OSError(errno.EINVAL, "no plain file")
            text = file.read(_LONGEST).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error
    if facts.st_mode & _OTHERS:
        raise ConfigurationError(
            f"The secret file {path} is open to others.",
            next_step=f"chmod 600 {path}, and change the password: it may have been read.",
        )
    if not text:
        raise ConfigurationError(f"The secret file {path} is empty.", next_step="Write the secret into it.")
    return text


def _unreadable(path: Path, error: OSError | UnicodeError) -> ConfigurationError:
    return ConfigurationError(
        f"The secret file {path} cannot be read: {of_file(error)}.", next_step="Name a file that this user may read."
    )


def read(path: Path) -> str:
    """What stands in the file, "" where there is none. Raises ConfigurationError where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error


def read_if_may(path: Path) -> str:
    """The same; "" also where it cannot be read: another user's, who started this checkout."""
    try:
        return read(path)
    except ConfigurationError:
        return ""


def write(path: Path, text: str, *, first_stays: bool = False) -> None:
    """Put the text into the file in one step; `first_stays`: FileExistsError where another process was faster.

    The folder is made if it is missing. Raises OSError where it cannot be written to.
    """
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    place = path.parent
    made = not place.exists()
    place.mkdir(parents=True, exist_ok=True)
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
            file.write(text)
        if os.geteuid() == 0:
            # Made by root in somebody's checkout: theirs, so that they can go on without root.
            owner = place.parent.stat() if made else place.stat()
            for owned in (place, fresh) if made else (fresh,):
                os.chown(owned, owner.st_uid, owner.st_gid)
        if first_stays:
            os.link(fresh, path)
        else:
            fresh.replace(path)
    finally:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)

"""Secrets that a checkout makes for itself, each in a file that nobody but its owner reads."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def read(path: Path) -> str:
    """What stands in the file, "" where there is none that can be read."""
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
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

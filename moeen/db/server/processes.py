"""Whether a process that a file names still is what the file says."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path


def is_alive(pid: int) -> bool:
    """Whether that process runs. One that has ended but was not yet collected (a zombie) does not."""
    state = read_text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    if state:
        return state[0] not in "ZX"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return not Path("/proc/self/stat").exists()


def is_postmaster(pid: int, *, data_dir: Path) -> bool:
    """Whether that process is the server of this data folder, and not a program that got the PID later."""
    if not is_alive(pid):
        return False
    if Path("/proc/self/stat").exists():
        command = read_text(Path(f"/proc/{pid}/cmdline")).split("\0")
        with contextlib.suppress(OSError):
            # The server's working folder is its data folder.
            return os.path.samefile(f"/proc/{pid}/cwd", data_dir) and "postgres" in os.path.basename(command[0])
        return str(data_dir) in command
    said = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return "postgres" in said.stdout and str(data_dir) in said.stdout


def read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""

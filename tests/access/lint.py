"""Part of `make check`: `pgrls lint` over a freshly migrated throwaway database. Exceptions stand in pgrls.toml."""

import subprocess
import sys
from pathlib import Path

from tests import servers, templates


def main():
    server = servers.start()
    url = servers.target_of(server).url(templates.MIGRATED, user=server.role)
    command = [Path(sys.executable).with_name("pgrls"), "lint", "--database-url", url]
    return subprocess.run(command, cwd=servers.PROJECT, check=False).returncode


if __name__ == "__main__":
    try:
        code = main()
    finally:
        servers.stop_all()
    sys.exit(code)

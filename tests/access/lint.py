"""Part of `make check`: `pgrls lint` over a freshly migrated throwaway database. Exceptions stand in pgrls.toml."""

import os
import subprocess
import sys
from pathlib import Path

from tests import servers


def main():
    server = servers.start()
    target = servers.target_of(server)
    url = target.url(server.database, user=server.role)
    environment = os.environ | {"DATABASE_URL": url, "SUPABASE_PROJECT_REF": " "}
    for command in (
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        [str(Path(sys.executable).with_name("pgrls")), "lint", "--database-url", url],
    ):
        code = subprocess.run(command, cwd=servers.PROJECT, env=environment, check=False).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    try:
        code = main()
    finally:
        servers.stop_all()
    sys.exit(code)

"""`make release`: keep the version that pyproject.toml states, with the demo clinic as its rows."""

import re
import sys
from datetime import date

from tests import releases, servers
from tests.releases import HERE


def main() -> int:
    version = releases.stated()
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        print(f"pyproject.toml states {version}: set the version that is released, and date the top of CHANGELOG.md.",
              file=sys.stderr)  # fmt: skip
        return 3
    if (HERE / version).exists():
        print(f"{version} is kept already, and what is kept is never changed: the next one has another number.",
              file=sys.stderr)  # fmt: skip
        return 3
    server = servers.start()
    try:
        servers.set_up_project(server)
        from django.db import connection

        from sysadmin.management import demo_clinic

        demo_clinic.seed(connection, seed=1, today=date(2026, 11, 26), password="")
        made = releases.keep(HERE / version, servers.target_of(server).url(server.database, user=server.role))
    finally:
        servers.stop(server)
    size = sum(path.stat().st_size for path in made.folder.iterdir())
    print(f"{version} is kept in {made.folder}, {size / 1000:.0f} kB. Next: make check, commit it, git tag v{version}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Plain Django beside us: the same models through Django's own backend, operations and `migrate`, as a process.

`python -m tests.bench.plain makemigrations` writes the migrations to the folder BENCH_PLAIN names (a package on the
path); `python -m tests.bench.plain migrate` applies them. DATABASE_URL names the database.
"""

import os
import sys
from pathlib import Path

APPS = ("sysadmin", "healthcare", "chatbot", "crm")


def configure() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "moeen.settings"
    folder = Path(os.environ["BENCH_PLAIN"])
    sys.path.insert(0, str(folder))
    from django.conf import settings

    entry = settings.DATABASES["default"]
    entry["ENGINE"] = "django.db.backends.postgresql"
    entry.pop("PROJECT_REF", None)
    settings.MIGRATION_MODULES = {app: f"plain_{app}" for app in APPS}
    for app in APPS:
        (folder / f"plain_{app}").mkdir(parents=True, exist_ok=True)
        (folder / f"plain_{app}" / "__init__.py").touch()


def main() -> None:
    configure()
    import django
    from django.core.management.commands import makemigrations, migrate

    django.setup()
    command = {"makemigrations": makemigrations, "migrate": migrate}[sys.argv[1]].Command()
    command.run_from_argv(["plain", *sys.argv[1:]])


if __name__ == "__main__":
    main()

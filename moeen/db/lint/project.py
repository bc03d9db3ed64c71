"""The project's own apps, by the folder they live in, and their migrations."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

from django.apps import AppConfig, apps
from django.conf import settings
from django.db.migrations import Migration


def project_migrations() -> list[Migration]:
    """The migrations of the project's own apps, in order of their names; their modules are imported, no more."""
    found = []
    for config in project_apps():
        try:
            package = importlib.import_module(f"{config.name}.migrations")
        except ModuleNotFoundError:
            continue
        for module in sorted(info.name for info in pkgutil.iter_modules(package.__path__)):
            migration = getattr(importlib.import_module(f"{package.__name__}.{module}"), "Migration", None)
            if migration is not None:
                found.append(migration(module, config.label))
    return found


def project_apps() -> list[AppConfig]:
    """The apps that live in the project's folder and not in an environment inside it."""
    base = Path(settings.BASE_DIR).resolve()
    places = {config: Path(config.path).resolve() for config in apps.get_app_configs()}
    return [
        config
        for config, path in places.items()
        if path.is_relative_to(base) and "site-packages" not in path.relative_to(base).parts
    ]

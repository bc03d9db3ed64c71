"""The project's own cluster, by its folder and its settings."""

from __future__ import annotations

import functools
import os
from pathlib import Path

from django.conf import settings

from moeen.db.errors import DATABASE_URL_FORM, ConfigurationError
from moeen.db.server.cluster import Server, Status
from moeen.db.server.places import default_data_dir, first_existing, shared_data_dir, usable_programs
from moeen.db.server.programs import MAJOR, bin_dir
from moeen.db.server.users import may, os_user, user_name


def project_server(project: Path, *, data_dir: Path | None = None) -> Server:
    """The cluster of the project in that folder; `data_dir` overrides `<project>/.moeen/postgres-18`.

    As root, where the user that runs the server cannot enter the project's folder, the data lie in
    /var/lib/moeen/<hash of the path>, and a copy of the programs in /var/lib/moeen/runtime-<version>. That
    copy, and a user for the server where there is none, are made by this function.
    """
    folder = data_dir or default_data_dir(project)
    programs = bin_dir(MAJOR)
    if programs is None:
        raise ConfigurationError(
            f"No programs of PostgreSQL {MAJOR} were found for the embedded server.",
            next_step=f"Install the requirements (`make migrate`), or set DATABASE_URL: {DATABASE_URL_FORM}",
        )
    if os.geteuid() != 0:
        return Server(data_dir=folder, bin_dir=programs)
    owner = user_name(project.stat().st_uid) if project.exists() and project.stat().st_uid else None
    user = os_user(folder, owner=owner)
    if not may(user, test="-x", path=first_existing(folder)):
        if data_dir is not None:
            raise ConfigurationError(
                f"User {user.pw_name}, who runs the embedded server, cannot enter {folder}.",
                next_step="Let EMBEDDED_DATA_DIR name a folder that this user can enter.",
            )
        folder = shared_data_dir(project)
        user = os_user(folder, owner=owner)
    programs = usable_programs(programs, data_dir=folder, owner=owner)
    return Server(data_dir=folder, bin_dir=programs, owner=user.pw_name)


@functools.lru_cache(maxsize=1)
def configured_server() -> Server:
    """The project's cluster by the settings BASE_DIR and EMBEDDED_DATA_DIR; see `project_server()`."""
    return project_server(Path(settings.BASE_DIR), data_dir=settings.EMBEDDED_DATA_DIR)


def configured_status() -> Status:
    """What stands and runs of the project's cluster, without so much as looking for the programs."""
    project = Path(settings.BASE_DIR)
    folder = settings.EMBEDDED_DATA_DIR or default_data_dir(project)
    if os.geteuid() == 0 and not settings.EMBEDDED_DATA_DIR and not folder.exists():
        shared = shared_data_dir(project)
        folder = shared if shared.exists() else folder
    return Server(data_dir=folder, bin_dir=Path()).status()

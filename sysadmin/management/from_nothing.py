"""A database that today's migrations make from nothing, on a throwaway server that nobody else knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.core.management import call_command
from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db.backups import scratch
from moeen.db.codes import Code
from moeen.db.errors import FAILED, MoeenError
from moeen.db.migrate.refusals import SchemaDiffers
from moeen.db.server.programs import MAJOR, bin_dir

_ALIAS = "from_nothing"


@contextmanager
def migrated() -> Iterator[BaseDatabaseWrapper]:
    """A connection to it. Raises MoeenError when there is no PostgreSQL to start, or the migrations fail."""
    programs = bin_dir()
    if programs is None:
        raise MoeenError(
            f"There are no programs of PostgreSQL {MAJOR} to start a server with.",
            next_step="make migrate installs them.",
            exit_code=FAILED,
            code=Code.PROGRAMS_MISSING,
        )
    with scratch.server(programs) as login, login.in_django(_ALIAS) as connection:
        with suppress(SchemaDiffers):  # from the catalog that was expected until now
            call_command("migrate", database=_ALIAS, verbosity=0, interactive=False, no_backup="made for a look at it")
        yield connection

"""Whether a pooler in transaction mode stands between us and the server: known by fact, not by its port.

Through one, what is set for a session stays behind for whoever comes next, and an advisory lock is nobody's.
"""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db.backups.login import Login
from moeen.db.errors import FINDINGS, MoeenError


class Pooled(MoeenError):
    """The connection shares its server process with others."""

    def __init__(self) -> None:
        super().__init__(
            "The connection goes through a pooler in transaction mode: two connections shared one server process. "
            "Nothing was changed.",
            next_step="Name the server itself in DATABASE_URL, or the pooler's session mode (Supabase: port 5432).",
            exit_code=FINDINGS,
        )


def refuse(connection: BaseDatabaseWrapper) -> None:
    """Raises Pooled. A direct connection is told by its process: the server named it when it was made."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
        if pid == cursor.connection.info.backend_pid:
            return
    # A pooler of sessions keeps the first one's process for it, and gives another to the second.
    with Login.of_wrapper(connection).connect(application="moeen pooler", autocommit=False) as second:
        row = second.execute("SELECT pg_backend_pid()").fetchone()
        if row == (pid,):
            raise Pooled

"""How long clients wait for locks that we hold, seen from beside: sampled while a clinic's turn lasts."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Any, Self

import psycopg

from moeen.db.backups import inventory
from moeen.db.backups.login import Login

#: Seconds between two looks. A wait that is over by the next look is shorter than that much more than was seen.
EVERY = 0.1
# `waitstart` is NULL for the moment in which a wait begins. Whoever waits behind a request of ours, that itself waits,
# waits for us as well: pg_blocking_pids tells of both. What works here as the owner, under our names, is no client.
_LONGEST = """
    WITH ours AS (
        SELECT pid FROM pg_catalog.pg_stat_activity WHERE usename = session_user AND application_name LIKE 'moeen%'
    )
    SELECT coalesce(max(extract(epoch FROM clock_timestamp() - l.waitstart)), 0)::float
    FROM pg_catalog.pg_locks AS l JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
    WHERE NOT l.granted AND a.datname = current_database() AND l.pid NOT IN (SELECT pid FROM ours)
      AND EXISTS (SELECT FROM unnest(pg_catalog.pg_blocking_pids(l.pid)) AS b (pid) JOIN ours USING (pid))
"""


class Stalls:
    """`with Stalls(login) as stalls: ...`, then `stalls.longest`: seconds, None where it could not be watched all
    the time; `stalls.place`: which database it is. Raises what connecting raises."""

    def __init__(self, login: Login) -> None:
        self._login, self.place = login, ""
        self._over = threading.Event()
        self._longest: float | None = 0.0
        self._thread = threading.Thread(target=self._look_on, name="stalls", daemon=True)

    def __enter__(self) -> Self:
        self._connection = self._connect()
        self.place = inventory.place(self._connection)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def longest(self) -> float | None:
        return None if self._longest is None else round(self._longest, 3)

    def _connect(self) -> psycopg.Connection[Any]:
        return self._login.connect(application="moeen fleet", alone_for="watching how long clients wait")

    def _look_on(self) -> None:
        """A connection that breaks is made anew, once a look."""
        try:
            while not self._over.wait(EVERY):
                self._look()
        except psycopg.Error:
            self._longest = None
        finally:
            with suppress(psycopg.Error):
                self._connection.close()

    def _look(self) -> None:
        for again in (True, False):
            try:
                row = self._connection.execute(_LONGEST).fetchone()
            except psycopg.Error:
                if not again:
                    raise
                self._connection.close()
                time.sleep(EVERY)
                self._connection = self._connect()
            else:
                self._longest = max(self._longest or 0.0, float(row[0]) if row else 0.0)
                return

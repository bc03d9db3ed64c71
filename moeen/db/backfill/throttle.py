"""Reasons to hold back: replicas, the archive, other sessions or vacuum cannot keep up. Each is a note.

All of it is read from views that every role may read, and what a role is not shown counts as quiet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from moeen.db.backfill.notes import Note, Why


@dataclass(frozen=True)
class Limits:
    """From where on the run waits. ``dead_rows``: dead rows to a living one, beyond the first 100,000."""

    replica_bytes: int = 256 * 1024 * 1024
    replica_seconds: float = 30.0
    unarchived_segments: int = 42
    lock_wait_seconds: float = 1.0
    dead_rows: float = 1.5
    #: Vacuum may be switched off or held up by an old snapshot: after so long without progress the run goes on.
    dead_rows_patience: float = 600.0


_SIGNALS = r"""
    SELECT
        -- A replica that is not connected would hold us up for ever; max_slot_wal_keep_size bounds what it costs.
        coalesce((SELECT max(pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn))
                  FROM pg_replication_slots s WHERE s.active), 0)::bigint,
        greatest(coalesce((SELECT max(pg_wal_lsn_diff(pg_current_wal_lsn(), r.replay_lsn))
                           FROM pg_stat_replication r), 0), 0)::bigint,
        coalesce((SELECT max(extract(epoch FROM r.replay_lag)) FROM pg_stat_replication r), 0)::float8,
        CASE WHEN current_setting('archive_mode') = 'off' THEN NULL
             -- An archive that never took anything: from the first that it refused, or a later one.
             ELSE (SELECT coalesce(last_archived_wal, last_failed_wal) FROM pg_stat_archiver) END,
        pg_walfile_name(pg_current_wal_lsn()),
        pg_size_bytes(current_setting('wal_segment_size')),
        coalesce((SELECT max(extract(epoch FROM clock_timestamp() - l.waitstart)) FROM pg_locks l
                  WHERE NOT l.granted AND pg_blocking_pids(l.pid) && %(pids)s::int[]), 0)::float8,
        t.n_dead_tup, t.n_live_tup
    FROM (SELECT) AS one LEFT JOIN pg_stat_all_tables t ON t.relid = %(table)s::regclass
"""


def reason(connection: Connection[Any], table: str, rows: int, pids: Sequence[int], limits: Limits) -> Note | None:
    """Why the run had better wait now, if at all. ``rows`` of the table; ``pids``: our workers' server processes."""
    row = connection.execute(_SIGNALS, {"pids": list(pids), "table": f'public."{table}"'}).fetchone()
    assert row is not None
    slot, behind, lag, archived, current, segment_bytes, waited, dead, alive = row
    if max(behind, slot) > limits.replica_bytes:
        return Note(Why.REPLICA_SIZE, f"{max(behind, slot) / 1e6:,.0f}")
    if behind and lag > limits.replica_seconds:
        return Note(Why.REPLICA_TIME, f"{lag:.0f}")
    queue = unarchived(archived, current, segment_bytes)
    if queue > limits.unarchived_segments:
        return Note(Why.ARCHIVE, f"{queue}")
    if waited > limits.lock_wait_seconds:
        return Note(Why.LOCKS, f"{waited:.1f}")
    if dead is not None and dead > limits.dead_rows * max(alive, rows) + 100_000:
        return Note(Why.DEAD_ROWS, f"{dead:,}")
    return None


def use(connection: Connection[Any], table: str) -> int:
    """A number that grows while other sessions use the table: look-ups by its key, new rows, deleted ones.

    Ours read by place and only change rows. The server's sessions report it about once a second while at work.
    """
    row = connection.execute(
        """
        SELECT n_tup_ins + n_tup_del + coalesce(pg_stat_get_numscans(i.indexrelid), 0) FROM pg_stat_all_tables t
        LEFT JOIN pg_index i ON i.indrelid = t.relid AND i.indisprimary WHERE t.relid = %s::regclass
        """,
        [f'public."{table}"'],
    ).fetchone()
    return int(row[0]) if row else 0


def unarchived(archived: str | None, current: str, segment_bytes: int) -> int:
    """How many WAL segments lie between the last one archived and the one being written; 0 where nothing is known."""
    if not archived or len(archived) < 24:
        return 0
    per_file = 0x100000000 // segment_bytes

    def number(name: str) -> int:
        return int(name[8:16], 16) * per_file + int(name[16:24], 16)

    return max(number(current) - number(archived) - 1, 0)

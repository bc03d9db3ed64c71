"""What doctor found, as a file that `/metrics` or Prometheus's node exporter reads."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from moeen.db.doctor import STATES, Diagnosis

_MEASURES = {
    "migrations_pending": "Migrations that are not applied.",
    "last_backup_timestamp_seconds": "When the newest backup was made.",
    "last_seal_timestamp_seconds": "When the audit log was sealed last.",
    "unsealed_entries": "Entries of the audit log that have come since.",
}


def write(path: Path, found: Diagnosis, *, now: float) -> None:
    """In place of the file, whole; raises OSError where that cannot be. What could not be looked at is left out."""
    registry = CollectorRegistry()
    Gauge("moeen_doctor_timestamp_seconds", "When doctor looked.", registry=registry).set(now)
    states = Gauge("moeen_doctor_state", "0 ok, 1 warn, 2 fail.", ["check"], registry=registry)
    for line in found.lines:
        states.labels(line.name).set(STATES.index(line.state))
    for name, value in found.measures.items():
        Gauge(f"moeen_{name}", _MEASURES[name], registry=registry).set(value)
    write_to_textfile(str(path), registry)

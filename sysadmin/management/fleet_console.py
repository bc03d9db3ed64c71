"""The tables that `manage.py fleet` prints."""

from __future__ import annotations

from moeen.db.fleet.status import Status

STATUS = ("STATE", "CLINIC", "VERSION", "TO GO", "BACKUP (UTC)", "PROVEN", "WHY")


def status_row(one: Status) -> tuple[str, ...]:
    """A clinic in one line; `?` where something could not be looked at."""
    version = "newest" if one.pending == 0 else max(one.version.values(), default="-" if one.pending else "?")
    pending = "?" if one.pending is None else str(one.pending)
    made, proven = ("none", "-") if one.system else ("?", "?")
    why = one.says
    if one.backup is not None:
        made = f"{one.backup.at:%Y-%m-%d %H:%M}"
        proven = {True: "yes", False: "FAILED", None: "never"}[one.backup.proven]
        why = "; ".join(filter(None, (why, one.backup.worry and f"backup {one.backup.worry}")))
    return (str(one.state), one.clinic, version, pending, made, proven, why)

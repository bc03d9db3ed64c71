"""What an earlier look at a catalog worked out, by the mark of the catalog: to read it whole takes ten times as long.

A file in `.moeen`, which may be deleted at any time: then the next look takes longer, and says the same.
"""

from __future__ import annotations

import hashlib
import json
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings

from moeen.db import schema, secret_files
from moeen.db.catalog.mark import mark
from moeen.db.history import ledger

#: Of so many catalogs; those that were not met for longest go first.
LONGEST = 5000
#: Of a catalog that differs, so many differences are told.
TOLD = 5


@dataclass(frozen=True)
class Shape:
    """A catalog: its fingerprint, as validate_schema gives it, and in words what differs from the expected one."""

    fingerprint: str
    differs: tuple[str, ...] = ()


class Memory:
    """Catalogs by their mark. For several threads."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._before = _read(path)
        self._met: dict[str, Shape] = {}
        # What a catalog is held against is part of the question.
        allowed = json.dumps(settings.SCHEMA_ALLOWED, sort_keys=True)
        self._against = hashlib.sha256(schema.expected_path().read_bytes() + allowed.encode()).hexdigest()
        self._expected = schema.expected_fingerprint()

    def shape(self, connection: psycopg.Connection[Any]) -> Shape:
        """Of the connected database. ``connection``: pinned as an operator's, and in no transaction."""
        with connection.transaction(), psycopg.ClientCursor(connection) as cursor:
            cursor.execute("SELECT set_config('search_path', '', true)")
            asked = json.dumps([self._against, mark(cursor), sorted(ledger.own_objects(cursor))])
            key = hashlib.sha256(asked.encode()).hexdigest()
            with self._lock:
                known = self._met.get(key) or self._before.get(key)
            found = known or self._worked_out(cursor)
        with self._lock:
            self._met[key] = found
        return found

    def _worked_out(self, cursor: psycopg.ClientCursor[Any]) -> Shape:
        fingerprint, findings = schema.differences_with(cursor)
        if fingerprint == self._expected:
            return Shape(fingerprint)
        told = [f"{finding.kind} {finding.object}" for finding in findings] or ["fingerprint"]
        more = [f"{len(told) - TOLD} more"] if len(told) > TOLD else []
        return Shape(fingerprint, (*told[:TOLD], *more))

    def keep(self) -> None:
        """For the next look. That it cannot be written is no reason to fail."""
        kept = {key: shape for key, shape in self._before.items() if key not in self._met} | self._met
        newest = list(kept.items())[-LONGEST:]
        with suppress(OSError):
            secret_files.write(self._path, json.dumps({key: [s.fingerprint, *s.differs] for key, s in newest}))


def _read(path: Path) -> dict[str, Shape]:
    """What was kept; nothing where that is no such file."""
    try:
        kept = json.loads(secret_files.read_if_may(path) or "{}")
        return {key: Shape(fingerprint, tuple(differs)) for key, (fingerprint, *differs) in kept.items()}
    except (ValueError, AttributeError, TypeError):
        return {}

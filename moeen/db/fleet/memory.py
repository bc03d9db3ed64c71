"""What an earlier look at a catalog worked out, by the mark of the catalog: to read it whole takes ten times as long.

A file in `.moeen`, which may be deleted at any time: then the next look takes longer, and says the same.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings

from moeen.db import schema, secret_files
from moeen.db.catalog.mark import mark
from moeen.db.findings import Finding
from moeen.db.history import ledger
from moeen.db.roles import ROLES
from moeen.db.version import project_version

#: Of so many catalogs; those that were not met for longest go first.
LONGEST = 5000
#: Of a catalog that differs, so many differences are told.
TOLD = 5


@dataclass(frozen=True)
class Shape:
    """A catalog: its fingerprint, as validate_schema gives it, and in words what differs from the expected one."""

    fingerprint: str
    differs: tuple[str, ...] = ()


#: A key and its shape, as they are kept: the fingerprint, then what differs.
Learned = tuple[str, tuple[str, ...]]


class Keys:
    """What a catalog is looked up by: its mark, and all that it is held against."""

    def __init__(self) -> None:
        told = [settings.SCHEMA_ALLOWED, settings.WEB_LOGIN, project_version()]
        words = json.dumps(told, sort_keys=True).encode()
        self._against = hashlib.sha256(schema.expected_path().read_bytes() + words).hexdigest()

    def of(self, mark: str, recorded: Collection[str]) -> str:
        """`recorded`: the clinic's own objects."""
        asked = json.dumps([self._against, mark, sorted(recorded)])
        return hashlib.sha256(asked.encode()).hexdigest()


class Memory:
    """Catalogs by their mark. For several threads."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._before = _read(path)
        self._met: dict[str, Shape] = {}
        self._keys = Keys()

    def learn(self, learned: Iterable[Learned]) -> None:
        """Catalogs that somebody else has read, see `learned`."""
        with self._lock:
            self._met |= {key: Shape(fingerprint, tuple(differs)) for key, (fingerprint, *differs) in learned}

    def shape(self, connection: psycopg.Connection[Any]) -> Shape:
        """Of the connected database. ``connection``: pinned as an operator's, and in no transaction."""
        with connection.transaction(), psycopg.ClientCursor(connection) as cursor:
            cursor.execute("SELECT set_config('search_path', '', true)")
            key = self._keys.of(mark(cursor, roles=ROLES), ledger.own_objects(cursor))
            with self._lock:
                known = self._met.get(key) or self._before.get(key)
            found = known or _shape(*schema.differences_with(cursor))
        with self._lock:
            self._met[key] = found
        return found

    def keep(self) -> None:
        """For the next look. That it cannot be written is no reason to fail."""
        # Another look, or a run, may have kept something meanwhile.
        kept = {key: shape for key, shape in _read(self._path).items() if key not in self._met} | self._met
        newest = list(kept.items())[-LONGEST:]
        with suppress(OSError):
            secret_files.write(self._path, json.dumps({key: [s.fingerprint, *s.differs] for key, s in newest}))


@contextmanager
def learning(learned: list[Learned]) -> Iterator[None]:
    """Meanwhile it fills with each catalog that is validated."""
    keys = Keys()

    def listen(mark: str, recorded: Collection[str], fingerprint: str, findings: Sequence[Finding]) -> None:
        shape = _shape(fingerprint, findings)
        learned.append((keys.of(mark, recorded), (shape.fingerprint, *shape.differs)))

    with schema.told(listen):
        yield


def _shape(fingerprint: str, findings: Sequence[Finding]) -> Shape:
    if fingerprint == schema.expected_fingerprint():
        return Shape(fingerprint)
    told = [f"{finding.kind} {finding.object}" for finding in findings] or ["fingerprint"]
    more = [f"{len(told) - TOLD} more"] if len(told) > TOLD else []
    return Shape(fingerprint, (*told[:TOLD], *more))


def _read(path: Path) -> dict[str, Shape]:
    """What was kept; nothing where that is no such file."""
    try:
        kept = json.loads(secret_files.read_if_may(path) or "{}")
        return {key: Shape(fingerprint, tuple(differs)) for key, (fingerprint, *differs) in kept.items()}
    except (ValueError, AttributeError, TypeError):
        return {}

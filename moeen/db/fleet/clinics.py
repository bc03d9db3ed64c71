"""The clinics of a fleet, by a TOML file that holds no secret:

waves = ["canary", "riyadh"]            # tags, in the order in which clinics are migrated; the rest comes last

[clinics.olaya]
database = "env:OLAYA_DATABASE_URL"     # or "file:secrets/olaya": a file that only its owner may read
tags = ["canary", "riyadh"]
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moeen.db import secret_files
from moeen.db.backups.login import Login
from moeen.db.errors import USAGE, ConfigurationError, MoeenError, of_file

_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}")
#: Clinics with this tag are migrated before all others, where the file does not say otherwise.
CANARY = "canary"


@dataclass(frozen=True)
class Clinic:
    """One database. ``login`` holds its password, and never shows it."""

    name: str
    login: Login = field(repr=False)
    tags: frozenset[str] = frozenset()

    @property
    def server(self) -> str:
        """Host and port, as the URL says or libpq's own variables: clinics with the same share a server."""
        host = self.login.parameters.get("host") or os.environ.get("PGHOST", "localhost")
        return f"{host}:{self.login.parameters.get('port') or os.environ.get('PGPORT', '5432')}"


@dataclass(frozen=True)
class Fleet:
    """All clinics of the file, or those that were asked for; ``waves``: tags in their order."""

    clinics: tuple[Clinic, ...]
    waves: tuple[str, ...] = (CANARY,)

    def where(self, words: Collection[str]) -> Fleet:
        """Those that have one of these tags or names. Raises MoeenError (2) for a word that is neither."""
        known = {word for clinic in self.clinics for word in (clinic.name, *clinic.tags)}
        if unknown := sorted(set(words) - known):
            raise MoeenError(
                f"No clinic has the name or tag {', '.join(unknown)}.",
                next_step=f"There are: {', '.join(sorted(known))}.",
                exit_code=USAGE,
            )
        chosen = tuple(clinic for clinic in self.clinics if {clinic.name, *clinic.tags} & set(words))
        return Fleet(chosen, self.waves) if words else self


def read(path: Path) -> Fleet:
    """The fleet that the file tells of. Raises ConfigurationError with the clinic or the line of what is wrong."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        step = "Write one (docs/fleet.md), or let FLEET_FILE or --fleet name it."
        raise ConfigurationError(f"There is no {path}.", next_step=step) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path} cannot be read: {of_file(error)}.", next_step="Let this user read it, as UTF-8."
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(
            f"{path.name} is no TOML: {error}.", next_step="docs/fleet.md shows how it is written."
        ) from error
    return _Reader(path).fleet(document)


class _Reader:
    def __init__(self, path: Path) -> None:
        self.path = path

    def fleet(self, document: Mapping[str, Any]) -> Fleet:
        self._refuse_unknown(document, "the file", {"waves", "clinics"})
        said = document.get("clinics")
        if not isinstance(said, dict) or not said:
            raise self._error("it names no clinic: each is a table [clinics.NAME].")
        clinics = tuple(self._clinic(name, entry) for name, entry in said.items())
        self._refuse_one_twice(clinics)
        waves = self._words(document.get("waves", [CANARY]), "waves")
        tags = {tag for clinic in clinics for tag in clinic.tags}
        if "waves" in document and (unknown := [wave for wave in waves if wave not in tags]):
            raise self._error(f"waves names {', '.join(unknown)}, which no clinic has as a tag.")
        return Fleet(clinics, waves)

    def _clinic(self, name: str, entry: Any) -> Clinic:
        if not _NAME.fullmatch(name):
            raise self._error(f"{name!r} is no name of a clinic: letters, digits, - and _ alone, at most 63.")
        what = f"clinic {name}"
        if not isinstance(entry, dict):
            raise self._error(f"{what} is no table [clinics.{name}].")
        self._refuse_unknown(entry, what, {"database", "tags"})
        words = entry.get("database")
        if not isinstance(words, str) or not words:
            raise self._error(f"{what} has no database.")
        tags = frozenset(self._words(entry.get("tags", []), f"tags of {what}"))
        try:
            return Clinic(name, Login.of_url(secret_files.led_to(words, folder=self.path.parent)), tags)
        except MoeenError as error:
            raise self._error(f"{what}: {error.cause}", error.next_step) from error

    def _words(self, value: Any, what: str) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(word, str) and _NAME.fullmatch(word) for word in value):
            raise self._error(f"{what}: a list of words is wanted, of letters, digits, - and _.")
        return tuple(dict.fromkeys(value))

    def _refuse_unknown(self, entry: Mapping[str, Any], what: str, known: Collection[str]) -> None:
        for key in entry.keys() - known:
            raise self._error(f"{what} has a key {key!r}, which means nothing; known: {', '.join(sorted(known))}.")

    def _refuse_one_twice(self, clinics: Collection[Clinic]) -> None:
        """One database under two names would be migrated twice at once."""
        seen: dict[tuple[str, str], str] = {}
        for clinic in clinics:
            place = clinic.server, clinic.login.database
            if place in seen:
                raise self._error(f"clinics {seen[place]} and {clinic.name} are one database, at {clinic.server}.")
            seen[place] = clinic.name

    def _error(self, cause: str, next_step: str = "") -> ConfigurationError:
        return ConfigurationError(f"{self.path.name}: {cause}", next_step=next_step)


def by_server(clinics: Collection[Clinic]) -> Iterator[Clinic]:
    """The same, with those of different servers in turn."""
    groups: dict[str, list[Clinic]] = {}
    for clinic in clinics:
        groups.setdefault(clinic.server, []).append(clinic)
    for place in range(max(map(len, groups.values()), default=0)):
        yield from (group[place] for group in groups.values() if place < len(group))

"""Which versions are at work: the project's, and those of what it stands on."""

from __future__ import annotations

import platform
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path

import django
import psycopg
from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db.errors import MoeenError
from moeen.db.explain import explain
from moeen.db.server import project


@dataclass(frozen=True)
class Versions:
    """Versions as their makers write them. `postgresql` is "" where no database answers; `unanswered` says why."""

    version: str
    python: str
    django: str
    psycopg: str
    libpq: str
    postgresql: str
    unanswered: str = ""

    def as_dict(self) -> dict[str, str | None]:
        return asdict(self) | {"postgresql": self.postgresql or None}

    def pretty(self) -> str:
        rows = {
            "Moeen": self.version,
            "Python": self.python,
            "Django": self.django,
            "psycopg": f"{self.psycopg} (libpq {self.libpq})",
            "PostgreSQL": self.postgresql or f"- {self.unanswered}",
        }
        return "\n".join(f"{name:<11}{value}" for name, value in rows.items())


def project_version() -> str:
    """The version that pyproject.toml states."""
    try:
        text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
        return str(tomllib.loads(text)["project"]["version"])
    except (OSError, KeyError, tomllib.TOMLDecodeError):
        return "unknown"


def read_versions(connection: BaseDatabaseWrapper) -> Versions:
    """The versions at work, the server's too if it answers. An embedded server that is stopped stays so."""
    server, unanswered = "", ""
    try:
        if connection.settings_dict.get("EMBEDDED") and not project.configured_status().running:
            unanswered = "The embedded server is stopped; it starts by itself when it is needed."
        else:
            server = _server_version(connection)
    except (DatabaseError, MoeenError, OSError) as error:
        known = explain(error)
        unanswered = (known.cause if known else type(error).__name__).splitlines()[0]
    return Versions(
        version=project_version(),
        python=platform.python_version(),
        django=django.get_version(),
        psycopg=psycopg.__version__,
        libpq=_dotted(psycopg.pq.version()),
        postgresql=server,
        unanswered=unanswered,
    )


def _server_version(connection: BaseDatabaseWrapper) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version')")
        (words,) = cursor.fetchone()
    # A distribution's build adds its own name: `15.14 (Debian 15.14-0+deb12u1)`.
    return str(words).split()[0]


def _dotted(number: int) -> str:
    """libpq's number of a version since 10, such as 180001, as `18.1`."""
    return f"{number // 10000}.{number % 10000}"

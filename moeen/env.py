"""Typed readers of the environment and of `.env` in the project folder (the environment wins).

An error names the variable and shows the wanted form. It never shows the value: that may be a secret.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import environ
from psycopg import pq

from moeen.db import alarm
from moeen.db.errors import DATABASE_URL_FORM, ConfigurationError, of_file
from moeen.db.security import signing

_TRUE = frozenset(("true", "on", "yes", "y", "1"))
_FALSE = frozenset(("false", "off", "no", "n", "0"))
#: More days than this no calendar has.
MOST = 100_000_000
# The port on which hosted poolers share server connections between transactions.
_TRANSACTION_POOLER_PORT = "6543"


class Environment:
    """The variables of one process: those of `environ`, then those of the file.

    An empty variable counts as not set. Readers raise ConfigurationError for a value of another form.
    """

    def __init__(self, dotenv: Path, *, variables: Mapping[str, str] | None = None) -> None:
        self._variables = dict(os.environ if variables is None else variables)
        content = _read(dotenv)
        if content is not None:
            # read_env() adds to the mapping of its class; this one keeps os.environ as it is.
            reader = type("Reader", (environ.Env,), {"ENVIRON": self._variables})
            environ.Env.read_env.__func__(reader, io.StringIO(content))

    def text(self, name: str, *, default: str = "") -> str:
        # Not by django-environ's own getter, which takes a value that begins with $ for a variable's name.
        return str(self._variables.get(name, "")).strip() or default

    def flag(self, name: str, *, default: bool) -> bool:
        value = self.text(name).lower()
        if value and value not in _TRUE | _FALSE:
            raise _malformed(name, "true or false")
        return value in _TRUE if value else default

    def choice(self, name: str, *among: str, default: str) -> str:
        value = self.text(name, default=default).lower()
        if value not in among:
            raise _malformed(name, " or ".join(among))
        return value

    def integer(self, name: str, *, default: int, least: int = 0) -> int:
        value = self.text(name)
        if value and not (value.isascii() and value.isdigit() and len(value) < 10 and least <= int(value) <= MOST):
            raise _malformed(name, f"a whole number from {least} to {MOST}")
        return int(value) if value else default

    def words(self, name: str) -> list[str]:
        """A list separated by commas."""
        return [word.strip() for word in self.text(name).split(",") if word.strip()]

    def folder(self, name: str, *, relative_to: Path) -> Path | None:
        value = self.text(name)
        return relative_to / Path(value).expanduser() if value else None

    def origins(self, name: str) -> list[str]:
        """A list of origins, each with its scheme and without a path."""
        found = self.words(name)
        for origin in found:
            if not re.fullmatch(r"https?://[^/\s]+", origin):
                raise _malformed(name, "https://clinic.example, several separated by commas")
        return found

    def identity_key(self, name: str) -> str:
        """A key that identities are signed with, see moeen/db/security/signing.py."""
        value = self.text(name)
        if value and not signing.FORM.fullmatch(value):
            raise _malformed(name, "what `manage.py rotate_identity_key --print` prints")
        return value

    def token(self, name: str) -> str:
        """A secret that clients bring in a header."""
        value = self.text(name)
        if value and not re.fullmatch(r"[!-~]{20,}", value):
            raise _malformed(name, "20 characters or more without blanks, as `openssl rand -hex 24` makes them")
        return value

    def header(self, name: str) -> tuple[str, str] | None:
        """A request header and the value that means HTTPS, e.g. `HTTP_X_FORWARDED_PROTO=https`."""
        value = self.text(name)
        if not value:
            return None
        key, equals, wanted = value.partition("=")
        if not equals or not wanted or not re.fullmatch(r"HTTP_[A-Z0-9_]+", key):
            raise _malformed(name, "HTTP_X_FORWARDED_PROTO=https")
        return key, wanted

    def header_name(self, name: str) -> str:
        """A request header as WSGI calls it, e.g. `HTTP_X_FORWARDED_FOR`."""
        value = self.text(name)
        if value and not re.fullmatch(r"HTTP_[A-Z0-9_]+", value):
            raise _malformed(name, "HTTP_X_FORWARDED_FOR")
        return value

    def web_address(self, name: str) -> str:
        value = self.text(name)
        if value and not re.fullmatch(r"https?://[^/\s]+/?", value):
            raise _malformed(name, "https://YOUR-REF.supabase.co")
        return value.rstrip("/")

    def label(self, name: str) -> str:
        """One label of a host name."""
        value = self.text(name)
        if value and not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?", value):
            raise _malformed(name, "the project's reference alone, letters and digits, e.g. abcdefghijklmnopqrst")
        return value

    def receiver(self, name: str) -> str:
        """Who is told how a command ended, see moeen/db/alarm.py."""
        value = self.text(name)
        if value and not alarm.is_receiver(value):
            raise _malformed(name, alarm.FORM)
        return value

    def mail(self, name: str) -> dict[str, Any]:
        """A mail server: host, port, user, password, `starttls` or `tls`; {} where the variable is not set."""
        value = self.text(name)
        if not value:
            return {}
        found = re.fullmatch(
            r"(?P<scheme>smtp|smtp\+tls|smtps)://(?:(?P<user>[^:@/\s]+):(?P<password>[^:@/\s]+)@)?"
            r"(?P<host>[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>\d{1,5}))?/?",
            value,
            re.ASCII,
        )
        if found is None or int(found["port"] or 1) not in range(1, 65536):
            raise _malformed(name, "smtp+tls://USER:PASSWORD@HOST:587, smtps://... for TLS from the start")
        usual = {"smtp": 25, "smtp+tls": 587, "smtps": 465}
        return {
            "host": found["host"].strip("[]"),
            "port": int(found["port"] or usual[found["scheme"]]),
            "user": unquote(found["user"] or ""),
            "password": unquote(found["password"] or ""),
            "starttls": found["scheme"] == "smtp+tls",
            "tls": found["scheme"] == "smtps",
        }

    def mapping(self, name: str) -> dict[str, Any]:
        """A JSON object."""
        try:
            value = json.loads(self.text(name) or "{}")
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise _malformed(name, '{"name": "value"}, in JSON')
        return value

    def reasons(self, name: str) -> dict[str, str]:
        """A JSON object whose values all say something."""
        value = self.mapping(name)
        if not all(isinstance(reason, str) and reason.strip() for reason in value.values()):
            raise _malformed(name, '{"kind object": "the reason why"}, in JSON')
        return value

    def database(self, name: str) -> dict[str, Any] | None:
        """An entry of Django's DATABASES without ENGINE, None where the variable is not set."""
        value = self.text(name)
        return parse_database_url(value, name=name) if value else None

    def databases(self, name: str) -> list[dict[str, Any]]:
        """Several such entries: URLs with blanks between, as commas separate the hosts of one."""
        return [parse_database_url(url, name=name) for url in self.text(name).split()]


def parse_database_url(url: str, *, name: str = "DATABASE_URL") -> dict[str, Any]:
    """`postgresql://user:password@host:port/database?option=value` as NAME, USER, PASSWORD, HOST, PORT,
    OPTIONS.

    Takes what libpq takes: postgres:// too, percent-encoding, IPv6 in brackets, several hosts separated by
    commas, `?host=/folder` for a unix socket and every connection option. Raises ConfigurationError.
    """
    scheme, found, rest = url.partition("://")
    if not found or scheme not in ("postgresql", "postgres"):
        raise _malformed(name, DATABASE_URL_FORM, why="it does not begin with postgresql://")
    if re.search(r"\s", rest):
        raise _malformed(name, DATABASE_URL_FORM, why="a blank in it is written %20")
    if "#" in rest:
        raise _malformed(name, DATABASE_URL_FORM, why="a # in a password is written %23")
    rest, _, query = rest.partition("?")
    authority, slash, path = rest.rpartition("/") if "@" in rest.partition("/")[2] else rest.partition("/")
    if "/" in authority:
        raise _malformed(name, DATABASE_URL_FORM, why="a / in a password is written %2F")
    userinfo, _, hostports = authority.rpartition("@")
    user, _, password = userinfo.partition(":")
    hosts, ports = _hosts(hostports, name=name)
    options: dict[str, Any] = {}
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()} | {"ssl"}
    for part in filter(None, query.split("&")):
        key, equals, value = part.partition("=")
        key = _decoded(key, name=name)
        if not equals or key not in known:
            raise _malformed(name, DATABASE_URL_FORM, why="an option after the ? is not one of PostgreSQL's")
        options[key] = _decoded(value, name=name)
    if options.pop("ssl", "") == "true":
        options.setdefault("sslmode", "require")
    entry = {
        "NAME": options.pop("dbname", "") or _decoded(path, name=name),
        "USER": options.pop("user", "") or _decoded(user, name=name),
        "PASSWORD": options.pop("password", "") or _decoded(password, name=name),
        "HOST": options.pop("host", "") or hosts,
        "PORT": _port(options.pop("port", ""), name=name) or ports,
        "OPTIONS": options,
    }
    if not entry["NAME"]:
        raise _malformed(name, DATABASE_URL_FORM, why="the name of the database is missing after the /")
    if "/" in entry["NAME"] and not slash:
        raise _malformed(name, DATABASE_URL_FORM)
    # A server-side cursor outlives its transaction only on a connection of one's own.
    entry["DISABLE_SERVER_SIDE_CURSORS"] = _TRANSACTION_POOLER_PORT in str(entry["PORT"]).split(",")
    return entry


def _hosts(text: str, *, name: str) -> tuple[str, str]:
    """`host:port,host:port` as libpq wants it: hosts and ports, each separated by commas."""
    hosts: list[str] = []
    ports: list[str] = []
    for part in text.split(",") if text else []:
        found = re.fullmatch(r"(\[[0-9A-Fa-f:.%]+\]|[^:\[\]]*)(?::(.*))?", part)
        if found is None:
            raise _malformed(name, DATABASE_URL_FORM, why="the host or port is malformed; IPv6 is written [::1]")
        hosts.append(_decoded(found[1].strip("[]"), name=name))
        ports.append(_port(found[2] or "", name=name))
    return ",".join(hosts), ",".join(ports) if any(ports) else ""


def _port(text: str, *, name: str) -> str:
    for port in text.split(",") if text else []:
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise _malformed(
                name,
                DATABASE_URL_FORM,
                why="the port is no number from 1 to 65535 (a : or ? or @ in a password is written %3A, %3F or %40)",
            )
    return text


def _decoded(text: str, *, name: str) -> str:
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise _malformed(name, DATABASE_URL_FORM, why="a % in a password is written %25")
    try:
        plain = unquote(text, errors="strict")
    except UnicodeDecodeError:
        plain = "\0"
    if "\0" in plain:
        raise _malformed(name, DATABASE_URL_FORM, why="percent-encoding stands for UTF-8 text")
    return plain


def _read(dotenv: Path) -> str | None:
    """The text of the file, None if there is none. A line of another form would otherwise be logged in
    full."""
    try:
        content = dotenv.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{dotenv} cannot be read: {of_file(error)}.",
            next_step="Make it a UTF-8 text file that this user may read; .env.example is a pattern.",
        ) from error
    for number, line in enumerate(content.splitlines(), start=1):
        if line.strip() and not line.startswith("#") and not re.match(r"(?:export )?[A-Za-z_0-9]+=", line):
            raise ConfigurationError(
                f"Line {number} of {dotenv} is neither NAME=value nor a comment.",
                next_step="Write NAME=value without spaces around the sign, or begin the line with #.",
            )
    return "\n".join(line for line in content.splitlines() if line.strip())


def _malformed(name: str, form: str, *, why: str = "") -> ConfigurationError:
    return ConfigurationError(
        f"{name} is malformed" + (f": {why}." if why else "."), next_step=f"The wanted form: {form}"
    )

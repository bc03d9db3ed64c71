"""Whose database it is: a connection to another hosting project than the configured one is refused."""

from __future__ import annotations

import os
import re
from typing import Any

from ..errors import ConfigurationError

_LOCAL = ("localhost", "::1")


def refuse_other_project(settings_dict: dict[str, Any]) -> None:
    """Raise ConfigurationError if PROJECT_REF is set and host and user belong to another hosting project.

    A project's own host is `db.<ref>.supabase.co`; behind a pooler the user is `<role>.<ref>`. A server on this machine
    is no project's.
    """
    ref = str(settings_dict.get("PROJECT_REF") or "")
    if not ref or settings_dict.get("EMBEDDED") or is_on_this_machine(settings_dict):
        return
    # libpq connects to hostaddr, and uses host only to check the certificate.
    hosts = [] if _redirected(settings_dict) else _hosts(settings_dict)
    if not names_project(ref.lower(), hosts=hosts, user=str(settings_dict["USER"]).lower()):
        raise ConfigurationError(
            f"SUPABASE_PROJECT_REF is {ref!r}, but neither host nor user of DATABASE_URL carry it: "
            "this is the database of another project.",
            next_step=f"Correct the one or the other. A matching host is db.{ref}.supabase.co; "
            f"a matching pooler user is postgres.{ref}.",
        )


def is_on_this_machine(settings_dict: dict[str, Any]) -> bool:
    """Whether every host is a socket or loopback address by name, and the user names no project."""
    local = all(host in _LOCAL or host.startswith(("/", "@", "127.")) for host in _hosts(settings_dict))
    return local and not _redirected(settings_dict) and "." not in str(settings_dict["USER"])


def _hosts(settings_dict: dict[str, Any]) -> list[str]:
    named = str(settings_dict["HOST"]) or os.environ.get("PGHOST", "")
    return [host for host in named.lower().split(",") if host]


def _redirected(settings_dict: dict[str, Any]) -> bool:
    """Whether libpq goes elsewhere than HOST says."""
    options = settings_dict["OPTIONS"]
    return any(options.get(name) or os.environ.get(f"PG{name.upper()}") for name in ("hostaddr", "service"))


def names_project(ref: str, *, hosts: list[str], user: str) -> bool:
    """Whether the hosts or the user carry the ref as a whole label, and no host that of another project."""
    named = [found[1] for host in hosts if (found := re.fullmatch(r"db\.([^.]+)\.supabase\.(?:co|com|net)", host))]
    if any(name != ref for name in named):
        return False
    if hosts and all(ref in host.split(".") for host in hosts):
        return True
    return ref in user.split(".")[1:]

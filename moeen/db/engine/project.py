"""Whose database it is: a connection to another hosting project than the configured one is refused."""

from __future__ import annotations

import os
import re
from typing import Any

from ..errors import ConfigurationError


def refuse_other_project(settings_dict: dict[str, Any]) -> None:
    """Raise ConfigurationError if PROJECT_REF is set and host and user belong to another hosting project.

    A project's own host is `db.<ref>.supabase.co`; behind a pooler the user is `<role>.<ref>`.
    """
    ref = str(settings_dict.get("PROJECT_REF") or "")
    if not ref or settings_dict.get("EMBEDDED"):
        return
    hosts = [host for host in str(settings_dict["HOST"]).lower().split(",") if host]
    user = str(settings_dict["USER"]).lower()
    # libpq connects to hostaddr, and uses host only to check the certificate.
    redirected = bool(settings_dict["OPTIONS"].get("hostaddr") or os.environ.get("PGHOSTADDR"))
    if not names_project(ref.lower(), hosts=[] if redirected else hosts, user=user):
        raise ConfigurationError(
            f"SUPABASE_PROJECT_REF is {ref!r}, but neither host nor user of DATABASE_URL carry it: "
            "this is the database of another project.",
            next_step=f"Correct the one or the other. A matching host is db.{ref}.supabase.co; "
            f"a matching pooler user is postgres.{ref}.",
        )


def names_project(ref: str, *, hosts: list[str], user: str) -> bool:
    """Whether the hosts or the user carry the ref as a whole label, and no host that of another project."""
    named = [found[1] for host in hosts if (found := re.fullmatch(r"db\.([^.]+)\.supabase\.(?:co|com|net)", host))]
    if any(name != ref for name in named):
        return False
    if hosts and all(ref in host.split(".") for host in hosts):
        return True
    return ref in user.split(".")[1:]

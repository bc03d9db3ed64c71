"""Words of the audit log as people read them: what was done, in which role, to which table."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from moeen.db import public_ids
from sysadmin.models import User

#: What was done -> its name. Other words are an application's own, and are shown as they are.
KINDS = {
    "INSERT": _("Insert"),
    "UPDATE": _("Update"),
    "DELETE": _("Delete"),
    "TRUNCATE": _("All rows removed"),
    "READ": _("Read"),
    "BREAK_GLASS": _("Opened in an emergency"),
    "LINK_SIGN_IN": _("Sign-in linked"),
    "READ_SECRET": _("Secret read"),
    "SIGNED_IN": _("Signed in"),
    "SIGNED_OUT": _("Signed out"),
    "SIGN_IN_FAILED": _("Sign-in failed"),
    "SIGN_IN_LOCKED_OUT": _("Sign-in locked out"),
    "ROLE_SWITCHED": _("Role switched"),
    "PASSWORD_CHANGED": _("Password changed"),
    "SESSION_ENDED": _("Session ended"),
    "SECOND_FACTOR_SET_UP": _("Second factor set up"),
    "SECOND_FACTOR_REMOVED": _("Second factor removed"),
    "SECOND_FACTOR_FAILED": _("Wrong code of a second factor"),
    "RECOVERY_CODE_USED": _("Recovery code used"),
    "RECOVERY_CODES_MADE": _("New recovery codes"),
    "LOOKED_AS": _("Looked as this person"),
    "LOOKED_AWAY": _("Looked as this person no longer"),
    "PASSWORD_RESET_ASKED": _("New password asked for by mail"),
    "MIGRATE": _("Guards of the log made anew by migrate"),
}


#: Why records are opened, as people read it.
PURPOSES = {
    "treatment": _("treatment"),
    "payment": _("payment"),
    "operations": _("the clinic's work"),
    "own record": _("own record"),
    "emergency": _("emergency"),
    "legal": _("legal duty"),
}


def models_by_table() -> dict[str, Any]:
    """Table name -> model, of the tables whose rows bear public ids; all of them have pages."""
    return {model._meta.db_table: model for model in public_ids.PREFIXES.values()}


def kind(action: str) -> str:
    return str(KINDS.get(action, action))


def table(name: str) -> str:
    model = models_by_table().get(name)
    return str(model._meta.verbose_name_plural) if model else name


def role(acted_as: str | None) -> str:
    """Of a person's role, its name; the server's own roles and operators are called as they are."""
    known = dict(User.Roles.choices)
    if acted_as in known:
        return str(known[acted_as])
    return {"auth": gettext("Sign-in"), "service": gettext("Service")}.get(acted_as or "", acted_as or "-")

"""Words of the audit log as people read them: what was done, in which role, to which table."""

from __future__ import annotations

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from moeen.db.backfill import Note, Why
from sysadmin.models import User
from sysadmin.tables import models_by_table, table

__all__ = ["english", "kind", "models_by_table", "note", "role", "table"]

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


#: Why a backfill waits or ended, in the reader's language; %s: what was measured.
NOTES = {
    Why.REPLICA_SIZE: _("a replica is %s MB behind"),
    Why.REPLICA_TIME: _("a replica is %s s behind"),
    Why.ARCHIVE: _("%s WAL segments wait to be archived"),
    Why.LOCKS: _("another session has waited %s s for our lock"),
    Why.DEAD_ROWS: _("too many dead rows wait for vacuum (%s)"),
    Why.PAUSE_FILE: _("file %s exists"),
    Why.PAUSE_ASKED: _("an operator asked for a pause"),
    Why.CANCELLED: _("an administrator cancelled it"),
    Why.REFUSED: _("%s rows refused their value, or more"),
}


def note(text: str) -> str | SafeString:
    """What a run says of itself; in its own words, marked as English, where those are not known."""
    known = Note.read(text)
    return str(NOTES[known.why]).replace("%s", known.measure) if known else english(text)


def english(text: str) -> str | SafeString:
    """What a program said, in its own words."""
    return format_html('<bdi dir="ltr" lang="en">{}</bdi>', text) if text else "-"


def kind(action: str) -> str:
    return str(KINDS.get(action, action))


def role(acted_as: str | None) -> str:
    """Of a person's role, its name; the server's own roles and operators are called as they are."""
    known = dict(User.Roles.choices)
    if acted_as in known:
        return str(known[acted_as])
    return {"auth": gettext("Sign-in"), "service": gettext("Service")}.get(acted_as or "", acted_as or "-")

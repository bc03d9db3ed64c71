"""What the database refused, in the person's language."""

from __future__ import annotations

from typing import Any

import psycopg
from django.db import DatabaseError, models
from django.utils import translation
from django.utils.translation import gettext_lazy as _

#: Constraint -> what it means, besides those that a model's own constraints say.
_CONSTRAINTS = {
    "an_administrator_stays": _("No active administrator would be left. Make somebody else an administrator first."),
}
#: SQLSTATE, or its class -> what it means.
_STATES = {
    "42501": _("Your role may not make this change."),
    "23001": _("Other rows need this one."),
    "23502": _("A value is missing."),
    "23503": _("It refers to a row that is not there, or other rows refer to it."),
    "23505": _("There is such a row already."),
    "23514": _("A value is not among those that are allowed."),
    "23P01": _("It collides with another row."),
    "22": _("A value is not one that can be kept."),
    "40": _("Somebody else changes the same at this moment. Try again."),
    "55P03": _("Somebody else changes the same at this moment. Try again."),
}
_ROWS = _("Your role may not write a row with these values.")
_GONE = _("The row is gone, or your role may no longer change it.")


def told(error: DatabaseError, model: type[models.Model]) -> str | None:
    """What to tell a person whose change was refused; None where the fault is not theirs to mend."""
    cause = error.__cause__
    if not isinstance(cause, psycopg.Error):
        return str(_GONE) if "did not affect any rows" in str(error) else None
    name, state = cause.diag.constraint_name or "", cause.sqlstate or ""
    of_model = {constraint.name: constraint.violation_error_message for constraint in _constraints(model)}
    if name in _CONSTRAINTS:
        return str(_CONSTRAINTS[name])
    said = cause.diag.message_primary or ""
    if "row-level security" in said:
        return str(_ROWS)
    # What a trigger of ours says has a translation.
    if state[:2] in ("22", "42", "P0") and translation.gettext(said) != said:
        return translation.gettext(said)
    known = _STATES.get(state) or _STATES.get(state[:2])
    own = of_model.get(name)
    return str(own or known) if own or known else None


def is_unreadable(error: DatabaseError) -> bool:
    """Whether a value in the statement was of no use to its column: wrong in kind, number or size."""
    cause = error.__cause__
    if not isinstance(cause, psycopg.Error):
        return False
    state = cause.sqlstate or ""
    # Without a state it is psycopg that could not send it.
    unsent = not state and isinstance(cause, psycopg.ProgrammingError | psycopg.DataError)
    return unsent or state[:2] == "22" or state in ("42883", "42804", "42P18")


def _constraints(model: type[models.Model]) -> list[Any]:
    default = models.BaseConstraint.default_violation_error_message
    return [c for c in model._meta.constraints if c.violation_error_message != default]

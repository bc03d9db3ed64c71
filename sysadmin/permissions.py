"""The words that a role's permissions are made of, and where each is asked for.

What people may do is decided by the five system roles, whose grants and policies the database holds
(moeen/db/security/access.py). A role of the clinic's own is a name for people and a list of words; a word has an effect
only where something asks for it, and that is written here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from moeen.db import public_ids

#: `table:verb`, or `table:verb:whose`: the closed list.
VERBS: dict[str, Any] = {
    "read": _("see"),
    "update": _("change"),
    "write": _("see, add and change"),
    "manage": _("see, add, change and delete"),
}
WHOSE: dict[str, Any] = {
    "own": _("their own"),
    "mine": _("those of their patients"),
    "public": _("those that are public"),
    "published": _("those that are published"),
    "approved": _("those that are approved"),
    "all": _("all of them"),
}
#: Word -> the function, view or policy that asks for it. Nothing does so far.
ASKED_BY: dict[str, str] = {}


@dataclass(frozen=True)
class Meaning:
    """`table`: the name of its rows, "" for a word that is not of the list; `asked_by`: "" where nothing asks."""

    word: str
    table: str = ""
    verb: str = ""
    whose: str = ""
    asked_by: str = ""


def meaning(word: str) -> Meaning:
    """What a permission says."""
    table, _colon, rest = word.partition(":")
    verb, _colon, whose = rest.partition(":")
    model = next((model for model in public_ids.PREFIXES.values() if model._meta.db_table == table), None)
    if model is None or verb not in VERBS or (whose and whose not in WHOSE):
        return Meaning(word)
    name = str(model._meta.verbose_name_plural)
    return Meaning(word, name, str(VERBS[verb]), str(WHOSE.get(whose, "")), ASKED_BY.get(word, ""))

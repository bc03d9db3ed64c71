"""People found by index: by the beginnings of their names, of an e-mail address, of a telephone number."""

from __future__ import annotations

import re
import uuid
from typing import Any

from django.db import connections, models, router
from django.db.models.lookups import Lookup
from django.http import HttpRequest
from psycopg import sql

from sysadmin.models import User

#: Of a name that more people bear, so many of them, and a word to say more.
MOST = 1000


Keys = list[uuid.UUID]
#: The beginning of a telephone number that is one digit: of a million people it is everybody's.
_A_DIGIT = re.compile(r"[\s(+]*[0٠۰]*[1-9١-٩۱-۹]\s*")
#: The index would be read for all of them. Of longer beginnings, one after the other, as many are read as are wanted.
_BY_DIGITS = sql.SQL(
    """CASE WHEN app.{function}('', 0) IS NOT NULL THEN ARRAY(
           SELECT found FROM generate_series(0, 9) AS next, unnest(app.{function}(%(text)s || next, %(most)s)) AS found
           LIMIT %(most)s) END"""
)


def by_index(request: HttpRequest, text: str, *functions: str) -> dict[str, Keys | None]:
    """What each of these functions of schema app finds, asked with one query, once in a request.

    Of keys at most one more than `MOST`; None where the person does not see the whole table: they have few rows, which
    are looked through one by one.
    """
    known: dict[tuple[str, str], Keys | None] = request.__dict__.setdefault("_by_index", {})
    asked = [function for function in functions if (text, function) not in known]
    if asked:
        call = _BY_DIGITS if _A_DIGIT.fullmatch(text) else sql.SQL("app.{function}(%(text)s, %(most)s)")
        calls = (call.format(function=sql.Identifier(function)) for function in asked)
        with connections[router.db_for_read(User)].cursor() as cursor:
            query = sql.SQL("SELECT {}").format(sql.SQL(", ").join(calls))
            cursor.execute(query.as_string(None), {"text": text, "most": MOST + 1})
            known |= zip(((text, function) for function in asked), cursor.fetchone(), strict=True)
    return {function: known[text, function] for function in functions}


@models.UUIDField.register_lookup
class AmongKeys(Lookup):
    """``pk__among=[...]``: as ``in``, and one parameter however many there are."""

    lookup_name = "among"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        left, params = self.process_lhs(compiler, connection)
        # Not a constant: of a thousand known keys PostgreSQL expects the newest to be soon met on a walk through the
        # whole list, in its order, and walks through a million rows where they are old.
        return f"{left} = ANY ((SELECT %s::uuid[])::uuid[])", [*params, list(self.rhs)]

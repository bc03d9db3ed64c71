"""SQL functions that Django does not spell."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.search import SearchVectorField
from django.db.models import DateTimeField, Func


class Now(Func):
    """``now()``, the start of the transaction: what the older databases have as default.

    Django's own ``Now`` is ``statement_timestamp()`` on PostgreSQL.
    """

    function = "now"
    arity = 0

    def __init__(self, **extra: Any) -> None:
        super().__init__(output_field=DateTimeField(), **extra)


class SearchWords(Func):
    """``app.search_words(name, more, email, phone)``: what an index finds somebody by."""

    function = "app.search_words"
    arity = 4

    def __init__(self, *expressions: Any, **extra: Any) -> None:
        super().__init__(*expressions, **{"output_field": SearchVectorField()} | extra)


NOW_SQL = "(now())"  # as Django writes it into a column's default

"""SQL functions that Django does not spell."""

from __future__ import annotations

from typing import Any

from django.db.models import BigIntegerField, DateTimeField, Func


class Now(Func):
    """``now()``, the start of the transaction: what the older databases have as default.

    Django's own ``Now`` is ``statement_timestamp()`` on PostgreSQL.
    """

    function = "now"
    arity = 0

    def __init__(self, **extra: Any) -> None:
        super().__init__(output_field=DateTimeField(), **extra)


class TransactionId(Func):
    """The number of the running transaction, which the server counts up and never uses again (since PostgreSQL 13)."""

    template = "((pg_current_xact_id())::text)::bigint"  # xid8 has no cast of its own
    arity = 0

    def __init__(self, **extra: Any) -> None:
        super().__init__(output_field=BigIntegerField(), **extra)


NOW_SQL = "(now())"  # as Django writes it into a column's default

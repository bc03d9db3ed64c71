"""What an operator's commands last found: the table `operator_reports`, for people whose login may not look itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db.history import ledger

#: One report of each kind is kept: the page of `manage.py doctor`, what validation finds, and what a run of migrate met
#: on a twin.
DOCTOR, VALIDATION, REHEARSAL = "doctor", "validation", "rehearsal"


def keep(connection: BaseDatabaseWrapper, kind: str, *, ok: bool, report: Mapping[str, Any]) -> bool:
    """Keep it in place of the one before. False where that cannot be: before the table stands, or on a standby."""
    if settings.DRY_RUN:
        return False
    try:
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            cursor.execute(
                """SELECT to_regclass('public.operator_reports') IS NOT NULL AND NOT pg_is_in_recovery()
                          AND current_setting('transaction_read_only') = 'off'"""
            )
            if cursor.fetchone() != (True,):
                return False
            cursor.execute(
                """INSERT INTO operator_reports (kind, looked_at, actor, ok, report)
                   VALUES (%s, clock_timestamp(), %s, %s, %s::jsonb)
                   ON CONFLICT (kind) DO UPDATE SET looked_at = excluded.looked_at, actor = excluded.actor,
                       ok = excluded.ok, report = excluded.report""",
                [kind, ledger.actor(), ok, json.dumps(report, ensure_ascii=False)],
            )
    except DatabaseError:  # a login that may look, and not write
        return False
    return True

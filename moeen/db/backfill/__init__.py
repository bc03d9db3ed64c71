"""Backfills: values for rows that lack them, in small batches, while the database is in use.

A backfill is a small class (``Backfill``: table, which rows, the SET expression); ``run`` carries it out and
``survey`` says beforehand what it would do. Public ids (``PublicIds``) are the first use.
"""

from __future__ import annotations

from moeen.db.backfill.definition import Backfill
from moeen.db.backfill.engine import Busy, Options, run
from moeen.db.backfill.ids import PublicIds, Remint, kept_words, pending, public_id_backfills, remint_backfills
from moeen.db.backfill.notes import Note, Why
from moeen.db.backfill.reports import Failure, Progress, Report, TableReport
from moeen.db.backfill.surveys import Survey, survey

__all__ = [
    "Backfill",
    "Busy",
    "Failure",
    "Note",
    "Options",
    "Progress",
    "PublicIds",
    "Remint",
    "Report",
    "Survey",
    "TableReport",
    "Why",
    "kept_words",
    "pending",
    "public_id_backfills",
    "remint_backfills",
    "run",
    "survey",
]

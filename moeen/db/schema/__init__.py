"""The schema a database should have against the one it has: findings, grades, and the SQL that mends."""

from __future__ import annotations

from moeen.db.schema.validation import (
    EXPECTED,
    Validation,
    compare,
    compare_databases,
    connect,
    expected_path,
    exposed,
    fingerprint,
    fingerprint_with,
    is_allowed,
    load_expected,
    log,
    read,
    validate,
    write_expected,
)

__all__ = [
    "EXPECTED",
    "Validation",
    "compare",
    "compare_databases",
    "connect",
    "expected_path",
    "exposed",
    "fingerprint",
    "fingerprint_with",
    "is_allowed",
    "load_expected",
    "log",
    "read",
    "validate",
    "write_expected",
]

"""The schema a database should have against the one it has.

`validation`: all of it. `canonical`: a catalog in one form. `drift`: what differs; `grades`: how much that matters;
`fixes` and `fix_script`: the SQL that mends it. `own`: what is the clinic's own. `rows`: what only rows can tell.
`restorable` and `orphans`: what a restore would fail at. `description`: the schema in words.
"""

from __future__ import annotations

from moeen.db.schema.validation import (
    EXPECTED,
    Validation,
    compare,
    compare_databases,
    connect,
    differences_with,
    expected_fingerprint,
    expected_path,
    exposed,
    fingerprint,
    fingerprint_with,
    is_allowed,
    load_expected,
    log,
    own_objects,
    read,
    recorded_with,
    told,
    validate,
    write_expected,
)

__all__ = [
    "EXPECTED",
    "Validation",
    "compare",
    "compare_databases",
    "connect",
    "differences_with",
    "expected_fingerprint",
    "expected_path",
    "exposed",
    "fingerprint",
    "fingerprint_with",
    "is_allowed",
    "load_expected",
    "log",
    "own_objects",
    "read",
    "recorded_with",
    "told",
    "validate",
    "write_expected",
]

"""Which lock a statement takes, on which table, and what it does meanwhile, told from its form.

Lock levels are those of PostgreSQL's manual ("Explicit Locking", ALTER TABLE). The optional words of SQL (COLUMN,
CONSTRAINT, SET DATA) make no difference.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SHARE_UPDATE_EXCLUSIVE = "SHARE UPDATE EXCLUSIVE"
SHARE = "SHARE"
SHARE_ROW_EXCLUSIVE = "SHARE ROW EXCLUSIVE"
ACCESS_EXCLUSIVE = "ACCESS EXCLUSIVE"
ROW_EXCLUSIVE = "ROW EXCLUSIVE"
STOP_WRITES = frozenset({SHARE, SHARE_ROW_EXCLUSIVE, ACCESS_EXCLUSIVE})


@dataclass(frozen=True)
class Rule:
    """How statements of one form lock: what the pattern finds, the lock, and the work done while it is held."""

    pattern: re.Pattern[str]
    lock: str
    scans: bool = False
    rewrites: bool = False
    advice: str = ""


def _rule(pattern: str, lock: str, *, scans: bool = False, rewrites: bool = False, advice: str = "") -> Rule:
    return Rule(re.compile(pattern, re.IGNORECASE | re.DOTALL), lock, scans, rewrites, advice)


_ADD_CONSTRAINT = r"^ALTER TABLE .*\bADD (CONSTRAINT .*)?"
#: What follows ADD when it is a column, its name included.
_ADD_COLUMN = r"^ALTER TABLE .*\bADD (?!(CONSTRAINT|CHECK|UNIQUE|PRIMARY|FOREIGN|EXCLUDE)\b)(COLUMN )?.*"
_VOLATILE = r"(random|uuid|generate_|clock_timestamp|timeofday|nextval)"
_ONLINE_CHECK = "add it NOT VALID, then VALIDATE CONSTRAINT in another transaction"
_ONLINE_COLUMN = "add the column without default, SET DEFAULT, then backfill"

#: The first that matches counts.
RULES: tuple[Rule, ...] = (
    _rule(r"^(CREATE (UNIQUE )?INDEX|DROP INDEX|REINDEX .*|REFRESH .*) CONCURRENTLY", SHARE_UPDATE_EXCLUSIVE),
    _rule(r"^REINDEX \([^)]*CONCURRENTLY", SHARE_UPDATE_EXCLUSIVE),
    _rule(
        r"^CREATE (UNIQUE )?INDEX", SHARE, scans=True, advice="build it CONCURRENTLY: moeen.db.operations.RunIndexFile"
    ),
    _rule(r"^REINDEX", ACCESS_EXCLUSIVE, scans=True, advice="REINDEX ... CONCURRENTLY, outside a migration"),
    _rule(
        r"^(CLUSTER|VACUUM (\([^)]*)?FULL)",
        ACCESS_EXCLUSIVE,
        scans=True,
        rewrites=True,
        advice="a tool that rewrites tables online, outside a migration",
    ),
    _rule(r"^LOCK( TABLE)?\b", ACCESS_EXCLUSIVE, scans=True, advice="leave it out: each statement takes what it needs"),
    _rule(r"^ALTER TABLE .*\bVALIDATE CONSTRAINT", SHARE_UPDATE_EXCLUSIVE),
    _rule(r"^ALTER TABLE .*\bADD CONSTRAINT .* FOREIGN KEY .* NOT VALID", SHARE_ROW_EXCLUSIVE),
    _rule(
        _ADD_CONSTRAINT + r"FOREIGN KEY|" + _ADD_COLUMN + r"\bREFERENCES\b",
        SHARE_ROW_EXCLUSIVE,
        scans=True,
        advice=_ONLINE_CHECK,
    ),
    _rule(r"^ALTER TABLE .*\bADD CONSTRAINT .*(NOT VALID|USING INDEX .*)$", ACCESS_EXCLUSIVE),
    _rule(_ADD_CONSTRAINT + r"CHECK", ACCESS_EXCLUSIVE, scans=True, advice=_ONLINE_CHECK),
    _rule(
        _ADD_CONSTRAINT + r"(UNIQUE|PRIMARY KEY|EXCLUDE)",
        ACCESS_EXCLUSIVE,
        scans=True,
        advice="CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT ... USING INDEX",
    ),
    _rule(
        r"^ALTER TABLE .*\bALTER (COLUMN )?\S+ (SET DATA )?TYPE ",
        ACCESS_EXCLUSIVE,
        scans=True,
        rewrites=True,
        advice="add a column of the new type, backfill it, swap the two",
    ),
    _rule(
        r"^ALTER TABLE .*\bSET NOT NULL",
        ACCESS_EXCLUSIVE,
        scans=True,
        advice="first CHECK (column IS NOT NULL) NOT VALID, then VALIDATE CONSTRAINT; SET NOT NULL need not scan then",
    ),
    _rule(
        _ADD_COLUMN + r"(\bDEFAULT .*" + _VOLATILE + r"|\b(small|big)?serial\b|\bGENERATED\b)",
        ACCESS_EXCLUSIVE,
        scans=True,
        rewrites=True,
        advice=_ONLINE_COLUMN,
    ),
    _rule(
        _ADD_COLUMN + r"\b(UNIQUE|PRIMARY KEY|CHECK)\b",
        ACCESS_EXCLUSIVE,
        scans=True,
        advice="add the column first, then its constraint online",
    ),
    _rule(
        r"^ALTER TABLE .*\bSET (UNLOGGED|LOGGED|TABLESPACE|ACCESS METHOD)",
        ACCESS_EXCLUSIVE,
        scans=True,
        rewrites=True,
        advice="at a quiet hour: the whole table is written anew",
    ),
    _rule(
        r"^ALTER TABLE|^ALTER (INDEX|SEQUENCE)|^DROP (TABLE|INDEX|TRIGGER|POLICY)|^(CREATE|ALTER) POLICY|^TRUNCATE",
        ACCESS_EXCLUSIVE,
    ),
    _rule(r"^(SELECT|PERFORM) app\.(allow|lock_away)\b", ACCESS_EXCLUSIVE),
    _rule(r"^CREATE (OR REPLACE )?(CONSTRAINT )?TRIGGER", SHARE_ROW_EXCLUSIVE),
    _rule(r"^COMMENT ON (TABLE|COLUMN)", SHARE_UPDATE_EXCLUSIVE),
    _rule(r"^(UPDATE|INSERT|DELETE|MERGE)", ROW_EXCLUSIVE, scans=True),
)
_TABLE = re.compile(
    r"""^(?:ALTER\ TABLE(?:\ IF\ EXISTS)?(?:\ ONLY)?|UPDATE(?:\ ONLY)?|INSERT\ INTO|DELETE\ FROM(?:\ ONLY)?|MERGE\ INTO
        |DROP\ TABLE(?:\ IF\ EXISTS)?|TRUNCATE(?:\ TABLE)?|COMMENT\ ON\ (?:TABLE|COLUMN)
        |LOCK(?:\ TABLE)?(?:\ ONLY)?|CLUSTER(?:\ VERBOSE)?|VACUUM\ (?:FULL|\([^)]*\))|REINDEX\ (?:\([^)]*\)\ )?TABLE
        |CREATE\ TABLE(?:\ IF\ NOT\ EXISTS)?)\s+(?:"?public"?\.)?"?(\w+)
        |^(?:SELECT|PERFORM)\ app\.(?:allow|lock_away)\ ?\('(\w+)
        |\sON\s+(?:ONLY\ )?(?:"?public"?\.)?"?(\w+)""",
    re.IGNORECASE | re.VERBOSE,
)
#: Statements that lock no table that clients use.
_HARMLESS = re.compile(
    r"^(SELECT|SET|RESET|SHOW|GRANT|REVOKE|ANALYZE|BEGIN|COMMIT|--"
    r"|(CREATE|ALTER|DROP|COMMENT ON) (OR REPLACE )?(FUNCTION|PROCEDURE|SCHEMA|TYPE|DOMAIN|ROLE|EXTENSION|SEQUENCE"
    r"|TEMP|VIEW|(UNLOGGED )?TABLE|INDEX|TRIGGER|POLICY|CONSTRAINT|DEFAULT PRIVILEGES)\b|COMMENT ON\b)",
    re.IGNORECASE,
)


def rule_of(statement: str) -> Rule | None:
    """The rule that a statement falls under, or None."""
    return next((rule for rule in RULES if rule.pattern.search(statement)), None)


def table_of(statement: str) -> str:
    """The table that it locks, or ""."""
    found = _TABLE.search(statement)
    return next((name for name in found.groups() if name), "") if found else ""


def is_harmless(statement: str) -> bool:
    """Whether a statement without a rule is known to lock no table."""
    return bool(_HARMLESS.search(statement))

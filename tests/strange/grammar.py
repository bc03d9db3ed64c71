"""Objects of a clinic's own, put together from grammar.toml: a kind, and a choice for each of its blanks."""

from __future__ import annotations

import string
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from moeen.db.schema import load_expected

HERE = Path(__file__).parent
KINDS = tomllib.loads((HERE / "grammar.toml").read_text(encoding="utf-8"))
#: How the names of a clinic's own objects begin; what follows counts them. All can be told by `law.MARK`.
NAMES = ("clinic_", "Clinic_ ", "عيادة clinic_", 'the "clinic_" ', "clinic_.", "clinic_-'", f"{'clinic_' * 8}")
#: Table of the state core -> columns of its that are text, and any.
TABLES = {
    "users": (["name", "role", "password_hash"], ["email", "id"]),
    "patients": (["gender", "phone", "last_name", "address"], ["date_of_birth", "email"]),
    "doctors": (["specialization", "phone"], ["is_active", "consultation_fee", "user_id"]),
    "appointments": (["status", "notes"], ["appointment_date", "appointment_time", "patient_id", "duration"]),
    "sessions": (["status", "notes", "diagnosis"], ["session_date", "session_time", "doctor_id"]),
    "insurance_claims": (["status", "notes", "insurance_provider"], ["claim_amount", "submitted_date", "claim_number"]),
}
TYPES = (
    "text", "varchar(40)", "char(3)", '"char"', "name", "int", "smallint", "bigint", "numeric", "numeric(7,3)", "real",
    "float8", "money", "boolean", "date", "time", "time(2)", "timetz", "timestamp", "timestamp(3)", "timestamptz",
    "interval", "interval day to second(2)", "json", "jsonb", "jsonpath", "uuid", "bytea", "inet", "cidr", "macaddr",
    "point", "polygon", "int[]", "text[][]", "int4range", "tstzrange", "datemultirange", "tsvector", "tsquery",
    "bit(3)", "varbit(9)", "oid", "regclass", "regrole", "pg_lsn", "xid8", "users", "patients[]",
)  # fmt: skip
#: What sessions of the database begin with.
SETTINGS = (
    "search_path = app, public", "DateStyle = SQL, DMY", "IntervalStyle = iso_8601", "bytea_output = escape",
    "quote_all_identifiers = on", "check_function_bodies = off", "default_transaction_isolation = serializable",
    "default_transaction_deferrable = on", "lock_timeout = 1", "idle_in_transaction_session_timeout = 1",
    "client_min_messages = error", "client_encoding = WIN1256", "default_toast_compression = pglz",
    "extra_float_digits = -5", "xmloption = document", "enable_seqscan = off", "constraint_exclusion = on",
    "default_text_search_config = arabic", "array_nulls = off", "exit_on_error = on",
    "plan_cache_mode = force_generic_plan", "synchronous_commit = off", "TimeZone = GMT", "work_mem = '64kB'",
)  # fmt: skip
#: A role of the clinic's own; it belongs to the server.
ROLE = "clinic_reports"

_expected = load_expected()
_OURS = {name.table for name in _expected["table"] if name.schema == "public"}
_BLANKS = {
    "type": TYPES,
    "new": ("phone", "is_active", "last_login", "public_id"),
    "new_table": tuple(sorted(_OURS - TABLES.keys())),
    "index": tuple(sorted(name.part for name in _expected["index"])),
    "function": tuple(sorted({n.part.partition("(")[0] for n in _expected["function"] if n.schema == "app"})),
    "policy": tuple(sorted(name.part for name in _expected["policy"] if name.table == "patients")),
    "any_of_patients": ("gender", "date_of_birth", "created_at"),
    "setting": SETTINGS,
}

Choose = Callable[[str, Sequence[str]], str]


@dataclass(frozen=True)
class Server:
    """What is to be had there: its major version, the names of extensions, and whether it knows ICU's collations."""

    version: int
    extensions: frozenset[str]
    icu: bool


@dataclass(frozen=True)
class Object:
    """One object as SQL, to be run by its owner, or by an administrator."""

    kind: str
    sql: str
    by_admin: bool

    def __str__(self) -> str:
        return f"-- {self.kind}{' (as the administrator)' if self.by_admin else ''}\n{self.sql}"


def can_be_made(kind: str, server: Server) -> bool:
    """Whether the server has what it takes."""
    entry = KINDS[kind]
    if entry.get("icu") and not server.icu:
        return False
    return entry.get("extension") in (None, *server.extensions) and entry.get("least", 0) <= server.version


def make(kind: str, number: int, choose: Choose) -> Object:
    """The object of this kind, the ``number``-th of its database; ``choose`` is given a blank and what may fill it."""
    entry = KINDS[kind]
    blanks = {field for _, field, *_ in string.Formatter().parse(entry["sql"]) if field}
    values = {"role": ROLE}
    if any(blank.startswith("name") for blank in blanks):
        name = f"{choose('name', NAMES)}{number}"
        values |= {blank: _quoted(name + blank.removeprefix("name")) for blank in blanks if blank.startswith("name")}
    if "table" in blanks:
        table = values["table"] = choose("table", sorted(TABLES))
        texts, others = TABLES[table]
        times = ["created_at", "updated_at"]
        columns = {"text": texts, "time": times, "any": texts + others}
        values |= {blank: choose(blank, columns[blank]) for blank in sorted(blanks & columns.keys())}
    if "trigger" in blanks:
        triggers = {f"{n.table}.{n.part}" for n in _expected["trigger"] if n.table in TABLES}
        values["trigger_table"], values["trigger"] = choose("trigger", sorted(triggers)).split(".")
    values |= {blank: choose(blank, _BLANKS[blank]) for blank in sorted(blanks & _BLANKS.keys())}
    return Object(kind, entry["sql"].format_map(values), entry.get("as") == "admin")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'

"""What the apps tell the toolkit, which itself names no app and none of their tables.

An app says it in its AppConfig:

    class BillingConfig(AppConfig):
        name = "billing"
        database_facts = DatabaseFacts(append_only=frozenset({"ledger_entries"}))

Roles are named without the prefix `moeen_`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from django.apps import AppConfig, apps
from django.utils.module_loading import import_string

from moeen.db.errors import ConfigurationError

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    from moeen.db.findings import Finding

    Check = Callable[[BaseDatabaseWrapper], Iterable[Finding]]

#: The toolkit's own tables, which it writes by SQL: the ledger, backfills, imports, runs over a fleet, the ids and keys
#: that rows bore before, the seals of the audit log, what commands last found, what is asked of operators. An app holds
#: their models, so that a migration makes them.
LEDGER_TABLES = ("migration_runs", "migration_steps")
OWN_TABLES = (
    *LEDGER_TABLES,
    "backfill_runs",
    "public_id_aliases",
    "import_runs",
    "legacy_keys",
    "fleet_runs",
    "fleet_turns",
    "audit_seals",
    "operator_reports",
    "operator_requests",
)


@dataclass(frozen=True, kw_only=True)
class DatabaseFacts:
    """What the toolkit needs to know about the tables and SQL files of an app.

    `audit_table`: the audit log, which app.suspend_audit() writes to; a backfill leaves its one entry there. It is
    sealed by its columns id, public_id, created_at and transaction_id.
    `older_indexes`: names of the indexes that the SQL before this project made; adoption puts today's in their place.
    `append_only`: tables whose rows keep the public ids they have.
    `whole_table_roles`: table -> the roles that may see all of it, where they are fewer than lint.TRUSTED.
    `secret_readers`: table -> the roles that may read its columns of passwords and keys.
    `public_rows`: table -> its boolean column that marks the rows which anybody may read.
    `accepted_advice`: "kind object" of what security.advisors finds -> why it may be so.
    `first_files`: SQL files that the defaults of tables stand on; a plan runs them, in a transaction that is undone.
    `tables_of_files`: APP/FILE of SQL -> the tables that it makes, and no model tells of; its way back drops them.
    `policies_stand_on`: (app, migration) whose functions policies call; migrations of new tables depend on them.
    `exposure_checks`: dotted names of functions from a connection to findings: what must hold in its rows for its
    policies to hold.
    `users_of_django`: statements that take the people of Django's own `auth_user` over into the app's users.
    """

    audit_table: str = ""
    older_indexes: frozenset[str] = frozenset()
    append_only: frozenset[str] = frozenset()
    whole_table_roles: Mapping[str, frozenset[str]] = field(default_factory=dict)
    secret_readers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    public_rows: Mapping[str, str] = field(default_factory=dict)
    accepted_advice: Mapping[str, str] = field(default_factory=dict)
    first_files: frozenset[str] = frozenset()
    tables_of_files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    policies_stand_on: tuple[tuple[str, str], ...] = ()
    exposure_checks: tuple[str, ...] = ()
    users_of_django: str = ""


def facts() -> DatabaseFacts:
    """What all apps say together. Raises ConfigurationError where two say different things."""
    merged: dict[str, Any] = {}
    for config, said in _told():
        for name in (one.name for one in fields(DatabaseFacts)):
            merged[name] = _together(config, name, merged.get(name), getattr(said, name))
    return DatabaseFacts(**merged)


def runs_first(app_label: str, file: str) -> bool:
    """Whether the app names this SQL file of its own among those that run first."""
    return any(config.label == app_label and file in said.first_files for config, said in _told())


def exposure_checks() -> Iterator[Check]:
    """The functions that the apps name, in the order of the apps."""
    for path in facts().exposure_checks:
        yield import_string(path)


def _told() -> Iterator[tuple[AppConfig, DatabaseFacts]]:
    for config in apps.get_app_configs():
        said = getattr(config, "database_facts", None)
        if isinstance(said, DatabaseFacts):
            yield config, said
        elif said is not None:
            raise ConfigurationError(
                f"{config.label}: database_facts is no DatabaseFacts but {type(said).__name__}.",
                next_step=f"Correct {config.name}/apps.py; docs/extending.md shows one.",
            )


def _together(config: AppConfig, name: str, before: Any, said: Any) -> Any:
    """Two apps' words as one."""
    if not before or not said:
        return before or said
    if isinstance(said, frozenset):
        return before | said
    if isinstance(said, tuple):
        return (*before, *said)
    twice = sorted(before.keys() & said.keys()) if isinstance(said, Mapping) else [said]
    if twice:
        raise ConfigurationError(
            f"{config.label}: database_facts.{name} says again what another app says: {', '.join(twice)}.",
            next_step="One app says it: the one that has the table.",
        )
    return {**before, **said}

"""Why a run of migrate stops, each with what to do next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from django.db.migrations import Migration

from moeen.db.codes import Code
from moeen.db.errors import FINDINGS, MoeenError
from moeen.db.findings import Finding
from moeen.db.sql import compose


class Listing(MoeenError):
    """An error that lists findings, a line each as ``tell`` writes it."""

    default_code = Code.NOT_ADOPTABLE

    def __init__(
        self,
        what: str,
        findings: Sequence[Finding],
        *,
        next_step: str,
        tell: Callable[[Finding], str] = Finding.pretty,
    ) -> None:
        self.findings = tuple(findings)
        lines = "\n".join(f"  {tell(finding)}" for finding in findings)
        super().__init__(f"{what}\n{lines}", next_step=next_step, exit_code=FINDINGS)


class Findings(Listing):
    """A refusal for what the database holds: its statements can be planned all the same."""


class InvariantBroken(Listing):
    """A migration ran, but what must hold after each of them does not."""

    default_code = Code.SCHEMA_DIFFERS

    def __init__(self, migration: Migration, findings: Sequence[Finding]) -> None:
        super().__init__(
            f"After {migration.app_label}.{migration.name} the database is not as it must be; the run stops here.",
            findings,
            next_step="Mend what is listed, then run migrate again: it goes on after this migration.",
        )


class SchemaDiffers(Listing):
    """All migrations ran, but the schema is not what they should have made."""

    default_code = Code.SCHEMA_DIFFERS

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__(
            "The migrations ran, but the schema is not what they should have made.",
            findings,
            next_step="manage.py validate_schema shows all differences, with --sql what mends them. Where a new "
            "migration is meant to make them, manage.py validate_schema --write-expected "
            "tells the code.",
        )


class HistoryChanged(Listing):
    """Applied migrations were edited or removed, or a newer version of the project was here."""

    default_code = Code.HISTORY_CHANGED

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__(
            "The applied migrations are not those of this code. Nothing was changed.",
            findings,
            next_step="See the fix beside each.",
        )


class NotConfirmed(MoeenError):
    """Reversing would lose rows, and whoever was asked did not say yes."""

    default_code = Code.NOT_CONFIRMED

    def __init__(self) -> None:
        super().__init__(
            "Nothing was changed: losing these was not confirmed.",
            next_step="`migrate APP NAME --plan` lists them; a backup is made first. Type yes, or say --no-input.",
            exit_code=FINDINGS,
        )


class MissingPrivileges(MoeenError):
    """The connecting role may not do what the migrations need; each right is named with its GRANT."""

    default_code = Code.PRIVILEGE

    def __init__(self, role: str, missing: Sequence[Finding]) -> None:
        self.findings = tuple(missing)
        lines = "\n".join(dict.fromkeys(f"  {finding.object}: {finding.expected}" for finding in missing))
        grants = "\n".join(dict.fromkeys(f"  {finding.fix.pretty()};" for finding in missing))
        super().__init__(
            f"Role {role} lacks rights that the migrations need. Nothing was changed.\n{lines}",
            next_step=f"Let an administrator run:\n{grants}",
            exit_code=FINDINGS,
        )


class AnotherApplication(MoeenError):
    """Tables of somebody else's stand in the database, and none of ours: it may be the wrong one."""

    default_code = Code.NOT_ADOPTABLE

    def __init__(self, database: str, tables: Sequence[str]) -> None:
        some = ", ".join(tables[:5]) + (f" and {len(tables) - 5} more" if len(tables) > 5 else "")
        super().__init__(
            f"Database {database} holds tables of another application ({some}), and none of this project's. "
            "Nothing was changed.",
            next_step="If it is the wrong one, name another in DATABASE_URL. If both shall live here: manage.py "
            "migrate --yes-here. Rows of tables that are shaped otherwise come over by manage.py import_database.",
            exit_code=FINDINGS,
        )


class Captured(Listing):
    """What our own expressions mean cannot be told: something of the clinic's is called in PostgreSQL's place."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__(
            "Our columns fit these better than PostgreSQL's own of the same name, and would call them instead. "
            "Nothing was changed.",
            findings,
            next_step="Move them into a schema of their own, or rename them, then run migrate again.",
        )


class UnfitSession(MoeenError):
    """Sessions begin with a setting under which nothing can be changed, or nothing is checked."""

    default_code = Code.NOT_ADOPTABLE

    def __init__(self, database: str, role: str, settings: Mapping[str, str]) -> None:
        said = "; ".join(f"{name} is {value}" for name, value in settings.items())
        resets = "\n".join(
            f"  {compose(words, d=database, r=role, n=name)};"
            for name in settings
            for words in ("ALTER DATABASE {d} RESET {n}", "ALTER ROLE {r} IN DATABASE {d} RESET {n}")
        )
        super().__init__(
            f"Sessions of role {role} in database {database} begin so: {said}. Nothing was changed.",
            next_step=f"Let whoever set it take it back; one of these does:\n{resets}",
            exit_code=FINDINGS,
        )


class NotUTF8(MoeenError):
    """The database's encoding lacks characters that our functions name, or is none at all."""

    default_code = Code.NOT_ADOPTABLE

    def __init__(self, encoding: str) -> None:
        why, dump = "has no place for characters that ours need, such as Arabic numerals", "pg_dump"
        checked = ""
        if encoding == "SQL_ASCII":
            why = "is none: its text is bytes that nobody has checked"
            dump = "pg_dump --encoding=ENCODING, naming the one that its programs wrote (such as UTF8 or WIN1256),"
            checked = "What is not of the encoding is named by its line then. "
        super().__init__(
            f"The database's encoding {encoding} {why}. Nothing was changed.",
            next_step=f"Dump it with {dump} and restore that with psql into a database made with ENCODING 'UTF8' "
            f"TEMPLATE template0, which converts the text. {checked}Name the new database in DATABASE_URL.",
            exit_code=FINDINGS,
        )


class KeptOut(MoeenError):
    """Forgotten transactions have tables for themselves alone, so that these cannot even be looked at."""

    default_code = Code.LOCK_TIMEOUT

    def __init__(self, held: Sequence[Finding]) -> None:
        lines = "".join(f"\n  {finding.pretty()}" for finding in held)
        super().__init__(
            f"Tables cannot be looked at while somebody keeps readers out. Nothing was changed.{lines}",
            next_step="Run it again when these are ended.",
            exit_code=FINDINGS,
        )


class HalfAdopted(MoeenError):
    """The ledger of migrations says more than the database holds."""

    default_code = Code.HALF_ADOPTED

    def __init__(self, missing: Sequence[str]) -> None:
        super().__init__(
            "The database is half adopted: migrations are recorded as applied, but their tables are missing: "
            f"{', '.join(missing)}. Nothing was changed.",
            next_step="Restore these tables from a backup. Or, if they held no rows, take the app's record back with "
            "`manage.py migrate APP zero --fake` and run migrate again: what stands already is kept.",
            exit_code=FINDINGS,
        )


class AdoptionRefused(Findings):
    """The database holds tables of our names that cannot be carried over; ``findings`` lists every mismatch."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        some = "1 mismatch" if len(findings) == 1 else f"{len(findings)} mismatches"
        super().__init__(
            f"This database cannot be migrated as it is; {some}. Nothing was changed.",
            findings,
            next_step="Mend what is listed, or name another database in DATABASE_URL, then run migrate again.",
        )


class StrangersSchema(Listing):
    """A schema that our functions would run in, or call, is not ours and no platform's."""

    default_code = Code.STRANGERS_SCHEMA

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__(
            "What would decide who is asking is not ours, or tells somebody else. Nothing was changed.",
            findings,
            next_step="Find out who made it and why, take it away as is said beside it, then run migrate again.",
        )

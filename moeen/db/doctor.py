"""One page about an installation: each thing it needs with ok, warn or fail, and the next step."""

from __future__ import annotations

import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from functools import cached_property, partial
from typing import Any
from urllib.parse import quote

import psycopg
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import checks
from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db import alarm, registry, roles, schema, standbys
from moeen.db.archiving import standing
from moeen.db.backups import retention, store
from moeen.db.backups.origin import Origin
from moeen.db.codes import Code
from moeen.db.errors import DONE, MoeenError
from moeen.db.explain import explain
from moeen.db.findings import Finding
from moeen.db.history import ledger, other_tools
from moeen.db.kinds import Kind
from moeen.db.migrate import preflight
from moeen.db.schema.rows import DECLARED
from moeen.db.seals import age
from moeen.db.security import serving, signing
from moeen.db.security.trust import PLATFORM_OWNERS
from moeen.db.server import project

OK, WARN, FAIL = STATES = ("ok", "warn", "fail")
#: The versions that the project is made for.
OLDEST, NEWEST = 14, 18
LOW_DISK_BYTES = 2 * 1024**3
REST_SECONDS = 10.0
#: Where a line's words begin.
INDENT = 19
_AS_OWNER = "let DATABASE_URL name the owner of the tables"
_MIGRATIONS = frozenset({Kind.MIGRATION_MISSING, Kind.MIGRATION_UNKNOWN, Kind.MIGRATION_EDITED})


@dataclass(frozen=True)
class Line:
    """One thing: ``state`` is ok, warn or fail; ``next_step`` is "" where nothing need be done."""

    name: str
    state: str
    says: str
    next_step: str = ""

    def pretty(self) -> str:
        text = f"{self.state:4}  {self.name:11}  {self.says}"
        return f"{text}\n{'':{INDENT}}next: {self.next_step}" if self.next_step else text


@dataclass(frozen=True)
class Diagnosis:
    """All lines; ``ok``: none says fail. ``measures``: what machines may watch, as far as it could be looked at:
    migrations_pending, last_backup_timestamp_seconds, last_seal_timestamp_seconds (Unix), unsealed_entries."""

    ok: bool
    lines: tuple[Line, ...]
    measures: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def pretty(self) -> str:
        return "\n".join(line.pretty() for line in self.lines)


def examine(connection: BaseDatabaseWrapper) -> Diagnosis:
    """Look at everything; what cannot be looked at is a line that says fail, never an exception."""
    patient = _Examination(connection)
    first = patient.line("connection", patient.connection)
    lines = [first]
    if first.state != FAIL:
        for name in ("version", "role", "identity", "web", "TLS", "disk", "migrations", "backfills", "validation"):
            lines.append(patient.line(name, getattr(patient, name.lower())))
        lines.append(patient.line("audit seals", patient.seals))
        lines.append(patient.line("other tools", patient.other_tools))
        lines += [patient.line(alias, partial(patient.standby, alias)) for alias in settings.STANDBYS]
    lines.append(patient.line("backups", patient.backups))
    lines.append(patient.line("archive", patient.archive))
    lines.append(patient.line("alarm", patient.alarm))
    lines.append(patient.line("settings", patient.settings))
    if settings.SUPABASE_URL:
        lines.append(patient.line("REST", patient.rest))
    ok = all(line.state != FAIL for line in lines)
    return Diagnosis(ok=ok, lines=tuple(lines), measures=patient.measures)


def try_alarm(connection: BaseDatabaseWrapper) -> Diagnosis:
    """Tell whom ON_FAILURE names that this is a try, and whether that was possible."""
    name = str(connection.settings_dict["NAME"])
    event = alarm.Event("doctor", name, DONE, message="This is a try: nothing has failed.", outcome="try")
    wrong = alarm.tell(settings.ON_FAILURE, event) if settings.ON_FAILURE else "ON_FAILURE is not set"
    if wrong:
        line = Line("alarm", FAIL, f"nobody was told: {wrong}", "correct ON_FAILURE (.env.example), then try again")
    else:
        line = Line("alarm", OK, "told; look whether it has arrived")
    return Diagnosis(ok=line.state == OK, lines=(line,))


Answer = tuple[str, str, str]


class _Examination:
    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.wrapper = connection
        self.measures: dict[str, float] = {}

    def line(self, name: str, ask: Callable[[], Answer]) -> Line:
        try:
            return Line(name, *ask())
        except (DatabaseError, psycopg.Error, MoeenError, OSError, LookupError) as error:
            known = explain(error)
            cause = known.cause if known else type(error).__name__
            step = known.next_step if known else "manage.py doctor --traceback shows where it comes from"
            return Line(name, FAIL, cause.splitlines()[0], (step or "").splitlines()[0] if step else "")

    def _one(self, query: str, params: Any = None) -> tuple[Any, ...]:
        with self.wrapper.cursor() as cursor:
            cursor.execute(query, params)
            return tuple(cursor.fetchone())

    @cached_property
    def result(self) -> schema.Validation:
        return schema.validate(self.wrapper, advice=True)

    def connection(self) -> Answer:
        (name, size) = self._one("SELECT current_database(), pg_size_pretty(pg_database_size(current_database()))")
        if self.wrapper.settings_dict.get("EMBEDDED"):
            place = f"the embedded server in {project.configured_server().data_dir}"
        else:
            assert self.wrapper.connection is not None
            info = self.wrapper.connection.info
            place = f"{info.host}:{info.port}"
            if info.port in (6543, 6432):
                step = "use the direct connection (port 5432) for migrations and dumps"
                return WARN, f"{name} at {place}, the port of a pooler; {size}", step
        return OK, f"{name} at {place}; {size}", ""

    def version(self) -> Answer:
        (number, words) = self._one(
            "SELECT current_setting('server_version_num')::int, current_setting('server_version')"
        )
        major = number // 10000
        if major < OLDEST:
            return FAIL, f"PostgreSQL {words}", f"upgrade: {OLDEST} to {NEWEST} are supported"
        if major > NEWEST:
            return WARN, f"PostgreSQL {words}, newer than what the project was tried on ({NEWEST})", ""
        return OK, f"PostgreSQL {words.split()[0]}", ""

    def role(self) -> Answer:
        role, is_super, bypass, standby = self._one(
            "SELECT rolname, rolsuper, rolbypassrls, pg_is_in_recovery() FROM pg_roles WHERE rolname = current_user"
        )
        if standby:
            return WARN, f"{role}, on a standby: nothing can be written", "connect to the primary to change anything"
        _, lacking = preflight.missing_privileges(self.wrapper, {})
        if lacking:
            return FAIL, f"{role} lacks {lacking[0].expected} on {lacking[0].object}", f"{lacking[0].fix.pretty()};"
        _, statements = roles.missing(self.wrapper)
        if statements:
            return (
                FAIL,
                f"{role} may not become every role of the policies",
                "manage.py migrate, which says what it needs",
            )
        if is_super:
            step = "use a role that is no superuser; row security never binds a superuser"
            return WARN, f"{role} is a superuser", step
        return OK, f"{role}{', passes row security by' if bypass else ''}; may do what migrations need", ""

    def web(self) -> Answer:
        found = serving.hindrance(self.wrapper)
        if found is None:
            return OK, f"served as {settings.WEB_LOGIN}, which owns nothing and takes a role for each request", ""
        step = "manage.py migrate" if self.wrapper.settings_dict.get("EMBEDDED") else "manage.py print_web_role_sql"
        return FAIL, found.cause, step

    def standby(self, alias: str) -> Answer:
        """Whether pages may be read from it, and how late it is."""
        found = standbys.look(self.wrapper, alias)
        if found.login != settings.WEB_LOGIN:
            says = f"is read as {found.login}, which is not the web's login (WEB_DATABASE_URL)"
            return FAIL, says, "let DATABASE_REPLICA_URLS name that login"
        if found.role == "primary":
            return OK, "is the primary at present: nothing more is read from it", ""
        if found.role == "another":
            return FAIL, "is no standby of this database: nothing is read from it", "correct DATABASE_REPLICA_URLS"
        if found.behind:
            says = f"{found.behind / 1e6:.1f} MB behind after {found.seconds:.0f} s: the primary answers meanwhile"
            return WARN, says, "pg_stat_replication on the primary tells why (docs/high-availability.md)"
        return OK, f"replays what the primary has within {found.seconds:.2f} s", ""

    def identity(self) -> Answer:
        good, says, step = signing.standing(self.wrapper)
        return (WARN if step else OK) if good else FAIL, says, step

    def tls(self) -> Answer:
        (encrypted, version) = self._one("SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        (remote,) = self._one("SELECT coalesce(inet_client_addr() <> inet_server_addr(), false)")
        if encrypted:
            return OK, str(version), ""
        if remote:
            return FAIL, "the connection is not encrypted", "add ?sslmode=require to DATABASE_URL, better verify-full"
        return OK, "not needed: the server is on this machine", ""

    def disk(self) -> Answer:
        (size,) = self._one("SELECT pg_database_size(current_database())")
        local = self.wrapper.settings_dict.get("EMBEDDED")
        folder = project.configured_server().data_dir if local else settings.BASE_DIR
        free = shutil.disk_usage(folder).free
        whose = "for the database" if local else "here, for backups; the server's own disk cannot be seen"
        if free < max(LOW_DISK_BYTES, 2 * size if local else size):
            return (
                WARN,
                f"{free / 1e9:.1f} GB free {whose}",
                "make room: a backup or an index build may need as much again",
            )
        return OK, f"{free / 1e9:.1f} GB free {whose}", ""

    @property
    def _login(self) -> str:
        return str(self.wrapper.settings_dict["USER"]) or "this login"

    @cached_property
    def never(self) -> Finding | None:
        return next((f for f in self.result.findings if f.kind is Kind.NEVER_MIGRATED), None)

    def migrations(self) -> Answer:
        if self.never:
            return FAIL, f"none is applied: {self.never.why}", self.never.fix.pretty()
        if "django_migrations" in self.result.skipped:
            return FAIL, f"not known: {self._login} may not read the record of migrations", _AS_OWNER
        found = [f for f in self.result.findings if f.kind in _MIGRATIONS]
        missing = sum(f.kind is Kind.MIGRATION_MISSING for f in found)
        self.measures["migrations_pending"] = missing
        if not found:
            return OK, "all are applied, none was edited", ""
        if missing:
            return FAIL, f"{missing} not applied", "manage.py migrate"
        return FAIL, f"{found[0].object}: {found[0].found}", found[0].fix.pretty()

    def other_tools(self) -> Answer:
        """Other migration tools that changed this database, or may have since our last run."""
        found = list(other_tools.look(self.wrapper))
        if not found:
            return OK, "no other tool keeps a history here", ""
        says, last = "; ".join(history.pretty() for history in found), ledger.last_done(self.wrapper)
        moved = [each.tool.name for each in found if last and each.newest and each.newest > last]
        if moved:
            step = "manage.py validate_schema shows what it changed of ours"
            return WARN, f"{says}; {', '.join(moved)} was at work since the last migrate", step
        return OK, says, ""

    def backfills(self) -> Answer:
        if self.never:
            return FAIL, "not before the first migrate", self.never.fix.pretty()
        found = [f for f in self.result.findings if f.kind in DECLARED]
        if not found and self.result.skipped:
            return WARN, f"not known: {self._login} may not look into {len(self.result.skipped)} tables", _AS_OWNER
        if not found:
            return OK, "nothing is waiting", ""
        waiting = sorted({f.object for f in found if f.kind is not Kind.PUBLIC_IDS_GUESSABLE})
        if waiting:
            step = "manage.py backfill_public_ids --dry-run, then without --dry-run"
            return WARN, f"not finished: {', '.join(waiting)}", step
        step = "manage.py remint_public_ids --form dated --dry-run, then without --dry-run"
        return WARN, f"can be guessed: {', '.join(f.object for f in found)}", step

    def validation(self) -> Answer:
        if self.never:
            return FAIL, "not before the first migrate", self.never.fix.pretty()
        found = [f for f in self.result.findings if f.kind not in _MIGRATIONS | DECLARED]
        if not found and self.result.skipped:
            says = (
                f"the catalog is what the code says; {self._login} may not look into {len(self.result.skipped)} tables"
            )
            return WARN, says, _AS_OWNER
        if not found:
            return OK, f"the catalog is what the code says; fingerprint {self.result.fingerprint}", ""
        worst = found[0]
        state = FAIL if worst.severity in ("breaks", "unsafe") else WARN
        return state, f"{len(found)} findings, first {worst.object}: {worst.kind}", "manage.py validate_schema"

    def seals(self) -> Answer:
        """How long ago the audit log was sealed, and what has come since: that is not protected yet."""
        try:
            found = age.look(self.wrapper)
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
            return WARN, "there is no audit log of today's shape yet", "manage.py migrate"
        self.measures["unsealed_entries"] = found.unsealed
        if found.newest is None:
            if not found.unsealed:
                return OK, "the audit log is empty", ""
            step = "manage.py seal_audit_log, then a line for it in cron: manage.py print_schedule"
            return WARN, f"nothing is sealed of {found.unsealed:,} entries of the audit log", step
        self.measures["last_seal_timestamp_seconds"] = found.newest.sealed_at.timestamp()
        minutes = int(found.age.total_seconds() // 60)
        ago = f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours"
        says = f"seal {found.newest.number} was made {ago} ago, {found.unsealed:,} entries have come since"
        if not found.intact:
            return FAIL, f"seal {found.newest.number} is not as it was made", "manage.py verify_audit_log"
        if found.overdue:
            return WARN, says, "manage.py seal_audit_log; why does its line in cron not run? (print_schedule)"
        return OK, says, ""

    def backups(self) -> Answer:
        here = Origin.of_wrapper(self.wrapper)
        everything = retention.entries(store.of())
        worries = retention.warnings(everything, here, max_age=timedelta(hours=settings.BACKUP_MAX_AGE))
        found = [entry for entry in everything if entry.origin.same(here)]
        if not found:
            return WARN, "none was ever made", "manage.py backup_database, then manage.py verify_backup latest"
        newest = max(found, key=lambda entry: entry.created_at)
        self.measures["last_backup_timestamp_seconds"] = newest.created_at.timestamp()
        says = f"{newest.id} of {newest.created_at:%Y-%m-%d %H:%M} UTC"
        if worries:
            return (FAIL if newest.verified_ok is False else WARN), worries[0], "manage.py list_backups"
        return OK, f"{says}, proven by a restore" if newest.verified_ok else says, ""

    def archive(self) -> Answer:
        """How far back one can go, and what the loss of the server would cost."""
        if not settings.ARCHIVE:
            if self.wrapper.settings_dict.get("EMBEDDED"):
                return WARN, "off: the loss of the server costs all since the last backup", "ARCHIVE=true (.env)"
            return self._archive_elsewhere()
        found = standing.look(self.wrapper)
        if found.worries:
            return WARN, found.worries[0], "manage.py archive status"
        return OK, f"{found.pretty()}; {found.bytes / 1e9:.2f} of {settings.ARCHIVE_GB} GB", ""

    def _archive_elsewhere(self) -> Answer:
        """A server whose files may be ours or not."""
        hosted, replicates = self._one(
            """SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = ANY (%s)),
                      (SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user)""",
            [list(PLATFORM_OWNERS)],
        )
        if hosted or settings.SUPABASE_URL:
            says = "the platform's to give: its daily backups, or point-in-time recovery where that was bought"
            return OK, says, "look how far back it reaches (Database > Backups), and try it once"
        if replicates:
            return WARN, "off: the loss of the server costs all since the last backup", "docs/archive.md"
        says = "not ours to keep: this role has no REPLICATION"
        return WARN, says, "archive there (docs/archive.md), or let ARCHIVE_DATABASE_URL name a login that has it"

    def alarm(self) -> Answer:
        if not settings.ON_FAILURE:
            step = "set ON_FAILURE, then manage.py doctor --try-alarm"
            return WARN, "nobody is told when a backup or a migration fails", step
        success = "" if settings.ON_SUCCESS else "; nobody misses what never ran (ON_SUCCESS)"
        return OK, f"somebody is told of failures{success}", ""

    def settings(self) -> Answer:
        deploy = not settings.SECRET_KEY.startswith("django-insecure-")
        found = [m for m in checks.run_checks(include_deployment_checks=deploy) if m.level >= checks.WARNING]
        found = [message for message in found if not message.is_silenced()]
        if not found:
            return OK, "no problems" if deploy else "no problems; this is a development checkout (no SECRET_KEY)", ""
        worst = max(found, key=lambda message: message.level)
        state = FAIL if worst.level >= checks.ERROR else WARN
        step = "manage.py check --deploy" if deploy else "manage.py check"
        return state, f"{len(found)} problems, first {worst.id}: {worst.msg.splitlines()[0]}", step

    # --- the REST road --------------------------------------------------------------------------------------------

    def rest(self) -> Answer:
        if not settings.SUPABASE_ANON_KEY or not settings.SUPABASE_SERVICE_ROLE_KEY:
            return WARN, "not tried", "set SUPABASE_ANON_KEY and SUPABASE_SERVICE_ROLE_KEY"
        shown = [table for table in self._tables() if self._shows_rows(table)]
        if shown:
            return FAIL, f"the anon key reads rows of {', '.join(shown)}", "manage.py validate_schema, then migrate"
        users = get_user_model()._meta.db_table
        status, _ = self._get(f"{quote(users)}?select=id&limit=1", settings.SUPABASE_SERVICE_ROLE_KEY)
        if status != 200:
            step = "is db-pre-request = app.bind_request set, and is the key this project's?"
            return FAIL, f"the service key was answered {status}", step
        return OK, "the anon key sees public rows at most; the service key is answered", ""

    def _tables(self) -> Iterator[str]:
        with self.wrapper.cursor() as cursor:
            cursor.execute(
                """SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
                   AND relkind IN ('r', 'p', 'v', 'm') ORDER BY 1"""
            )
            yield from [name for (name,) in cursor.fetchall()]

    def _shows_rows(self, table: str) -> bool:
        marker = registry.facts().public_rows.get(table)
        where = f"?{quote(marker)}=not.is.true&limit=1" if marker else "?limit=1"
        status, rows = self._get(f"{quote(table)}{where}", settings.SUPABASE_ANON_KEY)
        if status >= 500:
            raise MoeenError(
                f"The REST road answered {status} for {table}.",
                next_step="try again later",
                code=Code.UNREACHABLE_SERVICE,
            )
        return status == 200 and bool(rows)

    def _get(self, path: str, key: str) -> tuple[int, Any]:
        """The status and the rows. Neither key nor rows are ever shown."""
        address = f"{settings.SUPABASE_URL.rstrip('/')}/rest/v1/{path}"
        request = urllib.request.Request(address, headers={"apikey": key, "Authorization": f"Bearer {key}"})
        try:
            with urllib.request.urlopen(request, timeout=REST_SECONDS) as answer:
                return int(answer.status), json.loads(answer.read(1_000_000))
        except urllib.error.HTTPError as error:
            return error.code, None
        except (urllib.error.URLError, ValueError, TimeoutError):
            raise MoeenError(
                "The REST road cannot be reached.",
                next_step="check SUPABASE_URL and the network",
                code=Code.UNREACHABLE_SERVICE,
            ) from None

"""What psycopg, libpq, Django or the operating system raised, as an error for people.

Passwords never reach a message, and neither does anything a row holds: PostgreSQL's DETAIL is never shown, and the text
of errors about values is replaced by their names.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError as DjangoDatabaseError
from django.db import NotSupportedError, connections
from django.db.migrations.exceptions import InconsistentMigrationHistory, NodeNotFoundError
from django.db.utils import Error as DjangoError
from django.utils.connection import ConnectionDoesNotExist

from moeen.db.codes import Code
from moeen.db.errors import (
    DATABASE_URL_FORM,
    FINDINGS,
    INTERRUPTED,
    MIGRATE_FIRST,
    USAGE,
    ConfigurationError,
    MoeenError,
    of_file,
)

_KINDS = {
    "table": ("TABLE", "SELECT"),
    "view": ("TABLE", "SELECT"),
    "materialized view": ("TABLE", "SELECT"),
    "relation": ("TABLE", "SELECT"),
    "sequence": ("SEQUENCE", "USAGE, SELECT"),
    "schema": ("SCHEMA", "USAGE"),
    "database": ("DATABASE", "CONNECT, CREATE, TEMPORARY"),
    "function": ("FUNCTION", "EXECUTE"),
    "procedure": ("PROCEDURE", "EXECUTE"),
    "type": ("TYPE", "USAGE"),
    "language": ("LANGUAGE", "USAGE"),
}
#: PostgreSQL says the same of what needs more.
_MORE = {"TABLE": " (INSERT, UPDATE, DELETE too, where it writes)", "SCHEMA": " (CREATE too, where it makes something)"}
# Classes of SQLSTATE whose primary message names objects, settings and states, never the content of a row.
_SPEAKABLE = ("08", "0A", "25", "26", "34", "3D", "3F", "40", "42", "53", "54", "55", "57", "58", "F0")


#: What names the server in what is said below, unless another setting or an option does.
_NAMED = re.compile(r"(?<!_)DATABASE_URL")
_ALONE = " Without DATABASE_URL the project uses its embedded server."


def explain(exc: BaseException, *, named: str = "DATABASE_URL") -> MoeenError | None:
    """The same failure as a MoeenError, or None where nothing better than the traceback is known.

    ``named``: the setting or the option that names the server.
    """
    found = _explained(exc)
    if found is not None and named != "DATABASE_URL":
        found.cause = _NAMED.sub(named, found.cause)
        found.next_step = _NAMED.sub(named, found.next_step.replace(_ALONE, ""))
    return found


@contextmanager
def named_by(name: str) -> Iterator[None]:
    """Within it servers are connected to that this setting or option names: what fails speaks of it."""
    try:
        yield
    except (psycopg.Error, DjangoError, MoeenError) as error:
        known = explain(error, named=name)
        assert known is not None  # these are all known
        raise known from (None if known is error else error)


def _explained(exc: BaseException) -> MoeenError | None:
    for link in chain(exc):
        if isinstance(link, MoeenError):
            return link
    for link in chain(exc):
        if isinstance(link, psycopg.Error):
            return _from_postgres(link)
    for link in chain(exc):
        found = _from_python(link)
        if found is not None:
            return found
    return None


def chain(exc: BaseException) -> Iterator[BaseException]:
    """The exception, then what it was raised from. `raise ... from None` ends the chain."""
    seen: set[int] = set()
    link: BaseException | None = exc
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _from_python(exc: BaseException) -> MoeenError | None:
    if isinstance(exc, KeyboardInterrupt):
        return MoeenError(
            "Cancelled.",
            next_step="The same command goes on where it was, or begins anew; nothing is half done.",
            exit_code=INTERRUPTED,
            code=Code.CANCELLED,
        )
    if isinstance(exc, NotSupportedError) and (found := re.search(r"found ([\d.]+)", str(exc))):
        return MoeenError(
            f"The server is PostgreSQL {found[1]}; PostgreSQL 14 or newer is needed.",
            next_step="Upgrade the server, or let DATABASE_URL name one of version 14 to 18.",
            code=Code.OLD_SERVER,
        )
    if isinstance(exc, InconsistentMigrationHistory):
        return MoeenError(
            f"The record of applied migrations contradicts itself: {exc}",
            next_step="Compare `manage.py showmigrations` with the tables that stand. The record was edited, "
            "or another version of the project migrated this database.",
            exit_code=FINDINGS,
            code=Code.HISTORY_CONTRADICTS,
        )
    if isinstance(exc, NodeNotFoundError):
        return MoeenError(
            f"A migration builds on one that is not there: {exc}",
            next_step="Restore the missing migration file; `git status` shows what changed.",
            code=Code.HISTORY_CONTRADICTS,
        )
    if isinstance(exc, ConnectionDoesNotExist):
        return MoeenError(
            f"No database goes by that name here: {exc}",
            next_step="--database takes an alias of DATABASES; the usual one is called default.",
            exit_code=USAGE,
        )
    if isinstance(exc, ImproperlyConfigured):
        return ConfigurationError(
            f"The project is not configured: {exc}", next_step="See .env.example for every setting."
        )
    if isinstance(exc, OSError) and exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return _disk_full("The disk is full" + (f" ({exc.filename})." if exc.filename else "."))
    if isinstance(exc, PermissionError) and exc.filename:
        return MoeenError(
            f"{exc.filename} cannot be read or written: {of_file(exc)}.",
            next_step="Run the command as the user whose it is, or give it to the one who runs commands.",
            code=Code.FILE,
        )
    if isinstance(exc, OSError) and exc.errno in (errno.EROFS, errno.EIO, errno.ESTALE) and exc.filename:
        return MoeenError(
            f"{exc.filename} cannot be read or written: {of_file(exc)}.",
            next_step="Look at the disk that it lies on, and how that is mounted.",
            code=Code.FILE,
        )
    if isinstance(exc, DjangoError | DjangoDatabaseError):
        return MoeenError(
            f"The database refused: {type(exc).__name__}.", next_step=_ASK_TRACEBACK, code=Code.REFUSED_BY_SERVER
        )
    return None


_ASK_TRACEBACK = "Run the command again with --traceback for the server's own words."


def _from_postgres(exc: psycopg.Error) -> MoeenError:
    state = exc.sqlstate
    if state is None:
        return _from_connection(str(exc))
    primary = exc.diag.message_primary or ""
    if state.startswith("23"):
        return _constraint(exc)
    if state == "42501":
        return _privilege(primary)
    if (state in ("53100", "58030") and "space" in primary.lower()) or state == "53100":
        return _disk_full(f"The server's disk is full: {primary}.")
    known = _STATES.get(state)
    if known is not None:
        cause, step, code = known
        return MoeenError(cause.format(primary=primary), next_step=step, code=code)
    name = type(exc).__name__
    words = f": {primary}" if primary and state.startswith(_SPEAKABLE) else ""
    return MoeenError(
        f"PostgreSQL refused with {name} ({state}){words}.", next_step=_ASK_TRACEBACK, code=Code.REFUSED_BY_SERVER
    )


_STARTING = (
    "The server is starting up or recovering from a crash.",
    "Wait some seconds, then run the command again.",
    Code.SERVER_BUSY,
)

_TOO_MANY = (
    "The server has no free connection left.",
    "Close other clients, or raise what ends it: max_connections, the CONNECTION LIMIT of the database or of the role; "
    "behind a pooler, its pool size.",
    Code.SERVER_BUSY,
)

_STATES: dict[str, tuple[str, str, Code]] = {
    "25006": (
        "The database is read-only: {primary}.",
        "Connect to the primary server, not to a standby, and look at default_transaction_read_only. "
        "A hosted database turns read-only when its disk is nearly full.",
        Code.READ_ONLY,
    ),
    "55P03": (
        "Another session holds a lock that is needed here, longer than the lock timeout.",
        "Nothing of this step was kept. Run it again when the other session is done; "
        "pg_blocking_pids() in pg_stat_activity shows who holds it.",
        Code.LOCK_TIMEOUT,
    ),
    "40P01": ("Two sessions waited for each other (deadlock); this one was cancelled.", "Run it again.", Code.DEADLOCK),
    "40001": ("Another transaction changed the same rows; this one was cancelled.", "Run it again.", Code.DEADLOCK),
    "57014": (
        "The server cancelled the statement: {primary}.",
        "Nothing of it was kept. With a statement timeout, raise it or run at a quieter hour.",
        Code.STATEMENT_CANCELLED,
    ),
    "57P01": (
        "The server was shut down or the session was ended by its administrator.",
        "Run it again.",
        Code.SERVER_STOPPED,
    ),
    "57P02": (
        "The server crashed and ended this session.",
        "Look into the server's log, then run it again.",
        Code.SERVER_STOPPED,
    ),
    "57P03": _STARTING,
    "25P03": (
        "The server ended the session: idle in a transaction for too long.",
        "Run it again.",
        Code.STATEMENT_CANCELLED,
    ),
    "53300": _TOO_MANY,
    "53200": (
        "The server ran out of memory or of lock slots: {primary}.",
        "Close other sessions; max_locks_per_transaction or the server's memory may be too small.",
        Code.SERVER_BUSY,
    ),
    "42P01": (
        "Something that should stand in the database does not: {primary}.",
        MIGRATE_FIRST,
        Code.NOT_MIGRATED,
    ),
    "42703": (
        "Something that should stand in the database does not: {primary}.",
        MIGRATE_FIRST,
        Code.NOT_MIGRATED,
    ),
    "3D000": (
        "There is no such database: {primary}.",
        "Create it (CREATE DATABASE ... ENCODING 'UTF8'), or correct the name at the end of DATABASE_URL.",
        Code.NO_DATABASE,
    ),
    "28P01": (
        "The server refused the user name or the password.",
        "Correct DATABASE_URL. Characters such as @ : / # % in a password are percent-encoded there.",
        Code.LOGIN_REFUSED,
    ),
}


def _disk_full(cause: str) -> MoeenError:
    return MoeenError(
        cause,
        next_step="Free space on that disk, then run the command again; it goes on where it was.",
        code=Code.DISK_FULL,
    )


def _constraint(exc: psycopg.Error) -> MoeenError:
    diag = exc.diag
    where = [
        f"{label} {value}"
        for label, value in (
            ("table", diag.table_name),
            ("column", diag.column_name),
            ("constraint", diag.constraint_name),
        )
        if value
    ]
    broken = {
        "23502": "a value is missing (NOT NULL)",
        "23503": "a row that is referred to is missing, or is still referred to (FOREIGN KEY)",
        "23505": "a value occurs twice (UNIQUE)",
        "23514": "a value is outside the allowed ones (CHECK)",
    }.get(exc.sqlstate or "", type(exc).__name__)
    return MoeenError(
        f"The data breaks a rule of the database: {broken}" + (f"; {', '.join(where)}." if where else "."),
        next_step="Correct the rows, then run it again. Values are not shown: they may be a patient's.",
        code=Code.BROKEN_RULE,
    )


def _privilege(primary: str) -> MoeenError:
    role = _connected_role()
    who = f'Role "{role}"' if role else "The connected role"
    grantee = _quoted(role) if role else "<role>"
    denied = re.match(r"permission denied for (materialized view|\w+) \"?([^\"]+)\"?", primary)
    more = ""
    owned = re.match(r"must be owner of (materialized view|\w+) \"?([^\"]+)\"?", primary)
    attribute = re.match(r"permission denied to create (database|role)", primary)
    member = re.match(
        r"(?:must be (?:able to SET ROLE|member of role)|permission denied to set role) \"([^\"]+)\"", primary
    )
    if denied and denied[1] in _KINDS:
        kind, privileges = _KINDS[denied[1]]
        cause = f"{who} lacks a privilege on {denied[1]} {denied[2]}"
        mend = f"GRANT {privileges} ON {kind} {_quoted(denied[2])} TO {grantee};"
        more = _MORE.get(kind, "")
    elif owned:
        kind = "TABLE" if owned[1] == "relation" else owned[1].upper()
        cause = f"{who} does not own {owned[1]} {owned[2]}"
        mend = f"ALTER {kind} {_quoted(owned[2])} OWNER TO {grantee};"
    elif attribute:
        option = "CREATEDB" if attribute[1] == "database" else "CREATEROLE"
        cause = f"{who} may not create a {attribute[1]}"
        mend = f"ALTER ROLE {grantee} {option};"
    elif member:
        cause = f"{who} is not a member of role {member[1]}"
        mend = f"GRANT {_quoted(member[1])} TO {grantee};"
    else:
        return MoeenError(
            f"{who} lacks a privilege: {primary}.",
            next_step="Connect as the owner of the database, or have its administrator grant it.",
            code=Code.PRIVILEGE,
        )
    return MoeenError(
        f"{cause} ({primary}).", next_step=f"As the owner or an administrator, run{more}: {mend}", code=Code.PRIVILEGE
    )


def _connected_role() -> str:
    """The login of the default connection, as far as it is known without asking the server again."""
    try:
        wrapper = connections["default"]
        if wrapper.connection is not None and not wrapper.connection.closed:
            return str(wrapper.connection.info.user)
        return str(wrapper.settings_dict["USER"])
    except Exception:  # explaining an error must not raise another one
        return ""


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?", name) else '"' + name.replace('"', '""') + '"'


# libpq gives no SQLSTATE when a connection cannot be made, only text. First match wins.
_CONNECTION: tuple[tuple[str, str, str, Code], ...] = (
    (
        r"session is read-only|server is in hot standby mode",  # before what is said of the others of several hosts
        "No server of DATABASE_URL takes writes at this moment (target_session_attrs).",
        "During a failover wait some seconds, then run the command again; otherwise look which server is the primary.",
        Code.READ_ONLY,
    ),
    (
        r"database \"(?P<x>[^\"]+)\" does not exist",
        "The server has no database {x!r}.",
        "Create it (CREATE DATABASE ... ENCODING 'UTF8'), or correct the name at the end of DATABASE_URL.",
        Code.NO_DATABASE,
    ),
    (
        r"database \"(?P<x>[^\"]+)\" is not currently accepting connections",
        "Database {x!r} stands, but lets nobody in (ALLOW_CONNECTIONS is false).",
        "If nobody shut it on purpose: as its owner, in another database such as postgres, run: "
        "ALTER DATABASE {x} ALLOW_CONNECTIONS true;",
        Code.NO_DATABASE,
    ),
    (
        r"password authentication failed for user \"(?P<x>[^\"]+)\"",
        "The server refused the password of user {x!r}.",
        "Correct DATABASE_URL. Characters such as @ : / # % in a password are percent-encoded there.",
        Code.LOGIN_REFUSED,
    ),
    (
        r"no password supplied",
        "The server wants a password and none was given.",
        f"Write it into DATABASE_URL: {DATABASE_URL_FORM}",
        Code.LOGIN_REFUSED,
    ),
    (
        r"role \"(?P<x>[^\"]+)\" does not exist",
        "The server has no user {x!r}.",
        "Correct the user in DATABASE_URL, or create it: CREATE ROLE ... LOGIN PASSWORD '...';",
        Code.LOGIN_REFUSED,
    ),
    (
        r"role \"(?P<x>[^\"]+)\" is not permitted to log in",
        "User {x!r} may not log in.",
        "Name another user in DATABASE_URL, or run: ALTER ROLE ... LOGIN;",
        Code.LOGIN_NOT_ADMITTED,
    ),
    (
        r"permission denied for database \"(?P<x>[^\"]+)\"",
        "The user may not connect to database {x!r}.",
        "As its owner, run: GRANT CONNECT ON DATABASE ... TO ...;",
        Code.LOGIN_NOT_ADMITTED,
    ),
    (
        r"no pg_hba.conf entry|pg_hba.conf rejects",
        "The server's access rules (pg_hba.conf) refuse this user, database, address or lack of encryption.",
        "Try ?sslmode=require at the end of DATABASE_URL; otherwise the administrator adds a rule.",
        Code.LOGIN_NOT_ADMITTED,
    ),
    (
        r"(Peer|Ident) authentication failed for user \"(?P<x>[^\"]+)\"",
        "The server takes only the operating system user of the same name for {x!r}.",
        "Run the command as that user, or connect over TCP with a password.",
        Code.LOGIN_NOT_ADMITTED,
    ),
    (
        r"failed to resolve host '(?P<x>[^']+)'|could not translate host name \"(?P<y>[^\"]+)\"",
        "The host {x!r} is not known.",
        "Correct the host in DATABASE_URL, and look whether name resolution (DNS) works here.",
        Code.NO_SERVER,
    ),
    (
        r"too many clients|remaining connection slots|too many connections|max client connections",
        *_TOO_MANY,
    ),
    (r"the database system is (starting up|in recovery mode|not yet accepting)", *_STARTING),
    (
        r"the database system is shutting down",
        "The server is shutting down.",
        "Start it again, then repeat the command.",
        Code.SERVER_BUSY,
    ),
    (
        r"invalid (?:connection option|[\w ]+ value|URI query parameter)|bad value for \w+",
        "DATABASE_URL holds an option whose name or value libpq does not accept.",
        f"The wanted form: {DATABASE_URL_FORM}",
        Code.CONFIGURATION,
    ),
    (
        r"server does not support SSL",
        "The server has no encryption (SSL), and DATABASE_URL demands it.",
        "Change sslmode in DATABASE_URL only if the way to the server is safe without it.",
        Code.ENCRYPTION,
    ),
    (
        r"root certificate file|certificate verify failed|server certificate",
        "The server's certificate could not be verified.",
        "Name the authority's certificate (sslrootcert=...) in DATABASE_URL; look whether the host is right.",
        Code.ENCRYPTION,
    ),
    (
        r"timeout expired|timed out",
        "The server did not answer in time.",
        "Look whether host and port in DATABASE_URL are right and no firewall stands between.",
        Code.NO_SERVER,
    ),
    (
        r"No such file or directory|Connection refused|is the server running|Is the server running",
        "No server answers{at}.",
        "Start the server, or correct host and port in DATABASE_URL. "
        "Without DATABASE_URL the project uses its embedded server.",
        Code.NO_SERVER,
    ),
    (
        r"Network is unreachable|No route to host|Cannot assign requested address",
        "The network gives no way to the server{at}.",
        "Look at the network, and whether the host has only an IPv6 address (use the pooler's address then).",
        Code.NO_SERVER,
    ),
    (
        r"server closed the connection|connection already closed|the connection is (closed|lost)|EOF detected"
        r"|consuming input failed|terminating connection",
        "The server closed the connection.",
        "Look into the server's log (a full disk or a crash shows there), then run the command again.",
        Code.CONNECTION_LOST,
    ),
)

_PLACE = re.compile(
    r"connection to server (?:at \"(?P<host>[^\"]*)\"[^,]*, port (?P<port>\d+)"
    r"|on socket \"(?P<s>[^\"]*)\")"
)


def _from_connection(text: str) -> MoeenError:
    place = _PLACE.search(text)
    at = ""
    if place:
        at = f" at {place['host']}, port {place['port']}" if place["port"] else f" on socket {place['s']}"
    for pattern, cause, step, code in _CONNECTION:
        found = re.search(pattern, text)
        if found:
            named = found.groupdict()
            subject = named.get("x") or named.get("y") or ""
            cause, step = cause.format(x=subject, at=at), step.format(x=_quoted(subject)) if "{x}" in step else step
            if code is Code.CONFIGURATION:
                return ConfigurationError(cause, next_step=step)
            return MoeenError(cause, next_step=step, code=code)
    return MoeenError(f"The connection to the database failed{at}.", next_step=_ASK_TRACEBACK, code=Code.NO_SERVER)

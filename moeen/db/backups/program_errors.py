"""What pg_dump and pg_restore said, as one error for people. Values of rows, which COPY quotes, are never repeated."""

from __future__ import annotations

import re

from moeen.db.codes import Code
from moeen.db.errors import FINDINGS, MoeenError

#: What neither the dump nor an object in it is to blame for.
_STOPPING = {"the disk is full": Code.DISK_FULL, "the server ended the connection": Code.CONNECTION_LOST}
#: Nothing that one object is to blame for.
_GENERAL = (*_STOPPING, "the dump is damaged")


class Stopped(MoeenError):
    """The program could not go on, whatever it read or wrote: the disk, the server, or somebody who ended it."""

    default_code = Code.PROGRAM_FAILED


_KNOWN: tuple[tuple[str, str, str, int], ...] = (
    (
        r"No space left on device|[Dd]isk quota exceeded|could not extend file|File too large",
        "the disk is full",
        "Free space on that disk, then run the command again.",
        1,
    ),
    (
        r"query would be affected by row-level security policy for table \"(?P<x>[^\"]+)\"",
        "row security hides rows of table {x} from this role",
        "Use the owner of the tables, or a role with BYPASSRLS.",
        FINDINGS,
    ),
    (
        r"permission denied for (?P<x>\w+ \S+)",
        "the role lacks a privilege on {x}",
        "Use the owner of the database.",
        1,
    ),
    (
        r"server closed the connection|terminating connection|connection to server .* failed|could not receive data"
        r"|shutting down|Connection refused|no connection to the server",
        "the server ended the connection",
        "Look whether the server runs, and into its log; then run the command again.",
        1,
    ),
    (
        r"sslmode value .* invalid when SSL support is not compiled in",
        "it has no TLS, and the connection demands TLS",
        "Install the client programs of the server's version (on Debian and Ubuntu: postgresql-client-VERSION).",
        1,
    ),
    (
        r"canceling statement due to lock timeout|could not obtain lock|lock timeout",
        "another session held a lock on a table for too long",
        "Look for a migration or a long transaction (pg_stat_activity), then run the command again.",
        1,
    ),
    (
        r"invalid byte sequence for encoding|has no equivalent in encoding",
        "the database holds text that is not in its encoding",
        "SQL_ASCII lets in any bytes. Find out which encoding they are in, convert the text, and keep it as UTF8.",
        1,
    ),
    (r"type \"(?P<x>[^\"]+)\" does not exist", "the type {x} is missing", "Is an extension missing there?", 1),
    (r"role \"(?P<x>[^\"]+)\" does not exist", "the role {x} is missing", "CREATE ROLE it there.", 1),
    (r"extension \"(?P<x>[^\"]+)\" is not available", "the extension {x} is not installed there",
     "Install its package on that server.", 1),
    (r"COPY failed for table \"(?P<x>[^\"]+)\"", "the rows of table {x} could not be loaded", "", 1),
    (
        r"invalid compressed|invalid distance|incorrect (header|data) check|could not uncompress|unexpected end of file"
        r"|could not read from input file|not appear to be a valid archive|unsupported version|corrupt|end of file"
        r"|invalid (stored|block|code|bit|literal|window)",
        "the dump is damaged",
        "Use another backup (manage.py list_backups).",
        1,
    ),
)  # fmt: skip


def is_general(said: str) -> bool:
    """Whether nothing can go on after it, whatever else is tried."""
    return any(re.search(pattern, said) for pattern, cause, *_ in _KNOWN if cause in _GENERAL)


_OTHERWISE = "The server's log may say more. Mend that, then run the command again."


def failure(program: str, said: str, code: int, *, otherwise: str = _OTHERWISE) -> MoeenError:
    """`said` is the program's standard error, `code` how it ended (negative: the signal).

    `otherwise`: what is to be done about an error that is not known.
    """
    for pattern, cause, step, exit_code in _KNOWN:
        found = re.search(pattern, said)
        if found:
            kind = Stopped if cause in _STOPPING else MoeenError
            return kind(
                f"{program} failed: {cause.format(x=found.groupdict().get('x'))}.",
                next_step=step,
                exit_code=exit_code,
                code=_STOPPING.get(cause, Code.PROGRAM_FAILED),
            )
    if code < 0:
        return Stopped(
            f"{program} was ended by signal {-code}.", next_step="Run the command again.", code=Code.PROGRAM_FAILED
        )
    return MoeenError(
        f"{program} failed: {_first_error(said) or f'exit code {code}'}.",
        next_step=otherwise,
        code=Code.PROGRAM_FAILED,
    )


def _first_error(said: str) -> str:
    """The first line with an error, without what stands in quotes after the name of an object."""
    for line in said.splitlines():
        found = re.search(r"(?:error|ERROR|FATAL): +(.*)", line)
        if found:
            # What the server says in another language cannot be told from what a row holds; two blanks begin it.
            words = re.sub(r"(?!(?:ERROR|FATAL|PANIC):)\b[^\W\d_]+: {2}.*", "see the server's log", found[1])
            words = re.sub(r"(invalid input syntax[^:]*|value|Key|key).*", r"\1 ...", words)
            return words.strip().rstrip(".")[:300]
    return ""

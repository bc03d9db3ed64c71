"""The whole run, made on a twin of the database before the database itself is touched.

What runs there is the real thing: the same migrations, by the same executor, as the same role. It goes on after a
failure where it can, so that one look gives the whole list.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from django.core.management.sql import emit_post_migrate_signal
from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db.catalog import sizes
from moeen.db.codes import Code
from moeen.db.converge import failures
from moeen.db.errors import FINDINGS, MoeenError
from moeen.db.explain import explain
from moeen.db.findings import Finding, Fix, Severity, unique
from moeen.db.kinds import Kind
from moeen.db.migrate import likeness, twin
from moeen.db.migrate.refusals import Findings
from moeen.db.migrate.watch import Seen, Watch
from moeen.db.schema import load_expected
from moeen.db.sql import compose
from moeen.db.statements import parts_of

#: What a rehearsal is given to run on the twin, watched: it returns the findings that would stop a real run.
Run = Callable[[BaseDatabaseWrapper, Watch], Sequence[Finding]]
#: SQLSTATEs of a function, a table, a column and another object that is not there.
_UNDEFINED = frozenset({"42883", "42P01", "42703", "42704"})
_MISSING = re.compile(r'(?:function|relation|column|constraint|index) "?(?:\w+\.)?(\w+)')
_NO_REHEARSAL = 'manage.py migrate --no-rehearsal "REASON" leaves the rehearsal out; the reason is recorded'


@dataclass(frozen=True)
class Rehearsal:
    """``obstacles``: each that would stop the run; ``notes``: what could not be tried. ``server``: its version.

    ``seen``: what each statement did. ``own``: what stays as the clinic's own, in the words of `schema.own`.
    """

    obstacles: tuple[Finding, ...]
    notes: tuple[str, ...]
    server: str
    seconds: float
    seen: tuple[Seen, ...] = ()
    own: tuple[str, ...] = ()

    def pretty(self) -> str:
        lines = [f"Rehearsed on a twin without rows (PostgreSQL {self.server}) in {self.seconds:.1f} s:"]
        lines[0] += f" {len(self.obstacles)} obstacles." if self.obstacles else " nothing is in the way."
        lines += [f"  {told(finding)}" for finding in self.obstacles]
        lines += [f"  not tried: {note}" for note in self.notes]
        lines += [f"  stays, as the clinic's own: {words}" for words in self.own]
        return "\n".join(lines)


def holds_tables(connection: BaseDatabaseWrapper) -> bool:
    """Whether anything with rows, or a view, stands in schema public."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace
                              AND relkind IN ('r', 'p', 'v', 'm', 'f'))"""
        )
        (some,) = cursor.fetchone()
    return bool(some)


def rehearse(connection: BaseDatabaseWrapper, run: Run, *, complete: bool = True) -> Rehearsal:
    """Make the twin, run it there, and tell what would have stopped it. ``complete``: nothing stays pending.

    Raises CannotRehearse when the twin cannot be made.
    """
    started = time.monotonic()
    rows = sizes.populated(connection)
    try:
        with twin.standing(connection) as made:
            watch = Watch(made.keeper)
            with sizes.assuming(rows), failures.collecting() as failed:
                broken = run(made.connection, watch)
                if complete:
                    failures.attempt(
                        made.connection,
                        lambda: emit_post_migrate_signal(verbosity=0, interactive=False, db=made.connection.alias),
                        purpose="make permissions and content types",
                    )
            found = [*_lacking(made.lacking), *_failed(_causes(failed), made.keeper)]
            # What is wrong in the end comes of that, where something failed.
            found += [] if failed else broken
            notes = tuple(
                f"{each.kind} {each.name}: it needs extension {each.extension}, which is not on this machine"
                for each in made.lacking
                if each.extension
            )
            seconds = time.monotonic() - started
            return Rehearsal(unique(found), notes, made.server, seconds, tuple(watch.seen))
    except Exception as error:
        # Whatever it was: nobody knows now whether the run would go through.
        raise CannotRehearse(
            explain(error)
            or MoeenError(f"{type(error).__name__} was raised.", next_step="Report it.", code=Code.UNFORESEEN)
        ) from error


def told(finding: Finding) -> str:
    """One or two lines for a person: where, what was to be done, what the server said."""
    if finding.kind != Kind.REHEARSAL:
        return finding.pretty()
    line = f"{finding.object}: to {finding.expected}: {finding.found}"
    return f"{line}\n    {finding.fix.pretty()}" if finding.fix else line


def _lacking(objects: Iterable[likeness.Lacking]) -> Iterator[Finding]:
    for each in objects:
        if not each.extension:
            yield Finding(
                f"{each.kind} {each.name}",
                Kind.TWIN,
                "made as in the database",
                each.why,
                fix=Fix(advice=_NO_REHEARSAL),
            )


def _causes(failed: Sequence[failures.Failure]) -> Sequence[failures.Failure]:
    """Without those that miss only what an earlier failure kept from being made: something of ours."""
    kinds, expected = ("table", "function", "column", "constraint", "index"), load_expected()
    ours = {(name.part or name.table).partition("(")[0] for kind in kinds for name in expected[kind]}
    stopped = {failure.table for failure in failed if failure.state not in _UNDEFINED}

    def follows(failure: failures.Failure) -> bool:
        missing = _MISSING.match(failure.words) if failure.state in _UNDEFINED else None
        is_new = failure.words.startswith(("function", "relation")) or not failure.table or failure.table in stopped
        unproven = failure.words.startswith("constraint") and failure.table in stopped
        return missing is not None and ((missing[1] in ours and is_new) or unproven)

    return [failure for failure in failed if not follows(failure)] or failed


def _failed(failed: Iterable[failures.Failure], keeper: psycopg.Connection[Any]) -> Iterator[Finding]:
    asked = "SELECT evtname::text, proname::text FROM pg_event_trigger JOIN pg_proc AS p ON p.oid = evtfoid"
    events = keeper.execute(asked).fetchall()
    for each in failed:
        steps = [each.next_step] if each.next_step else []
        speaker = parts_of(each.says.rpartition("(")[0])[-1:]
        for name, function in events:
            if speaker == (function,):
                off = compose("ALTER EVENT TRIGGER {n} DISABLE", n=name)
                steps.append(f"as its owner: {off}; after migrate ENABLE it again")
        fix = Fix(advice="; ".join(steps))
        yield Finding(each.table or "database", Kind.REHEARSAL, each.purpose, each.words, Severity.BREAKS, fix)


class CannotRehearse(MoeenError):
    """The twin could not be made, so nobody knows whether the run would go through."""

    default_code = Code.CANNOT_REHEARSE

    def __init__(self, error: MoeenError) -> None:
        super().__init__(
            f"The run could not be rehearsed, so nothing was changed. {error.cause}",
            next_step=f"{error.next_step}\nOr: {_NO_REHEARSAL}.".strip(),
            exit_code=FINDINGS,
        )


class RehearsalFailed(Findings):
    """The run was tried on a twin, and would not have gone through."""

    def __init__(self, rehearsal: Rehearsal) -> None:
        count = len(rehearsal.obstacles)
        some = "1 obstacle" if count == 1 else f"{count} obstacles"
        super().__init__(
            f"The run was tried on a twin of this database and would stop; {some}. Nothing was changed.",
            rehearsal.obstacles,
            next_step="Take each of them out of the way, then run migrate again.",
            tell=told,
        )

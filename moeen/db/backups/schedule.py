"""Ready entries for cron and systemd: back up every night, verify, prune, look at the result; seal the audit log; do
what administrators ask for."""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

#: Between two seals of the audit log.
SEAL_MINUTES = 10


# What cron's shell and systemd read alike: an address with & in it would end there for the one, and not for the other.
_READ_ALIKE = re.compile(
    r"""(?: \#.* | [A-Za-z_][A-Za-z0-9_]* = (?: '[^']*' | "[^"$`\\]*" | (?!~) [^\s'"$`\\&;|<>()]* ) )? \s*""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Schedule:
    """`cron` goes into `crontab -e`; `units` maps the names of systemd's files to their texts."""

    cron: str
    units: dict[str, str]


def schedule(
    project: Path, *, database: str, environment: Path | None = None, hour: int = 2, minute: int = 17
) -> Schedule:
    """For the interpreter that runs now, and that project's folder. The times are the machine's local ones.

    `database` says which one is meant (`origin.Origin`): a scheduled line that finds another, or an empty one, does
    nothing and says so. `environment`: a file of settings (NAME=value) that the shell of the operator has and theirs
    would not.
    """
    known = f"--database-identity {shlex.quote(database)}"
    settings = f"set -a && . {shlex.quote(str(environment))} && set +a && " if environment else ""
    python = shlex.quote(sys.executable)
    manage = f"{python} {shlex.quote(str(project / 'manage.py'))}"
    nightly = f"{settings}{manage} backup_database --label nightly {known}"
    after = f"{manage} verify_backup latest {known} && {manage} prune_backups"
    seals = f"{manage} seal_audit_log --json {known}"
    looks = f"{manage} doctor >/dev/null; {manage} validate_schema >/dev/null"
    works = f"{manage} work --once {known}"
    later = (hour + 4) % 24
    folder = shlex.quote(str(project))
    cron = (
        f"# Every night at {hour:02}:{minute:02}: back up, prove it by a restore, prune. cron mails what is said.\n"
        f"{minute} {hour} * * * {_percent(f'cd {folder} && {nightly} && {after}')}\n"
        "# Every morning: speak up when the newest backup is old, unproven or much smaller than the last.\n"
        f"{minute} {later} * * * {_percent(f'cd {folder} && {settings}{manage} list_backups {known} >/dev/null')}\n"
        f"# Every {SEAL_MINUTES} minutes: seal the audit log; what is not sealed yet is not protected.\n"
        f"*/{SEAL_MINUTES} * * * * {_percent(f'cd {folder} && {settings}{seals} >/dev/null')}\n"
        "# Every minute: do what administrators ask for on that page; what is written there need not be mailed.\n"
        f"* * * * * {_percent(f'cd {folder} && {settings}{works} >/dev/null')}\n"
        "# Every day: look at the installation and the schema; the admin's page of operations shows what was found.\n"
        f"{minute} {(hour + 3) % 24} * * * {_percent(f'cd {folder} && {settings}{looks}')}\n"
        "# Every Sunday: prove the audit log by its seals.\n"
        f"{minute} {(hour + 5) % 24} * * 0 {_percent(f'cd {folder} && {settings}{manage} verify_audit_log {known}')}\n"
    )
    folder = _escaped(str(project))
    words = f'"{_escaped(sys.executable)}" "{_escaped(str(project / "manage.py"))}"'

    def service(what: str, *lines: str, network: bool = False, form: str = "oneshot") -> str:
        after = "After=network-online.target\nWants=network-online.target\n" if network else ""
        own = [f"WorkingDirectory={folder}", "Nice=10"]
        own += [f"EnvironmentFile={_escaped(str(environment))}"] if environment else []
        return f"[Unit]\nDescription={what}\n{after}\n[Service]\nType={form}\n" + "\n".join([*own, *lines]) + "\n"

    def timer(what: str, when: str, *lines: str) -> str:
        own = "\n".join([f"OnCalendar={when}", *lines, "Persistent=true"])
        return f"[Unit]\nDescription={what}\n\n[Timer]\n{own}\n\n[Install]\nWantedBy=timers.target\n"

    run, given = f"ExecStart={words}", f'--database-identity "{_escaped(database)}"'
    restarted = "Restart=on-failure\nRestartSec=30\nTimeoutStopSec=60\n\n[Install]\nWantedBy=multi-user.target"
    every_night = f"*-*-* {hour:02}:{minute:02}:00"
    return Schedule(
        cron,
        {
            "moeen-backup.service": service(
                "Back up the clinic's database, prove and prune",
                f"{run} backup_database --label nightly {given}",
                f"{run} verify_backup latest {given}",
                f"{run} prune_backups",
                network=True,
            ),
            "moeen-backup.timer": timer(
                "Nightly backup of the clinic's database", every_night, "RandomizedDelaySec=10m"
            ),
            "moeen-seal.service": service("Seal the clinic's audit log", f"{run} seal_audit_log --json {given}"),
            "moeen-seal.timer": timer("Seals of the clinic's audit log", f"*:0/{SEAL_MINUTES}"),
            "moeen-look.service": service(
                "Look at the clinic's installation and schema",
                # What they find is kept, and no failure of the unit.
                f"ExecStart=-{words} doctor",
                f"ExecStart=-{words} validate_schema",
            ),
            "moeen-look.timer": timer(
                "Daily look at the clinic's installation", f"*-*-* {(hour + 3) % 24:02}:{minute:02}:00"
            ),
            "moeen-work.service": service(
                "Do what the clinic's administrators ask for",
                f"{run} work {given}",
                restarted,
                network=True,
                form="exec",
            ),
        },
    )


def misread(environment: str) -> list[int]:
    """Of a file of settings, the numbers of the lines that a shell and systemd would not both take as meant."""
    lines = enumerate(environment.splitlines(), start=1)
    return [number for number, line in lines if not _READ_ALIKE.fullmatch(line)]


def _percent(command: str) -> str:
    """cron takes a bare % for the end of the line."""
    return command.replace("%", r"\%")


def _escaped(text: str) -> str:
    """systemd: % begins a specifier, and quotes and backslashes mean something within quotes."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")

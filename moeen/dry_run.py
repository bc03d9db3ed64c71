"""DRY_RUN=true: commands say what they would do. What cannot say it does not run."""

from __future__ import annotations

from django.conf import settings
from django.core.management.base import BaseCommand

from moeen.db.errors import USAGE, ConfigurationError

#: Commands whose dry run has another name than --dry-run.
_OPTIONS = {"migrate": "--plan", "import_database": "--check"}
#: Commands that change no row and no schema: they run as ever.
READING = frozenset({
    "access_matrix", "access_report", "audit", "backup_database", "check", "check_access", "collectstatic",
    "compilemessages", "dbshell",
    "describe_schema", "diffsettings", "doctor", "dumpdata", "embedded_server", "findstatic", "help",
    "inspectdb",
    "lint_migrations", "list_backups", "makemessages", "print_schedule", "print_web_role_sql", "runserver",
    "sendtestemail", "shell", "showmigrations", "sqlflush", "sqlmigrate", "sqlsequencereset", "test", "testserver",
    "validate_schema", "verify_audit_log", "verify_backup", "version",
})  # fmt: skip


def words(command: BaseCommand, name: str, *, given: list[str]) -> list[str]:
    """The option that makes a command's run a dry one, where DRY_RUN asks for it and it is not given yet.

    Raises ConfigurationError for a command that changes something and has no dry run, and for a `migrate` that would
    record something.
    """
    if name in READING or not settings.DRY_RUN or {"-h", "--help", "--version"} & set(given):
        return []
    option = _OPTIONS.get(name, "--dry-run")
    has_one = option in command.create_parser("manage.py", name)._option_string_actions
    if not has_one or any(word.startswith("--accept-changed") for word in given):
        raise ConfigurationError(
            f"DRY_RUN is set, and {name if not has_one else '--accept-changed'} has no dry run.",
            next_step="Unset DRY_RUN to run it.",
            exit_code=USAGE,
        )
    return [] if option in given else [option]

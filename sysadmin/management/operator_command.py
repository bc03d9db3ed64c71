"""What all commands of ours share."""

from __future__ import annotations

from django.core.management.base import BaseCommand


class OperatorCommand(BaseCommand):
    """It runs without the project's checks, which read the admin's pages: `check` and `migrate` tell what they find."""

    requires_system_checks: list[str] = []

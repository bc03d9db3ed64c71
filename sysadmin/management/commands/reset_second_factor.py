"""`manage.py reset_second_factor`: somebody has lost what they sign in with besides the password."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.db import connections, router, transaction

from moeen.db.errors import USAGE, MoeenError
from sysadmin import sessions
from sysadmin.management.arguments import Reason
from sysadmin.management.operator_command import OperatorCommand
from sysadmin.models import SecondFactor, User


class Command(OperatorCommand):
    help = (
        "Removes somebody's second factor, with its recovery codes, and ends their sessions. The audit log keeps that, "
        "and the reason. They sign in with the password alone, and where SECOND_FACTOR asks their role for one, set "
        "one up before anything else. Be sure that it is they who ask. Administrators do the same in the admin, for "
        "others than themselves."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", help="the e-mail address that they sign in with")
        parser.add_argument("--reason", action=Reason, required=True, help="why, for the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            user = User.objects.get_by_natural_key(options["email"])
        except User.DoesNotExist as error:
            raise MoeenError(
                "Nobody signs in with this e-mail address.",
                next_step="Look at how it is written on the page of users.",
                exit_code=USAGE,
            ) from error
        using = router.db_for_write(SecondFactor)
        with transaction.atomic(using=using):
            with connections[using].cursor() as cursor:
                cursor.execute("SELECT set_config('moeen.reason', %s, true)", [options["reason"]])
            removed, _ = SecondFactor.objects.filter(user=user.pk).delete()
            ended = sessions.end_all([user.pk], by=None, why="second factor removed") if removed else 0
        self.stdout.write(f"Removed; sessions ended: {ended}." if removed else "There is none to remove.")

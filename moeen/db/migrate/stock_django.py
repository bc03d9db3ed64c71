"""A database where a Django project with Django's own users lived: refused beforehand, with the way from there.

Django's tables of permissions, groups, content types and sessions are the same for us, and stay with their rows. Its
log of the admin is not: each entry there is a user's of `auth_user`, by a number. And Django itself refuses to go on
where the admin was migrated before the users that it belongs to.
"""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db import registry
from moeen.db.codes import Code
from moeen.db.errors import FINDINGS, MoeenError

# Keys were smaller before DEFAULT_AUTO_FIELD; the sequence of an identity column follows its type.
_APART = """ALTER TABLE public.django_migrations ALTER COLUMN id TYPE bigint;
ALTER TABLE public.auth_group_permissions ALTER COLUMN id TYPE bigint;
CREATE SCHEMA older_django;
ALTER TABLE public.django_admin_log SET SCHEMA older_django;
DELETE FROM public.django_migrations WHERE app = 'admin';"""


class StockDjango(MoeenError):
    """Another Django project with Django's own users lives or lived here."""

    default_code = Code.STOCK_DJANGO

    def __init__(self, users: int) -> None:
        script = f"BEGIN;\n{registry.facts().users_of_django.strip()}\n{_APART}\nCOMMIT;"
        super().__init__(
            f"A Django project with users of Django's own (auth_user: {users:,}) was here. Nothing was changed.",
            next_step="This takes its people over with their passwords, and sets the log of its admin apart. Groups, "
            "permissions and sessions stay as they are. Look it through, above all which role each kind of person "
            f"gets, run it as the owner of the tables, then run migrate again:\n{script}",
            exit_code=FINDINGS,
        )


def refuse(connection: BaseDatabaseWrapper) -> None:
    """Raises StockDjango where the admin's log belongs to Django's own users."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT EXISTS (SELECT FROM pg_constraint WHERE contype = 'f'
                              AND conrelid = to_regclass('public.django_admin_log')
                              AND confrelid = to_regclass('public.auth_user'))"""
        )
        (stands,) = cursor.fetchone()
        if stands:
            cursor.execute("SELECT count(*) FROM public.auth_user")
            raise StockDjango(*cursor.fetchone())

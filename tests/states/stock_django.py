"""A project with Django's own users and admin, as Django itself migrates it; HOST PORT USER NAME are its words."""

import sys

import django
from django.conf import settings
from django.core.management import call_command

KEYS = ("HOST", "PORT", "USER", "NAME")
APPS = ["django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"]


def main():
    entry = dict(zip(KEYS, sys.argv[1:], strict=True))
    settings.configure(
        INSTALLED_APPS=APPS,
        DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", **entry}},
        PASSWORD_HASHERS=["django.contrib.auth.hashers.ScryptPasswordHasher"],
        USE_TZ=True,
    )
    django.setup()
    call_command("migrate", verbosity=0, skip_checks=True)
    from django.contrib.admin.models import ADDITION, LogEntry
    from django.contrib.auth.models import Group, User

    chief = User.objects.create_superuser("chief", "Chief@Example.test", "the-chiefs-own")
    reem = User.objects.create_user("reem", "", "reems-own", first_name="Reem", last_name="Example", is_staff=True)
    User.objects.create_user("gone", "gone@example.test", is_active=False)
    reem.groups.add(Group.objects.create(name="Doctors"))
    LogEntry.objects.log_actions(chief.pk, [reem], ADDITION, single_object=True)


if __name__ == "__main__":
    main()

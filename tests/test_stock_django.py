"""A database where a Django project with Django's own users lived: refused with the way, and adopted by it."""

import subprocess
import sys

import pytest
from django.contrib.auth.hashers import check_password
from django.db import connections

from sysadmin.models import User
from tests import servers
from tests.states import snapshots


@pytest.mark.slow
def test_migrate__database_of_stock_django__prints_the_way_and_goes_it(new_database, manage):
    database = new_database()
    target = database.target
    words = [
        sys.executable,
        "tests/states/stock_django.py",
        target.host,
        str(target.port),
        database.owner,
        database.name,
    ]
    subprocess.run(words, cwd=servers.PROJECT, check=True)
    with database.connect() as connection:
        before = snapshots.everything(connection)
        ways = [("validate_schema", "--adoption"), ("migrate", "--plan"), ("migrate",)]
        told = [manage(*way, DATABASE_URL=database.url) for way in ways]
        assert [one.returncode for one in told] == [3, 3, 3], told[1].stderr
        assert "auth_user: 3" in told[2].stderr
        assert snapshots.everything(connection) == before
        script = told[2].stderr.partition("run migrate again:\n")[2].rpartition("COMMIT;")[0]
        connection.execute(f"{script}COMMIT")
        done = manage("migrate", "--no-backup", "test", DATABASE_URL=database.url)
        assert done.returncode == 0, done.stderr
        assert connection.execute("SELECT name FROM auth_group").fetchall() == [("Doctors",)]
        assert connection.execute("SELECT count(*) FROM older_django.django_admin_log").fetchone() == (1,)
    people = {user.email: user for user in User.objects.using(database.alias)}
    assert {user.email: (user.role, user.name, user.is_active) for user in people.values()} == {
        "Chief@example.test": ("admin", "", True),
        "reem@no-address.invalid": ("staff", "Reem Example", True),
        "gone@example.test": ("patient", "", False),
    }
    connections[database.alias].close()
    with database.connect() as connection:
        hashes = dict(connection.execute("SELECT email, password_hash FROM users").fetchall())
    assert check_password("reems-own", hashes["reem@no-address.invalid"])
    assert hashes["gone@example.test"] is None

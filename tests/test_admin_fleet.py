"""Runs over the fleet in the admin: to be read by administrators and nobody else."""

import pytest
from django.conf import settings
from django.urls import reverse

from sysadmin.models import FleetRun, FleetTurn
from tests import factories

pytestmark = [pytest.mark.usefixtures("values_apart"), pytest.mark.django_db]
LIST = "admin:sysadmin_fleetrun_changelist"


@pytest.fixture
def run():
    made = FleetRun.objects.create(
        command="migrate", target="sysadmin.0001_users", actor="operator@clinic", outcome="stopped",
        note="wave 1 is not clean: olaya did not go through",
    )  # fmt: skip
    FleetTurn.objects.create(run=made, clinic="olaya", wave=1, state="failed", reason="No lock could be had.")
    FleetTurn.objects.create(run=made, clinic="jeddah", wave=2)
    return made


def sign_in(client, role):
    client.force_login(factories.user(role=role))


@pytest.mark.parametrize("language", ["ar", "en"])
def test_runs__administrator__reads_each_clinic_and_can_change_nothing(client, run, language):
    sign_in(client, "admin")
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = language
    page = client.get(reverse(LIST))
    assert [row.pk for row in page.context["cl"].result_list] == [run.pk]
    assert "1/2" in page.content.decode()
    address = reverse("admin:sysadmin_fleetrun_change", args=[run.pk])
    text = client.get(address).content.decode()
    for shown in ("No lock could be had.", "jeddah", "olaya did not go through", "sysadmin.0001_users"):
        assert shown in text
    assert ("في الانتظار" if language == "ar" else "Waiting") in text
    assert client.post(address, {"outcome": "done"}).status_code == 403


@pytest.mark.parametrize("role", ["supervisor", "staff"])
def test_runs__anybody_else__has_no_page(client, run, role):
    sign_in(client, role)
    assert client.get(reverse(LIST)).status_code == 403

"""The ledger in the admin: what migrate did, in both languages, to be read by administrators and nobody else."""

import uuid

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from sysadmin.models import MigrationRun, MigrationStep
from tests import factories

pytestmark = [pytest.mark.usefixtures("values_apart"), pytest.mark.django_db]
LIST = "admin:sysadmin_migrationrun_changelist"


@pytest.fixture
def run():
    made = MigrationRun.objects.create(
        actor="operator@clinic",
        database_role="moeen",
        from_version="healthcare.0003_audit sysadmin.0007_rls",
        outcome="failed",
        error="No lock could be had.",
        backup_id="20261122T080000Z-abc",
        fingerprint="f" * 64,
    )
    for name, outcome in (("0001_users", "applied"), ("0002_user_preferences", "failed")):
        MigrationStep.objects.create(
            run=made,
            app="sysadmin",
            name=name,
            outcome=outcome,
            seconds=1.5,
            retries=3,
            lock_wait_seconds=0.5,
            file_checksum=uuid.uuid4().hex * 2,
            sql_checksum=uuid.uuid4().hex * 2,
        )
    return made


def sign_in(client, role):
    client.force_login(factories.user(role=role))


@pytest.mark.parametrize("language", ["ar", "en"])
def test_ledger__administrator__reads_the_run_with_its_steps_and_can_change_nothing(client, run, language):
    sign_in(client, "admin")
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = language
    page = client.get(reverse(LIST), {"q": "0002_user_preferences", "outcome": "failed"})
    assert [row.pk for row in page.context["cl"].result_list] == [run.pk]
    assert run not in client.get(reverse(LIST), {"outcome": "done"}).context["cl"].result_list
    address = reverse("admin:sysadmin_migrationrun_change", args=[run.pk])
    text = client.get(address).content.decode()
    for shown in ("No lock could be had.", "20261122T080000Z-abc", "sysadmin.0002_user_preferences", "f" * 64):
        assert shown in text
    assert ("فشل" if language == "ar" else "Failed") in text
    assert client.post(address, {"outcome": "done"}).status_code == 403
    assert client.get(reverse("admin:sysadmin_migrationrun_add")).status_code == 403
    run.refresh_from_db()
    assert run.outcome == "failed"


def test_ledger__supervisor__is_refused(client, run):
    sign_in(client, "supervisor")
    assert client.get(reverse(LIST)).status_code == 403


def test_ledger__more_runs__no_more_queries(client, run, django_assert_num_queries):
    sign_in(client, "admin")
    client.get(reverse(LIST))
    with CaptureQueriesContext(connection) as few:
        client.get(reverse(LIST))
    for _ in range(5):
        other = MigrationRun.objects.create(actor="o", database_role="moeen", from_version="", outcome="done")
        MigrationStep.objects.create(
            run=other, app="crm", name="0001", outcome="applied", seconds=1, retries=0, lock_wait_seconds=0
        )
    with django_assert_num_queries(len(few)):
        assert client.get(reverse(LIST)).context["cl"].result_count > 5

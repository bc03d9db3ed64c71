"""Lists of the admin: narrowed by a row that is chosen, and by years, months and days."""

import re
from datetime import date

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from healthcare.models import Session
from sysadmin.models import AuditLog
from tests import factories
from tests.test_admin import signed_in, url

pytestmark = pytest.mark.django_db
PLACE = "/admin/healthcare/appointment/"


def opened(client, query=""):
    page = client.get(f"{PLACE}{query}")
    return page.context["cl"], page.content.decode()


def test_filter__by_doctor__shows_theirs_and_keeps_what_else_narrows(client):
    signed_in(client, "staff")
    doctor, other = factories.doctor(first_name="ريم"), factories.doctor(first_name="هدى")
    mine = factories.appointment(doctor=doctor, status="confirmed")
    factories.appointment(doctor=doctor)
    factories.appointment(doctor=other)
    found, html = opened(client, f"?doctor__id__exact={doctor.pk}&status__exact=confirmed")
    assert list(found.queryset) == [mine]
    assert f'<option value="{doctor.pk}" selected>' in html
    form = re.search(r'<form class="choice-filter".*?</form>', html, re.DOTALL)[0]
    assert re.findall(r'type="hidden" name="(.*?)" value="(.*?)"', form) == [("status__exact", "confirmed")]
    assert opened(client, "?doctor__id__exact=&status__exact=confirmed")[0].result_count == 1  # none chosen
    assert opened(client, "?_facets=True")[0].result_count == 3
    assert client.get(f"{PLACE}?doctor__id__exact=nobody").status_code == 302


def test_filter__doctors__one_query_for_all(client):
    signed_in(client, "staff")
    for _ in range(30):
        factories.doctor()
    with CaptureQueriesContext(connection) as queries:
        opened(client)
    assert len([query for query in queries if "SAVEPOINT" not in query["sql"]]) < 12


def test_periods__years_months_days__lead_to_their_rows(client):
    signed_in(client, "staff")
    for day in (date(2025, 12, 31), date(2026, 1, 1), date(2026, 2, 28), date(2026, 2, 28)):
        factories.appointment(appointment_date=day)
    found, _ = opened(client)
    assert [one.title for one in found.periods()] == ["2025", "2026"]
    found, html = opened(client, found.periods()[1].query)
    assert found.result_count == 3
    assert len(found.periods()) == 13
    assert "فبراير 2026" in html
    found, _ = opened(client, found.periods()[2].query)
    assert found.result_count == 2
    assert len(found.periods()) == 29
    found, html = opened(client, found.periods()[28].query)
    assert found.result_count == 2
    assert [one.query != "" for one in found.periods()] == [True, False]
    assert opened(client, found.periods()[0].query)[0].result_count == 2  # the month again


def test_periods__one_year__is_opened_at_once_and_none_is_nothing(client):
    signed_in(client, "staff")
    assert opened(client)[0].periods() == []
    factories.appointment(appointment_date=date(2026, 3, 5))
    assert len(opened(client)[0].periods()) == 12


@pytest.mark.parametrize(
    "query", ["year=x", "year=2026&{}month=13", "year=0", "year=99999", "month=2", "year=2026&{}day=1"]
)
def test_periods__made_by_hand__no_failure(client, query):
    signed_in(client, "staff")
    factories.appointment()
    name = "appointment_date__"
    assert client.get(f"{PLACE}?{name}{query.format(name)}", follow=True).status_code == 200


@pytest.mark.parametrize("model", [Session, AuditLog])
def test_periods__of_other_lists__are_there(client, model):
    signed_in(client, "admin")
    factories.session()
    page = client.get(url(model, "changelist"))
    assert len(page.context["cl"].periods()) == 12

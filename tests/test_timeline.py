"""A patient's timeline: of each app what the person who looks may see; and how lists show dates, money and ids."""

from datetime import date, time
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import translation

from healthcare.admin import timeline
from healthcare.models import Appointment, InsuranceClaim, Patient
from sysadmin.admin import showing
from sysadmin.models import AuditLog
from tests import factories
from tests.test_admin import signed_in, url

pytestmark = [pytest.mark.usefixtures("values_apart"), pytest.mark.django_db]


@pytest.fixture
def patient():
    """With something of every kind, of a doctor and of another one."""
    row = factories.patient(first_name="ريم", last_name="العمري")
    for day, name in ((date(2026, 3, 1), "سعاد"), (date(2026, 3, 2), "خالد")):
        doctor = factories.doctor(first_name=name, last_name="الحربي", user=factories.user(role="doctor", name=name))
        factories.appointment(
            patient=row, doctor=doctor, appointment_date=day, appointment_time=time(9, 30), status="completed"
        )
        factories.session(patient=row, doctor=doctor, session_date=day, session_time=time(9, 40))
    factories.insurance_claim(patient=row, submitted_date=date(2026, 3, 5))
    factories.conversation(patient=row)
    return row


def place(patient):
    return reverse("admin:healthcare_patient_timeline", args=[patient.pk])


def events(client, patient):
    with translation.override("en"):
        days = client.get(place(patient), headers={"accept-language": "en"}).context["days"]
    return [(event.kind, event.told) for _, found in days for event in found]


def count(client, patient):
    kinds = [kind for kind, _ in events(client, patient)]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds)) if kind != "Audit log"}


def test_timeline__of_each_role__holds_what_it_may_see(client, patient):
    clinical = {"appointment": 2, "conversation": 1, "insurance claim": 1, "session": 2}
    signed_in(client, "admin")
    assert count(client, patient) == clinical
    signed_in(client, "staff")
    assert count(client, patient) == {kind: n for kind, n in clinical.items() if kind != "session"}
    doctor = patient.appointments.get(doctor__first_name="سعاد").doctor
    client.force_login(doctor.user)
    assert count(client, patient) == {"appointment": 1, "conversation": 1, "session": 1}
    assert ("session", "سعاد الحربي") in events(client, patient)


def test_timeline__of_somebody_elses_patient__is_not_found(client, patient):
    signed_in(client, "doctor")
    assert client.get(place(patient)).status_code == 404
    assert place(patient) not in client.get(reverse("admin:index")).content.decode()


def test_timeline__newest_first__with_the_day_in_both_calendars_and_few_queries(client, patient):
    signed_in(client, "admin")
    with CaptureQueriesContext(connection) as queries:
        page = client.get(place(patient), headers={"accept-language": "en"})
    asked = [query["sql"][:90] for query in queries if "SAVEPOINT" not in query["sql"]]
    assert len(asked) <= 12, "\n".join(asked)
    html = page.content.decode()
    assert html.index("5 March 2026") < html.index("2 March 2026") < html.index("1 March 2026")
    assert "1447-09-12" in html  # 1 March 2026
    assert "ريم العمري" in html
    assert not AuditLog.objects.filter(action="READ").exists()  # no clinical field is in it


def test_timeline__of_many__leads_to_the_list(client, patient, monkeypatch):
    monkeypatch.setattr(timeline, "MOST", 1)
    signed_in(client, "staff")
    page = client.get(place(patient))
    listed = dict(page.context["more"])
    assert len(listed) == 1
    (address,) = listed.values()
    assert client.get(address).context["cl"].result_count == 2


def test_lists__dates_money_and_ids__are_shown_as_people_read_them(client, patient):
    claim = patient.insurance_claims.get()
    InsuranceClaim.objects.filter(pk=claim.pk).update(claim_amount=Decimal("12345.5"), claim_number="C-1")
    signed_in(client, "staff")
    claims = client.get(url(InsuranceClaim, "changelist")).content.decode()
    assert "12,345.50" in claims
    assert "ر.س" in claims
    Patient.objects.filter(pk=patient.pk).update(date_of_birth=date(1990, 1, 2))
    patients = client.get(url(Patient, "changelist")).content.decode()
    assert f'data-copy="{patient.public_id}"' in patients
    assert "1410-06-05" in patients
    form = client.get(url(Patient, "change", patient.pk)).content.decode()
    assert "1410-06-05" in form
    assert f'data-copy="{patient.pk}"' in form
    ordered = client.get(url(Appointment, "changelist"), {"o": "0"}).context["cl"].result_list
    assert [row.appointment_date.day for row in ordered] == [1, 2]


@pytest.mark.parametrize(
    ("day", "told"),
    [(date(2026, 3, 1), "1447-09-12"), (date(1924, 7, 31), ""), (date(2077, 11, 17), ""), (date(1, 1, 1), "")],
)
def test_hijri__of_a_day__is_told_where_it_is_known(day, told):
    assert showing.hijri(day) == told
    assert (told in str(showing.both_calendars(day))) is True

"""Looking at the admin as another person: what they see and no more, nothing changed, and the looker's in the log."""

import pytest
from django.db import connection
from django.urls import reverse

from healthcare.models import Doctor, Patient
from sysadmin.models import AuditLog, SecondFactor, User, UserRole
from sysadmin.models import Role as RoleModel
from tests import factories
from tests.test_admin import signed_in, url

pytestmark = [pytest.mark.usefixtures("values_apart"), pytest.mark.django_db]


@pytest.fixture
def boss(client):
    return signed_in(client, "admin", name="Boss")


@pytest.fixture
def doctor():
    """One with a patient, beside whom there is another patient."""
    user = factories.user(role="doctor", name="سعاد")
    patient = factories.patient(first_name="ريم", allergies="بنسلين")
    factories.appointment(doctor=factories.doctor(user=user), patient=patient)
    factories.patient(first_name="هدى")
    user.patient_seen = patient
    return user


def look(client, person, role):
    return client.post(reverse("admin:look_as", args=[person.pk]), {"role": role})


def entries(*actions):
    found = AuditLog.objects.filter(action__in=actions).order_by("created_at", "id")
    return [(entry.action, entry.user_id, entry.record_id) for entry in found]


def names(client):
    return {patient.first_name for patient in client.get(url(Patient, "changelist")).context["cl"].result_list}


def test_looking__as_a_doctor__shows_their_rows_and_says_so_on_every_page(client, boss, doctor):
    assert names(client) == {"ريم", "هدى"}
    answer = look(client, doctor, "doctor")
    assert (answer.status_code, answer.url) == (302, reverse("admin:index"))
    assert entries("LOOKED_AS") == [("LOOKED_AS", boss.pk, doctor.pk)]
    (entry,) = AuditLog.objects.filter(action="LOOKED_AS")
    assert entry.new_values == {"role": "doctor"}
    assert names(client) == {"ريم"}
    assert client.get(url(User, "changelist")).context["cl"].result_count == 1  # the doctor's own row
    for place in (reverse("admin:index"), url(Patient, "changelist"), url(Patient, "change", doctor.patient_seen.pk)):
        page = client.get(place).content.decode()
        assert reverse("admin:stop_looking") in page
        assert "سعاد" in page
        assert reverse("admin:own_sessions") not in page


def test_looking__clinical_record__is_read_by_who_looks_and_for_the_clinics_work(client, boss, doctor):
    look(client, doctor, "doctor")
    assert client.get(url(Patient, "change", doctor.patient_seen.pk)).status_code == 200
    (read,) = AuditLog.objects.filter(action="READ", table_name="patients")
    assert (read.user_id, read.acted_as, read.record_id) == (boss.pk, "admin", doctor.patient_seen.pk)
    assert read.new_values["purpose"] == "operations"
    assert not AuditLog.objects.filter(action="READ", user_id=doctor.pk).exists()


def test_looking__anything_sent__is_refused_and_nothing_changes(client, boss, doctor):
    look(client, doctor, "doctor")
    patient = doctor.patient_seen
    for place, words in (
        (url(Patient, "change", patient.pk), {"first_name": "x", "last_name": "y", "_save": "1"}),
        (reverse("admin:switch_role"), {"role": "doctor"}),
        (reverse("admin:look_as", args=[boss.pk]), {"role": "admin"}),
    ):
        assert client.post(place, words).status_code == 403, place
    patient.refresh_from_db(fields=["first_name"])
    assert patient.first_name == "ريم"


def test_looking__a_page_that_writes__is_undone(client, boss, doctor, monkeypatch):
    """Beside READ ONLY transactions, which test_reads.py and test_identity.py are about."""
    look(client, doctor, "doctor")

    written = []

    def writes(self, request):
        with connection.cursor() as cursor:
            cursor.execute("UPDATE doctors SET phone = '0500000001'")
            written.append(cursor.rowcount)
        return Doctor.objects.all()

    monkeypatch.setattr("healthcare.admin.DoctorAdmin.get_queryset", writes)
    assert client.get(url(Doctor, "changelist")).status_code == 200
    assert 1 in written
    assert Doctor.objects.get(user=doctor).phone is None


def test_looking__stopped__is_oneself_again_and_recorded(client, boss, doctor):
    look(client, doctor, "doctor")
    answer = client.post(reverse("admin:stop_looking"))
    assert answer.url == reverse("admin:index")
    assert names(client) == {"ريم", "هدى"}
    assert entries("LOOKED_AS", "LOOKED_AWAY") == [
        ("LOOKED_AS", boss.pk, doctor.pk),
        ("LOOKED_AWAY", boss.pk, doctor.pk),
    ]


def test_looking__their_account__is_not_shown(client, boss, doctor):
    SecondFactor.objects.create(user=doctor, secret="x")
    look(client, doctor, "doctor")
    for name in ("own_sessions", "second_factor", "password_change"):
        assert client.get(reverse(f"admin:{name}")).status_code == 403, name


def test_looking__signing_out__ends_the_session_of_who_looks(client, boss, doctor):
    look(client, doctor, "doctor")
    client.post(reverse("admin:logout"))
    assert client.get(reverse("admin:index")).status_code == 302
    assert entries("SIGNED_OUT") == [("SIGNED_OUT", boss.pk, boss.pk)]


@pytest.mark.parametrize("role", ["supervisor", "staff", "doctor", "patient"])
def test_look__by_who_gives_no_roles__is_refused(client, doctor, role):
    signed_in(client, role)
    assert look(client, doctor, "doctor").status_code == 403
    assert entries("LOOKED_AS") == []


def test_look__as_oneself_or_nobody_or_in_a_role_not_held__is_refused(client, boss, doctor):
    gone = factories.user(role="staff", is_active=False)
    for person, role, status in ((boss, "admin", 404), (gone, "staff", 404), (doctor, "admin", 403), (doctor, "", 403)):
        assert look(client, person, role).status_code == status, (person, role)
    assert client.get(reverse("admin:look_as", args=[doctor.pk])).status_code == 405
    assert entries("LOOKED_AS") == []


def test_look__in_another_role_that_they_hold__sees_with_that_one(client, boss, doctor):
    supervisor = RoleModel.objects.get(name="supervisor", is_system=True)
    UserRole.objects.create(user=doctor, role=supervisor)
    look(client, doctor, "supervisor")
    assert names(client) == {"ريم", "هدى"}
    UserRole.objects.filter(user=doctor).delete()
    assert client.get(reverse("admin:index")).status_code == 302
    assert entries("LOOKED_AWAY") == [("LOOKED_AWAY", boss.pk, doctor.pk)]


def test_looking__person_deactivated_or_looker_demoted__ends(client, boss, doctor):
    for model_row, change in ((doctor, {"is_active": False}), (boss, {"role": "staff"})):
        User.objects.filter(pk=doctor.pk).update(is_active=True)
        look(client, doctor, "doctor")
        User.objects.filter(pk=model_row.pk).update(**change)
        answer = client.get(url(Patient, "changelist"))
        assert (answer.status_code, answer.url) == (302, reverse("admin:index"))
        assert reverse("admin:stop_looking") not in client.get(reverse("admin:index")).content.decode()


def test_look__that_cannot_be_recorded__does_not_begin(client, boss, doctor):
    with connection.cursor() as cursor:
        cursor.execute("REVOKE EXECUTE ON FUNCTION app.record_sign_in(text, text, uuid, text, text) FROM moeen_auth")
    client.raise_request_exception = False
    assert look(client, doctor, "doctor").status_code in (403, 500)
    assert "looks_as" not in client.session

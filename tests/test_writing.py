"""The ways in which people write the same thing, in searches and in forms."""

from datetime import date, time
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError

from healthcare.models import Appointment, Patient
from sysadmin.admin import writing
from tests import factories
from tests.test_admin import signed_in, url


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("احمد", "أحمد"), ("أحمد", "احمد"), ("إيمان", "ايمان"), ("امنه", "آمنة"), ("هدي", "هدى"), ("فاطمه", "فاطمة"),
        ("محمد", "مُحَمَّد"), ("مُحَمَّد", "محمد"), ("محـمـد", "محمد"), ("غرفة 12", "غرفه ١٢"), ("٣", "3"), ("Sara", "SARA"),
        ("0577123456", "+966577123456"), ("+966577123456", "0577123456"), ("966 57 712 3456", "+966577123456"),
        ("٠٥٧٧١٢٣٤٥٦", "+966 57 712 3456"), ("00966577123456", "577123456"), ("057-712-3456", "٠٥٧٧١٢٣٤٥٦"),
    ],
)  # fmt: skip
@pytest.mark.django_db
def test_search__another_way_to_write_it__finds_the_row(written, stored):
    row = factories.patient(first_name=stored, phone=stored if writing.is_phone(stored) else None)
    other = factories.patient(first_name="زينب", phone="+966500000001")
    field = "phone" if row.phone else "first_name"
    found = set(Patient.objects.filter(**{f"{field}__written": written}))
    assert (row in found, other in found) == (True, False)


@pytest.mark.parametrize("text", ["a.c", "50%", "a|b", "(", "[", "\\", "*", "ا.د", "x{2}", "^", "$"])
@pytest.mark.django_db
def test_search__signs_of_expressions__mean_themselves(text):
    row, other = factories.patient(first_name=f"<{text}>"), factories.patient(first_name="abc aac xx")
    assert set(Patient.objects.filter(first_name__written=text)) == {row}
    assert other.first_name


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        (writing.DateField(), "١٩٩٠-٠١-٠٢", date(1990, 1, 2)), (writing.DateField(), "۱۹۹۰/۰۱/۰۲", date(1990, 1, 2)),
        (writing.DateField(), "1410-01-01", date(1989, 8, 2)), (writing.DateField(), "١٤١٠/١/١ هـ", date(1989, 8, 2)),
        (writing.DateField(), "1990-01-02", date(1990, 1, 2)), (writing.DateField(), "1445-1-1", date(2023, 7, 19)),
        (writing.DateField(), date(1410, 1, 1), date(1410, 1, 1)),
        (writing.TimeField(), "٩:٣٠", time(9, 30)), (writing.TimeField(), "9:30 ص", time(9, 30)),
        (writing.TimeField(), "٩:٣٠ م", time(21, 30)), (writing.TimeField(), "12:05 ص", time(0, 5)),
        (writing.TimeField(), "12:05 مساءً", time(12, 5)), (writing.TimeField(), "21:30", time(21, 30)),
        (writing.DecimalField(), "١٢٣٫٥", Decimal("123.5")), (writing.DecimalField(), "١٬٢٣٤٫٥", Decimal("1234.5")),
    ],
)  # fmt: skip
def test_form__arabic_text__is_the_value(field, text, value):
    assert field.clean(text) == value
    assert not field.has_changed(value, text)


@pytest.mark.parametrize("text", ["1410-13-01", "1410-01-31", "1299-01-01 هـ", "٩٩٩"])
def test_form__no_date__refused(text):
    with pytest.raises(ValidationError):
        writing.DateField().clean(text)


@pytest.mark.parametrize("text", ["13:30 م", "0:30 ص", "25:00", "9:61 ص"])
def test_form__no_time__refused(text):
    with pytest.raises(ValidationError):
        writing.TimeField().clean(text)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("0577123456", "+966577123456"), ("٠٥٧٧ ١٢٣ ٤٥٦", "+966577123456"), ("00966 57 712 3456", "+966577123456"),
        ("+966-57-712-3456", "+966577123456"), ("011 234 5678", "+966112345678"), ("920012345", "+966920012345"),
        ("+971 50 123 4567", "+971501234567"), ("0520000000", "0520000000"), ("", ""),
    ],
)  # fmt: skip
def test_form__telephone_number__is_kept_in_one_way_to_write_it(text, kept):
    field = writing.PhoneField(required=False)
    assert field.clean(text) == kept
    assert not field.has_changed(kept, text)


@pytest.mark.parametrize("text", ["12", "nobody", "0577", "+", "05771234567890123456789", "<b>", "9" * 300])
def test_form__no_telephone_number__refused(text):
    with pytest.raises(ValidationError):
        writing.PhoneField().clean(text)


@pytest.mark.django_db
def test_patient__telephone_number_of_before__stays_until_it_is_touched(client):
    signed_in(client, "staff")
    row = factories.patient(phone="call the son", emergency_contact_phone="")
    page = url(Patient, "change", row.pk)
    sent = {"first_name": row.first_name, "last_name": row.last_name, "phone": row.phone}
    assert client.post(page, sent | {"emergency_contact_phone": "0577123456"}).status_code == 302
    row.refresh_from_db()
    assert (row.phone, row.emergency_contact_phone) == ("call the son", "+966577123456")
    assert client.post(page, sent | {"phone": "call the daughter"}).status_code == 200


def listed(client, term):
    return list(client.get(url(Patient, "changelist"), {"q": term}).context["cl"].queryset)


@pytest.mark.django_db
def test_list__name_and_number_as_people_write_them__find_the_patient(client):
    signed_in(client, "staff")
    row = factories.patient(first_name="أحمد", last_name="العمري", phone="+966577123456")
    factories.patient(first_name="هدى", last_name="العتيبي", phone="+966577123457")
    for term in ("احمد", "العمرى احمد", "٠٥٧٧ ١٢٣ ٤٥٦", "0577123456", row.public_id, str(row.pk)):
        assert listed(client, term) == [row], term
    assert listed(client, "احمد هدى") == []


@pytest.mark.django_db
def test_page__of_a_patient__is_called_by_the_name(client):
    signed_in(client, "staff")
    row = factories.patient(first_name="نورة", last_name="العتيبي")
    answer = client.get(url(Patient, "change", row.pk))
    assert f"<title>نورة العتيبي ({row.public_id}) |" in answer.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("born", "stored"),
    [("١٩٩٠-٠١-٠٢", date(1990, 1, 2)), ("1410/01/01", date(1989, 8, 2)), ("1899-12-31", None), ("2999-01-01", None)],
)
def test_patient__date_of_birth__as_people_write_it_and_of_somebody_who_lives(client, born, stored):
    signed_in(client, "staff")
    client.post(url(Patient, "add"), {"first_name": "ريم", "last_name": "الحربي", "date_of_birth": born})
    assert [row.date_of_birth for row in Patient.objects.filter(first_name="ريم")] == ([stored] if stored else [])


@pytest.mark.django_db
def test_appointment__time_of_the_evening_in_arabic__is_saved(client):
    signed_in(client, "staff")
    patient, doctor = factories.patient(), factories.doctor()
    fields = {"patient": patient.pk, "doctor": doctor.pk, "status": "scheduled", "duration": "٤٥"}
    client.post(url(Appointment, "add"), fields | {"appointment_date": "٢٠٢٦/١٢/٠١", "appointment_time": "٥:٣٠ م"})
    (row,) = Appointment.objects.all()
    assert (row.appointment_date, row.appointment_time, row.duration) == (date(2026, 12, 1), time(17, 30), 45)

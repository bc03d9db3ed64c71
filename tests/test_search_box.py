"""The search box of every page: ids of anything, names of those whom the person may see."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from healthcare.models import Appointment, Patient
from moeen.db.security import identity
from sysadmin import searching
from sysadmin.models import PublicIdAlias
from tests import factories
from tests.test_admin import signed_in, url

pytestmark = pytest.mark.django_db
PLACE = "/admin/search/"


def labels(client, text):
    found = client.get(PLACE, {"q": text}).context["found"]
    return [label for group in found for label, _ in group.rows]


@pytest.mark.parametrize("make", [factories.appointment, factories.lead, factories.integration, factories.audit_log])
def test_search__public_id_of_anything__leads_to_its_row(client, make):
    signed_in(client, "admin")
    row = make()
    answer = client.get(PLACE, {"q": f" {row.public_id} "})
    assert answer.status_code == 302
    assert answer.url == url(type(row), "change", row.pk)


def test_search__former_public_id__leads_to_its_row(client):
    signed_in(client, "admin")
    row = factories.patient()
    PublicIdAlias.objects.create(alias="P-1987/12", table_name="patients", row_id=row.pk)
    assert client.get(PLACE, {"q": "P-1987/12"}).url == url(type(row), "change", row.pk)


def test_search__name_in_another_way_to_write_it__finds_people_of_every_kind(client):
    signed_in(client, "admin")
    factories.patient(first_name="أحمد", last_name="العمري")
    factories.doctor(first_name="احمد", last_name="الحربي")
    factories.user(name="أَحمد الشهري")
    factories.lead(name="احمد البلوي")
    factories.patient(first_name="هدى", last_name="العتيبي")
    with CaptureQueriesContext(connection) as queries:
        found = labels(client, "احمد")
    assert len(found) == 4
    asked = [query["sql"][:80] for query in queries if "SAVEPOINT" not in query["sql"]]  # of the test's transaction
    assert len(asked) < 12, asked


def test_search__what_the_person_may_not_see__is_not_found(client):
    user = signed_in(client, "doctor")
    mine = factories.appointment(doctor=factories.doctor(user=user), patient=factories.patient(first_name="ريم"))
    other = factories.patient(first_name="ريم", last_name="العتيبي")
    assert labels(client, "ريم") == [f"ريم الأحمد ({mine.patient.public_id})"]
    assert client.get(PLACE, {"q": other.public_id}).status_code == 200  # as one that there is not
    assert labels(client, other.public_id) == []


def test_search__many__leads_to_the_list(client):
    signed_in(client, "staff")
    for _ in range(9):
        factories.patient(first_name="زينب")
    page = client.get(PLACE, {"q": "زينب"})
    (group,) = page.context["found"]
    assert (len(group.rows), client.get(group.more).context["cl"].result_count) == (8, 9)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("عبدالرحمن", "عبد الرحمن"), ("عبد الرحمن", "عبدالرحمن"), ("قحطاني", "القحطاني"), ("القحطاني", "قحطاني"),
        ("الهام", "إلهام"), ("اله", "إلهام"), ("ال سعود", "آل سعود"), ("٠٥٧٧ ١٢٣ ٤٥٦", "+966577123456"),
        ("057712", "0577123456"), ("MAHA@ex", "maha@example.sa"),
    ],
)  # fmt: skip
def test_search__by_index__finds_the_same_name_otherwise_written(client, text, name):
    signed_in(client, "staff")
    field = "email" if "@" in name else "phone" if name.strip("+").isdigit() else "last_name"
    factories.patient(last_name="الشهري", phone="0500000009", email="other@example.sa")
    row = factories.patient(**{field: name})
    assert labels(client, text) == [f"{row.first_name} {row.last_name} ({row.public_id})"]


@pytest.mark.parametrize("text", ["05", "٠٥", "5", "+5"])
def test_search__one_digit_of_a_telephone_number__finds_those_that_begin_so(client, text):
    signed_in(client, "staff")
    factories.patient(phone="0112345678")
    rows = [factories.patient(phone=phone) for phone in ("0501234567", "+966591234567")]
    wanted = {f"{row.first_name} {row.last_name} ({row.public_id})" for row in rows}
    assert set(labels(client, text)) == wanted
    signed_in(client, "doctor")  # who sees few rows, which are looked through
    assert wanted.isdisjoint(labels(client, text))


def test_search__by_index__uses_it_and_policies_that_were_narrowed_since_still_rule(client):
    signed_in(client, "staff")
    factories.patient(first_name="ريم")
    with identity.acting_as_operator(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(
            "EXPLAIN SELECT id FROM patients WHERE app.search_words(first_name, last_name, email, phone)"
            " @@ app.search_query('ريم')"
        )
        assert "patients_search_idx" in str(cursor.fetchall())
        cursor.execute("CREATE POLICY branch ON patients AS RESTRICTIVE TO moeen_staff USING (first_name <> 'ريم')")
    assert labels(client, "ريم") == []
    with identity.acting_as_operator(), connection.cursor() as cursor:
        cursor.execute("DROP POLICY branch ON patients")
    assert len(labels(client, "ريم")) == 1


def test_list__more_than_are_looked_through__says_so(client, monkeypatch):
    signed_in(client, "staff")
    monkeypatch.setattr(searching, "MOST", 3)
    for _ in range(4):
        factories.patient(first_name="زينب")
    page = client.get(url(Patient, "changelist"), {"q": "زينب"})
    assert (page.context["cl"].result_count, page.context["cl"].is_cut) == (3, True)
    assert "اكتب المزيد من الاسم" in page.content.decode()
    assert not client.get(url(Patient, "changelist"), {"q": "هدى"}).context["cl"].is_cut


@pytest.mark.parametrize("text", ["", "<script>alert(1)</script>", "\0", "%", "ـ", "(" * 300, "pat_", "00000000"])
def test_search__any_text__is_answered_and_shown_as_text(client, text):
    signed_in(client, "staff")
    answer = client.get(PLACE, {"q": text})
    assert answer.status_code == 200
    assert "<script>alert" not in answer.content.decode()


def test_box__on_the_pages__is_there_for_who_is_signed_in(client):
    signed_in(client, "patient")
    for place in (reverse("admin:index"), PLACE, url(Appointment, "changelist")):
        assert 'role="search"' in client.get(place).content.decode()
    stranger = Client()
    assert 'role="search"' not in stranger.get(reverse("admin:login")).content.decode()
    assert stranger.get(PLACE).status_code == 302  # to the door

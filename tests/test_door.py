"""Everybody's door: the admin shows and allows each role what the policies give it, and says why where it refuses."""

import itertools
import json
import logging
import re
import time

import bcrypt
import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth import hashers
from django.core.exceptions import ValidationError
from django.db import DatabaseError, connection, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client, RequestFactory
from django.urls import reverse

from healthcare.models import Appointment, Doctor, Patient
from moeen import sessions
from moeen.db.roles import PEOPLE
from moeen.db.security import identity
from moeen.error_log import Formatter
from sysadmin.admin import strict_json
from sysadmin.models import BackfillRun, Role, User, UserRole
from tests import factories
from tests.access import world as rows
from tests.access.matrix import ACTORS, MATRIX
from tests.access.roads import parse

pytestmark = [pytest.mark.usefixtures("values_apart"), pytest.mark.django_db]

#: Models with pages, all of them.
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
#: Where a page allows less than the policies, and why.
KEPT_BACK = {
    (BackfillRun, "U"),  # written by the actions of the list
    (User, "D"),  # oneself; see test_admin.py
    (Role, "D"),  # the system's
}


@pytest.fixture(scope="module")
def world(new_database, django_db_setup, values_apart, as_default):
    """The rows that the matrix speaks of, in a database that stands in for the default one."""
    made = new_database.migrated()
    with made.connect() as owner:
        found = rows.make(owner)
    with as_default(made):
        yield found


def url(model, page, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def actor(world, role):
    return User.objects.get(pk=world.keys["users"][ACTORS[role]])


def labels(world, model, wanted):
    """The keys of a cell's rows; of all rows where it says so."""
    known = world.keys.get(model._meta.db_table, {})
    return {str(key) for label, key in known.items() if wanted and (wanted[2] is None or label in wanted[2])}


@pytest.mark.parametrize("role", PEOPLE)
def test_matrix__every_model_and_action__is_what_the_pages_allow(world, role):
    user = actor(world, role)
    request = RequestFactory().get("/")
    request.user = user
    differences = []
    for model in MODELS:
        page = admin.site._registry[model]
        cell = parse(MATRIX[model._meta.db_table].get(role, ""))
        every = [page.model._base_manager.get(pk=key) for key in world.keys.get(model._meta.db_table, {}).values()]
        with identity.acting_as(user):
            request.__dict__.pop("_may", None)
            seen = {str(row.pk) for row in page.get_queryset(request)} if "S" in cell else set()
            changed = {str(row.pk) for row in every if page.has_change_permission(request, row)} & seen
            deleted = {str(row.pk) for row in every if page.has_delete_permission(request, row)} & seen
            columns = {command: page.columns_for(request, obj) for command, obj in (("I", None), ("U", True))}
            allowed = {
                "S": (page.has_view_permission(request), "S" in cell),
                "I": (page.has_add_permission(request), "I" in cell),
                "seen": (seen, labels(world, model, cell.get("S"))),
                "U": (changed, labels(world, model, cell.get("U"))),
                "D": (deleted, labels(world, model, cell.get("D"))),
            }
        for what in ("seen", "U", "D"):  # rows that triggers made have no label
            allowed[what] = (
                allowed[what][0] & set(world.keys.get(model._meta.db_table, {}).values()),
                allowed[what][1],
            )
        for command in "IU":
            named, inverted, _ = cell.get(command, (frozenset(), False, None))
            total = {field.column for field in model._meta.concrete_fields}
            wanted = total if named is None else total - named if inverted else named
            allowed[f"columns {command}"] = (set(columns[command]) & total, set(wanted))
        for what, (found, wanted) in allowed.items():
            if found != wanted and (model, what) not in KEPT_BACK:
                differences.append(f"{model.__name__} {what}: {found} where the matrix says {wanted}")
    assert differences == []


@pytest.mark.parametrize("role", ["patient", "staff", "supervisor"])
def test_lists__over_http__show_each_role_its_rows_and_refuse_the_others(world, client, role):
    client.force_login(actor(world, role))
    index = client.get(reverse("admin:index")).content.decode()
    for model in MODELS:
        cell = parse(MATRIX[model._meta.db_table].get(role, ""))
        answer = client.get(url(model, "changelist"))
        assert answer.status_code == (200 if "S" in cell else 403), model
        assert (url(model, "changelist") in index) == ("S" in cell), model
        if "S" in cell:
            assert {str(row.pk) for row in answer.context["cl"].result_list} >= labels(world, model, cell["S"]), model
        assert (url(model, "add") in index) == ("I" in cell), model


@pytest.mark.parametrize("role", ["doctor", "staff"])
def test_rows__over_http__open_for_those_who_see_them_and_save_where_they_may(world, client, role):
    client.force_login(actor(world, role))
    for model in MODELS:
        cell = parse(MATRIX[model._meta.db_table].get(role, ""))
        keys = world.keys.get(model._meta.db_table, {})
        seen, changed = labels(world, model, cell.get("S")), labels(world, model, cell.get("U"))
        for key in sorted(seen)[:1] + sorted(changed)[:1] + sorted(set(keys.values()) - seen)[:1]:
            answer = client.get(url(model, "change", key))
            assert answer.status_code == (200 if key in seen else 302 if "S" in cell else 403), (model, key)
            if key in seen and (model, "U") not in KEPT_BACK:
                assert (b'name="_save"' in answer.content) == (key in changed), (model, key)


def test_sign_in__any_active_person__enters_with_the_password(client):
    for role in PEOPLE:
        factories.user(email=f"{role}@example.com", password=factories.PASSWORD, role=role)
        answer = client.post(
            reverse("admin:login"),
            {"username": f"{role}@example.com", "password": factories.PASSWORD, "next": "/admin/"},
        )
        assert (answer.status_code, answer.url) == (302, "/admin/")
        assert client.get("/admin/").status_code == 200
        client.post(reverse("admin:logout"))


def test_page__of_a_row_whose_reference_may_not_be_seen__shows_the_row(client):
    patient = factories.patient(user=factories.user(role="patient"))
    visit = factories.appointment(patient=patient, doctor=factories.doctor(is_active=False))
    client.force_login(patient.user)
    listed = client.get(url(Appointment, "changelist"))
    assert [row.pk for row in listed.context["cl"].result_list] == [visit.pk]
    assert client.get(url(Appointment, "change", visit.pk)).status_code == 200


# --- roles --------------------------------------------------------------------------------------------------------


@pytest.fixture
def switcher(client):
    """Somebody who is a patient, and staff besides."""
    user = factories.user(role="patient", name="Noor")
    UserRole.objects.create(user=user, role=Role.objects.get(name="staff"))
    client.force_login(user)
    return user


def switch(client, role, **fields):
    return client.post(reverse("admin:switch_role"), {"role": role, **fields})


def test_role__held_besides__is_taken_and_told_and_given_back(client, switcher):
    told = []

    def listen(sender, user, before, after, **kwargs):
        told.append((user.pk, before, after))

    patient = factories.patient()
    page = url(Patient, "change", patient.pk)
    assert client.get(page).status_code == 302  # not found: the patients that a patient sees are themselves
    identity.role_switched.connect(listen)
    before = client.session.session_key
    assert switch(client, "staff").url == reverse("admin:index")
    assert client.session.session_key != before
    html = client.get(page).content.decode()
    assert 'value="staff" selected' in html
    assert client.post(page, {"first_name": "A", "last_name": "B"}).status_code == 302
    assert Patient.objects.get(pk=patient.pk).first_name == "A"
    switch(client, "patient")
    assert client.get(page).status_code == 302
    assert told == [(switcher.pk, "patient", "staff"), (switcher.pk, "staff", "patient")]
    identity.role_switched.disconnect(listen)


@pytest.mark.parametrize("role", ["admin", "auth", "", "moeen_admin"])
def test_role__not_held__is_refused_and_changes_nothing(client, switcher, role):
    answer = switch(client, role)
    assert answer.status_code == 403
    assert "لا تحمل هذا الدور" in answer.content.decode()
    assert 'value="patient" selected' in client.get("/admin/").content.decode()


def test_role__taken_away_meanwhile__acts_no_longer(client, switcher):
    switch(client, "staff")
    assert client.get(url(Patient, "add")).status_code == 200
    UserRole.objects.filter(user=switcher).delete()
    assert client.get(url(Patient, "add")).status_code == 403


def test_role_switch__address_of_another_site__leads_home(client, switcher):
    assert switch(client, "staff", next="https://example.org/").url == reverse("admin:index")
    assert switch(client, "staff", next=url(Doctor, "changelist")).url == url(Doctor, "changelist")


@pytest.mark.parametrize(("language", "said"), [("ar", "لا يُسمح لك بإضافة"), ("en", "you may not add")])
def test_refusal__page_of_another_role__says_why_and_offers_the_role(client, switcher, language, said):
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = language
    answer = client.get(url(Patient, "add"))
    html = answer.content.decode()
    assert answer.status_code == 403
    assert said in html
    assert 'name="role" value="staff"' in html
    assert f'<html lang="{language}"' in html
    other = client.get(url(BackfillRun, "changelist")).content.decode()
    assert 'name="role"' not in other


@pytest.mark.parametrize("address", ["/nowhere/", "/admin/id/pat_aaaaaaaaaaaaaaaaaaaaaaaa/"])
def test_error_page__no_such_page__speaks_arabic(client, switcher, address):
    answer = client.get(address)
    assert (answer.status_code, "لا توجد صفحة" in answer.content.decode()) == (404, True)


# --- the last administrator ---------------------------------------------------------------------------------------


@pytest.fixture
def alone():
    User.objects.filter(role="admin").delete()
    return factories.user(role="admin", name="Alone")


@pytest.mark.parametrize(
    "change",
    [
        lambda one: User.objects.filter(pk=one.pk).update(role="staff"),
        lambda one: User.objects.filter(pk=one.pk).update(is_active=False),
        lambda one: User.objects.filter(pk=one.pk)._raw_delete("default"),
    ],
    ids=["demoted", "deactivated", "deleted"],
)
def test_last_administrator__by_themselves__stays(alone, change):
    with pytest.raises(DatabaseError) as refused, transaction.atomic(), identity.acting_as(alone):
        change(alone)
    assert refused.value.__cause__.diag.constraint_name == "an_administrator_stays"
    with identity.acting_as(factories.user(role="admin")):
        assert change(alone) != 0  # there is another one


def test_last_administrator__by_assignment__stays_too(alone):
    deputy = factories.user(role="staff")
    given = UserRole.objects.create(user=deputy, role=Role.objects.get(name="admin"))
    with identity.acting_as(deputy, role="admin"), transaction.atomic():
        User.objects.filter(pk=alone.pk).update(role="staff")
        with pytest.raises(DatabaseError), transaction.atomic():
            UserRole.objects.filter(pk=given.pk).delete()


def test_last_administrator__on_the_page__is_told_in_the_form(client, alone):
    client.force_login(alone)
    page = url(User, "change", alone.pk)
    answer = client.post(page, {"email": alone.email, "name": "Alone", "phone": "", "role": "staff", "is_active": "on"})
    assert answer.status_code == 200
    assert "لن يبقى مدير" in answer.content.decode()
    assert answer.context["adminform"].form["role"].value() == "staff"
    alone.refresh_from_db()
    assert alone.role == "admin"


# --- editing ------------------------------------------------------------------------------------------------------


@pytest.fixture
def boss(client):
    user = factories.user(role="admin", name="Boss")
    client.force_login(user)
    return user


def opened(client, page):
    """What a browser would send of the page, with the state it was filled in from."""
    form = client.get(page).context["adminform"].form
    sent = {"_base": form.base}
    for bound in form:
        value = bound.field.prepare_value(bound.value())
        sent |= {} if value is None or value is False else {bound.html_name: value}
    return sent


def test_edit__two_people_different_fields__both_stay(client, boss):
    row = factories.patient(phone="0500000001", allergies="")
    page = url(Patient, "change", row.pk)
    first, second = opened(client, page), opened(client, page)
    assert client.post(page, first | {"allergies": "Penicillin"}).status_code == 302
    answer = client.post(page, second | {"phone": "0500000002"}, follow=True)
    assert "غيّر شخص آخر" in answer.content.decode()
    row.refresh_from_db()
    assert (row.allergies, row.phone) == ("Penicillin", "+966500000002")


def test_edit__two_people_the_same_field__shows_three_values_and_asks(client, boss):
    row = factories.patient(address="Old road", phone="0500000001")
    page = url(Patient, "change", row.pk)
    first, second = opened(client, page), opened(client, page)
    client.post(page, first | {"address": "First road", "phone": "0500000002"})
    answer = client.post(page, second | {"address": "Second road"})
    html = answer.content.decode()
    assert answer.status_code == 200
    for value in ("Old road", "First road", "Second road"):
        assert f"<td><bdi>{value}</bdi></td>" in html
    row.refresh_from_db()
    assert row.address == "First road"
    # Sent again, it is meant; what was not touched stays as the other left it.
    again = second | {"address": "Second road", "_base": answer.context["adminform"].form.base}
    assert client.post(page, again).status_code == 302
    row.refresh_from_db()
    assert (row.address, row.phone) == ("Second road", "+966500000002")


def test_edit__untouched_text__keeps_its_blanks_and_lines(client, boss):
    text = "  Two lines \r\n and a blank end \n"
    row = factories.patient(medical_history=text, first_name=" Sara ", phone="1")
    page = url(Patient, "change", row.pk)
    sent = opened(client, page) | {"phone": "0500000002"}
    assert (
        client.post(page, {**sent, "medical_history": text.replace("\r\n", "\n").replace("\n", "\r\n")}).status_code
        == 302
    )
    row.refresh_from_db()
    assert (row.medical_history, row.first_name, row.phone) == (text, " Sara ", "+966500000002")


def test_edit__nothing_touched__writes_nothing(client, boss, django_assert_num_queries):
    row = factories.patient()
    page = url(Patient, "change", row.pk)
    sent = opened(client, page)
    before = Patient.objects.get(pk=row.pk).updated_at
    assert client.post(page, sent).status_code == 302
    assert Patient.objects.get(pk=row.pk).updated_at == before
    assert LogEntry.objects.filter(object_id=str(row.pk)).count() == 1


def test_delete__of_a_row_that_was_changed_meanwhile__is_asked_again(client, boss):
    patient = factories.patient()
    page = url(Patient, "delete", patient.pk)
    seen = client.get(page).context["seen"]
    Patient.objects.filter(pk=patient.pk).update(last_name="Other")
    assert client.post(page, {"post": "yes", "_seen": seen}).headers["Location"] == url(Patient, "change", patient.pk)
    assert Patient.objects.filter(pk=patient.pk).exists()
    text = client.get(page).content.decode()
    seen = re.search(r'name="_seen" value="(\w+)"', text)[1]
    assert client.post(page, {"post": "yes", "_seen": seen}).status_code == 302
    assert not Patient.objects.filter(pk=patient.pk).exists()


def test_delete__of_several_of_which_one_was_changed_meanwhile__is_asked_again(client, boss):
    patients = [factories.patient(), factories.patient()]
    page = url(Patient, "changelist")
    words = {"action": "delete_selected", "_selected_action": [str(patient.pk) for patient in patients]}

    def seen():
        return re.search(r'name="_seen" value="(\w+)"', client.post(page, words).content.decode())[1]

    before = seen()
    Patient.objects.filter(pk=patients[1].pk).update(last_name="Other")
    client.post(page, words | {"post": "yes", "_seen": before})
    kept = Patient.objects.filter(pk__in=[patient.pk for patient in patients])
    assert kept.count() == 2
    client.post(page, words | {"post": "yes", "_seen": seen()})
    assert not kept.exists()


def test_edit__columns_of_a_role__are_written_alone(client):
    """A doctor may change an appointment's notes, and nothing of whose it is."""
    doctor = factories.doctor(user=factories.user(role="doctor"))
    visit = factories.appointment(doctor=doctor)
    client.force_login(doctor.user)
    page = url(Appointment, "change", visit.pk)
    sent = opened(client, page)
    assert not {"patient", "doctor"} & set(sent)
    stranger = factories.patient()
    assert client.post(page, sent | {"notes": "Seen", "patient": stranger.pk}).status_code == 302
    visit.refresh_from_db()
    assert (visit.notes, visit.patient_id == stranger.pk) == ("Seen", False)


def test_edit__base_of_another_row_or_made_up__is_no_base(client, boss):
    one, other = factories.patient(phone="1"), factories.patient(phone="2")
    foreign = opened(client, url(Patient, "change", other.pk))["_base"]
    page = url(Patient, "change", one.pk)
    for base in (foreign, "nonsense", "\0", "a:b:c"):
        assert client.post(page, opened(client, page) | {"_base": base, "phone": "0500000003"}).status_code == 302


def test_password__of_ones_own__is_changed_by_everybody(client):
    user = factories.user(role="staff", password=factories.PASSWORD)
    client.force_login(user)
    page = reverse("admin:password_change")
    assert client.get(page).status_code == 200
    passwords = {"new_password1": "another-long-one", "new_password2": "another-long-one"}
    assert client.post(page, {"old_password": "wrong", **passwords}).status_code == 200
    assert client.post(page, {"old_password": factories.PASSWORD, **passwords}).status_code == 302
    user.refresh_from_db()
    assert user.check_password("another-long-one")
    assert client.get("/admin/").status_code == 200
    other = reverse("admin:auth_user_password_change", args=[user.pk])
    assert client.get(other).headers["Location"] == page


def test_password__of_ones_own__is_not_set_without_the_present_one(client, boss):
    own = reverse("admin:auth_user_password_change", args=[boss.pk])
    before = User.objects.values_list("password", flat=True).get(pk=boss.pk)
    passwords = {"usable_password": "true", "password1": "another-long-one", "password2": "another-long-one"}
    for words in (passwords, {"usable_password": "false"}):
        assert client.post(own, words).headers["Location"] == reverse("admin:password_change")
    assert User.objects.values_list("password", flat=True).get(pk=boss.pk) == before


# --- hostile input ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        '{"a": NaN}', "Infinity", "-Infinity", "1e400", '"\\ud800"', '{"\\udfff": 1}', '"\\u0000"', "[" * 100_000,
        '{"a":' * 70 + "1" + "}" * 70, '{"a": 1, "a": 2}', "0.1234567890123456789", "1" * 5000, "{", "[1,]", "nul",
        "1e-400", "1e-99999999999999999999", "1.5e99999999999999999999",
    ],
    ids=lambda value: value[:12],
)  # fmt: skip
def test_json__that_would_not_come_back_as_typed__is_an_error_of_the_field(client, boss, value):
    setting = factories.setting(value={"kept": 1})
    page = url(type(setting), "change", setting.pk)
    answer = client.post(page, {"key": setting.key, "value": value, "category": "api"})
    assert answer.status_code == 200
    assert "value" in answer.context["adminform"].form.errors
    setting.refresh_from_db()
    assert setting.value == {"kept": 1}


@pytest.mark.parametrize(
    "text",
    ['"' + '\\"' * 500_000, "[" + '"' * 999_999, "{" + ", ".join(f'"{n}": 0' for n in [*range(90_000), 89_999]) + "}"],
    ids=["no end", "quotes", "twice"],
)
def test_json__long_and_wrong__is_refused_at_once(text):
    begun = time.process_time()
    with pytest.raises(ValidationError):
        strict_json.parse(text)
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    "value", ["0.1", "1e2", "[]", '{"a": {"b": [1.5, -0.25, 1e-7]}}', '"\\ud83d\\ude00"', "[" * 64 + "]" * 64]
)
def test_json__ordinary__is_kept_as_typed(client, boss, value):
    setting = factories.setting()
    form = {"key": setting.key, "value": value, "category": "api"}
    assert client.post(url(type(setting), "change", setting.pk), form).status_code == 302
    setting.refresh_from_db()
    assert setting.value == json.loads(value)


HOSTILE = [
    "",
    "x",
    "\0",
    "٩",
    "-1",
    "1e9",
    "99999999999999999999",
    "2026-99-99",
    "0001-01-01",
    "999999-01-01",
    "[]",
    "NaN",
    "'",
]
LOOKUPS = [
    "",
    "__exact",
    "__gte",
    "__lt",
    "__year",
    "__isnull",
    "__in",
    "__contains",
    "__range",
    "__date",
    "__id__exact",
]


def hostile_filters(client, *, every):
    """Tries each of `every` filters, and gives those that ended in an error of the server."""
    client.raise_request_exception = False
    fields = [(model, field.name) for model in MODELS for field in model._meta.concrete_fields]
    made = list(itertools.product(fields, LOOKUPS, HOSTILE))[::every]
    failed = []
    for (model, name), lookup, value in made:
        answer = client.get(url(model, "changelist"), {f"{name}{lookup}": value})
        if answer.status_code >= 500:
            failed.append((model.__name__, name, lookup, value))
    return len(made), failed


def test_filters__made_by_hand__are_no_error_of_the_server(client, boss):
    tried, failed = hostile_filters(client, every=397)
    assert failed == []
    assert tried > 60


@pytest.mark.parametrize(
    ("model", "lookup"),
    [(Patient, "allergies__icontains"), (Patient, "sessions__diagnosis"), (Appointment, "patient__medical_history")],
)
def test_filters__by_clinical_text__are_refused(client, boss, model, lookup):
    assert client.get(url(model, "changelist"), {lookup: "a"}).status_code == 400


@pytest.mark.long
def test_filters__thousands_made_by_hand__are_no_error_of_the_server(client, boss):
    tried, failed = hostile_filters(client, every=17)
    assert failed == []
    assert tried > 1500


# --- signing in ---------------------------------------------------------------------------------------------------


@pytest.fixture
def tries(settings, tmp_path):
    settings.CACHE_DIR = tmp_path
    settings.SIGN_IN_TRIES = 3


def try_to_sign_in(client, email, password, address="203.0.113.7"):
    answer = client.post(
        reverse("admin:login"), {"username": email, "password": password, "next": "/admin/"}, REMOTE_ADDR=address
    )
    return answer.status_code == 302


def test_sign_in__wrong_too_often__waits_with_the_right_password_too(client, tries):
    user, other = (factories.user(password=factories.PASSWORD) for _ in range(2))
    for _ in range(3):
        assert not try_to_sign_in(client, user.email.upper(), "wrong")
    assert not try_to_sign_in(client, user.email, factories.PASSWORD)
    assert not try_to_sign_in(client, user.email, factories.PASSWORD, "198.51.100.1")
    assert try_to_sign_in(client, other.email, factories.PASSWORD)


def test_sign_in__others_have_tried_too_often__waits_not_where_its_person_was_before(tries):
    user, other = (factories.user(password=factories.PASSWORD) for _ in range(2))
    own, shared, stranger = Client(), Client(), Client()
    assert try_to_sign_in(own, user.email, factories.PASSWORD)
    for person in (user, other):  # the last one's browser it is
        assert try_to_sign_in(shared, person.email, factories.PASSWORD)
    for browser in (own, shared):
        browser.post(reverse("admin:logout"))
    for _ in range(3):
        assert not try_to_sign_in(stranger, user.email, "wrong")
    assert not try_to_sign_in(stranger, user.email, factories.PASSWORD)
    assert not try_to_sign_in(shared, user.email, factories.PASSWORD)
    forged = Client()
    forged.cookies["known"] = own.cookies["known"].value.replace(":", "0:", 1)
    assert not try_to_sign_in(forged, user.email, factories.PASSWORD)
    assert not try_to_sign_in(own, user.email, "wrong")
    assert try_to_sign_in(own, user.email.upper(), factories.PASSWORD)
    assert not try_to_sign_in(stranger, user.email, factories.PASSWORD)  # that has forgiven nobody else
    for _ in range(3):
        assert not try_to_sign_in(own, user.email, "wrong")
    assert not try_to_sign_in(own, user.email, factories.PASSWORD)  # whoever has the browser may not try for ever


def test_sign_in__right_after_some_wrong__begins_to_count_anew(client, tries):
    user = factories.user(password=factories.PASSWORD)
    for _ in range(3):
        for _ in range(2):
            assert not try_to_sign_in(client, user.email, "wrong")
        assert try_to_sign_in(client, user.email, factories.PASSWORD)


def test_sign_in__many_accounts_from_one_address__waits(client, tries, settings):
    settings.SIGN_IN_TRIES_OF_ADDRESS = 4
    user = factories.user(password=factories.PASSWORD)
    for number in range(4):
        try_to_sign_in(client, f"nobody{number}@example.com", "wrong")
    assert not try_to_sign_in(client, user.email, factories.PASSWORD)
    assert try_to_sign_in(client, user.email, factories.PASSWORD, "198.51.100.1")


@pytest.mark.parametrize("stored", [None, "", "!", "nonsense", "pbkdf2_sha256$1$a"])
def test_password__none_or_unreadable__is_hashed_for_like_a_wrong_one(monkeypatch, stored):
    hashed = []
    encode = hashers.MD5PasswordHasher.encode
    monkeypatch.setattr(hashers.MD5PasswordHasher, "encode", lambda *words: hashed.append(1) or encode(*words))
    user = factories.user()
    user.password = stored
    assert not user.check_password("wrong")
    assert hashed


@pytest.mark.parametrize("rounds", [4, 8])
def test_password__of_an_older_form__is_refused_no_sooner(monkeypatch, settings, rounds):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher", "sysadmin.hashers.Bcrypt"]
    monkeypatch.setattr(hashers.PBKDF2PasswordHasher, "iterations", 400_000)
    user = factories.user()

    def seconds():
        begun = time.thread_time()
        assert not user.check_password("wrong")
        return time.thread_time() - begun

    user.password = None
    usual = min(seconds() for _ in range(3))
    user.password = bcrypt.hashpw(b"right", bcrypt.gensalt(rounds)).decode()
    assert 0.8 < min(seconds() for _ in range(3)) / usual < 1.3
    assert not async_to_sync(user.acheck_password)("wrong")
    assert user.check_password("right")


def test_session__idle_or_old__has_ended(client, monkeypatch, settings):
    now = [time.time()]
    monkeypatch.setattr(sessions.time, "time", lambda: now[0])

    def is_in(**said):
        return client.get("/admin/", **said).status_code == 200

    client.force_login(factories.user())
    now[0] += 1700
    assert is_in()
    now[0] += 1700  # the idle time began anew with the last request
    assert is_in()
    now[0] += 1801
    assert not is_in()
    client.force_login(factories.user())
    now[0] += 1000
    assert is_in(headers={"x-refresh": "1"})  # a page that shows itself anew, and nobody there
    now[0] += 801
    assert not is_in()
    client.force_login(factories.user())
    for _ in range(settings.SESSION_COOKIE_AGE // 1700):
        now[0] += 1700
        assert is_in()
    now[0] += 1700
    assert not is_in()


def test_headers__of_a_page__keep_browsers_to_this_site(client, boss):
    headers = client.get("/admin/").headers
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert "unsafe-inline" not in headers["Content-Security-Policy"].replace("style-src-attr 'unsafe-inline'", "")
    assert "camera=()" in headers["Permissions-Policy"]


def test_health__asked_by_a_watcher__tells_the_process_from_the_database(client, monkeypatch):
    assert client.get("/healthz", headers={"host": "10.0.0.1"}).status_code == 200
    assert client.get("/readyz", headers={"host": "10.0.0.1"}).status_code == 200
    with connection.cursor() as cursor:
        cursor.execute("ALTER FUNCTION app.is_bound(text) RENAME TO is_bound_no_more")
    with transaction.atomic():
        assert client.get("/readyz").status_code == 503
        transaction.set_rollback(True)
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("app", ["sysadmin", "chatbot", "sessions"])
def test_health__migration_missing__is_not_ready(client, app):
    assert client.get("/readyz").status_code == 200
    newest = MigrationRecorder.Migration.objects.filter(app=app).order_by("-id").first()
    MigrationRecorder.Migration.objects.filter(pk=newest.pk).delete()
    assert client.get("/readyz").status_code == 503


def test_access_log__of_a_request__names_the_page_and_no_row(client, boss, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("moeen.access"), "propagate", True)
    caplog.set_level("INFO", "moeen.access")
    patient = factories.patient()
    client.get(url(Patient, "change", patient.pk), {"q": "0577"})
    line = json.loads(caplog.records[-1].message)
    assert (line["method"], line["page"], line["status"]) == ("GET", "admin:healthcare_patient_change", 200)
    assert str(patient.pk) not in caplog.text.replace("django", "")
    assert "0577" not in caplog.text


FAULT = """
    CREATE FUNCTION app.obstacle() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'obstacle' USING ERRCODE = '{state}', DETAIL = NEW.email; END $$;
    CREATE TRIGGER obstacle BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION app.obstacle()
"""


@pytest.mark.parametrize(
    ("state", "status", "said"),
    [
        ("XX001", 500, "the fault has been noted"),
        ("57014", 503, "It took too long"),
        ("57P01", 503, "The database does not answer"),
        ("53300", 503, "The database does not answer"),
    ],
)
def test_fault__of_a_page__is_logged_by_its_page_and_without_values(client, boss, caplog, state, status, said):
    someone = factories.user(email="secret@example.com", name="Secret")
    with identity.acting_as_operator(), connection.cursor() as cursor:
        cursor.execute(FAULT.format(state=state))
    client.raise_request_exception = False
    page = url(User, "change", someone.pk)
    words = {"email": someone.email, "name": "Secret too", "role": "patient", "is_active": "on"}
    answer = client.post(page, words, headers={"accept-language": "en"})
    text = answer.content.decode()
    assert (answer.status_code, said in text, "Traceback" in text) == (status, True, False)
    (record,) = [one for one in caplog.records if one.name == "django.request"]
    told = Formatter("%(message)s").format(record)
    assert "admin:sysadmin_user_change" in told
    assert "File " in told
    assert not [word for word in ("secret", str(someone.pk)) if word in told.lower()]
    assert page in record.getMessage()  # what Django had said

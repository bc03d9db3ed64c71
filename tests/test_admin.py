"""The admin as people meet it: every page in both languages, who gets in, what is never shown."""

import ast
import gettext
import json
import re
from pathlib import Path
from types import ModuleType

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import path, reverse
from django.utils import translation
from django.views.i18n import set_language

from sysadmin import checks
from sysadmin.admin import derived
from sysadmin.models import AuditLog, AuditSeal, Role, Setting, User, UserRole
from tests import factories
from tests.access.matrix import MATRIX
from tests.access.roads import parse

#: Fields that are in no form, and why.
NOT_IN_FORMS = {
    "sysadmin.User.password",  # has a page of its own
    "chatbot.Integration.webhook_secret",  # written through new_webhook_secret
    "chatbot.Flow.created_by",  # whoever adds the row
    "chatbot.Template.created_by",
    "chatbot.Template.approved_by",  # whoever approves it
    "chatbot.Integration.created_by",
    "sysadmin.Role.is_system",  # seeded, not chosen
    "sysadmin.UserRole.assigned_by",
    "sysadmin.Setting.updated_by",  # whoever changes it
}
#: The models whose pages administrators see, and those of them whose pages they write nothing on.
MODELS, READ_ONLY = [], set()
for _model in sorted(factories.FACTORIES, key=lambda model: model._meta.label):
    _commands = parse(MATRIX[_model._meta.db_table].get("admin", ""))
    MODELS += [_model] if "S" in _commands else []
    READ_ONLY |= {_model} if "I" not in _commands else set()
LEGACY_HASH = "$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"

pytestmark = [pytest.mark.usefixtures("values_apart"), pytest.mark.django_db]


def url(model, page, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def signed_in(client, role, **fields):
    user = factories.user(role=role, **fields)
    client.force_login(user)
    return user


@pytest.fixture
def boss(client):
    return signed_in(client, "admin", name="Boss")


@pytest.fixture(params=["ar", "en"])
def language(request, client):
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = request.param
    yield request.param
    translation.activate(settings.LANGUAGE_CODE)


def by_name(value):
    return getattr(value, "__name__", str(value))


def test_site__models__all_of_ours_and_no_groups():
    assert set(MODELS) - set(admin.site._registry) == set()
    assert Group not in admin.site._registry


def test_forms__every_editable_field__is_in_one_or_named_here(rf, boss):
    request = rf.get("/")
    request.user = boss
    absent = set()
    for model in MODELS:
        shown = set(admin.utils.flatten_fieldsets(admin.site._registry[model].get_fieldsets(request)))
        for field in model._meta.concrete_fields:
            label = f"{model._meta.label}.{field.name}"
            if field.editable and field.name not in shown and model not in READ_ONLY:
                absent.add(label)
    # A user becomes active by default, and is made inactive on the change page.
    assert absent - {"sysadmin.User.is_active"} == NOT_IN_FORMS


def test_language_page__index__speaks_it_in_its_direction(client, boss, language):
    page = client.get(reverse("admin:index"))
    assert page.status_code == 200
    html = page.content.decode()
    assert f'<html lang="{language}" dir="{"rtl" if language == "ar" else "ltr"}">' in html
    assert ("المواعيد" in html) == (language == "ar")
    assert ("Appointments" in html) == (language == "en")


@pytest.mark.parametrize("model", MODELS, ids=by_name)
def test_pages__every_model__answer_with_rows_present(client, boss, language, model):
    row = factories.FACTORIES[model]()
    assert client.get(url(model, "changelist")).status_code == 200
    assert client.get(url(model, "changelist"), {"q": row.public_id}).context["cl"].result_count == 1
    assert client.get(url(model, "changelist"), {"q": "no such thing \0"}).status_code == 200
    assert client.get(url(model, "change", row.pk)).status_code == 200
    assert client.get(url(model, "history", row.pk)).status_code == 200
    assert client.get(url(model, "add")).status_code == (403 if model in READ_ONLY else 200)
    if model not in READ_ONLY:
        assert client.get(url(model, "delete", row.pk)).status_code == 200


@pytest.mark.parametrize("model", MODELS, ids=by_name)
def test_derived_pages__any_model__list_find_add_and_change(client, boss, derived_pages, model):
    row = factories.FACTORIES[model]()
    derived_pages(model)
    listed = client.get(url(model, "changelist"), {"q": row.public_id})
    assert listed.context["cl"].result_count == 1
    assert row.public_id in listed.content.decode()
    assert client.get(url(model, "changelist"), {"q": "no such thing"}).status_code == 200
    assert client.get(url(model, "add")).status_code == (403 if model in READ_ONLY else 200)
    shown = client.get(url(model, "change", row.pk)).context["adminform"].form
    assert "webhook_secret" not in shown.fields
    before = _values(row)
    answer = client.post(url(model, "change", row.pk), _post(shown))
    assert answer.status_code == (403 if model in READ_ONLY else 302)
    assert {name for name, value in _values(row).items() if value != before[name]} <= {"updated_at", "updated_by_id"}


@pytest.fixture
def derived_pages(settings):
    """`derived_pages(model)`: the model's pages are as if no app had written any."""
    registry = dict(admin.site._registry)

    def derive(model):
        admin.site.unregister(model)
        derived.register_the_rest(admin.site)
        assert admin.site._registry[model].check() == []
        # Those of moeen.urls are the pages as they were.
        urls = ModuleType("derived_urls")
        urls.urlpatterns = [path("admin/", admin.site.urls), path("language/", set_language, name="set_language")]
        settings.ROOT_URLCONF = urls

    yield derive
    admin.site._registry = registry


@pytest.mark.parametrize("model", MODELS, ids=by_name)
def test_changelist__arabic__leaves_no_english_heading(client, boss, model):
    factories.FACTORIES[model]()
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = "ar"
    html = client.get(url(model, "changelist")).content.decode()
    headings = re.findall(r'<div class="text">\s*(?:<a[^>]*>|<span>)([^<]+)<', html)
    assert headings
    assert [heading for heading in headings if not re.search("[\u0600-\u06ff]|IP", heading)] == []


@pytest.mark.parametrize("model", MODELS, ids=by_name)
def test_changelist__more_rows__no_more_queries(client, boss, model):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert client.get(url(model, "changelist")).status_code == 200
        return len(captured)

    for _ in range(2):
        filled(model)
    few = queries()
    for _ in range(6):
        filled(model)
    assert queries() == few


def filled(model):
    """A row that refers to rows of its own wherever it may."""
    row = factories.FACTORIES[model]()
    for field in model._meta.concrete_fields:
        if field.is_relation and getattr(row, field.attname) is None:
            setattr(row, field.name, factories.FACTORIES[field.related_model]())
    if model is AuditLog:
        row = factories.audit_log(user_id=factories.user().pk, record_id=row.pk)
    elif model is not AuditSeal:  # which refers to nothing, and is never changed
        row.save()
    return row


@pytest.mark.parametrize("model", sorted(set(MODELS) - READ_ONLY, key=by_name), ids=by_name)
def test_change__page_sent_back_as_it_came__is_saved_and_alters_nothing(client, boss, model):
    row = factories.FACTORIES[model]()
    before = _values(row)
    form = client.get(url(model, "change", row.pk)).context["adminform"].form
    answer = client.post(url(model, "change", row.pk), _post(form))
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    row.refresh_from_db()
    kept_apart = {"updated_at", "updated_by_id"}
    assert {name: value for name, value in _values(row).items() if name not in kept_apart} == {
        name: value for name, value in before.items() if name not in kept_apart
    }


def test_entrance__inactive_admin__is_sent_to_sign_in(client):
    signed_in(client, "admin", is_active=False)
    assert client.get(reverse("admin:index")).status_code == 302


@pytest.mark.parametrize("typed", ["sara@example.com", "SARA@EXAMPLE.COM"])
def test_sign_in__email_in_any_case__enters(client, language, typed):
    factories.user(email="Sara@Example.com", password=factories.PASSWORD, role="admin")
    page = client.get(reverse("admin:login"))
    assert page.status_code == 200
    answer = client.post(
        reverse("admin:login"),
        {"username": typed, "password": factories.PASSWORD, "next": reverse("admin:index")},
    )
    assert (answer.status_code, answer.url) == (302, reverse("admin:index"))


def test_sign_in__wrong_password_or_foreign_hash__says_so_and_does_not_crash(client):
    user = factories.user(role="admin")
    for stored in (None, LEGACY_HASH):
        User.objects.filter(pk=user.pk).update(password=stored)
        answer = client.post(reverse("admin:login"), {"username": user.email, "password": "wrong"})
        assert answer.status_code == 200
        assert answer.context["form"].errors


def test_supervisor__role_and_setting__show_permissions_holders_and_value(client):
    signed_in(client, "supervisor")
    assignment = factories.user_role(user=factories.user(name="Huda"))
    html = client.get(url(Role, "change", assignment.role.pk)).content.decode()
    assert "patients:read\npatients:write" in html
    assert "Huda" in html
    assert url(User, "change", assignment.user.pk) in html
    setting = factories.setting(value={"لغة": ["عربي"]}, category="api")
    html = client.get(url(Setting, "change", setting.pk)).content.decode()
    assert "&quot;لغة&quot;: [" in html
    assert setting.key in html


def test_role__page__shows_permissions_a_line_each_and_links_its_holders(client, boss):
    assignment = factories.user_role(user=factories.user(name="<b>Huda</b>"))
    html = client.get(url(Role, "change", assignment.role.pk)).content.decode()
    assert "patients:read\npatients:write</textarea>" in html
    assert f'<a href="{url(User, "change", assignment.user.pk)}">&lt;b&gt;Huda&lt;/b&gt;</a>' in html


def test_role__saved__keeps_permissions_one_a_line(client, boss):
    fields = {"name": "reader", "description": ""}
    client.post(url(Role, "add"), fields | {"permissions": " a:read \r\n\r\nب:قراءة\n"})
    role = Role.objects.get(name="reader")
    assert (role.permissions, role.description) == (["a:read", "ب:قراءة"], None)
    client.post(url(Role, "change", role.pk), fields | {"permissions": ""})
    role.refresh_from_db()
    assert role.permissions == []


def test_role__of_the_system__is_neither_deleted_nor_renamed(client, boss):
    role = factories.role(name="auditor", is_system=True)
    factories.user(role="doctor")
    assert client.get(url(Role, "change", role.pk)).status_code == 200
    assert client.post(url(Role, "delete", role.pk), {"post": "yes"}).status_code == 403
    client.post(
        url(Role, "changelist"),
        {"action": "delete_selected", "_selected_action": [str(role.pk)], "post": "yes"},
    )
    client.post(url(Role, "change", role.pk), {"name": "other", "description": "", "permissions": "x"})
    role.refresh_from_db()
    assert (role.name, role.permissions) == ("auditor", ["x"])


def test_role_assignment__added__is_stamped_with_who_gave_it(client, boss):
    user, role = factories.user(), factories.role()
    assert client.post(url(UserRole, "add"), {"user": user.pk, "role": role.pk}).status_code == 302
    assert UserRole.objects.get(user=user).assigned_by == boss


@pytest.mark.parametrize("value", ["{}", "[]", "0", "false", '""', '{"a": [1, "ب"]}'])
def test_setting__any_json_value__is_saved_with_who_changed_it(client, boss, value):
    setting = factories.setting(value="old")
    form = {"key": setting.key, "value": value, "description": "", "category": "api"}
    assert client.post(url(Setting, "change", setting.pk), form).status_code == 302
    setting.refresh_from_db()
    assert (setting.value, setting.updated_by, setting.category) == (json.loads(value), boss, "api")


@pytest.mark.parametrize("value", ["", "{", "null"])
def test_setting__no_json_value__is_refused_in_the_form(client, boss, value):
    form = {"key": "a", "value": value, "description": "", "category": "api"}
    answer = client.post(url(Setting, "add"), form)
    assert "value" in answer.context["adminform"].form.errors


def test_audit_log__change_by_a_page__says_who_in_which_role_and_whence(client, boss):
    role = factories.role(name="nurse")
    sent = {"name": "nurse", "description": "new", "permissions": ""}
    headers = {"X-Request-ID": "proxy:0123456789", "User-Agent": "Browser " + "x" * 900}
    client.post(url(Role, "change", role.pk), sent, headers=headers)
    entry = AuditLog.objects.get(table_name="roles", action="UPDATE", record_id=role.pk)
    assert (entry.user_id, entry.acted_as, entry.new_values["description"]) == (boss.pk, "admin", "new")
    assert (entry.ip_address, entry.request_id) == ("127.0.0.1", "proxy:0123456789")
    assert entry.user_agent == headers["User-Agent"][:500]
    client.post(url(Role, "change", role.pk), sent | {"description": "newer"}, headers={"X-Request-ID": "no id\u00e9"})
    later = AuditLog.objects.exclude(pk=entry.pk).get(table_name="roles", action="UPDATE", record_id=role.pk)
    assert len(later.request_id) == 32


def test_audit_log__pages__show_changes_and_allow_none(client, boss):
    row = factories.audit_log(
        user_id=boss.pk,
        record_id=boss.pk,
        table_name="users",
        old_values={"name": "<i>Old</i>", "tags": ["أ"]},
        new_values={"name": "New", "phone": None},
    )
    html = client.get(url(AuditLog, "change", row.pk)).content.decode()
    for column in ("name", "tags", "phone"):
        assert f'<bdi dir="ltr">{column}</bdi>' in html
    assert "&lt;i&gt;Old&lt;/i&gt;</bdi></td><td><bdi>New</bdi></td>" in html
    assert url(User, "change", boss.pk) in html
    assert ">Boss</a>" in html
    assert "_save" not in html
    assert client.post(url(AuditLog, "change", row.pk), {"action": "x"}).status_code == 403
    assert client.post(url(AuditLog, "delete", row.pk), {"post": "yes"}).status_code == 403
    answer = client.get(url(AuditLog, "changelist"))
    assert "delete_selected" not in answer.content.decode()
    found = client.get(url(AuditLog, "changelist"), {"q": str(boss.pk)}).context["cl"].queryset
    assert row in found
    assert {entry.record_id for entry in found} == {boss.pk}


@pytest.mark.parametrize("values", ["text", ["a"], 3, {}, None])
def test_audit_log__values_of_any_shape__do_not_break_the_page(client, boss, values):
    row = factories.audit_log(old_values=values, table_name="gone", record_id=boss.pk, user_id=factories.role().pk)
    assert client.get(url(AuditLog, "change", row.pk)).status_code == 200
    assert client.get(url(AuditLog, "changelist")).status_code == 200


def test_audit_log__filters__narrow_without_reading_the_table(client, boss):
    factories.audit_log(table_name="patients", action="DELETE")
    for query, count in (({"table_name": "patients", "action": "DELETE"}, 1), ({"table_name": "roles"}, 0)):
        assert client.get(url(AuditLog, "changelist"), query).context["cl"].result_count == count


def test_audit_log__searched__finds_entries_by_each_kind_of_word(client, boss):
    patient = factories.patient()
    entry = AuditLog.objects.get(record_id=patient.pk)
    words = {
        patient.public_id: True, str(patient.pk): True, entry.public_id: True, "patients": True, "INSERT": True,
        factories.patient().public_id: False, "roles": False, "LINK_SIGN_IN": False, "nonsense": False, "": True,
    }  # fmt: skip
    for word, found in words.items():
        listed = client.get(url(AuditLog, "changelist"), {"q": word}).context["cl"].result_list
        assert (entry in listed) is found, word


def test_audit_log__more_entries_than_are_counted__are_listed_from_the_newest(client, boss, monkeypatch):
    monkeypatch.setattr("sysadmin.admin.lists.NewestPaginator.most", 250)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO audit_logs (action, table_name, created_at, transaction_id) "
            "SELECT 'READ', 'x', now() - n * interval '1 hour', 1 FROM generate_series(1, 300) AS n"
        )
    pages = [client.get(url(AuditLog, "changelist"), {"p": page}).context["cl"] for page in range(1, 6)]
    assert [page.result_count for page in pages] == [250] * 5
    listed = [row.created_at for page in pages for row in page.result_list]
    assert listed == sorted(listed, reverse=True)
    assert listed[:250] == list(AuditLog.objects.order_by("-created_at").values_list("created_at", flat=True)[:250])


def test_secrets__every_page__are_never_shown(client, boss):
    secret = "whsec_do_not_show"
    integration = factories.integration(webhook_secret=secret)
    user = factories.user(password=factories.PASSWORD)
    legacy = factories.user()
    User.objects.filter(pk=legacy.pk).update(password=LEGACY_HASH)
    pages = [url(type(integration), page) for page in ("changelist", "add")]
    pages += [url(type(integration), page, integration.pk) for page in ("change", "delete", "history")]
    for row in (user, legacy):
        pages += [url(User, page, row.pk) for page in ("change", "delete", "history")]
        pages.append(reverse("admin:auth_user_password_change", args=[row.pk]))
    pages += [url(User, "changelist"), url(User, "add")]
    for page in pages:
        answer = client.get(page)
        assert answer.status_code == 200, page
        for text in (secret, user.password, LEGACY_HASH, "pbkdf2_sha256"):
            assert text not in answer.content.decode(), page
    answer = client.get(url(User, "changelist"), {"password__startswith": "pbkdf2"})
    assert answer.status_code in {302, 400}


def test_integration__secret__is_kept_replaced_and_removed(client, boss):
    row = factories.integration(webhook_secret="first")
    page = url(type(row), "change", row.pk)
    form = _post(client.get(page).context["adminform"].form)

    def stored(**fields):
        answer = client.post(page, form | fields)
        row.refresh_from_db()
        return answer.status_code, row.webhook_secret

    assert stored() == (302, "first")
    assert stored(new_webhook_secret="second") == (302, "second")
    assert stored(new_webhook_secret="x", remove_webhook_secret="on") == (200, "second")
    assert stored(remove_webhook_secret="on") == (302, None)


def test_patient__sign_in_linked__is_recorded_and_never_ones_own(client, boss):
    other, row = factories.user(), factories.patient()
    page = url(type(row), "change", row.pk)
    form = _post(client.get(page).context["adminform"].form)
    for user, status, linked in ((boss, 200, None), (other, 302, other.pk), (None, 302, None)):
        assert client.post(page, form | {"user": user.pk if user else ""}).status_code == status
        row.refresh_from_db()
        assert row.user_id == linked
    # Both at the same moment: that of the test's transaction.
    found = AuditLog.objects.filter(action="LINK_SIGN_IN", record_id=row.pk)
    assert {(e.user_id, e.new_values["user_id"]) for e in found} == {(boss.pk, str(other.pk)), (boss.pk, None)}
    added = client.post(url(type(row), "add"), form | {"user": other.pk, "email": "", "first_name": "new"})
    assert added.status_code == 302, added.context["adminform"].form.errors
    assert type(row).objects.get(first_name="new").user_id == other.pk


def test_user__added_and_password_changed__can_sign_in(client, boss):
    fields = {"email": "new@Example.COM", "name": "New", "phone": "", "role": "doctor"}
    passwords = {"password1": factories.PASSWORD, "password2": factories.PASSWORD}
    answer = client.post(url(User, "add"), fields | passwords)
    assert answer.status_code == 302
    user = User.objects.get(email="new@example.com")
    assert user.check_password(factories.PASSWORD)
    assert (user.role, user.phone) == ("doctor", None)
    answer = client.post(
        reverse("admin:auth_user_password_change", args=[user.pk]),
        {"usable_password": "true", "password1": "another-long-one", "password2": "another-long-one"},
    )
    assert answer.status_code == 302
    user.refresh_from_db()
    assert user.check_password("another-long-one")


@pytest.mark.parametrize(
    "wrong",
    [
        {"password2": "different-one"},
        {"password1": "12345", "password2": "12345"},
        {"email": "TAKEN@example.com"},
    ],
    ids=["different", "weak", "taken"],
)
def test_user__added_wrongly__is_refused_in_the_form(client, boss, wrong):
    factories.user(email="taken@example.com")
    fields = {"email": "new@example.com", "name": "", "phone": "", "role": "doctor"}
    passwords = {"password1": factories.PASSWORD, "password2": factories.PASSWORD}
    answer = client.post(url(User, "add"), fields | passwords | wrong)
    assert answer.status_code == 200
    assert answer.context["adminform"].form.errors
    assert not User.objects.filter(email="new@example.com").exists()


def test_user__own_row__cannot_be_deleted(client, boss):
    assert client.post(url(User, "delete", boss.pk), {"post": "yes"}).status_code == 403


def test_search__public_id_of_a_referred_row__finds_the_rows_that_refer(client, boss):
    appointment, other = factories.appointment(), factories.appointment()

    def found(term):
        return list(client.get(url(type(appointment), "changelist"), {"q": term}).context["cl"].queryset)

    for term in (appointment.patient.public_id, appointment.doctor.public_id, str(appointment.pk)):
        assert found(term) == [appointment]
    assert found(other.public_id) == [other]
    assert found(factories.lead().public_id) == []


def test_search__own_public_id__needs_no_scan(rf, boss):
    for model in MODELS:
        row = factories.FACTORIES[model]()
        page = admin.site._registry[model]
        found, _ = page.get_search_results(rf.get("/"), page.model._base_manager.all(), row.public_id)
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
        assert f"{model._meta.db_table}_public_id_key" in found.explain(), model


def test_autocomplete__patient_by_name__answers_with_the_name(client, boss):
    patient = factories.patient(first_name="نورة", last_name="القحطاني")
    answer = client.get(
        reverse("admin:autocomplete"),
        {"app_label": "healthcare", "model_name": "appointment", "field_name": "patient", "term": "نورة"},
    )
    assert answer.json()["results"] == [{"id": str(patient.pk), "text": f"نورة القحطاني ({patient.public_id})"}]


def test_rows__without_public_id__do_not_break_the_pages(client, boss):
    """What older databases hold until their rows are filled."""
    patient = factories.patient()
    appointment = factories.appointment(patient=patient)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE patients ALTER COLUMN public_id DROP NOT NULL")
        cursor.execute("UPDATE patients SET public_id = NULL WHERE id = %s", [patient.pk])
    assert client.get(url(type(patient), "changelist")).status_code == 200
    assert client.get(url(type(patient), "change", patient.pk)).status_code == 200
    assert str(patient.pk) in client.get(url(type(appointment), "change", appointment.pk)).content.decode()


def test_root__without_path__leads_to_the_admin(client):
    answer = client.get("/")
    assert (answer.status_code, answer.url) == (302, reverse("admin:index"))


def test_language_switch__on_every_page__changes_language_and_returns(client, boss):
    page = url(Role, "changelist")
    assert f'action="{reverse("set_language")}"' in client.get(page).content.decode()
    answer = client.post(reverse("set_language"), {"language": "en", "next": page})
    assert (answer.status_code, answer.url) == (302, page)
    assert '<html lang="en" dir="ltr">' in client.get(page).content.decode()
    client.logout()
    assert f'action="{reverse("set_language")}"' in client.get(reverse("admin:login")).content.decode()


def test_formats__arabic__groups_and_points_like_the_clinic(client, boss):
    factories.deal(value="1234567.89")
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = "ar"
    html = client.get(url(apps.get_model("crm.Deal"), "changelist")).content.decode()
    assert "1234567.89" in html.replace(",", "")
    assert "567,89" not in html


def test_arabic_names__one_is_missing__is_found_with_the_file_to_edit(monkeypatch):
    assert checks.check_arabic_names(None) == []
    monkeypatch.setattr(Role._meta, "verbose_name", "nobody's word")
    monkeypatch.setattr(Role._meta.get_field("name"), "help_text", "nor this")
    (found,) = checks.check_arabic_names(None)
    assert (found.id, found.msg, found.obj) == ("moeen.W124", "No Arabic for \"nobody's word\", 'nor this'.", Role)
    place = re.search(r"into (\S+),", found.hint)[1]
    assert Path(settings.BASE_DIR) / place == CATALOGUE / "django.po"


CATALOGUE = Path(settings.BASE_DIR) / "sysadmin" / "locale" / "ar" / "LC_MESSAGES"


def marked_texts():
    """(file, text, its plural or None) of everything that the project's own code marks for translation."""
    base = Path(settings.BASE_DIR)
    for config in ("moeen", "sysadmin", "healthcare", "chatbot", "crm"):
        for file in sorted((base / config).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
                if name in {"_", "gettext", "gettext_lazy", "ngettext", "ngettext_lazy"}:
                    plural = ast.literal_eval(node.args[1]) if name.startswith("n") else None
                    yield f"{file.relative_to(base)}:{node.lineno}", ast.literal_eval(node.args[0]), plural
        for file in sorted((base / config).rglob("*.html")):
            for _, text in re.findall(r"{% trans(?:late)? (['\"])(.*?)\1", file.read_text(encoding="utf-8")):
                yield str(file.relative_to(base)), text, None


def test_translations__every_marked_text__stands_in_arabic():
    texts = list(marked_texts())
    assert len(texts) > 200
    with translation.override("ar"):
        untranslated = {
            (where, text)
            for where, text, plural in texts
            for number in ((0, 1, 2, 3, 11, 100) if plural else (None,))
            if not re.search(
                "[\u0600-\u06ff]",
                translation.ngettext(text, plural, number) if plural else translation.gettext(text),
            )
        }
    assert {text for _, text in untranslated} == {"Webhook"}, untranslated  # a name


def test_translations__compiled_catalogue__is_that_of_the_source():
    """Editing the .po without `msgfmt` would show nothing."""
    source = (CATALOGUE / "django.po").read_text(encoding="utf-8")
    written = {}
    for entry in re.split(r"\n\s*\n", source):
        strings = {
            key: ast.literal_eval(f"({value})") for key, value in re.findall(r'^(msg\S+) ((?:".*"\n?)+)', entry, re.M)
        }
        for key, value in strings.items():
            if key == "msgstr":
                written[strings["msgid"]] = value
            elif key.startswith("msgstr["):
                written[strings["msgid"], int(key[7:-1])] = value
    with (CATALOGUE / "django.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)._catalog
    assert len(written) > 200
    assert compiled.keys() == written.keys()
    assert {key for key, value in written.items() if key and compiled[key] != value} == set()


def _values(row):
    row.refresh_from_db()
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def _post(form):
    """What a browser sends when nothing was touched."""
    sent = {}
    for bound in form:
        value = bound.value()
        if isinstance(bound.field.widget, admin.widgets.AdminSplitDateTime):
            shown = bound.field.widget.decompress(value)
            parts = zip(("_0", "_1"), shown, strict=True)
            sent |= {bound.html_name + suffix: part for suffix, part in parts if part is not None}
        elif isinstance(value, bool):
            sent |= {bound.html_name: "on"} if value else {}
        elif value is not None:
            sent[bound.html_name] = value
    return sent

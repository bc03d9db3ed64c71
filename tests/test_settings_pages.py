"""Settings: of the type that the code declares; secrets masked, shown only where the audit log keeps it."""

import pytest
from django.apps import apps
from django.db import connection
from django.urls import reverse

from moeen.db.errors import ConfigurationError
from moeen.db.security import identity
from sysadmin import declared_settings, exposure
from sysadmin.declared_settings import Declared, Kind
from sysadmin.models import AuditLog, Setting
from sysadmin.models.settings import is_secret
from tests import factories

pytestmark = pytest.mark.django_db
SECRET = "s3cret-Value"


@pytest.fixture
def boss(client):
    user = factories.user(role="admin")
    client.force_login(user)
    return user


@pytest.fixture
def declare(monkeypatch):
    def do(*several):
        monkeypatch.setattr(apps.get_app_config("crm"), "settings", several, raising=False)

    return do


def page(setting, what="change"):
    return reverse(f"admin:sysadmin_setting_{what}", args=[setting.pk])


def form(setting, **changes):
    return {"key": setting.key, "category": setting.category, "description": ""} | changes


@pytest.mark.parametrize(
    ("key", "expected"),
    [("sms.api_key", True), ("SMTP_PASSWORD", True), ("x.token", True), ("clinic.secrets", True), ("credentials", True),
     ("clinic.name", False), ("key.opening", False), ("clinic.keys_kept", False)],
)  # fmt: skip
def test_secret__by_name__is_one_rule_in_python_and_in_the_database(key, expected):
    factories.setting(key=key)
    with identity.acting_as(factories.user(role="supervisor")):
        assert Setting.objects.filter(key=key).exists() != expected
    assert is_secret(key) == expected


def test_secret__on_every_page__is_masked_and_is_shown_once_it_is_recorded(client, boss):
    setting = factories.setting(key="sms.api_key", value={"key": SECRET})
    pages = (
        reverse("admin:sysadmin_setting_changelist"),
        page(setting),
        page(setting, "history"),
        page(setting, "delete"),
    )
    assert [address for address in pages if SECRET in client.get(address).content.decode()] == []
    assert client.get(page(setting, "reveal")).status_code == 405
    assert not AuditLog.objects.filter(action="READ_SECRET").exists()
    answer = client.post(page(setting, "reveal"))
    assert SECRET in answer.content.decode()
    assert "no-store" in answer.headers["Cache-Control"]
    (entry,) = AuditLog.objects.filter(action="READ_SECRET")
    assert (entry.user_id, entry.record_id, entry.table_name) == (boss.pk, setting.pk, "settings")


def test_secret__that_cannot_be_recorded__is_not_shown(client, boss):
    setting = factories.setting(key="sms.api_key", value=SECRET)
    with identity.acting_as_operator(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_logs ADD CONSTRAINT obstacle CHECK (action <> 'READ_SECRET') NOT VALID")
    client.raise_request_exception = False
    answer = client.post(page(setting, "reveal"))
    assert answer.status_code == 500
    assert SECRET not in answer.content.decode()


@pytest.mark.parametrize("role", ["supervisor", "staff", "patient"])
def test_secret__to_others__is_not_there(client, role):
    setting = factories.setting(key="smtp.password", value=SECRET)
    client.force_login(factories.user(role=role))
    assert client.get(page(setting)).status_code in (302, 403, 404)
    assert client.post(page(setting, "reveal")).status_code == 403
    assert SECRET not in client.get(reverse("admin:sysadmin_setting_changelist")).content.decode()


def test_secret__written_anew__keeps_the_old_one_where_nothing_is_typed(client, boss):
    setting = factories.setting(key="sms.api_key", value=SECRET)
    assert client.post(page(setting), form(setting, description="of the bot")).status_code == 302
    setting.refresh_from_db()
    assert (setting.value, setting.description) == (SECRET, "of the bot")
    assert client.post(page(setting), form(setting, new_value='"another"')).status_code == 302
    setting.refresh_from_db()
    assert setting.value == "another"
    assert not AuditLog.objects.filter(new_values__value="another").exists()


def test_secret__marked_public__is_refused(client, boss):
    setting = factories.setting(key="sms.api_key", value=SECRET)
    answer = client.post(page(setting), form(setting, is_public="on"))
    assert "is_public" in answer.context["adminform"].form.errors
    add = {"key": "x.token", "value": "1", "category": "api", "is_public": "on"}
    answer = client.post(reverse("admin:sysadmin_setting_add"), add)
    assert "is_public" in answer.context["adminform"].form.errors
    assert not Setting.objects.filter(is_public=True).exists()


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        (Kind.TEXT, '"x"', "1"), (Kind.NUMBER, "1.5", '"1.5"'), (Kind.WHOLE_NUMBER, "15", "1.5"),
        (Kind.YES_OR_NO, "true", "1"), (Kind.TEXTS, '["a"]', '["a", 1]'), (Kind.OBJECT, "{}", "[]"),
        (Kind.NUMBER, "0", "true"), (Kind.WHOLE_NUMBER, "0", "false"),
    ],
)  # fmt: skip
def test_declared__of_a_type__takes_no_other(client, boss, declare, kind, right, wrong):
    defaults = {Kind.TEXT: "", Kind.YES_OR_NO: False, Kind.TEXTS: [], Kind.OBJECT: {}}
    default = defaults.get(kind, 7)
    for key in ("crm.example", "crm.example_token"):
        declare(Declared(key=key, kind=kind, default=default, category="notifications", description="For tests."))
        assert declared_settings.value_of(key) == default
        fields = {"key": key, "category": "notifications", "value": wrong}
        add = reverse("admin:sysadmin_setting_add")
        assert "value" in client.post(add, fields).context["adminform"].form.errors
        answer = client.post(add, fields | {"value": right, "category": "general"})
        assert "category" in answer.context["adminform"].form.errors
        assert client.post(add, fields | {"value": right}).status_code == 302
        made = Setting.objects.get(key=key)
        assert declared_settings.value_of(key) == made.value
        name = "new_value" if is_secret(key) else "value"
        answer = client.post(page(made), form(made, **{name: wrong}))
        assert name in answer.context["adminform"].form.errors


def test_declared__rows_of_before__are_found_and_the_default_stands_in(declare):
    declare(Declared(key="crm.example", kind=Kind.WHOLE_NUMBER, default=7, description="For tests."))
    factories.setting(key="crm.example", value="seven")
    factories.setting(key="sms.api_key", value=1, is_public=True)
    factories.setting(key="clinic.own", value=[1, {}], is_public=True)
    assert declared_settings.value_of("crm.example") == 7
    with identity.acting_as_operator():
        found = [(str(finding.kind), finding.object) for finding in exposure.settings(connection)]
    assert found == [("setting value", "settings.crm.example"), ("public secret", "settings.sms.api_key")]
    Setting.objects.filter(key="crm.example").update(value=3, category="api")
    with identity.acting_as_operator():
        found = [(finding.object, finding.found) for finding in exposure.settings(connection)]
    assert found == [("settings.crm.example", "in api"), ("settings.sms.api_key", "public")]


@pytest.mark.parametrize(
    "wrong", [{"default": "x"}, {"category": "nowhere"}, {"key": "x.token", "is_public": True}, {"key": "clinic.name"}]
)
def test_declared__wrongly__is_refused(declare, wrong):
    declare(Declared(**{"key": "crm.example", "kind": Kind.NUMBER, "default": 1, "description": "x"} | wrong))
    with pytest.raises(ConfigurationError):
        declared_settings.declared()


def test_declared__none_of_this_name__is_a_mistake_of_the_code():
    with pytest.raises(KeyError):
        declared_settings.value_of("clinic.nothing")


def test_secret__given_a_new_value_by_two__the_second_is_asked(client, boss):
    setting = factories.setting(key="sms.token", value="older")
    bases = [client.get(page(setting)).context["adminform"].form.base for _ in range(2)]
    words = [form(setting, new_value=f'"{SECRET}{number}"', _base=base) for number, base in enumerate(bases)]
    assert client.post(page(setting), words[0]).status_code == 302
    answer = client.post(page(setting), words[1])
    assert "new_value" in answer.context["adminform"].form.errors
    setting.refresh_from_db()
    assert setting.value == f"{SECRET}0"
    words[1]["_base"] = answer.context["adminform"].form.base
    assert client.post(page(setting), words[1]).status_code == 302
    setting.refresh_from_db()
    assert setting.value == f"{SECRET}1"
    assert client.post(page(setting), form(setting, description="kept", _base=bases[0])).status_code == 302


def test_secret__renamed_to_a_name_that_hides_nothing__needs_a_new_value(client, boss):
    setting = factories.setting(key="sms.token", value=SECRET)
    answer = client.post(page(setting), form(setting, key="sms.plain"))
    assert "key" in answer.context["adminform"].form.errors
    assert client.post(page(setting), form(setting, key="sms.plain", new_value='"shown"')).status_code == 302
    setting.refresh_from_db()
    assert (setting.key, setting.value) == ("sms.plain", "shown")

"""What nobody in their right mind would send, to every page: made-up filters, ids, JSON and forms. None answers 500."""

import os
import random
import uuid
from urllib.parse import quote

import pytest
from django.contrib import admin
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import models
from django.test import Client
from django.urls import reverse

from tests import factories
from tests.test_admin import signed_in, url

pytestmark = [pytest.mark.usefixtures("values_apart"), pytest.mark.django_db]

TEXTS = (
    "", " ", "\0", "a\0b", "'", '"', "';--", "%", "%s", "%(x)s", "\\", "{}", "{x}", "[]", "null", "None", "NaN",
    "Infinity", "-1", "0", "1e400", "1e-400", "9" * 40, "9223372036854775808", "2147483648", "٣", "१", "²", "1.5", "-0",
    "true", "0x10", "1_000", "2026-02-30", "0000-00-00", "9999-12-31", "10000-01-01", "-1-01-01", "24:00", "1447-13-01",
    "1299-01-01", "0001-01-01", "9999-12-31 23:59:59+00:00", "0001-01-01T00:00:00-23:59", "0" * 32, "not-a-uuid",
    "00000000-0000-0000-0000-000000000000", "<script>", "\u202e", "\ufeff", "\U0001f9ff", "x" * 5000, "(((((", "[a-",
    "(?<!a)", "\\1", "*", "a,b,,c", ",", ",,", "[1,2", '{"a":1,"a":2}', '{"a":NaN}', "[" * 3000, '"\\u0000"',
    '"\\ud800"', '{"\\u0000":1}', "1" * 5000, "-1e999", '"' + "\\" * 999, "pat_", "pat_x", "pat_" + "a" * 24,
    "usr_" + "z" * 300, "../../etc/passwd", "//evil.example/", "http://evil.example", "\r\nX: y",
)  # fmt: skip
LOOKUPS = (
    "exact", "iexact", "in", "isnull", "gt", "gte", "lt", "lte", "range", "contains", "icontains", "startswith",
    "regex", "iregex", "written", "year", "month", "date", "week_day", "hour", "time", "has_key", "contained_by",
    "no_such", "0", "",
)  # fmt: skip
OWN = (
    "q",
    "o",
    "p",
    "all",
    "e",
    "_facets",
    "_popup",
    "_to_field",
    "_changelist_filters",
    "drf__is_null",
    "__",
    "a__b__c",
    "pk",
    "id",
)


class Sender:
    """Makes requests up, the same for the same seed."""

    def __init__(self, client, seed):
        self.client, self.chance = client, random.Random(seed)
        self.models = sorted(admin.site._registry, key=lambda model: model._meta.label)
        self.keys = {model: factories.FACTORIES[model]().pk for model in self.models if model in factories.FACTORIES}

    def text(self):
        return self.chance.choice(TEXTS)

    def name(self, model):
        """A field, of the model or of one that it refers to, with a lookup or without."""
        parts = []
        for _ in range(self.chance.randint(1, 3)):
            fields = model._meta.get_fields()
            field = self.chance.choice(fields)
            parts.append(field.name)
            if not field.is_relation or field.related_model is None:
                break
            model = field.related_model
        return "__".join([*parts, *([self.chance.choice(LOOKUPS)] if self.chance.random() < 0.7 else [])])

    def filters(self):
        model = self.chance.choice(self.models)
        asked = {
            self.name(model) if self.chance.random() < 0.8 else self.chance.choice(OWN): self.text()
            for _ in range(self.chance.randint(1, 3))
        }
        return "GET", url(model, "changelist"), asked

    def ids(self):
        model, text = self.chance.choice(self.models), quote(self.text(), safe="") or "x"
        page = self.chance.choice(("change", "history", "delete"))
        address = url(model, page, uuid.UUID(int=0)).replace(str(uuid.UUID(int=0)), text)
        return self.chance.choice(("GET", "POST")), address, {"post": "yes"}

    def form(self, *, only=None):
        model = self.chance.choice(self.models)
        fields = {field.name: self.text() for field in model._meta.concrete_fields if self.chance.random() < 0.7}
        fields |= {name: self.text() for name in ("_base", "_to_field", "_popup") if self.chance.random() < 0.2}
        fields |= {f"{name}_{part}": self.text() for name in list(fields)[:4] for part in (0, 1)}
        key = self.keys.get(model)
        address = url(model, "add") if key is None or self.chance.random() < 0.4 else url(model, "change", key)
        return "POST", address, fields | {self.chance.choice(("_save", "_continue", "_addanother", "_saveasnew")): "1"}

    def json(self):
        """A row's own form as it stands, but for its JSON."""
        model = self.chance.choice(
            [m for m in self.keys if any(isinstance(f, models.JSONField) for f in m._meta.concrete_fields)]
        )
        row = model._base_manager.get(pk=self.keys[model])
        fields = {}
        for field in model._meta.concrete_fields:
            value = field.value_from_object(row)
            fields[field.name] = self.text() if isinstance(field, models.JSONField) else "" if value is None else value
        return "POST", url(model, "change", row.pk), fields

    def action(self):
        model = self.chance.choice(self.models)
        page = admin.site._registry[model]
        names = ["delete_selected", *(str(getattr(a, "__name__", a)) for a in page.actions or ()), self.text()]
        words = {
            "action": self.chance.choice(names),
            "_selected_action": self.text(),
            "select_across": self.text(),
            "index": self.text(),
        }
        return "POST", url(model, "changelist"), words

    def others(self):
        model = self.chance.choice(self.models)
        field = self.chance.choice(model._meta.get_fields())
        text = quote(self.text(), safe="") or "x"
        person = self.keys[factories.User]
        return self.chance.choice([
            ("GET", reverse("admin:search"), {"q": self.text()}),
            ("GET", f"/admin/id/{text}/", {}),
            ("GET", f"/admin/{text}/", {}),
            ("GET", reverse("admin:autocomplete"), {
                "app_label": model._meta.app_label, "field_name": field.name,
                "model_name": self.chance.choice((model._meta.model_name, self.text())),
                "term": self.text(), "page": self.text(),
            }),
            ("GET", reverse("admin:sysadmin_user_why", args=[person]), {
                "row": self.text(), "command": self.chance.choice(("SELECT", "UPDATE", "DELETE", self.text())),
                "column": self.text(), "role": self.text(),
            }),
            ("GET", reverse("admin:sysadmin_user_access", args=[person]), {"role": self.text()}),
            ("POST", reverse("admin:sysadmin_user_end_sessions", args=[person]), {"session": self.text()}),
            ("POST", reverse("admin:sysadmin_operatorreport_pause"), {"run": self.text(), "pause": self.text()}),
            ("POST", reverse("admin:look_as", args=[person]), {"role": self.text()}),
            ("POST", reverse("admin:switch_role"), {"role": self.text(), "next": self.text()}),
            ("POST", reverse("admin:own_sessions"), {"handle": self.text()}),
            ("POST", reverse("admin:second_factor"), {"do": self.text(), "password": self.text(), "code": self.text()}),
            ("POST", reverse("admin:healthcare_patient_break_glass"), {"patient": self.text(), "reason": self.text()}),
            ("POST", reverse("set_language"), {"language": self.text(), "next": self.text()}),
        ])  # fmt: skip

    def send(self):
        """What was sent, and the status or the error that it ended in."""
        make = self.chance.choice(
            (self.filters, self.filters, self.ids, self.form, self.form, self.json, self.action, self.others)
        )
        method, address, words = make()
        try:
            answer = self.client.generic_send(method, address, words)
        except Exception as error:
            return (method, address, words), f"{type(error).__name__}: {error}"[:300]
        return (method, address, words), answer.status_code


def sent(client, count, seed):
    user = signed_in(client, "admin")
    client.generic_send = lambda method, address, words: getattr(client, method.lower())(address, words)
    sender = Sender(client, seed)
    faults, seen = [], {}
    for _ in range(count):
        what, outcome = sender.send()
        seen[outcome] = seen.get(outcome, 0) + 1
        if not isinstance(outcome, int) or outcome >= 500:
            faults.append(f"{outcome}\n    {str(what)[:400]}")
        client.force_login(user)  # whatever it did to the session
    return faults, seen


def test_pages__made_up_input__none_fails(client):
    faults, seen = sent(client, 150, 16)
    assert faults == [], "\n".join(faults)
    assert len(seen) > 2  # accepted, refused, and led elsewhere


@pytest.mark.long
def test_pages__two_thousand_made_up_inputs__none_fails(client):
    """SEED=n for others, HOSTILE=n for more."""
    faults, seen = sent(client, int(os.environ.get("HOSTILE") or 2000), int(os.environ.get("SEED") or 1))
    print(f"made-up input: {seen}")
    assert faults == [], "\n".join(faults)


def test_file__sent_to_a_page__is_refused_before_it_is_read(tmp_path, settings):
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path
    file = SimpleUploadedFile("x.bin", b"x" * 5_000_000)
    client = Client(raise_request_exception=False)
    assert client.post("/admin/login/", {"username": "x", "file": file}).status_code == 400
    assert not [*tmp_path.iterdir()]

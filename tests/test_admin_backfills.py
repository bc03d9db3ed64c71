"""The operator's books, and rows by public id, as the admin serves them: over a login that owns nothing."""

import re

import pytest
from django.conf import settings
from django.db import connections
from django.urls import reverse
from django.utils import translation

from moeen.db.backfill import Note, Why
from moeen.db.security import identity
from sysadmin.admin import kinds
from sysadmin.models import BackfillRun, PublicIdAlias, User
from sysadmin.tables import table

ALIAS = "pat_20251017_000001"


@pytest.fixture(scope="module")
def owner(web_database):
    """The owner's own connection; everything else goes through the web's login."""
    made = web_database
    for role in ("admin", "supervisor", "staff", "patient"):
        User.objects.db_manager(made.alias).create_user(f"{role}@example.test", name=role, role=role)
    before, entry = connections["default"], connections.settings["default"]
    connections.settings["default"] = {
        **connections.settings[made.alias],
        "USER": "moeen_web",
        "IDENTITY_KEY": made.identity_key(),
        "ATOMIC_REQUESTS": True,
    }
    connections["default"] = connections.create_connection("default")
    with made.connect() as connection:
        yield connection
    connections["default"].close()
    connections["default"], connections.settings["default"] = before, entry


@pytest.fixture(autouse=True)
def serving():
    identity.serve()
    yield
    identity.operate()


@pytest.fixture
def runs(owner):
    """name -> id of a run that is under way, one that refused rows, and one that is finished."""
    owner.execute("TRUNCATE backfill_runs, public_id_aliases")
    made = {}
    for name, status, filled, failures, finished in (
        ("patients", "running", 250, "[]", None),
        ("doctors", "incomplete", 9, '[{"row": "id=7", "reason": "<b>a check</b> is broken"}]', None),
        ("users", "finished", 1000, "[]", "2026-11-22 10:00+00"),
    ):
        (made[name],) = owner.execute(
            """INSERT INTO backfill_runs (name, table_name, status, rows_total, rows_missing, rows_filled, seconds,
                                          failures, finished_at)
               VALUES ('public_ids', %s, %s, 1000, 1000, %s, 2, %s, %s) RETURNING id""",
            [name, status, filled, failures, finished],
        ).fetchone()
    owner.execute(
        "INSERT INTO public_id_aliases (alias, table_name, row_id) VALUES (%s, 'patients', gen_random_uuid())", [ALIAS]
    )
    return made


def url(model, page, *args):
    return reverse(f"admin:sysadmin_{model._meta.model_name}_{page}", args=args)


def sign_in(client, role):
    with identity.acting_as_auth():
        client.force_login(User.objects.only("pk", "role", "is_active", "last_login").get(email=f"{role}@example.test"))


def ask(client, action, *ids):
    return client.post(
        url(BackfillRun, "changelist"), {"action": action, "_selected_action": [str(one) for one in ids]}
    )


def wanting(owner):
    """The tables whose runs are asked to pause."""
    return {name for (name,) in owner.execute("SELECT table_name FROM backfill_runs WHERE pause_requested").fetchall()}


@pytest.mark.parametrize("language", ["ar", "en"])
def test_pages__admin__show_runs_and_former_ids(client, runs, language):
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = language
    sign_in(client, "admin")
    page = client.get(url(BackfillRun, "changelist"))
    assert page.status_code == 200
    html = page.content.decode()
    with translation.override(language):
        assert all(f">{table(name)}</td>" in html for name in runs)
    assert '<bdi dir="ltr">25%</bdi>' in html
    assert client.get(url(BackfillRun, "changelist"), {"status": "finished"}).context["cl"].result_count == 1
    html = client.get(url(BackfillRun, "change", runs["doctors"])).content.decode()
    assert "id=7: &lt;b&gt;a check&lt;/b&gt; is broken" in html
    assert "_save" not in html
    page = client.get(url(PublicIdAlias, "changelist"), {"q": ALIAS})
    assert page.context["cl"].result_count == 1
    assert client.get(url(PublicIdAlias, "changelist"), {"q": "pat_20251017_000002"}).context["cl"].result_count == 0
    (row,) = page.context["cl"].result_list
    assert ALIAS in client.get(url(PublicIdAlias, "change", row.pk)).content.decode()


@pytest.mark.parametrize("why", Why)
def test_note__as_the_engine_keeps_it__is_told_in_the_readers_language(why):
    note = Note(why, "%s<1,234>")
    assert Note.read(note.kept()) == note
    with translation.override("ar"):
        said = kinds.note(note.kept())
    assert re.search("[\u0621-\u064a]", said)
    assert said.count("%s<1,234>") == str(kinds.NOTES[why]).count("%s")
    assert str(note).count("%s<1,234>") == said.count("%s<1,234>")


def test_note__of_a_failure__stands_in_its_own_words():
    assert kinds.note("replicas are gone") == '<bdi dir="ltr" lang="en">replicas are gone</bdi>'
    assert set(kinds.NOTES) == set(Why)


def test_pause__admin__is_asked_of_unfinished_runs_and_taken_back(client, owner, runs):
    sign_in(client, "admin")
    assert ask(client, "pause", *runs.values()).status_code == 302
    assert wanting(owner) == {"patients", "doctors"}
    assert ask(client, "go_on", runs["patients"]).status_code == 302
    assert wanting(owner) == {"doctors"}


@pytest.mark.parametrize("model", [BackfillRun, PublicIdAlias], ids=lambda model: model.__name__)
def test_pages__admin__add_change_and_delete_nothing(client, owner, runs, model):
    sign_in(client, "admin")
    (key,) = owner.execute(f"SELECT id FROM {model._meta.db_table} LIMIT 1").fetchone()
    assert client.get(url(model, "add")).status_code == 403
    assert client.post(url(model, "change", key), {"rows_filled": "7"}).status_code == 403
    assert client.post(url(model, "delete", key), {"post": "yes"}).status_code == 403
    client.post(url(model, "changelist"), {"action": "delete_selected", "_selected_action": [str(key)], "post": "yes"})
    assert owner.execute(f"SELECT count(*) FROM {model._meta.db_table} WHERE id = %s", [key]).fetchone() == (1,)


@pytest.mark.parametrize(("role", "status"), [("supervisor", 403), ("staff", 403), ("patient", 403)])
def test_pages__anybody_else__are_refused(client, owner, runs, role, status):
    sign_in(client, role)
    for page in (url(BackfillRun, "changelist"), url(PublicIdAlias, "changelist")):
        assert client.get(page).status_code == status
    assert client.get(url(BackfillRun, "change", runs["patients"])).status_code == status
    assert ask(client, "pause", runs["patients"]).status_code == status
    assert wanting(owner) == set()


def test_row__by_public_id_alone__is_led_to_and_so_is_a_former_id(client, owner, runs):
    sign_in(client, "admin")
    (user, key) = owner.execute("SELECT public_id, id FROM users WHERE role = 'patient'").fetchone()
    found = client.get(reverse("row", args=[user]))
    assert (found.status_code, found.url) == (302, reverse("admin:sysadmin_user_change", args=[key]))
    assert client.get(found.url).status_code == 200
    (patient,) = owner.execute(
        "INSERT INTO patients (first_name, last_name) VALUES ('Noor', 'Hadi') RETURNING id"
    ).fetchone()
    owner.execute("UPDATE public_id_aliases SET row_id = %s", [patient])
    found = client.get(f"/admin/id/{ALIAS}/")
    assert (found.status_code, found.url) == (302, reverse("admin:healthcare_patient_change", args=[patient]))


def test_row__no_such_id_malformed_or_nobody_signed_in__shows_nothing(client, runs):
    address = "/admin/id/pat_20251017_000002/"
    assert client.get(address).url.startswith(reverse("admin:login"))
    sign_in(client, "staff")
    assert client.get(address).status_code == 404
    sign_in(client, "admin")
    assert client.get(address).status_code == 404
    for text in ("pat_20251017_00000", "zzz_20251017_000002", "PAT_20251017_000002", ALIAS + "x"):
        assert client.get(f"/admin/id/{text}/").status_code == 404

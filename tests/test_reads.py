"""Who looked: what the wire brings of clinical records is what the audit log says, before anybody sees it."""

import csv
import io
import json
import re
import uuid
from contextlib import contextmanager, suppress

import psycopg
import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connections, transaction
from django.db.models import Exists, OuterRef, Subquery
from django.db.models.functions import Lower
from django.http import StreamingHttpResponse
from django.test import Client, RequestFactory
from django.urls import reverse

from healthcare.models import Appointment, InsuranceClaim, Patient, Session
from moeen.db.errors import MoeenError
from moeen.db.security import identity, reads, signing
from moeen.db.security.reads import NotRecorded, accessing, recorded
from moeen.middleware import IdentityMiddleware
from sysadmin.models import AuditLog, Notification, User
from tests.access import world as rows
from tests.access.matrix import ACTORS

MODELS = (Patient, Appointment, Session, InsuranceClaim)
CLINICAL = {model._meta.db_table: set(model.clinical_fields) for model in MODELS}


@pytest.fixture(scope="module")
def world(new_database, values_apart, as_default):
    """The rows that the matrix speaks of, committed, in a database that stands in for the default one."""
    made = new_database.migrated()
    with made.connect() as owner:
        found = rows.make(owner)
        owner.execute("UPDATE patients SET allergies = 'pollen'")
        owner.execute("UPDATE sessions SET diagnosis = 'asthma-secret'")
    found.database = made
    with as_default(made):
        yield found


def person(world, role):
    with identity.acting_as_operator():
        return User.objects.get(pk=world.keys["users"][ACTORS[role]])


def entries(action="READ", **conditions):
    with identity.acting_as_operator():
        return list(AuditLog.objects.filter(action=action, **conditions).order_by("created_at"))


@contextmanager
def wire(path):
    """What libpq saw come in meanwhile: the (table, key) of each row that had clinical columns, into the list given."""
    seen = set()
    connections["default"].ensure_connection()
    with identity.acting_as_operator(), connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT c.oid, a.attnum, c.relname, a.attname FROM pg_class AS c "
            "JOIN pg_attribute AS a ON a.attrelid = c.oid "
            "WHERE c.relname = ANY (%s) AND c.relnamespace = 'public'::regnamespace",
            [list(CLINICAL)],
        )
        columns = {(str(oid), str(number)): (table, name) for oid, number, table, name in cursor.fetchall()}
    pgconn = connections["default"].connection.pgconn
    with path.open("w") as file:
        pgconn.trace(file.fileno())
        try:
            yield seen
        finally:
            pgconn.untrace()
    described = []
    lines = re.findall(
        r"^\S+ \S+\t([BF])\t\d+\t(\w+)(.*?)(?=^\S+ \S+\t[BF]\t|\Z)", path.read_text(errors="replace"), re.M | re.S
    )
    for who, kind, rest in lines:
        if who == "B" and kind == "RowDescription":
            found = re.findall(r'"((?:[^"\\]|\\.)*)" (\d+) (\d+) \d+ -?\d+ -?\d+ \d+', rest)
            described = [columns.get((oid, number)) for _, oid, number in found]
        elif who == "B" and kind == "DataRow" and any(described):
            values = re.findall(r" (-1|\d+ '[^']*')", rest)
            assert len(values) == len(described)
            clinical = {table for table, name in filter(None, described) if name in CLINICAL[table]}
            for column, value in zip(described, values, strict=True):
                if column and column[1] == "id" and column[0] in clinical and value != "-1":
                    seen.add((column[0], uuid.UUID(value.split("'")[1])))


def pages(world):
    """The addresses of lists, rows, histories and look-ups of all four tables."""
    for model in MODELS:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        yield reverse(f"{name}_changelist")
        yield reverse(f"{name}_changelist") + "?q=p1"
        for key in world.keys[model._meta.db_table].values():
            for page in ("change", "history", "delete"):
                yield reverse(f"{name}_{page}", args=[key])
    yield reverse("admin:autocomplete") + "?app_label=healthcare&model_name=session&field_name=patient"
    yield reverse("admin:autocomplete") + "?app_label=healthcare&model_name=session&field_name=appointment"
    yield reverse("admin:index")


@pytest.mark.parametrize("role", ["patient", "doctor", "staff", "supervisor", "admin"])
def test_admin__every_page__logs_exactly_what_the_wire_brought(world, tmp_path, role):
    client, user = Client(), person(world, role)
    client.force_login(user)
    logged = 0
    for number, page in enumerate(pages(world)):
        with wire(tmp_path / f"{number}") as seen:
            client.get(page, HTTP_X_REQUEST_ID=f"{role}-page-{number}")
        found = entries(request_id=f"{role}-page-{number}")
        # A history tells values of its row out of the log.
        told = {(e.table_name, e.record_id) for e in found if "/history/" in page and str(e.record_id) in page}
        assert {(entry.table_name, entry.record_id) for entry in found} - told == seen, page
        assert {(entry.user_id, entry.acted_as) for entry in found} <= {(user.pk, role)}
        if "/change/" not in page:
            assert not seen, page  # a list, a history, a choice opens nobody's record
        logged += len(found)
    assert logged >= 3


def test_page_of_a_session__is_entered_with_patient_purpose_and_columns(world):
    client, user = Client(), person(world, "doctor")
    client.force_login(user)
    key = world.keys["sessions"]["p1-d1"]
    page = client.get(reverse("admin:healthcare_session_change", args=[key]), HTTP_X_REQUEST_ID="one-session")
    assert "asthma-secret" in page.content.decode()
    (entry,) = entries(request_id="one-session")
    assert (entry.table_name, str(entry.record_id)) == ("sessions", key)
    assert str(entry.patient_id) == world.keys["patients"]["p1"]
    assert entry.new_values == {"purpose": "treatment", "columns": ["diagnosis", "notes", "treatment_plan"]}


def test_page__whose_entry_cannot_be_stored__is_not_shown(world):
    client = Client()
    client.force_login(person(world, "doctor"))
    address = reverse("admin:healthcare_session_change", args=[world.keys["sessions"]["p1-d1"]])
    with world.database.connect() as owner:
        owner.execute("ALTER TABLE audit_logs ADD CONSTRAINT obstacle CHECK (action <> 'READ') NOT VALID")
        page = client.get(address)
        owner.execute("ALTER TABLE audit_logs DROP CONSTRAINT obstacle")
    assert page.status_code == 503
    assert "asthma-secret" not in page.content.decode()
    assert "asthma-secret" in client.get(address).content.decode()


@pytest.mark.parametrize("address", [
    "healthcare_session_changelist:diagnosis__startswith=asthma",
    "healthcare_patient_changelist:sessions__diagnosis__startswith=asthma",
    "sysadmin_auditlog_changelist:new_values__diagnosis__startswith=asthma",
    "sysadmin_auditlog_changelist:new_values__icontains=asthma",
    "sysadmin_setting_changelist:value__icontains=x",
])  # fmt: skip
def test_address__that_filters_by_what_is_kept__is_refused(world, address):
    """Its number of rows would tell, and nobody would have read anything."""
    client, (page, query) = Client(), address.split(":")
    client.force_login(person(world, "admin"))
    assert client.get(f"{reverse(f'admin:{page}')}?{query}").status_code == 400


def test_stream__each_part__is_entered_before_it_is_sent(world):
    request = RequestFactory().get("/")
    request.user = person(world, "doctor")

    def parts():
        for session in Session.objects.all():
            yield session.diagnosis

    body = IdentityMiddleware(lambda request: StreamingHttpResponse(parts()))(request)
    before = len(entries())
    for number, part in enumerate(body, start=1):
        assert part == b"asthma-secret"
        assert len(entries()) == before + number


NEWEST = Subquery(Session.objects.filter(patient=OuterRef("pk")).values("diagnosis")[:1])


@pytest.mark.parametrize(
    "query",
    [
        lambda: list(Session.objects.values_list("diagnosis")),
        lambda: list(Session.objects.annotate(x=Lower("diagnosis")).values_list("pk", "x")),
        lambda: list(Session.objects.filter(diagnosis="asthma-secret").values_list("pk")),
        # In these the server names no table, or Django another name of it.
        lambda: list(Session.objects.all().union(Session.objects.filter(pk=None))),
        lambda: list(Patient.objects.annotate(x=NEWEST).values_list("pk", "x")),
        lambda: list(Session.objects.annotate(x=Subquery(Session.objects.values("diagnosis")[:1]))),
        lambda: list(Patient.objects.filter(Exists(Session.objects.filter(diagnosis__startswith="asthma")))),
    ],
)
def test_read__of_whom_cannot_be_said__is_refused(world, query):
    with identity.acting_as(person(world, "doctor")), recorded(), pytest.raises(NotRecorded, match="diagnosis"):
        query()


def test_read__of_columns_that_nobody_can_tell__is_refused(world):
    with identity.acting_as(person(world, "doctor")), recorded(), connections["default"].cursor() as cursor:
        with pytest.raises(NotRecorded), cursor.copy("COPY (SELECT diagnosis FROM sessions) TO STDOUT"):
            pass
        with pytest.raises(NotRecorded):
            list(cursor.stream("SELECT diagnosis FROM sessions"))


def test_accessing__in_a_script__is_entered_before_and_after(world):
    patient = Patient(pk=uuid.UUID(world.keys["patients"]["p1"]))
    before = len(entries())
    with identity.acting_as(person(world, "doctor")):
        with suppress(ZeroDivisionError), accessing(patient, purpose="legal"):
            (opened,) = entries()[before:]
            assert (opened.record_id, opened.new_values) == (patient.pk, {"purpose": "legal", "columns": []})
            assert Session.objects.get(patient=patient).diagnosis
            raise ZeroDivisionError
        (read,) = entries()[before + 1 :]
        assert (read.table_name, read.new_values["purpose"]) == ("sessions", "legal")
        with pytest.raises(NotRecorded, match="no purpose"), accessing(patient, purpose="curiosity"):
            pass
        with transaction.atomic(), pytest.raises(NotRecorded, match="transaction"), accessing(patient, purpose="legal"):
            pass


def test_deferred_field__is_entered_when_it_is_looked_at(world):
    with identity.acting_as(person(world, "doctor")), recorded() as read:
        session = Session.objects.defer("notes").get()
        read.found.clear()
        assert session.patient.first_name == "p1"
        assert not read.found
        assert session.patient.allergies == "pollen"
        assert [(table, columns) for (table, _, _), columns in read.found.items()] == [("patients", {"allergies"})]
        read.found.clear()


@pytest.mark.parametrize(
    ("role", "tables"),
    [
        ("patient", {"patients", "appointments", "sessions", "insurance_claims"}),
        ("doctor", {"patients", "appointments", "sessions"}),
        ("staff", {"patients", "appointments", "insurance_claims"}),
        ("admin", {"patients", "appointments", "sessions", "insurance_claims"}),
    ],
)
def test_patient_record__gives_what_the_policies_show_and_enters_it(world, role, tables):
    key = world.keys["patients"]["p1"]
    before = len(entries())
    with identity.acting_as(person(world, role)), connections["default"].cursor() as cursor:
        cursor.execute("SELECT patient_record(%s, 'legal')", [key])
        record = json.loads(cursor.fetchone()[0])
        assert record["patient"]["allergies"] == "pollen"
        assert {"patients", *(name for name in record if record[name] and name != "patient")} == tables
        found = entries()[before:]
        assert {entry.table_name for entry in found} == tables
        assert {str(entry.patient_id) for entry in found} == {key}
        if role in ("patient", "doctor"):
            cursor.execute("SELECT patient_record(%s)", [world.keys["patients"]["p2"]])
            assert cursor.fetchone() == (None,)
            assert entries()[before:] == found


def test_clinical_fields__are_all_texts_about_a_patient():
    """A new column is decided about, not forgotten."""
    texts = {
        f"{model._meta.db_table}.{field.name}"
        for model in MODELS
        for field in model._meta.concrete_fields
        if field.get_internal_type() == "TextField"
    }
    clinical = {f"{table}.{name}" for table, names in CLINICAL.items() for name in names}
    assert texts - clinical == {"patients.address"}


def test_break_glass__in_the_admin__opens_for_reading_and_tells_supervisors(world):
    client = Client()
    with identity.acting_as_operator():
        doctor = User.objects.get(pk=world.keys["users"]["d2"])
    client.force_login(doctor)
    form = reverse("admin:healthcare_patient_break_glass")
    assert form in client.get(reverse("admin:healthcare_patient_changelist")).content.decode()
    with identity.acting_as_operator():
        patient = Patient.objects.get(pk=world.keys["patients"]["p1"])
    page = reverse("admin:healthcare_patient_change", args=[patient.pk])
    assert client.get(page).status_code == 302
    for words in (
        {"patient": patient.public_id, "reason": "because"},
        {"patient": "nobody", "reason": "unconscious here"},
    ):
        assert client.post(form, words).status_code == 200
    missing = {"patient": "pat_" + "a" * 24, "reason": "unconscious here"}
    assert "لا يوجد هذا المريض" in client.post(form, missing).content.decode()
    assert not entries("BREAK_GLASS")
    words = {"patient": patient.public_id, "reason": "unconscious here"}
    assert client.post(form, words, follow=True).redirect_chain[-1][0] == page
    html = client.get(page, HTTP_X_REQUEST_ID="emergency-1").content.decode()
    assert "pollen" in html
    assert 'name="_save"' not in html
    (entry,) = entries("BREAK_GLASS")
    assert (entry.user_id, entry.patient_id, entry.new_values["reason"]) == (doctor.pk, patient.pk, "unconscious here")
    assert {entry.new_values["purpose"] for entry in entries(request_id="emergency-1")} == {"emergency"}
    with identity.acting_as_operator():
        told = Notification.objects.get(type="warning")
    assert str(told.user_id) == world.keys["users"]["v1"]
    assert told.action_url == page
    client.force_login(person(world, "staff"))
    assert client.get(form).status_code == 403


def test_break_glass__over_the_other_road__as_its_login(world):
    """As PostgREST's login, no superuser, and with the time of the entry put back: the server's clock ends it."""
    key = world.keys["patients"]["walk-in"]
    with world.database.connect() as owner, owner.transaction(force_rollback=True):
        owner.execute(
            "INSERT INTO audit_logs (action, table_name, user_id, patient_id, created_at, new_values, transaction_id) "
            "VALUES ('BREAK_GLASS', 'patients', %s, %s, now() - interval '61 minutes', "
            "jsonb_build_object('until', now() + interval '1 day'), 1)",
            [world.keys["users"]["d1"], key],
        )
        user = world.keys["users"]["d1"]
        said = identity.person(user, "doctor").claims
        signature = signing.signer_for(owner, configured=None).sign(role="moeen_doctor", claims=said)
        owner.execute(
            "SELECT set_config('role', 'moeen_doctor', true), set_config('request.jwt.claims', %s, true), "
            "set_config('moeen.signature', %s, true)",
            [said, signature],
        )
        count = "SELECT count(*) FROM patients WHERE id = %s"
        assert owner.execute(count, [key]).fetchone() == (0,)
        owner.execute("SELECT app.break_glass(%s, 'found unconscious', 5)", [key])
        # Taken back with its entry, nobody would know who looked.
        assert owner.execute(count, [key]).fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege), owner.transaction():
            owner.execute(
                "INSERT INTO sessions (patient_id, doctor_id, session_date, session_time) "
                "VALUES (%s, %s, now(), now())",
                [key, world.keys["doctors"]["d1"]],
            )


def test_access_report__and_the_patient_s_own_page__say_who_when_why(world, capsys):
    client = Client()
    client.force_login(person(world, "doctor"))
    client.get(reverse("admin:healthcare_session_change", args=[world.keys["sessions"]["p1-d1"]]))
    key = world.keys["patients"]["p1"]
    with identity.acting_as_operator():
        public_id = Patient.objects.get(pk=key).public_id
        call_command("access_report", patient=public_id, json=True, limit=1)
        (entry,) = json.loads(capsys.readouterr().out)["entries"]
        assert (entry["who"], entry["acted_as"], entry["action"], entry["why"]) == ("d1", "doctor", "READ", "treatment")
        call_command("access_report", patient=key, csv=True)
        lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
        assert lines[0]["id"] == entry["id"]
        assert {line["patient_id"] for line in lines} == {key}
        call_command("access_report", patient=key, limit=2)
        said = capsys.readouterr()
        assert re.search(r"d1 +doctor +READ +sessions +diagnosis, notes, treatment_plan +treatment", said.out)
        assert "2 entries (the newest 2" in said.err
        with world.database.connect() as owner:
            owner.execute(
                "INSERT INTO audit_logs (action, table_name, record_id) VALUES ('older', 'patients', %s)", [key]
            )
        call_command("access_report", patient=key, json=True, limit=1)
        assert json.loads(capsys.readouterr().out)["entries"][0]["action"] == "older"
        call_command("access_report", patient=key, since="2999-01-01")
        assert "0 entries" in capsys.readouterr().err
        with pytest.raises(MoeenError) as caught:
            call_command("access_report", patient="pat_" + "a" * 24)
    assert caught.value.exit_code == 2
    page = reverse("admin:healthcare_patient_accesses", args=[key])
    assert client.get(page).status_code == 403
    for role, status in ("patient", 200), ("admin", 200), ("staff", 403):
        client.force_login(person(world, role))
        answer = client.get(page)
        assert answer.status_code == status
        assert ("العلاج" in answer.content.decode()) == (status == 200)
    client.force_login(person(world, "patient"))
    other = reverse("admin:healthcare_patient_accesses", args=[world.keys["patients"]["p2"]])
    assert client.get(other).status_code == 403


def test_purposes__are_those_of_the_database():
    assert set(reads.PURPOSES) == {"treatment", "payment", "operations", "own record", "emergency", "legal"}


@pytest.mark.parametrize("language", ["ar", "en"])
def test_history_of_a_row__is_one_of_both_logs__and_tells_what_changed(world, language):
    client, admin = Client(), person(world, "admin")
    client.force_login(admin)
    client.cookies["django_language"] = language
    key = world.keys["patients"]["walk-in"]
    row = reverse("admin:healthcare_patient_change", args=[key])
    page = reverse("admin:healthcare_patient_history", args=[key])
    client.post(row, {"first_name": "w", "last_name": "w", "gender": language, "allergies": f"nuts {language}"})
    with identity.acting_as_operator():
        kind = ContentType.objects.get_for_model(Patient)
        assert LogEntry.objects.filter(content_type=kind, object_id=key, action_flag=2).exists()
        LogEntry.objects.log_actions(admin.pk, [Patient(pk=key)], 3, change_message="by hand")
    html = client.get(page, HTTP_X_REQUEST_ID=f"history-{language}").content.decode()
    changed, allergies = {"ar": ("تعديل", "الحساسية"), "en": ("Update", "allergies")}[language]
    assert changed in html
    assert f"{allergies}: " in html
    assert f"<ins><bdi>nuts {language}</bdi></ins>" in html
    assert "by hand" in html or "Deleted" in html or "حذف" in html
    (read,) = entries(request_id=f"history-{language}")
    assert (read.table_name, str(read.record_id), read.new_values["columns"]) == ("patients", key, ["allergies"])
    with identity.acting_as_operator():
        entry = AuditLog.objects.filter(record_id=key, action="UPDATE").latest("created_at")
    client.get(reverse("admin:sysadmin_auditlog_change", args=[entry.pk]), HTTP_X_REQUEST_ID=f"entry-{language}")
    (read,) = entries(request_id=f"entry-{language}")
    assert (read.table_name, str(read.record_id)) == ("patients", key)


def test_audit__by_row_person_kind_and_time(world, capsys):
    client = Client()
    client.force_login(person(world, "staff"))
    key, staff = world.keys["patients"]["p2"], world.keys["users"]["s1"]
    client.post(
        reverse("admin:healthcare_patient_change", args=[key]),
        {"first_name": "p2", "last_name": "p2", "phone": "0577123456"},
    )

    def asked(**options):
        with identity.acting_as_operator():
            call_command("audit", json=True, **options)
        return json.loads(capsys.readouterr().out)["entries"]

    (found,) = asked(record=key, user=staff, kind=["UPDATE"])
    assert (found["user_id"], found["table"], found["after"]["phone"], found["before"]["phone"]) == (
        staff,
        "patients",
        "+966577123456",
        None,
    )
    assert asked(user="S1@example.test", table="patients", kind=["UPDATE"]) == [found]
    assert {entry["action"] for entry in asked(user=staff)} >= {"UPDATE", "READ", "SIGNED_IN"}
    assert found not in asked(record=key, until=found["at"], kind=["UPDATE"])
    assert asked(record=key, since=found["at"], kind=["UPDATE"]) == [found]
    assert len(asked(limit=3)) == 3
    for options in ({"user": "nobody@example.com"}, {"record": "pat_nothing"}):
        with identity.acting_as_operator(), pytest.raises(MoeenError) as caught:
            call_command("audit", **options)
        assert caught.value.exit_code == 2


NOBODY = "'00000000-0000-0000-0000-000000000001'"
#: Index -> the question that it answers; the newest first.
QUESTIONS = {
    "audit_logs_table_name_created_at_idx": "table_name = 'patients'",
    "audit_logs_record_id_created_at_idx": f"record_id = {NOBODY}",
    "audit_logs_patient_id_created_at_idx": f"patient_id = {NOBODY}",
    "audit_logs_user_id_created_at_idx": f"user_id = {NOBODY}",
    "audit_logs_action_created_at_idx": "action = ANY ('{BREAK_GLASS,LINK_SIGN_IN}')",
    "audit_logs_created_at_idx": "action = 'READ'",
}
#: And those that verification and sealing find rows by.
ROWS = {"audit_logs_pkey", "audit_logs_public_id_key", "audit_logs_transaction_id_brin"}


@pytest.mark.parametrize("index", QUESTIONS)
def test_audit__each_question__has_an_index(world, index):
    with world.database.connect() as owner, owner.transaction(force_rollback=True):
        owner.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        # Of several kinds at a time the few that there are have to be sorted.
        owner.execute(f"SET LOCAL enable_sort = {'ANY' in QUESTIONS[index]}")
        query = f"EXPLAIN SELECT * FROM audit_logs WHERE {QUESTIONS[index]} ORDER BY created_at DESC LIMIT 100"
        assert index in str(owner.execute(query).fetchall())


def test_audit__each_index__has_a_question(world):
    with world.database.connect() as owner:
        standing = owner.execute("SELECT indexname FROM pg_indexes WHERE tablename = 'audit_logs'").fetchall()
    assert {name for (name,) in standing} == QUESTIONS.keys() | ROWS

"""`make bench-admin`: every page of the admin at a million patients, appointments and entries of the audit log.

Each is asked for as an administrator (some as staff), in this process, over the web's way of binding, and rendered.
Quoted are the number of queries and the 95th percentile of the times.
"""

import argparse
import logging
import sys
import time

from tests import servers

QUERIES, P95_MS = 12, 300
TRANSACTION = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")  # are none
FILL = """
    SET session_replication_role = replica;
    INSERT INTO users (id, email, role, name, phone)
    SELECT md5('u' || n)::uuid, 'u' || n || '@example.test', 'patient', {name}, '+9665' || lpad((n * 7919::bigint % 100000000)::text, 8, '0')
    FROM generate_series(1, {rows} / 10) n;
    INSERT INTO doctors (id, first_name, last_name) SELECT md5('d' || n)::uuid, {first}, {last} FROM generate_series(1, {rows} / 1000) n;
    INSERT INTO patients (id, first_name, last_name, email, phone, date_of_birth, created_at)
    SELECT md5('p' || n)::uuid, {first}, {last}, 'p' || n || '@example.test', '+9665' || lpad((n * 7919::bigint % 100000000)::text, 8, '0'),
           date '1940-01-01' + n % 29000, timestamptz '2020-01-01' + n * interval '3 minutes'
    FROM generate_series(1, {rows}) n;
    INSERT INTO appointments (id, patient_id, doctor_id, appointment_date, appointment_time, status, created_at)
    SELECT md5('a' || n)::uuid, md5('p' || 1 + n % {rows})::uuid, md5('d' || 1 + n % ({rows} / 1000))::uuid,
           date '2024-01-01' + n % 900, time '08:00' + n % 36 * interval '15 minutes',
           (ARRAY['scheduled', 'confirmed', 'completed', 'cancelled', 'no_show'])[1 + n % 5],
           timestamptz '2020-01-01' + n * interval '3 minutes'
    FROM generate_series(1, {rows}) n;
    INSERT INTO sessions (id, patient_id, doctor_id, session_date, session_time, created_at)
    SELECT md5('s' || n)::uuid, md5('p' || 1 + n % {rows})::uuid, md5('d' || 1 + n % ({rows} / 1000))::uuid,
           date '2024-01-01' + n % 900, time '08:00', timestamptz '2020-01-01' + n * interval '3 minutes'
    FROM generate_series(1, {rows} / 4) n;
    INSERT INTO insurance_claims (id, patient_id, claim_amount, created_at)
    SELECT md5('c' || n)::uuid, md5('p' || 1 + n % {rows})::uuid, n % 5000, timestamptz '2020-01-01' + n * interval '3 minutes'
    FROM generate_series(1, {rows} / 4) n;
    INSERT INTO conversations (id, patient_id, channel, created_at)
    SELECT md5('v' || n)::uuid, md5('p' || 1 + n % {rows})::uuid, 'web', timestamptz '2020-01-01' + n * interval '3 minutes'
    FROM generate_series(1, {rows}) n;
    INSERT INTO messages (id, conversation_id, sender_type, content, message_type)
    SELECT md5('m' || n)::uuid, md5('v' || 1 + n % ({rows} / 10))::uuid, 'user', 'x', 'text' FROM generate_series(1, {rows} / 2) n;
    INSERT INTO crm_leads (id, name, phone) SELECT md5('l' || n)::uuid, {name}, '0550000000' FROM generate_series(1, {rows}) n;
    INSERT INTO audit_logs (id, action, table_name, record_id, patient_id, created_at, new_values)
    SELECT md5('g' || n)::uuid, 'UPDATE', 'patients', md5('p' || n)::uuid, md5('p' || n)::uuid,
           timestamptz '2020-01-01' + n * interval '3 minutes', '{{"phone": "x"}}'
    FROM generate_series(1, {rows}) n;
"""  # noqa: E501
NAMES = {
    "first": "(ARRAY['أحمد', 'محمد', 'نورة', 'سارة', 'خالد', 'فاطمة', 'يوسف', 'هند', 'عبدالله', 'ريم'])[1 + n % 10]",
    "last": "(ARRAY['القحطاني', 'الغامدي', 'العتيبي', 'الدوسري', 'الشهري', 'الحربي'])[1 + n % 6] || n / 1000",
}
RARE, COMMON = "احمد القحطاني777", "محمد"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--only", default="", help="pages whose name holds this")
    options = parser.parse_args()
    server = servers.start(settings=(("shared_buffers", "512MB"), ("jit", "off"), ("work_mem", "16MB")))
    servers.set_up_project(server)
    target, started = servers.target_of(server), time.perf_counter()
    names = NAMES | {"name": f"{NAMES['first']} || ' ' || {NAMES['last']}"}
    with target.connect(server.database) as connection:
        connection.execute(FILL.format(rows=options.rows, **names))
        connection.execute("VACUUM ANALYZE")
    print(f"{options.rows:,} rows ({time.perf_counter() - started:.0f} s)", flush=True)
    return 3 if pages(options) else 0


def pages(options):
    """How many pages took too long, or asked too often."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext, override_settings

    from moeen.db.security import identity

    identity.serve()
    logging.disable(logging.INFO)  # the access log's lines
    missed = 0
    print(f"{'page':44}{'queries':>9}{'median':>9}{'p95 ms':>9}")
    with override_settings(ALLOWED_HOSTS=["testserver"]):
        clients = {}
        for name, role, address in addresses(options.rows):
            if options.only not in name:
                continue
            client = clients.get(role) or clients.setdefault(role, signed_in(Client(), role))
            with CaptureQueriesContext(connection) as queries:
                assert client.get(address).status_code == 200, address
            # The next request empties what was captured.
            asked = sum(not query["sql"].startswith(TRANSACTION) for query in queries.captured_queries)
            times = []
            while len(times) < options.runs and sum(times) < 15_000:
                started = time.perf_counter()
                client.get(address)
                times.append(1000 * (time.perf_counter() - started))
            times.sort()
            p95 = times[min(len(times) - 1, int(0.95 * len(times)))]
            ok = asked < QUERIES and p95 <= P95_MS
            missed += not ok
            said = "" if ok else "  MISSED"
            print(f"{name:44}{asked:9}{times[len(times) // 2]:9.0f}{p95:9.0f}{said}", flush=True)
    return missed


def signed_in(client, role):
    from moeen.db.security import identity
    from sysadmin.models import User

    with identity.acting_as_operator():
        user = User.objects.create(email=f"{role}@example.test", role=role, name=role)
    client.force_login(user)
    return client


def addresses(rows):
    """(name, role, address) of each page, with the number of rows that its table has."""
    from django.contrib import admin
    from django.db import connection
    from django.urls import reverse

    from moeen.apps import read_pages
    from moeen.db.security import identity
    from tests.access.matrix import MATRIX
    from tests.access.roads import parse

    read_pages()
    found = [("index", "admin", reverse("admin:index"))]  # which reads the pages
    for model in admin.site._registry:
        table, cell = model._meta.db_table, parse(MATRIX[model._meta.db_table].get("admin", ""))
        if "S" not in cell:
            continue
        place = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        listed = reverse(f"{place}_changelist")
        found.append((f"{table}", "admin", listed))
        with identity.acting_as_operator(), connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM {table}")
            count = cursor.fetchone()[0]
            cursor.execute(f"SELECT id FROM {table} LIMIT 1")
            row = cursor.fetchone()
        if table == "audit_logs":
            count = min(count, 10_000)  # no more are counted
        if count > 50:
            found.append((f"{table}, last page", "admin", f"{listed}?p={-(-count // 50)}"))
        if row and table != "operator_reports":
            found.append((f"{table}, a row", "admin", reverse(f"{place}_change", args=[row[0]])))
    with identity.acting_as_operator(), connection.cursor() as cursor:
        cursor.execute("SELECT md5('p5')::uuid, md5('d2')::uuid")
        patient, doctor = cursor.fetchone()
    appointments = reverse("admin:healthcare_appointment_changelist")
    patients = reverse("admin:healthcare_patient_changelist")
    found += [
        ("patients as staff", "staff", patients),
        (
            "appointments, one status, last page",
            "staff",
            f"{appointments}?status__exact=no_show&p={rows // 250}",
        ),
        ("appointments of a month", "staff", f"{appointments}?appointment_date__year=2025&appointment_date__month=3"),
        ("appointments of a doctor", "staff", f"{appointments}?doctor__id__exact={doctor}"),
        ("timeline", "staff", reverse("admin:healthcare_patient_timeline", args=[patient])),
        ("history of a patient", "admin", reverse("admin:healthcare_patient_history", args=[patient])),
    ]
    for name, text in (
        ("rare name", RARE),
        ("common name", COMMON),
        ("telephone", "0500007919"),
        ("nobody's name", "ظظظ"),
    ):
        found.append((f"search box, {name}", "staff", f"/admin/search/?q={text}"))
        found.append((f"list of patients, {name}", "staff", f"{patients}?q={text}"))
    return found


if __name__ == "__main__":
    try:
        code = main()
    finally:
        servers.stop_all()
    sys.exit(code)

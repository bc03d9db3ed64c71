"""The models, and the tables made of them, against the canonical shape written out here as plain data.

It is the shape of the tables that clinics have had from the beginning. A table that is not among them is held against
its own model, and its catalog against the expected one (test_schema.py).
"""

import re
from datetime import UTC, datetime

import bcrypt
import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import get_hasher
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, models, transaction

from moeen.db import catalog, public_ids, registry
from moeen.db.converge import declared, subject
from sysadmin.models import Role, User
from tests import factories

# column type [null] [= default] [{values of a CHECK}] [-> table rule]
TABLES = """
users usr_
    email varchar(255)
    password_hash varchar(255) null
    name varchar(255) = ''
    role varchar(50) = patient {patient, doctor, staff, supervisor, admin}
    phone varchar(50) null
    is_active bool = true
    last_login ts null
    created_at ts = now()
    updated_at ts = now()
user_preferences prf_
    user_id uuid unique -> users CASCADE
    theme varchar(20) = system {system, light, dark}
    language varchar(5) = ar {ar, en}
    timezone varchar(50) = Asia/Riyadh
    notifications_enabled bool = true
    sidebar_collapsed bool = false
    dashboard_layout varchar(20) = grid {grid, list}
    created_at ts = now()
    updated_at ts = now()
notifications ntf_
    user_id uuid -> users CASCADE
    title varchar(255)
    message text
    type varchar(50) = info {info, success, warning, error}
    is_read bool = false
    action_url varchar(500) null
    metadata jsonb null
    created_at ts = now()
    read_at ts null
internal_messages inm_
    sender_id uuid null -> users SET NULL
    recipient_id uuid null -> users SET NULL
    subject varchar(255) null
    content text
    is_read bool = false
    parent_message_id uuid null -> internal_messages SET NULL
    created_at ts = now()
    read_at ts null
audit_logs aud_
    user_id uuid null
    acted_as varchar(100) null
    action varchar(100)
    table_name varchar(100)
    record_id uuid null
    patient_id uuid null
    old_values jsonb null
    new_values jsonb null
    ip_address inet null
    user_agent text null
    request_id varchar(100) null
    transaction_id bigint null
    created_at ts = now()
roles rol_
    name varchar(100) unique
    description text null
    permissions jsonb = []
    is_system bool = false
    created_at ts = now()
    updated_at ts = now()
user_roles uro_
    user_id uuid -> users CASCADE
    role_id uuid -> roles CASCADE
    assigned_by uuid null -> users SET NULL
    assigned_at ts = now()
settings set_
    key varchar(255) unique
    value jsonb
    description text null
    category varchar(100) = general {general, api, integrations, notifications}
    is_public bool = false
    updated_by uuid null -> users SET NULL
    created_at ts = now()
    updated_at ts = now()
patients pat_
    user_id uuid unique null -> users SET NULL
    first_name varchar(255)
    last_name varchar(255)
    email varchar(255) unique null
    phone varchar(50) null
    date_of_birth date null
    gender varchar(20) null
    address text null
    emergency_contact_name varchar(255) null
    emergency_contact_phone varchar(50) null
    medical_history text null
    allergies text null
    created_at ts = now()
    updated_at ts = now()
doctors doc_
    user_id uuid unique null -> users SET NULL
    first_name varchar(255)
    last_name varchar(255)
    specialization varchar(255) null
    license_number varchar(100) null
    phone varchar(50) null
    email varchar(255) null
    consultation_fee numeric(10,2) null
    is_active bool = true
    created_at ts = now()
    updated_at ts = now()
appointments apt_
    patient_id uuid -> patients RESTRICT
    doctor_id uuid -> doctors RESTRICT
    appointment_date date
    appointment_time time
    duration int = 30
    status varchar(50) = scheduled {scheduled, confirmed, completed, cancelled, no_show}
    notes text null
    created_at ts = now()
    updated_at ts = now()
sessions ses_
    appointment_id uuid null -> appointments RESTRICT
    patient_id uuid -> patients RESTRICT
    doctor_id uuid -> doctors RESTRICT
    session_date date
    session_time time
    duration int = 30
    status varchar(50) = scheduled {scheduled, in_progress, completed, cancelled}
    diagnosis text null
    treatment_plan text null
    notes text null
    created_at ts = now()
    updated_at ts = now()
insurance_claims clm_
    patient_id uuid -> patients RESTRICT
    appointment_id uuid null -> appointments RESTRICT
    claim_number varchar(100) unique null
    insurance_provider varchar(255) null
    claim_amount numeric(10,2) null
    approved_amount numeric(10,2) null
    status varchar(50) = pending {pending, approved, rejected, paid}
    submitted_date date null
    processed_date date null
    notes text null
    created_at ts = now()
    updated_at ts = now()
chatbot_flows flw_
    name varchar(255)
    description text null
    status varchar(50) = draft {draft, published, archived}
    version int = 1
    created_by uuid null -> users SET NULL
    published_at ts null
    created_at ts = now()
    updated_at ts = now()
chatbot_nodes nod_
    flow_id uuid -> chatbot_flows CASCADE
    node_type varchar(50) {start, message, condition, action, end}
    name varchar(255)
    config jsonb = {}
    position_x int = 0
    position_y int = 0
    created_at ts = now()
    updated_at ts = now()
chatbot_edges edg_
    flow_id uuid -> chatbot_flows CASCADE
    source_node_id uuid
    target_node_id uuid
    condition jsonb null
    created_at ts = now()
chatbot_templates tpl_
    name varchar(255)
    category varchar(100) null {greeting, appointment, information, support}
    language varchar(10) = ar
    content text
    variables jsonb null
    is_approved bool = false
    created_by uuid null -> users SET NULL
    approved_by uuid null -> users SET NULL
    created_at ts = now()
    updated_at ts = now()
chatbot_integrations int_
    provider varchar(50) {whatsapp, web, telegram, facebook}
    name varchar(255)
    config jsonb
    status varchar(50) = inactive {inactive, active, error}
    webhook_url varchar(500) null
    webhook_secret varchar(255) null
    last_health_check ts null
    health_status varchar(50) = unknown {unknown, healthy, unhealthy}
    created_by uuid null -> users SET NULL
    created_at ts = now()
    updated_at ts = now()
conversations cnv_
    integration_id uuid null -> chatbot_integrations SET NULL
    patient_id uuid null -> patients SET NULL
    external_id varchar(255) null
    status varchar(50) = active {active, closed, archived}
    channel varchar(50) {whatsapp, web, telegram, facebook}
    started_at ts = now()
    ended_at ts null
    metadata jsonb null
    created_at ts = now()
    updated_at ts = now()
messages msg_
    conversation_id uuid -> conversations CASCADE
    sender_type varchar(50) {user, bot, system}
    content text
    message_type varchar(50) = text {text, image, file, button}
    metadata jsonb null
    sent_at ts = now()
    read_at ts null
crm_leads led_
    name varchar(255)
    email varchar(255) null
    phone varchar(50) null
    company varchar(255) null
    source varchar(100) null {website, referral, social, cold_call}
    status varchar(50) = new {new, contacted, qualified, unqualified, converted}
    score int = 0
    notes text null
    owner_id uuid null -> users SET NULL
    assigned_at ts = now()
    created_at ts = now()
    updated_at ts = now()
crm_deals del_
    title varchar(255)
    description text null
    value numeric(12,2) null
    currency varchar(10) = SAR
    stage varchar(50) = prospecting {prospecting,qualification,proposal,negotiation,closed_won,closed_lost}
    probability int = 0
    expected_close_date date null
    actual_close_date date null
    owner_id uuid null -> users SET NULL
    contact_id uuid null -> patients SET NULL
    lead_id uuid null -> crm_leads SET NULL
    created_at ts = now()
    updated_at ts = now()
crm_activities act_
    type varchar(50) {call, email, meeting, task, note}
    subject varchar(255)
    description text null
    due_date date null
    due_time time null
    status varchar(50) = pending {pending, completed, cancelled}
    priority varchar(20) = medium {medium, low, high}
    owner_id uuid null -> users SET NULL
    contact_id uuid null -> patients SET NULL
    deal_id uuid null -> crm_deals SET NULL
    completed_at ts null
    created_at ts = now()
    updated_at ts = now()
"""

# Columns that are looked up by, beyond keys and uniques: an index that begins with them serves.
INDEXES = """
chatbot_flows created_by status
chatbot_nodes node_type
chatbot_templates category
chatbot_templates language
chatbot_templates is_approved
chatbot_integrations provider
chatbot_integrations status
chatbot_integrations health_status
conversations patient_id status
conversations status
conversations channel
conversations external_id
messages conversation_id sent_at
messages sender_type
messages message_type
messages sent_at
crm_leads owner_id status
crm_leads status
crm_leads source
crm_leads email
crm_deals owner_id stage
crm_deals stage
crm_deals value
crm_deals expected_close_date
crm_activities owner_id status
crm_activities due_date status
crm_activities type
crm_activities status
crm_activities priority
user_preferences theme
user_preferences language
audit_logs user_id
user_roles user_id role_id
chatbot_edges source_node_id
chatbot_edges target_node_id
"""

# Number columns with bounds: a value outside, a value on the edge.
BOUNDS = {
    "appointment.duration": (0, 1),
    "session.duration": (0, 1),
    "insurance_claim.claim_amount": (-1, 0),
    "insurance_claim.approved_amount": (-1, 0),
    "deal.value": (-1, 0),
    "deal.probability": (-1, 0),
    "deal.probability ": (101, 100),
}

TYPES = {
    "varchar": "character varying",
    "ts": "timestamp with time zone",
    "bool": "boolean",
    "int": "integer",
    "time": "time without time zone",
}
LINE = re.compile(
    r"    (?P<name>\w+) (?P<type>[a-z]+)(?P<size>\([\d,]+\))?(?P<unique> unique)?(?P<null> null)?"
    r"(?: = (?P<default>\S+))?(?: \{(?P<values>[^}]+)\})?(?: -> (?P<table>\w+) (?P<rule>[A-Z ]+))?"
)
OWN_APPS = ("sysadmin", "healthcare", "chatbot", "crm")


def read_tables():
    """table -> (prefix, column -> what LINE found)"""
    tables = {}
    for line in TABLES.strip().splitlines():
        if not line.startswith(" "):
            table, prefix = line.split()
            tables[table] = (prefix, {})
        else:
            match = LINE.fullmatch(line)
            assert match, line
            tables[table][1][match["name"]] = match
    return tables


EXPECTED = read_tables()
#: The operator's own books: no rows of the clinic, hence no public ids of their own.
OPERATORS = set(registry.OWN_TABLES) - {"audit_seals"}
MODELS = {
    model._meta.db_table: model
    for app in OWN_APPS
    for model in apps.get_app_config(app).get_models()
    if model._meta.db_table not in OPERATORS
}
COLUMNS = [(table, column) for table, (_, columns) in EXPECTED.items() for column in columns]


def query(sql, *params):
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()


def test_models__canonical_tables__are_all_there():
    assert EXPECTED.keys() - MODELS.keys() == set()
    assert set(public_ids.PREFIXES.values()) ^ set(MODELS.values()) == set()


def test_models__columns__exactly_the_expected_ones():
    for table, (_, columns) in EXPECTED.items():
        present = {field.column for field in MODELS[table]._meta.local_concrete_fields}
        assert present ^ {*columns, "id", "public_id"} == set(), table


def test_models__prefixes__exactly_the_expected_ones():
    assert {table: public_ids.prefix_of(MODELS[table]) for table in EXPECTED} == {
        table: prefix for table, (prefix, _) in EXPECTED.items()
    }


def test_models__every_one__has_a_table_comment_and_an_admin():
    own = set(MODELS.values())
    assert own - {model for model in own if model._meta.db_table_comment} == set()
    assert own - set(admin.site._registry) == set()


def test_models__names_of_constraints_and_indexes__fit_and_begin_with_their_table():
    named = [
        (table, thing.name)
        for table, model in MODELS.items()
        for thing in (*model._meta.constraints, *model._meta.indexes)
    ]
    assert [name for _, name in named if len(name.encode()) > 63] == []
    assert [name for table, name in named if not name.startswith(f"{table}_")] == []
    assert len({name for _, name in named}) == len(named)


def test_models__defaults__are_the_same_in_python_and_in_the_database():
    differing = []
    for table, model in MODELS.items():
        for field in model._meta.local_concrete_fields:
            constant = field.has_db_default() and not isinstance(field.db_default, models.Expression)
            if field.has_default() and not constant and field.name not in {"id", "public_id"}:
                differing.append((table, field.name))
            if constant and field.get_default() != field.db_default:
                differing.append((table, field.name))
    assert differing == []


def test_models__secrets_and_comments__stand_on_the_columns():
    assert "secret" in User._meta.get_field("password").db_comment.lower()
    assert "secret" in MODELS["chatbot_integrations"]._meta.get_field("webhook_secret").db_comment.lower()


@pytest.mark.django_db
def test_database__columns__have_the_expected_type_null_and_default():
    found = {
        (table, column): (kind, null, default)
        for table, column, kind, null, default in query(
            """
            SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
                   pg_get_expr(d.adbin, d.adrelid)
            FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
            LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
            WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY (%s) AND a.attnum > 0
              AND NOT a.attisdropped
            """,
            list(EXPECTED),
        )
    }
    expected = {}
    for table, (prefix, columns) in EXPECTED.items():
        expected[table, "id"] = ("uuid", False, "gen_random_uuid()")
        generator = f"app.generate_public_id('{prefix}'::text)"
        expected[table, "public_id"] = ("character varying(255)", False, generator)
        for name, match in columns.items():
            kind = TYPES.get(match["type"], match["type"]) + (match["size"] or "")
            expected[table, name] = (kind, bool(match["null"]), in_sql(match))
    assert {key: found.get(key) for key in expected} == expected
    assert found.keys() - expected.keys() == set()


@pytest.mark.django_db
def test_database__columns_of_every_table__are_what_its_model_declares():
    with connection.schema_editor(collect_sql=True, atomic=False) as editor:
        declarations = {table: declared.compile_table(model, editor) for table, model in MODELS.items()}
    live = catalog.read_tables(connection, list(MODELS))
    wanted = {table: subject.make_pattern(connection, declaration) for table, declaration in declarations.items()}
    assert {table: shape(of) for table, of in live.items()} == {table: shape(of) for table, of in wanted.items()}
    comments = {table: {c.name: c.comment for c in of.columns} for table, of in declarations.items()}
    assert {table: {c.name: c.comment for c in of.columns.values()} for table, of in live.items()} == comments


def shape(table):
    return {(c.name, c.type, c.not_null, c.default) for c in table.columns.values()}


@pytest.mark.django_db
def test_database__updated_at__moves_in_every_table_that_has_one():
    timed = [model for model in MODELS.values() if any(f.name == "updated_at" for f in model._meta.concrete_fields)]
    still = []
    for model in timed:
        row = factories.FACTORIES[model]()
        model.objects.filter(pk=row.pk).update(updated_at=datetime(2020, 1, 1, tzinfo=UTC))
        row.refresh_from_db()
        if row.updated_at.year == 2020:
            still.append(model._meta.db_table)
    assert still == []
    assert len(timed) > 15


def in_sql(match):
    """The default as PostgreSQL prints it."""
    default = match["default"]
    if default is None or match["type"] in {"bool", "int", "bigint", "ts"}:
        return default
    text = "" if default == "''" else default
    return f"'{text}'::{TYPES.get(match['type'], match['type'])}"


@pytest.mark.django_db
def test_database__sets_of_values__are_checked_under_the_expected_names():
    found = dict(
        query(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c' "
            "AND connamespace = 'public'::regnamespace"
        )
    )
    for table, column in COLUMNS:
        match = EXPECTED[table][1][column]
        if match["values"]:
            values = set(re.findall(r"'([^']*)'", found[f"{table}_{column}_check"]))
            assert values == set(re.split(", ?", match["values"])), (table, column)
            choices = MODELS[table]._meta.get_field(column).choices
            assert {value for value, _ in choices} == values, (table, column)


@pytest.mark.django_db
def test_database__foreign_keys__refer_and_delete_as_expected():
    rules = {"c": "CASCADE", "n": "SET NULL", "r": "RESTRICT"}
    found = {
        (table, column): (target, rules.get(rule))
        for table, column, target, rule in query(
            """
            SELECT f.conrelid::regclass::text, a.attname, f.confrelid::regclass::text, f.confdeltype
            FROM pg_constraint AS f
            JOIN pg_attribute AS a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1]
            WHERE f.contype = 'f' AND cardinality(f.conkey) = 1 AND f.connamespace = 'public'::regnamespace
            """
        )
        if table in EXPECTED
    }
    expected = {
        (table, column): (match["table"], match["rule"])
        for table, (_, columns) in EXPECTED.items()
        for column, match in columns.items()
        if match["table"]
    }
    assert found == expected


@pytest.fixture
def indexes(db):
    """[(table, name, unique, [columns])] of plain columns"""
    return [
        row
        for row in query(
            """
            SELECT t.relname, i.relname, x.indisunique,
                   ARRAY(SELECT a.attname::text FROM unnest(x.indkey) WITH ORDINALITY AS k(attnum, place)
                         JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = k.attnum ORDER BY place)
            FROM pg_index AS x
            JOIN pg_class AS i ON i.oid = x.indexrelid
            JOIN pg_class AS t ON t.oid = x.indrelid
            WHERE t.relnamespace = 'public'::regnamespace AND x.indexprs IS NULL
            """
        )
        if row[0] in MODELS
    ]


def test_database__indexes__serve_every_expected_look_up(indexes):
    wanted = [(table, columns) for table, *columns in map(str.split, INDEXES.strip().splitlines())]
    wanted += [
        (table, [field.column])
        for table, model in MODELS.items()
        for field in model._meta.concrete_fields
        if field.is_relation
    ]
    unserved = [
        (table, columns)
        for table, columns in wanted
        if not any(t == table and have[: len(columns)] == columns for t, _, _, have in indexes)
    ]
    assert unserved == []


def test_database__indexes__none_is_served_by_a_wider_one(indexes):
    redundant = [
        (name, wider)
        for table, name, unique, columns in indexes
        for other, wider, _, more in indexes
        if not unique and other == table and wider != name and more[: len(columns)] == columns
    ]
    assert redundant == []


@pytest.mark.django_db
def test_database__unique_columns__are_unique():
    found = {
        (table, column)
        for table, column in query(
            """
            SELECT u.conrelid::regclass::text, a.attname FROM pg_constraint AS u
            JOIN pg_attribute AS a ON a.attrelid = u.conrelid AND a.attnum = u.conkey[1]
            WHERE u.contype = 'u' AND cardinality(u.conkey) = 1
            """
        )
        if table in EXPECTED
    }
    expected = {(table, "public_id") for table in EXPECTED}
    expected |= {(table, column) for table, column in COLUMNS if EXPECTED[table][1][column]["unique"]}
    assert found == expected


@pytest.mark.django_db
def test_database__tables__bear_the_models_comments():
    found = dict(
        query(
            "SELECT relname, obj_description(oid, 'pg_class') FROM pg_class "
            "WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
        )
    )
    assert {table: found.get(table) for table in MODELS} == {
        table: model._meta.db_table_comment for table, model in MODELS.items()
    }


@pytest.mark.django_db
@pytest.mark.parametrize("factory", factories.FACTORIES.values(), ids=lambda factory: factory.__name__)
def test_row__made_with_the_least__is_valid_and_says_no_more_than_needed(factory):
    row = factory()
    row.refresh_from_db()
    row.full_clean()
    assert public_ids.parse(row.public_id).model is type(row)
    assert type(row).objects.get_by_public_id(row.public_id) == row
    assert "سارة" not in str(row)
    assert "@" not in str(row)


@pytest.mark.django_db
@pytest.mark.parametrize(("column", "values"), BOUNDS.items(), ids=lambda value: str(value))
def test_bounds__value_outside__is_refused_by_form_and_database(column, values):
    outside, edge = values
    name, field = column.strip().split(".")
    row = getattr(factories, name)(**{field: edge})
    setattr(row, field, outside)
    with pytest.raises(ValidationError) as error:
        row.full_clean()
    assert field in error.value.message_dict
    with pytest.raises(IntegrityError, match="_check"), transaction.atomic():
        row.save()


@pytest.mark.django_db
@pytest.mark.parametrize("permissions", [{}, "read", 1, [1], ["read", None], [["read"]], [{}]], ids=repr)
def test_permissions__not_an_array_of_strings__refused_by_form_and_database(permissions):
    with pytest.raises(ValidationError):
        Role(name="reader", permissions=permissions).full_clean()
    with pytest.raises(IntegrityError, match="roles_permissions_check"), transaction.atomic():
        factories.role(permissions=permissions)


@pytest.mark.django_db
@pytest.mark.parametrize("permissions", [[], ["read"], ["قراءة", ""]], ids=repr)
def test_permissions__array_of_strings__kept(permissions):
    role = factories.role(permissions=permissions)
    role.full_clean()
    role.refresh_from_db()
    assert role.permissions == permissions


@pytest.mark.django_db
def test_edge__nodes_of_another_flow__refused_by_form_and_database():
    here, elsewhere = factories.node(), factories.node()
    edge = factories.edge(flow=here.flow)
    for end in ("source_node", "target_node"):
        setattr(edge, end, elsewhere)
        with pytest.raises(ValidationError):
            edge.full_clean()
        with pytest.raises(IntegrityError, match=f"{end}_id_flow_id_fkey"), transaction.atomic():
            edge.save()
        setattr(edge, end, here)


@pytest.mark.django_db
def test_edge__node_deleted_in_sql__goes_with_it():
    edge = factories.edge()
    query("DELETE FROM chatbot_nodes WHERE id = %s RETURNING id", edge.target_node_id)
    assert not type(edge).objects.filter(pk=edge.pk).exists()


@pytest.mark.django_db
def test_patient__with_an_appointment__is_not_deleted():
    appointment = factories.appointment()
    with pytest.raises(IntegrityError), transaction.atomic():
        query("DELETE FROM patients WHERE id = %s RETURNING id", appointment.patient_id)
    with pytest.raises(models.RestrictedError):
        appointment.patient.delete()


@pytest.mark.django_db
def test_email__same_in_another_case__refused_by_form_and_database():
    factories.user(email="Sara@Example.com")
    with pytest.raises(ValidationError):
        User(email="sara@example.COM").full_clean()
    with pytest.raises(IntegrityError, match="users_email_lower_key"), transaction.atomic():
        factories.user(email="SARA@example.com")


@pytest.mark.django_db
def test_email__look_up__uses_the_unique_index():
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("EXPLAIN SELECT 1 FROM users WHERE lower(email) = lower('A@b.example')")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "users_email_lower_key" in plan
    with transaction.atomic():
        query("SELECT set_config('enable_seqscan', 'off', true)")
        lookup = User.objects.filter(email__lower="a@b.example")
        assert "users_email_lower_key" in lookup.explain()


@pytest.mark.django_db
@pytest.mark.parametrize("typed", ["sara@example.com", "SARA@EXAMPLE.COM", " Sara@Example.com "])
def test_sign_in__email_in_any_case__finds_the_user(typed):
    user = factories.user(email="Sara@Example.com", password=factories.PASSWORD)
    assert authenticate(username=typed, password=factories.PASSWORD) == user


@pytest.mark.django_db
@pytest.mark.parametrize("typed", ["", "\0", "nobody@example.com", "sara@example.com\0", "%"])
def test_sign_in__no_such_user__is_refused(typed):
    factories.user(email="sara@example.org", password=factories.PASSWORD)
    assert authenticate(username=typed, password=factories.PASSWORD) is None


@pytest.mark.django_db
def test_sign_in__inactive_user__is_refused():
    user = factories.user(password=factories.PASSWORD, is_active=False)
    assert authenticate(username=user.email, password=factories.PASSWORD) is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    "stored",
    [
        None,
        "",
        "plain",
        "$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",  # of another password
        "$2b$12$cut",
        "$2b$12$هذا",
        "$2x$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",
        "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$aGFzaA",
        "5f4dcc3b5aa765d61d8327deb882cf99",
        "pbkdf2_sha256$cut",
        "pbkdf2_sha256$many$salt$hash",
        "bcrypt_sha256$$2b$12$abc",
        "scrypt$x",
        "!",
    ],
    ids=str,
)
def test_sign_in__hash_of_another_password_or_form__is_refused_and_kept(stored):
    user = factories.user()
    User.objects.filter(pk=user.pk).update(password=stored)
    assert authenticate(username=user.email, password="password") is None
    user.refresh_from_db()
    assert user.password == stored


@pytest.mark.django_db
@pytest.mark.parametrize("password", ["عبارة مرور طويلة 1", "x" * 100], ids=["arabic", "over 72 bytes"])
@pytest.mark.parametrize("version", ["2a", "2b", "2y"])
def test_sign_in__bcrypt_of_an_older_application__enters_and_is_hashed_anew(version, password):
    user, made = factories.user(), bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4)).decode()
    User.objects.filter(pk=user.pk).update(password=made.replace("$2b$", f"${version}$"))
    assert authenticate(username=user.email, password=f"another {password}") is None
    assert authenticate(username=user.email, password=password) == user
    user.refresh_from_db()
    assert user.password.startswith(get_hasher().algorithm)
    assert authenticate(username=user.email, password=password) == user


@pytest.mark.django_db
def test_create_user__without_password__stores_null_and_cannot_sign_in():
    user = User.objects.create_user(" Nora@EXAMPLE.com ")
    user.refresh_from_db()
    assert (user.email, user.password, user.role) == ("Nora@example.com", None, "patient")
    assert not user.has_usable_password()


def test_create_user__without_email__is_refused():
    with pytest.raises(ValueError, match=r"e-mail|البريد|بريد"):
        User.objects.create_user("")


@pytest.mark.django_db
def test_createsuperuser__noinput__makes_an_admin_who_can_sign_in(monkeypatch, capsys):
    monkeypatch.setenv("DJANGO_SUPERUSER_EMAIL", "boss@example.com")
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", factories.PASSWORD)
    call_command("createsuperuser", "--noinput")
    user = authenticate(username="BOSS@example.com", password=factories.PASSWORD)
    assert (user.role, user.is_staff, user.is_superuser) == ("admin", True, True)
    assert factories.PASSWORD not in "".join(capsys.readouterr())


@pytest.mark.django_db
@pytest.mark.parametrize("email", ["Boss@Example.com", "no address"])
def test_createsuperuser__taken_or_malformed_email__one_clear_error(monkeypatch, email):
    factories.user(email="boss@example.com")
    monkeypatch.setenv("DJANGO_SUPERUSER_EMAIL", email)
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", factories.PASSWORD)
    with pytest.raises(CommandError):
        call_command("createsuperuser", "--noinput")
    assert User.objects.count() == 1


@pytest.mark.django_db
def test_permissions__by_role__are_what_grants_and_policies_give():
    def may(role, perm, **fields):
        return User(role=role, **fields).has_perm(perm)

    assert {role for role in User.Roles.values if may(role, "sysadmin.view_backfillrun")} == {"admin"}
    assert {role for role in User.Roles.values if may(role, "healthcare.add_session")} == {"doctor"}
    assert {role for role in User.Roles.values if may(role, "crm.delete_lead")} == {"staff", "supervisor", "admin"}
    assert not any(
        may(role, perm) for role in User.Roles.values for perm in ("auth.view_group", "x.view_y", "nonsense")
    )
    assert [role for role in User.Roles.values if User(role=role).has_module_perms("crm")] == [
        "staff",
        "supervisor",
        "admin",
    ]
    assert not may("admin", "sysadmin.view_role", is_active=False)
    assert not User(role="admin", is_active=False).has_module_perms("sysadmin")
    with connection.cursor() as cursor:
        cursor.execute("REVOKE SELECT ON roles FROM moeen_admin")
    assert not may("admin", "sysadmin.view_role")

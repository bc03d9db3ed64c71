"""The rows that the matrix speaks of: two patients, two doctors, two staff, and what is theirs, each with a label.

A table that nothing is said of here gets two rows of what its columns ask for, `one` and `other`: in `other` every
boolean is the other way about, and what it refers to is another row where there is one.
"""

from dataclasses import dataclass, field

from django.db import models

from moeen.db.public_ids import PREFIXES
from tests import factories

#: Label of a person -> role.
PEOPLE = {
    "p1": "patient", "p2": "patient", "d1": "doctor", "d2": "doctor", "s1": "staff", "s2": "staff",
    "v1": "supervisor", "a1": "admin",
}  # fmt: skip

#: Public ids that patients p1 and p2 bore before.
ALIAS = "pat_20251017_00000{}"


@dataclass
class World:
    """table -> label -> key; keys as text."""

    keys: dict = field(default_factory=dict)
    connection: object = None

    def add(self, table, label, returning="id", **values):
        values = {
            column: self.keys[value[0]][value[1]] if isinstance(value, tuple) else value
            for column, value in values.items()
        }
        columns, marks = ", ".join(values), ", ".join(["%s"] * len(values))
        (made,) = self.connection.execute(
            f"INSERT INTO {table} ({columns}) VALUES ({marks}) RETURNING {returning}::text", list(values.values())
        ).fetchone()
        self.keys.setdefault(table, {})[label] = made

    def labels(self, table):
        """key -> label"""
        return {key: label for label, key in self.keys.get(table, {}).items()}


def make(connection):
    """Fill an empty, migrated database; `connection` is psycopg's, in autocommit mode, as the owner."""
    world = World(connection=connection)
    with connection.transaction():
        _people(world)
        _healthcare(world)
        _chatbot(world)
        _crm(world)
        _djangos(world)
        _operators(world)
        _derived(world)
    world.connection = None
    return world


def _people(world):
    add = world.add
    for label, role in PEOPLE.items():
        add("users", label, email=f"{label}@example.test", name=label, role=role, password_hash="hash")
    add("users", "left", email="left@example.test", name="left", role="admin", is_active=False)
    add("roles", "nurse", name="nurse")
    for (name,) in world.connection.execute("SELECT name FROM roles WHERE is_system").fetchall():
        world.keys["roles"][f"system {name}"] = world.connection.execute(
            "SELECT id::text FROM roles WHERE name = %s", [name]
        ).fetchone()[0]
    for label in PEOPLE:
        person = ("users", label)
        add("user_preferences", label, user_id=person)
        add("notifications", label, user_id=person, title="t", message="m")
        add("audit_logs", label, user_id=person, action="LOGIN", table_name="users")
        add("user_roles", label, user_id=person, role_id=("roles", "nurse"))
    for label in ("p1", "a1"):
        add("second_factors", label, user_id=("users", label), secret="s", confirmed_at="2026-01-02")
    add("audit_logs", "nobody", action="LOGIN", table_name="users")
    add("user_roles", "d2 staff", user_id=("users", "d2"), role_id=("roles", "system staff"))
    for one, other in ("p1", "d1"), ("d1", "p1"), ("p2", "d2"), ("s1", "v1"), ("v1", "s1"), ("a1", "s2"):
        add(
            "internal_messages", f"{one}>{other}", content="c",
            sender_id=("users", one), recipient_id=("users", other),
        )  # fmt: skip
    add("settings", "public", key="clinic.name", value='"x"', is_public=True)
    add("settings", "private", key="clinic.target", value='"x"', is_public=False)
    add("settings", "secret", key="sms.API_KEY", value='"x"', is_public=True)  # of before it was refused
    add("settings", "private secret", key="smtp.password", value='"x"')


def _healthcare(world):
    add = world.add
    for label in ("p1", "p2"):
        add("patients", label, first_name=label, last_name=label, user_id=("users", label))
    add("patients", "walk-in", first_name="w", last_name="w")
    for label in ("d1", "d2"):
        add("doctors", label, first_name=label, last_name=label, user_id=("users", label))
    add("doctors", "retired", first_name="r", last_name="r", is_active=False)
    for patient, doctor in ("p1", "d1"), ("p2", "d2"), ("walk-in", "d2"):
        label, whose = (
            f"{patient}-{doctor}",
            {"patient_id": ("patients", patient), "doctor_id": ("doctors", doctor)},
        )
        add("appointments", label, appointment_date="2026-11-22", appointment_time="10:00", **whose)
        add(
            "sessions", label, session_date="2026-11-22", session_time="10:00",
            appointment_id=("appointments", label), **whose,
        )  # fmt: skip
        add("insurance_claims", patient, patient_id=("patients", patient), claim_number=label)


def _chatbot(world):
    add = world.add
    for label, status, author in ("pub", "published", "s2"), ("s1", "draft", "s1"), ("s2", "draft", "s2"):
        flow = ("chatbot_flows", label)
        add("chatbot_flows", label, name=label, status=status, created_by=("users", author))
        add("chatbot_nodes", label, name=label, node_type="start", flow_id=flow)
        add(
            "chatbot_edges", label, flow_id=flow,
            source_node_id=("chatbot_nodes", label), target_node_id=("chatbot_nodes", label),
        )  # fmt: skip
        add(
            "chatbot_templates", label, name=label, content=label,
            is_approved=status == "published", created_by=("users", author),
        )  # fmt: skip
    add("chatbot_integrations", "bot", provider="whatsapp", name="bot", config="{}", webhook_secret="secret")
    for label in ("p1", "p2", "walk-in"):
        bot = ("chatbot_integrations", "bot")
        add(
            "conversations", label, channel="whatsapp", patient_id=("patients", label), integration_id=bot,
        )  # fmt: skip
        add("messages", label, sender_type="user", content=label, conversation_id=("conversations", label))
    add("conversations", "stranger", channel="web")
    add("messages", "stranger", sender_type="user", content="?", conversation_id=("conversations", "stranger"))


def _crm(world):
    add = world.add
    for label, owner in ("s1", ("users", "s1")), ("s2", ("users", "s2")), ("nobody", None):
        add("crm_leads", label, name=label, owner_id=owner)
        add("crm_deals", label, title=label, owner_id=owner, lead_id=("crm_leads", label))
        add("crm_activities", label, type="call", subject=label, owner_id=owner, deal_id=("crm_deals", label))


def _djangos(world):
    add = world.add
    add("django_session", "web", "session_key", session_key="k", session_data="d", expire_date="2030-01-01")
    for label in ("p1", "d1", "s1", "v1", "a1"):
        add(
            "django_admin_log", label, action_time="2026-11-22", object_repr="r", action_flag=1,
            change_message="", user_id=("users", label),
        )  # fmt: skip
    add("auth_group", "group", name="group")


def _operators(world):
    add = world.add
    add("backfill_runs", "run", name="public_ids", table_name="patients")
    add("operator_reports", "doctor", kind="doctor", actor="a", ok=True, report="{}")
    # Asked for by the administrator of the matrix, and by another.
    add(
        "operator_requests", "taken", kind="verify_backup", subject="latest", asked_by=("users", "a1"),
        taken_at="2026-11-22",
    )  # fmt: skip
    add("operator_requests", "waiting", kind="verify_backup", subject="older", asked_by=("users", "v1"))
    add("import_runs", "run", source="old", actor="a", mapping="")
    add("fleet_runs", "run", command="migrate", target="", actor="a")
    add("fleet_turns", "turn", run_id=("fleet_runs", "run"), clinic="one", wave=1)
    add(
        "legacy_keys", "key", source="old", table_name="patients", old_key="7", new_id=("patients", "p1"),
        digest="00000000-0000-0000-0000-000000000007", row_hash=7,
    )  # fmt: skip
    add("migration_runs", "run", actor="a", database_role="r", from_version="", outcome="done")
    add(
        "migration_steps", "step", run_id=("migration_runs", "run"), app="sysadmin", name="0001_users",
        outcome="applied", seconds=0, retries=0, lock_wait_seconds=0, file_checksum="", sql_checksum="",
    )  # fmt: skip
    for number, patient in enumerate(("p1", "p2"), start=1):
        add(
            "public_id_aliases", patient, alias=ALIAS.format(number), table_name="patients",
            row_id=("patients", patient),
        )  # fmt: skip
    for number, label in enumerate(("one", "other"), start=1):
        add(
            "audit_seals", label, number=number, format=1, sealed_at="2026-01-02", previous="", root="",
            entries=0, total=0, columns="[]", system="1",
            first_transaction=0, last_transaction=0, complete_below=0, next_transaction=0,
            pruned_through=0, reason="", hash=str(number), signature="", leaves=b"",
        )  # fmt: skip


def _derived(world):
    tables = {model._meta.db_table: model for model in PREFIXES.values() if model._meta.db_table not in world.keys}
    while tables:
        # What they refer to comes first.
        table = next(
            t
            for t, model in tables.items()
            if not {f.related_model for f in _references(model)} & {*tables.values()} - {model}
        )
        model = tables.pop(table)
        for label in ("one", "other"):
            values = {f.column: factories.made_up(f) for f in factories.required(model) if not f.is_relation}
            for flag in (f for f in model._meta.concrete_fields if isinstance(f, models.BooleanField)):
                if label == "other":
                    values[flag.column] = not (flag.db_default if flag.has_db_default() else values[flag.column])
            for reference in _references(model):
                labels = list(world.keys.get(reference.related_model._meta.db_table, ()))
                if labels:
                    values[reference.column] = (
                        reference.related_model._meta.db_table,
                        labels[0 if label == "one" else -1],
                    )
            world.add(table, label, **values)


def _references(model):
    return [field for field in model._meta.concrete_fields if field.is_relation]

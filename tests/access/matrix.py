"""Who may see and do what: written down, not derived from the SQL it is held against.

A cell is `COMMAND rows; ...`: S select, I insert, U update, D delete; then the labels of the rows it is about (see
world.py), `*` for all, or `-` for none in nobody's name. Columns stand in brackets where not all are meant, `-` before
those that are left out. What is not written is refused. `p1` is the patient who acts, `d1` the doctor, `s1` the member
of staff, `v1` the supervisor, `a1` the administrator; `p2`, `d2`, `s2` are others of their kind.
"""

ROLES = ("anon", "patient", "doctor", "staff", "supervisor", "admin", "service", "auth")
#: Role -> who acts in it.
ACTORS = {"patient": "p1", "doctor": "d1", "staff": "s1", "supervisor": "v1", "admin": "a1"}

_FLOWS = {
    "patient": "S pub",
    "doctor": "S pub",
    "staff": "S pub s1; I s1; U s1; D s1",
    "supervisor": "S *; I *; U *; D *",
    "admin": "S *; I *; U *; D *",
}
_SALES = {
    "staff": "S s1; I s1; U s1; D s1",
    "supervisor": "S *; I *; U *; D *",
    "admin": "S *; I *; U *; D *",
}

# The author of a new flow or template is whoever makes it, also where it is made like another's. Published or approved
# it is not by staff, and the parts of a published flow stay as they are.
_PARTS = _FLOWS
_FLOWS = _FLOWS | {"staff": "S pub s1; I s1 s2; U s1; D s1"}
_TEMPLATES = _FLOWS | {"staff": "S pub s1; I *; U s1; D s1"}

MATRIX = {
    "users": {
        "patient": "S(-password_hash) p1; U(name phone) p1",
        "doctor": "S(-password_hash) d1; U(name phone) d1",
        "staff": "S(-password_hash) *; U(name phone) s1",
        "supervisor": "S(-password_hash) *; U(name phone) v1",
        "admin": "S(-password_hash) *; I *; U *; D *",
        "service": "S(-password_hash) *",
        "auth": "S(id email password_hash role is_active last_login) *; U(password_hash last_login) *",
    },
    # As auth in the name of nobody; in a person's it has theirs (functions.py).
    "second_factors": {
        "admin": "S(-secret last_step recovery_codes) *; D p1",
        "auth": "S -; I -; U -; D -",
    },
    "user_preferences": {
        "patient": "S p1; I p1; U p1",
        "doctor": "S d1; I d1; U d1",
        "staff": "S s1; I s1; U s1",
        "supervisor": "S v1; I v1; U v1",
        "admin": "S *; I *; U *; D *",
    },
    "notifications": {
        "patient": "S p1; U(is_read read_at) p1",
        "doctor": "S d1; U(is_read read_at) d1",
        "staff": "S s1; U(is_read read_at) s1",
        "supervisor": "S v1; U(is_read read_at) v1",
        "admin": "S *; I *; U *; D *",
        "service": "S *; I *; U *",
    },
    "internal_messages": {
        "patient": "S p1>d1 d1>p1; I p1>d1; U(is_read read_at) d1>p1",
        "doctor": "S p1>d1 d1>p1; I d1>p1; U(is_read read_at) p1>d1",
        "staff": "S s1>v1 v1>s1; I s1>v1; U(is_read read_at) v1>s1",
        "supervisor": "S s1>v1 v1>s1; I v1>s1; U(is_read read_at) s1>v1",
        "admin": "S *",
    },
    "audit_logs": {
        "patient": "S p1",
        "doctor": "S d1",
        "staff": "S s1",
        "supervisor": "S v1",
        "admin": "S *",
    },
    "roles": {
        "patient": "S nurse",
        "doctor": "S nurse",
        "staff": "S nurse",
        "supervisor": "S *",
        "admin": "S *; I *; U *; D *",
    },
    "user_roles": {
        "patient": "S p1",
        "doctor": "S d1",
        "staff": "S s1",
        "supervisor": "S *",
        "admin": "S *; I *; U *; D *",
    },
    "settings": {
        "anon": "S public",
        "patient": "S public",
        "doctor": "S public",
        "staff": "S public",
        "supervisor": "S public private",
        "admin": "S *; I *; U *; D *",
    },
    "patients": {
        "patient": "S p1; U(phone address emergency_contact_name emergency_contact_phone) p1",
        "doctor": "S p1; U(-id public_id user_id email created_at updated_at) p1",
        "staff": "S *; I *; U *",
        "supervisor": "S *; I *; U *",
        "admin": "S *; I *; U *; D *",
        "service": "S(-medical_history allergies) *",
    },
    "doctors": {
        "patient": "S d1 d2",
        "doctor": "S d1 d2; U(phone) d1",
        "staff": "S *; I *; U *",
        "supervisor": "S *; I *; U *",
        "admin": "S *; I *; U *; D *",
    },
    "appointments": {
        "patient": "S p1-d1",
        "doctor": "S p1-d1; U(appointment_date appointment_time duration status notes) p1-d1",
        "staff": "S *; I *; U *",
        "supervisor": "S *; I *; U *",
        "admin": "S *; I *; U *; D *",
    },
    "sessions": {
        "patient": "S p1-d1",
        "doctor": "S p1-d1; I p1-d1;U(session_date session_time duration status diagnosis treatment_plan notes) p1-d1",
        "admin": "S *",
    },
    "insurance_claims": {
        "patient": "S p1",
        "staff": "S *; I *; U *",
        "supervisor": "S *; I *; U *",
        "admin": "S *; I *; U *; D *",
    },
    "chatbot_flows": _FLOWS,
    "chatbot_nodes": _PARTS,
    "chatbot_edges": _PARTS,
    "chatbot_templates": _TEMPLATES,
    "chatbot_integrations": {
        "admin": "S(-webhook_secret) *; I *; U *; D *",
        "service": "S(-webhook_secret) *",
    },
    "conversations": {
        "patient": "S p1",
        "doctor": "S p1",
        "staff": "S *",
        "supervisor": "S *; U *",
        "admin": "S *; I *; U *; D *",
        "service": "S *; I *; U *",
    },
    "messages": {
        "patient": "S p1",
        "doctor": "S p1",
        "staff": "S *",
        "supervisor": "S *",
        "admin": "S *; I *; U *; D *",
        "service": "S *; I *; U *",
    },
    "crm_leads": _SALES,
    "crm_deals": _SALES,
    "crm_activities": _SALES,
    # Django's own, as far as signing in and the admin's pages need them.
    "django_session": {"auth": "S *; I *; U *; D *"},
    "django_content_type": dict.fromkeys(("patient", "doctor", "staff", "supervisor", "admin"), "S *"),
    "django_admin_log": {
        "patient": "S p1; I p1",
        "doctor": "S d1; I d1",
        "staff": "S s1; I s1",
        "supervisor": "S v1; I v1",
        "admin": "S *; I a1; D *",
    },
    "django_migrations": {},
    "auth_group": {},
    "auth_group_permissions": {},
    "auth_permission": {},
    # The operator's own books.
    "audit_seals": {"admin": "S(-leaves) *"},
    "migration_runs": {"admin": "S *"},
    "migration_steps": {"admin": "S *"},
    "backfill_runs": {"admin": "S *; U(pause_requested) *"},
    "operator_reports": {"admin": "S *"},
    "operator_requests": {"admin": "S *; I(kind subject asked_by) taken; D waiting"},
    "public_id_aliases": {"admin": "S *"},
    "import_runs": {},
    "fleet_runs": {"admin": "S *"},
    "fleet_turns": {"admin": "S *"},
    "legacy_keys": {},
}

#: Columns that the server writes, whoever is granted them.
KEPT = frozenset(
    {"id", "public_id", "created_at", "assigned_at", "sent_at", "created_by", "approved_by", "assigned_by"}
)
#: What a new row may not have that others have: a sign-in is linked by a function, an approval is another's.
NEW = {"patients": {"user_id": None}, "doctors": {"user_id": None}, "chatbot_templates": {"is_approved": False}}

#: (role, table, row, column, the row or value it is set to): changes that would move a row to somebody else, make a
#: person somebody else, or take a row from those who may see it. Each is refused.
MOVES = (
    ("patient", "users", "p1", "role", "admin"),
    ("patient", "users", "p1", "email", "taken@example.test"),
    ("patient", "users", "p1", "is_active", False),
    ("doctor", "users", "d1", "role", "admin"),
    ("staff", "users", "s1", "role", "supervisor"),
    ("supervisor", "users", "v1", "role", "admin"),
    ("supervisor", "users", "v1", "password_hash", "!"),
    ("auth", "users", "p1", "role", "admin"),
    ("auth", "users", "p1", "is_active", False),
    ("admin", "second_factors", "p1", "user_id", ("users", "p2")),
    ("patient", "user_preferences", "p1", "user_id", ("users", "p2")),
    ("supervisor", "user_preferences", "v1", "user_id", ("users", "a1")),
    ("patient", "notifications", "p1", "user_id", ("users", "p2")),
    ("patient", "internal_messages", "d1>p1", "recipient_id", ("users", "p2")),
    ("patient", "internal_messages", "d1>p1", "content", "never said"),
    ("patient", "internal_messages", "p1>d1", "sender_id", ("users", "p2")),
    ("patient", "patients", "p1", "user_id", ("users", "p2")),
    ("patient", "patients", "p1", "medical_history", "none"),
    ("doctor", "patients", "p1", "user_id", ("users", "p2")),
    ("doctor", "doctors", "d1", "user_id", ("users", "d2")),
    ("doctor", "doctors", "d1", "is_active", False),
    ("doctor", "doctors", "d1", "consultation_fee", 1),
    ("doctor", "appointments", "p1-d1", "doctor_id", ("doctors", "d2")),
    ("doctor", "appointments", "p1-d1", "patient_id", ("patients", "p2")),
    ("doctor", "sessions", "p1-d1", "doctor_id", ("doctors", "d2")),
    ("doctor", "sessions", "p1-d1", "patient_id", ("patients", "p2")),
    ("staff", "chatbot_flows", "s1", "created_by", ("users", "s2")),
    ("staff", "chatbot_flows", "s1", "created_by", None),
    ("staff", "chatbot_nodes", "s1", "flow_id", ("chatbot_flows", "s2")),
    ("staff", "chatbot_nodes", "s1", "flow_id", ("chatbot_flows", "pub")),
    ("staff", "chatbot_templates", "s1", "created_by", ("users", "s2")),
    ("staff", "crm_leads", "s1", "owner_id", ("users", "s2")),
    ("staff", "crm_leads", "s1", "owner_id", None),
    ("staff", "crm_deals", "s1", "owner_id", ("users", "s2")),
    ("staff", "crm_activities", "s1", "owner_id", ("users", "s2")),
    ("staff", "patients", "walk-in", "user_id", ("users", "s1")),
    ("supervisor", "patients", "walk-in", "user_id", ("users", "v1")),
    ("admin", "patients", "p1", "user_id", None),
    ("staff", "doctors", "retired", "user_id", ("users", "s1")),
    ("admin", "doctors", "retired", "user_id", ("users", "a1")),
    ("patient", "patients", "p1", "email", "taken@example.test"),
    ("doctor", "patients", "p1", "email", "taken@example.test"),
    ("doctor", "doctors", "d1", "email", "taken@example.test"),
    ("staff", "chatbot_flows", "s1", "status", "published"),
    ("staff", "chatbot_templates", "s1", "is_approved", True),
    ("supervisor", "chatbot_flows", "s1", "created_by", ("users", "v1")),
    ("admin", "chatbot_templates", "s1", "created_by", ("users", "a1")),
    ("admin", "chatbot_integrations", "bot", "created_by", ("users", "a1")),
    ("admin", "roles", "system admin", "is_system", False),
    ("admin", "roles", "system patient", "name", "other"),
    ("admin", "roles", "nurse", "is_system", True),
    ("admin", "patients", "p1", "id", "11111111-1111-4111-8111-111111111111"),
    ("staff", "patients", "p1", "public_id", "pat_aaaaaaaaaaaaaaaaaaaaaaaa"),
    ("staff", "appointments", "p1-d1", "created_at", "2020-01-01"),
    ("staff", "crm_leads", "s1", "created_at", "2020-01-01"),
    ("admin", "user_roles", "p1", "assigned_at", "2020-01-01"),
    ("service", "messages", "p1", "sent_at", "2020-01-01"),
    ("service", "conversations", "p1", "created_at", "2020-01-01"),
    ("admin", "audit_logs", "p1", "user_id", None),
    ("admin", "backfill_runs", "run", "position", 7),
    ("admin", "operator_requests", "taken", "outcome", "done"),
    ("admin", "public_id_aliases", "p1", "row_id", ("patients", "p2")),
    ("admin", "internal_messages", "p1>d1", "content", "never said"),
    ("admin", "sessions", "p1-d1", "diagnosis", "none"),
)

#: (role, table, the row it is made like, column, the row or value it is set to): new rows that would hang on what the
#: role does not see, or speak for somebody else. Each is refused.
FORGERIES = (
    ("patient", "user_preferences", "p1", "user_id", ("users", "p2")),
    ("patient", "internal_messages", "p1>d1", "sender_id", ("users", "d1")),
    ("patient", "internal_messages", "p1>d1", "sender_id", None),
    ("patient", "internal_messages", "p1>d1", "parent_message_id", ("internal_messages", "s1>v1")),
    ("doctor", "sessions", "p1-d1", "patient_id", ("patients", "p2")),
    ("doctor", "sessions", "p1-d1", "doctor_id", ("doctors", "d2")),
    ("doctor", "sessions", "p1-d1", "appointment_id", ("appointments", "p2-d2")),
    ("staff", "patients", "walk-in", "user_id", ("users", "s1")),
    ("admin", "patients", "walk-in", "user_id", ("users", "a1")),
    ("staff", "doctors", "retired", "user_id", ("users", "s1")),
    ("staff", "chatbot_flows", "s1", "status", "published"),
    ("staff", "chatbot_templates", "s1", "is_approved", True),
    ("supervisor", "chatbot_templates", "s1", "is_approved", True),
    ("staff", "crm_leads", "s1", "owner_id", None),
    ("staff", "crm_deals", "s1", "lead_id", ("crm_leads", "s2")),
    ("staff", "crm_activities", "s1", "deal_id", ("crm_deals", "s2")),
    ("staff", "chatbot_nodes", "s1", "flow_id", ("chatbot_flows", "pub")),
    ("admin", "django_admin_log", "a1", "user_id", ("users", "v1")),
)

#: Table -> the function that stamps what the server says of its rows.
STAMPS = {
    "notifications": "stamp_notification",
    "internal_messages": "stamp_internal_message",
    "roles": "stamp_role",
    "user_roles": "stamp_user_role",
    "settings": "stamp_setting",
    "patients": "stamp_person",
    "doctors": "stamp_person",
    "chatbot_flows": "stamp_flow",
    "chatbot_templates": "stamp_template",
    "chatbot_integrations": "stamp_author",
    "messages": "stamp_message",
    "crm_leads": "stamp_lead",
}
#: References that a trigger keeps to rows which their writer sees -> the table referred to. Others policies keep.
IN_SIGHT = {
    ("crm_deals", "lead_id"): "crm_leads",
    ("crm_activities", "deal_id"): "crm_deals",
    ("conversations", "integration_id"): "chatbot_integrations",
}
#: References that may point to what their writer does not see, and why.
BLIND = {
    ("internal_messages", "recipient_id"): "one writes to whoever one was told of; ids are random",
}
#: Table -> the column that says when a row was made, where it is not created_at.
MADE_AT = {"user_roles": "assigned_at", "messages": "sent_at"}
#: Tables whose rows stay as they are altogether, so that nothing keeps single columns.
UNGUARDED = {"audit_logs", "audit_seals"}
_EVERY = "insert update delete truncate"
_KEYS = (
    '$.category == "api" || $.category == "integrations" || '
    '$.key like_regex "secret|token|passw|credential|key$" flag "i"'
)
#: Tables whose changes are recorded -> the column of the patient, hidden columns, the rows they are hidden in, events.
AUDITED = {
    "users": ("", "password_hash", "", _EVERY),
    "roles": ("", "", "", _EVERY),
    "user_roles": ("", "", "", _EVERY),
    "settings": ("", "value", _KEYS, _EVERY),
    "patients": ("id", "", "", _EVERY),
    "doctors": ("", "", "", _EVERY),
    "appointments": ("patient_id", "", "", _EVERY),
    "sessions": ("patient_id", "", "", _EVERY),
    "insurance_claims": ("patient_id", "", "", _EVERY),
    "chatbot_flows": ("", "", "", _EVERY),
    "chatbot_integrations": ("", "webhook_secret config", "", _EVERY),
    "conversations": ("patient_id", "", "", _EVERY),
    "messages": ("", "", "", "delete truncate"),
    "crm_leads": ("", "", "", _EVERY),
    "crm_deals": ("contact_id", "", "", _EVERY),
    "crm_activities": ("contact_id", "", "", _EVERY),
    "operator_requests": ("", "", "", _EVERY),
    "second_factors": ("", "", "", "truncate"),
}

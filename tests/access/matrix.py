"""Who may see and do what: written down, not derived from the SQL it is held against.

A cell is `COMMAND rows; ...`: S select, I insert, U update, D delete; then the labels of the rows it is about (see
world.py), or `*` for all. Columns stand in brackets where not all are meant, `-` before those that are left out.
What is not written is refused. `p1` is the patient who acts, `d1` the doctor, `s1` the member of staff, `v1` the
supervisor, `a1` the administrator; `p2`, `d2`, `s2` are others of their kind.
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
        "supervisor": "S *",
        "admin": "S *; I *; U *; D *",
    },
    "patients": {
        "patient": "S p1; U(email phone address emergency_contact_name emergency_contact_phone) p1",
        "doctor": "S p1; U(-id public_id user_id created_at updated_at) p1",
        "staff": "S *; I *; U *",
        "supervisor": "S *; I *; U *",
        "admin": "S *; I *; U *; D *",
        "service": "S *",
    },
    "doctors": {
        "patient": "S d1 d2",
        "doctor": "S d1 d2; U(phone email) d1",
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
    "chatbot_nodes": _FLOWS,
    "chatbot_edges": _FLOWS,
    "chatbot_templates": _FLOWS,
    "chatbot_integrations": {
        "admin": "S *; I *; U *; D *",
        "service": "S *",
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
    "django_content_type": {"supervisor": "S *", "admin": "S *"},
    "django_admin_log": {"supervisor": "S v1", "admin": "S *; I a1; D *"},
    "django_migrations": {},
    "auth_group": {},
    "auth_group_permissions": {},
    "auth_permission": {},
    # The operator's own books.
    "migration_runs": {"admin": "S *"},
    "migration_steps": {"admin": "S *"},
    "backfill_runs": {"admin": "S *; U(pause_requested) *"},
    "public_id_aliases": {"admin": "S *"},
}

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
    ("admin", "audit_logs", "p1", "user_id", None),
    ("admin", "backfill_runs", "run", "position", 7),
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
    ("staff", "crm_leads", "s1", "owner_id", None),
    ("staff", "crm_deals", "s1", "lead_id", ("crm_leads", "s2")),
    ("staff", "crm_activities", "s1", "deal_id", ("crm_deals", "s2")),
    ("staff", "chatbot_nodes", "s1", "flow_id", ("chatbot_flows", "pub")),
    ("admin", "django_admin_log", "a1", "user_id", ("users", "v1")),
)

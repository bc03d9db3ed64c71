"""Rows for tests: one plain function a table. What a test does not name is made up."""

from datetime import date, time
from itertools import count

from chatbot.models import Conversation, Edge, Flow, Integration, Message, Node, Template
from crm.models import Activity, Deal, Lead
from healthcare.models import Appointment, Doctor, InsuranceClaim, Patient, Session
from sysadmin.models import (
    AuditLog,
    InternalMessage,
    Notification,
    Role,
    Setting,
    User,
    UserPreference,
    UserRole,
)

PASSWORD = "correct-horse-battery"
_numbers = count(1)


def user(*, password=None, **fields):
    number = next(_numbers)
    fields = {"email": f"person{number}@example.com", "name": f"Person {number}"} | fields
    return User.objects.create_user(fields.pop("email"), password, **fields)


def user_preference(**fields):
    return UserPreference.objects.create(**fields | _missing(fields, user=user))


def notification(**fields):
    return Notification.objects.create(
        **{"title": "Reminder", "message": "Tomorrow at ten."} | fields | _missing(fields, user=user)
    )


def internal_message(**fields):
    return InternalMessage.objects.create(
        **{"subject": "Hello", "content": "How are you?"} | fields | _missing(fields, sender=user, recipient=user)
    )


def audit_log(**fields):
    return AuditLog.objects.create(**{"action": "UPDATE", "table_name": "patients"} | fields)


def role(**fields):
    return Role.objects.create(
        **{"name": f"role {next(_numbers)}", "permissions": ["patients:read", "patients:write"]} | fields
    )


def user_role(**fields):
    return UserRole.objects.create(**fields | _missing(fields, user=user, role=role))


def setting(**fields):
    return Setting.objects.create(**{"key": f"key.{next(_numbers)}", "value": {"on": True}} | fields)


def patient(**fields):
    return Patient.objects.create(**{"first_name": "سارة", "last_name": "الأحمد"} | fields)


def doctor(**fields):
    return Doctor.objects.create(**{"first_name": "Omar", "last_name": "Haddad"} | fields)


def appointment(**fields):
    when = {"appointment_date": date(2026, 11, 22), "appointment_time": time(10)}
    return Appointment.objects.create(**when | fields | _missing(fields, patient=patient, doctor=doctor))


def session(**fields):
    when = {"session_date": date(2026, 11, 22), "session_time": time(10)}
    return Session.objects.create(**when | fields | _missing(fields, patient=patient, doctor=doctor))


def insurance_claim(**fields):
    return InsuranceClaim.objects.create(**fields | _missing(fields, patient=patient))


def flow(**fields):
    return Flow.objects.create(**{"name": "Booking"} | fields)


def node(**fields):
    return Node.objects.create(**{"name": "Ask", "node_type": "message"} | fields | _missing(fields, flow=flow))


def edge(**fields):
    fields |= _missing(fields, flow=flow)
    return Edge.objects.create(
        **{end: node(flow=fields["flow"]) for end in ("source_node", "target_node") if end not in fields} | fields
    )


def template(**fields):
    return Template.objects.create(**{"name": "Welcome", "content": "أهلًا {name}"} | fields)


def integration(**fields):
    return Integration.objects.create(**{"provider": "whatsapp", "name": "Main number", "config": {}} | fields)


def conversation(**fields):
    return Conversation.objects.create(**{"channel": "whatsapp"} | fields)


def message(**fields):
    return Message.objects.create(
        **{"sender_type": "user", "content": "مرحبًا"} | fields | _missing(fields, conversation=conversation)
    )


def lead(**fields):
    return Lead.objects.create(**{"name": "Noor"} | fields)


def deal(**fields):
    return Deal.objects.create(**{"title": "Family plan"} | fields)


def activity(**fields):
    return Activity.objects.create(**{"type": "call", "subject": "Ring back"} | fields)


#: Model -> the function that makes a row of it.
FACTORIES = {
    Activity: activity,
    Appointment: appointment,
    AuditLog: audit_log,
    Conversation: conversation,
    Deal: deal,
    Doctor: doctor,
    Edge: edge,
    Flow: flow,
    InsuranceClaim: insurance_claim,
    Integration: integration,
    InternalMessage: internal_message,
    Lead: lead,
    Message: message,
    Node: node,
    Notification: notification,
    Patient: patient,
    Role: role,
    Session: session,
    Setting: setting,
    Template: template,
    User: user,
    UserPreference: user_preference,
    UserRole: user_role,
}


def _missing(fields, **makers):
    """A fresh row for every field that was not given."""
    return {name: make() for name, make in makers.items() if name not in fields}

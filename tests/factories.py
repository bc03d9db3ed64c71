"""Rows for tests: one plain function a table. What a test does not name is made up.

Of a table without a function here one is derived from its model, and is called like it: `factories.branch()`.
"""

import re
from datetime import date, time
from decimal import Decimal
from itertools import count
from uuid import uuid4

from django.db import models
from django.utils import timezone

from chatbot.models import Conversation, Edge, Flow, Integration, Message, Node, Template
from crm.models import Activity, Deal, Lead
from healthcare.models import Appointment, Doctor, InsuranceClaim, Patient, Session
from moeen.db.public_ids import PREFIXES
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


def made_up(field):
    """A value for a column that must have one and whose database gives none."""
    if field.choices:
        return field.choices[0][0]
    if isinstance(field, models.EmailField):
        return f"{field.name}{next(_numbers)}@example.com"
    for kind, value in _VALUES.items():
        if isinstance(field, kind):
            return value() if callable(value) else value
    text = f"{field.name} {next(_numbers)}"
    return text[-field.max_length :] if field.max_length else text


_VALUES = {
    models.BooleanField: False,
    models.DateTimeField: lambda: timezone.now(),
    models.DateField: date(2026, 11, 22),
    models.TimeField: time(10),
    models.DecimalField: Decimal(1),
    models.BinaryField: b"",
    models.IntegerField: lambda: next(_numbers),
    models.JSONField: dict,
    models.UUIDField: uuid4,
}


def required(model):
    """The fields that a new row must be given."""
    return [
        field
        for field in model._meta.concrete_fields
        if not (field.null or field.has_default() or field.has_db_default() or field.primary_key)
    ]


def derived(model):
    """A function that makes a row of the model, for which none is written here."""

    def make(**fields):
        for field in required(model):
            if field.name not in fields and field.attname not in fields:
                related = field.related_model
                fields[field.name] = FACTORIES[related]() if related else made_up(field)
        return model.objects.create(**fields)

    make.__name__ = _name_of(model)
    return make


def _name_of(model):
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", model.__name__).lower()


def __getattr__(name):
    """`factories.thing()` makes a row of a model Thing, whether its function is written here or not."""
    made = next((factory for model, factory in FACTORIES.items() if _name_of(model) == name), None)
    if made is None:
        raise AttributeError(name)
    return made


def _missing(fields, **makers):
    """A fresh row for every field that was not given."""
    return {name: make() for name, make in makers.items() if name not in fields}


#: Model -> the function that makes a row of it.
FACTORIES = {
    model: globals().get(_name_of(model)) or derived(model)
    for model in sorted(PREFIXES.values(), key=lambda model: model.__name__)
}

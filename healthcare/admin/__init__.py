"""The admin pages of the healthcare app."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import connections, router
from django.http import HttpRequest
from django.utils.timezone import localdate
from django.utils.translation import gettext_lazy as _

from healthcare.admin.records import RecordPages
from healthcare.models import Appointment, Doctor, InsuranceClaim, Patient, Session
from moeen.db.security import identity, rights
from sysadmin.admin.base import ModelAdmin, ltr
from sysadmin.admin.forms import RowForm
from sysadmin.admin.lists import ChoiceFilter

__all__ = [
    "AppointmentAdmin",
    "DoctorAdmin",
    "InsuranceClaimAdmin",
    "PatientAdmin",
    "PatientNameMixin",
    "SessionAdmin",
]


#: What links a sign-in; whoever may call it may choose one.
LINK_SIGN_IN = "app.link_sign_in(text, uuid, uuid)"


class PatientNameMixin:
    """A column with the name of a row's patient, whose ``__str__`` is the public id."""

    @admin.display(description=_("patient"), ordering="patient__last_name")
    def patient_name(self, obj: Any) -> str:
        return f"{obj.patient.first_name} {obj.patient.last_name}" if obj.patient else "-"


class PersonForm(RowForm):
    """A sign-in is linked by somebody else than the person it belongs to; `acting` is who fills the form in."""

    acting: Any = None

    def clean_user(self) -> Any:
        user = self.cleaned_data["user"]
        if user is not None and user.pk == self.acting and "user" in self.changed_data:
            raise ValidationError(_("Nobody links their own sign-in: another supervisor or administrator does."))
        return user


class PatientForm(PersonForm):
    """A person who lives, or has lived lately."""

    def clean_date_of_birth(self) -> date | None:
        born: date | None = self.cleaned_data["date_of_birth"]
        if born is not None and not date(1900, 1, 1) <= born <= localdate():
            raise ValidationError(_("A date of birth lies between 1900 and today."))
        return born


class PersonAdmin(ModelAdmin):
    """What patients and doctors share."""

    form = PersonForm
    found_by_name = True

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        form.acting = request.user.pk  # a class made for this request
        return form

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """The sign-in is linked by the function that records it; no role writes the column."""
        wanted = obj.user_id
        if "user" in form.changed_data:
            obj.user_id = form.loaded.get("user_id")
        super().save_model(request, obj, form, change)
        if wanted != obj.user_id:
            obj.link_sign_in(wanted)
            obj.user_id = wanted

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        fields = super().get_readonly_fields(request, obj)
        role = identity.acting_role(request.user)
        links = rights.may_execute(connections[router.db_for_read(self.model)], role, LINK_SIGN_IN)
        return fields if links else (*fields, "user")

    @admin.display(description=_("name"), ordering="last_name")
    def full_name(self, obj: Any) -> str:
        return f"{obj.first_name} {obj.last_name}"

    @admin.display(description=_("phone"))
    def shown_phone(self, obj: Any) -> str:
        return ltr(obj.phone)

    def choice_label(self, obj: Any) -> str:
        return f"{obj.first_name} {obj.last_name} ({obj.public_id or obj.pk})"


@admin.register(Patient)
class PatientAdmin(RecordPages, PersonAdmin):
    """People under care."""

    form = PatientForm
    search_function = "search_patients"
    list_display = (
        "full_name",
        "shown_phone",
        "date_of_birth",
        "shown_created_at",
        "shown_public_id",
    )
    search_fields = ("first_name", "last_name", "email", "phone")
    search_help_text = _("A public id, or the beginning of a name, of the e-mail address or of the phone number.")
    autocomplete_fields = ("user",)
    fieldsets = (
        (None, {"fields": ("first_name", "last_name", "date_of_birth", "gender", "user")}),
        (_("Contact"), {"fields": ("email", "phone", "address")}),
        (_("Emergency contact"), {"fields": ("emergency_contact_name", "emergency_contact_phone")}),
        (_("Health"), {"fields": ("medical_history", "allergies"), "classes": ("collapse",)}),
    )


@admin.register(Doctor)
class DoctorAdmin(PersonAdmin):
    """People who treat patients."""

    list_display = (
        "full_name",
        "specialization",
        "shown_phone",
        "consultation_fee",
        "is_active",
        "shown_public_id",
    )
    list_filter = ("is_active",)
    search_fields = ("first_name", "last_name", "specialization", "license_number")
    search_help_text = _("A public id, or part of the name, the specialization or the licence number.")
    autocomplete_fields = ("user",)
    fieldsets = (
        (
            None,
            {"fields": ("first_name", "last_name", "specialization", "license_number", "is_active", "user")},
        ),
        (_("Contact"), {"fields": ("email", "phone")}),
        (_("Fees"), {"fields": ("consultation_fee",)}),
    )


@admin.register(Appointment)
class AppointmentAdmin(PatientNameMixin, ModelAdmin):
    """Times at which patients are to see doctors."""

    moment_fields = ("appointment_date", "appointment_time")
    list_display = (
        "appointment_date",
        "appointment_time",
        "patient_name",
        "doctor",
        "status",
        "shown_public_id",
    )
    list_filter = ("status", "appointment_date", ("doctor", ChoiceFilter))
    date_hierarchy = "appointment_date"
    list_select_related = ("patient", "doctor")
    search_help_text = _("A public id: of the appointment, its patient or its doctor.")
    autocomplete_fields = ("patient", "doctor")
    fieldsets = (
        (None, {"fields": ("patient", "doctor", "status")}),
        (_("Time"), {"fields": ("appointment_date", "appointment_time", "duration")}),
        (_("Notes"), {"fields": ("notes",)}),
    )


@admin.register(Session)
class SessionAdmin(PatientNameMixin, ModelAdmin):
    """Consultations are written by their doctor; administrators look."""

    moment_fields = ("session_date", "session_time")
    list_display = (
        "session_date",
        "session_time",
        "patient_name",
        "doctor",
        "status",
        "shown_public_id",
    )
    list_filter = ("status", "session_date", ("doctor", ChoiceFilter))
    date_hierarchy = "session_date"
    list_select_related = ("patient", "doctor")
    search_help_text = _("A public id: of the session, its appointment, its patient or its doctor.")
    autocomplete_fields = ("patient", "doctor", "appointment")
    fieldsets = (
        (None, {"fields": ("patient", "doctor", "appointment", "status")}),
        (_("Time"), {"fields": ("session_date", "session_time", "duration")}),
        (_("Health"), {"fields": ("diagnosis", "treatment_plan", "notes"), "classes": ("collapse",)}),
    )


@admin.register(InsuranceClaim)
class InsuranceClaimAdmin(PatientNameMixin, ModelAdmin):
    """What insurers were asked to pay."""

    moment_fields = ("submitted_date",)
    list_display = (
        "shown_public_id",
        "claim_number",
        "patient_name",
        "insurance_provider",
        "claim_amount",
        "status",
    )
    list_filter = ("status", "submitted_date")
    list_select_related = ("patient",)
    search_fields = ("public_id__exact", "claim_number__exact")
    search_help_text = _("A public id (of the claim, its patient or its appointment), or a claim number.")
    autocomplete_fields = ("patient", "appointment")
    fieldsets = (
        (None, {"fields": ("claim_number", "insurance_provider", "status", "patient", "appointment")}),
        (_("Amounts"), {"fields": ("claim_amount", "approved_amount")}),
        (_("Dates"), {"fields": ("submitted_date", "processed_date")}),
        (_("Notes"), {"fields": ("notes",)}),
    )

"""Patients and doctors."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections, models
from django.utils.translation import gettext_lazy as _

from moeen.db.constraints import Index, SearchIndex
from moeen.db.functions import SearchWords
from moeen.db.models import TimestampedModel
from moeen.db.public_ids import PublicIdField


class Person(TimestampedModel):
    """Somebody with or without a sign-in of their own; who has it decides who sees what."""

    class Meta:
        abstract = True

    def link_sign_in(self, user_id: uuid.UUID | None) -> None:
        """Give this row a sign-in, or take it away. For supervisors and administrators, never their own; recorded."""
        with connections[self._state.db or DEFAULT_DB_ALIAS].cursor() as cursor:
            cursor.execute("SELECT app.link_sign_in(%s, %s, %s)", [self._meta.db_table, self.pk, user_id])


class Patient(Person):
    """A person under care, with or without a sign-in of their own."""

    clinical_fields = ("medical_history", "allergies")

    public_id = PublicIdField(prefix="pat_")

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="patient",
        db_comment="The patient's own sign-in; NULL when there is none.",
    )
    first_name = models.CharField(_("first name"), max_length=255)
    last_name = models.CharField(_("last name"), max_length=255)
    email = models.EmailField(_("e-mail address"), max_length=255, unique=True, null=True, blank=True)
    phone = models.CharField(_("phone"), max_length=50, null=True, blank=True)
    date_of_birth = models.DateField(_("date of birth"), null=True, blank=True, db_comment="Gregorian.")
    gender = models.CharField(_("gender"), max_length=20, null=True, blank=True, db_comment="Free text.")
    address = models.TextField(_("address"), null=True, blank=True)
    emergency_contact_name = models.CharField(_("emergency contact"), max_length=255, null=True, blank=True)
    emergency_contact_phone = models.CharField(_("emergency contact's phone"), max_length=50, null=True, blank=True)
    medical_history = models.TextField(
        _("medical history"), null=True, blank=True, db_comment="Health data: clinical eyes only."
    )
    allergies = models.TextField(_("allergies"), null=True, blank=True, db_comment="Health data: clinical eyes only.")

    class Meta:
        db_table = "patients"
        base_manager_name = "referred"  # where it is referred to, what is withheld or clinical is left out
        db_table_comment = "People under care. Never deleted by a cascade."
        verbose_name = _("patient")
        verbose_name_plural = _("patients")
        indexes = [
            SearchIndex(SearchWords("first_name", "last_name", "email", "phone"), name="patients_search_idx"),
            Index(fields=["created_at"], name="patients_created_at_idx"),  # the newest, and how many there are
        ]

    @classmethod
    def withheld_from(cls, role: str) -> tuple[str, ...]:
        return ("medical_history", "allergies") if role == "moeen_service" else ()

    def __str__(self) -> str:
        return str(self.public_id or self.pk)


class Doctor(Person):
    """A person who treats patients."""

    public_id = PublicIdField(prefix="doc_")

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="doctor",
        db_comment="The doctor's own sign-in; NULL when there is none.",
    )
    first_name = models.CharField(_("first name"), max_length=255)
    last_name = models.CharField(_("last name"), max_length=255)
    specialization = models.CharField(_("specialization"), max_length=255, null=True, blank=True)
    license_number = models.CharField(_("licence number"), max_length=100, null=True, blank=True)
    phone = models.CharField(_("phone"), max_length=50, null=True, blank=True)
    email = models.EmailField(_("e-mail address"), max_length=255, null=True, blank=True)
    consultation_fee = models.DecimalField(
        _("consultation fee"),
        max_digits=10,
        decimal_places=2,
        null=True,
        blank=True,
        db_comment="Saudi riyals.",
    )
    is_active = models.BooleanField(
        _("active"),
        default=True,
        db_default=True,
        db_comment="False: takes no appointments and is not listed.",
    )

    class Meta:
        db_table = "doctors"
        db_table_comment = "People who treat patients. Never deleted by a cascade."
        verbose_name = _("doctor")
        verbose_name_plural = _("doctors")
        # The rows that most people see.
        indexes = [Index(fields=["is_active"], name="doctors_is_active_idx")]

    def __str__(self) -> str:
        return f"{self.first_name} {self.last_name}"

"""The tables of the healthcare app."""

from __future__ import annotations

from healthcare.models.insurance import InsuranceClaim
from healthcare.models.people import Doctor, Patient
from healthcare.models.visits import Appointment, Session

__all__ = ["Appointment", "Doctor", "InsuranceClaim", "Patient", "Session"]

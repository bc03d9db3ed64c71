"""The tables of the system administration app."""

from __future__ import annotations

from sysadmin.models.audit_log import AuditLog
from sysadmin.models.audit_seals import AuditSeal
from sysadmin.models.backfills import BackfillRun, PublicIdAlias
from sysadmin.models.fleet import FleetRun, FleetTurn
from sysadmin.models.imports import ImportRun, LegacyKey
from sysadmin.models.ledger import MigrationRun, MigrationStep
from sysadmin.models.messaging import InternalMessage, Notification
from sysadmin.models.operator_reports import OperatorReport
from sysadmin.models.operator_requests import OperatorRequest
from sysadmin.models.roles import Role, UserRole
from sysadmin.models.second_factors import SecondFactor
from sysadmin.models.settings import Setting
from sysadmin.models.users import User, UserPreference

__all__ = [
    "AuditLog",
    "AuditSeal",
    "BackfillRun",
    "FleetRun",
    "FleetTurn",
    "ImportRun",
    "InternalMessage",
    "LegacyKey",
    "MigrationRun",
    "MigrationStep",
    "Notification",
    "OperatorReport",
    "OperatorRequest",
    "PublicIdAlias",
    "Role",
    "SecondFactor",
    "Setting",
    "User",
    "UserPreference",
    "UserRole",
]

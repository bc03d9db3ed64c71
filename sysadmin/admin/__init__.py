"""The admin pages of the system administration app."""

from __future__ import annotations

from sysadmin.admin.audit_log import AuditLogAdmin
from sysadmin.admin.backfills import BackfillRunAdmin, PublicIdAliasAdmin
from sysadmin.admin.fleet import FleetRunAdmin
from sysadmin.admin.ledger import MigrationRunAdmin
from sysadmin.admin.messaging import InternalMessageAdmin, NotificationAdmin
from sysadmin.admin.operations import OperationsAdmin
from sysadmin.admin.roles import RoleAdmin, UserRoleAdmin
from sysadmin.admin.second_factors import SecondFactorAdmin
from sysadmin.admin.settings import SettingAdmin
from sysadmin.admin.users import UserAdmin, UserPreferenceAdmin

__all__ = [
    "AuditLogAdmin",
    "BackfillRunAdmin",
    "FleetRunAdmin",
    "InternalMessageAdmin",
    "MigrationRunAdmin",
    "NotificationAdmin",
    "OperationsAdmin",
    "PublicIdAliasAdmin",
    "RoleAdmin",
    "SecondFactorAdmin",
    "SettingAdmin",
    "UserAdmin",
    "UserPreferenceAdmin",
    "UserRoleAdmin",
]

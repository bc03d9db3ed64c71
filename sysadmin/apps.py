"""The system administration app: users, roles, settings, messages, preferences and the audit log."""

from __future__ import annotations

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.utils.translation import gettext_lazy as _

from moeen.db.registry import DatabaseFacts
from moeen.db.security.identity import role_switched
from sysadmin import older
from sysadmin.declared_settings import Declared, Kind


class SysadminConfig(AppConfig):
    """Everything that is not healthcare, chatbot or CRM; ``sysadmin.User`` is the project's user model."""

    name = "sysadmin"
    verbose_name = _("System administration")
    settings = (
        Declared(
            key="clinic.name", kind=Kind.TEXT, default="Moeen", is_public=True,
            description="What authenticators call the clinic beside a person's address.",
        ),
    )  # fmt: skip
    database_facts = DatabaseFacts(
        audit_table="audit_logs",
        older_indexes=older.INDEXES,
        append_only=frozenset({"audit_logs"}),
        whole_table_roles={"audit_logs": frozenset({"admin"})},
        secret_readers={"users": frozenset({"auth"}), "second_factors": frozenset({"auth"})},
        public_rows={"settings": "is_public"},
        accepted_advice={
            "always true users_update_auth": "signing in; column grants leave it password_hash and last_login",
            "always true django_session_insert_auth": "a session is nobody's until somebody signs in",
            "always true django_session_update_auth": "only the session store works as moeen_auth",
            "search path audited": "part of audit_statement, whose path holds for it",
            "always true django_session_delete_auth": "only the session store works as moeen_auth",
            "unindexed condition taken_at": "operator_requests holds what administrators asked for: tens of rows",
        },
        first_files=frozenset({"0001_functions"}),
        tables_of_files={
            "sysadmin/0008_identity": ("app.role_anchors", "app.identity_keys"),
            "sysadmin/0016_audit": ("app.audit_suspensions",),
        },
        policies_stand_on=(("sysadmin", "0009_rls"),),
        exposure_checks=(
            "sysadmin.exposure.system_roles",
            "sysadmin.exposure.suspended_audits",
            "sysadmin.exposure.subscribed_tables",
            "sysadmin.exposure.touched_trail",
            "sysadmin.exposure.settings",
        ),
        users_of_django=older.USERS_OF_DJANGO,
    )

    def ready(self) -> None:
        from sysadmin import (
            auth,
            checks,  # noqa: F401 - they register by being imported
            preferences,
        )

        # In place of Django's receiver, which is connected later and is dropped for having the same name.
        user_logged_in.connect(auth.note_sign_in, dispatch_uid="update_last_login")
        user_logged_in.connect(preferences.note_sign_in, dispatch_uid="sysadmin.note_preferences")
        user_login_failed.connect(auth.note_failure, dispatch_uid="sysadmin.note_failure")
        user_logged_out.connect(auth.note_sign_out, dispatch_uid="sysadmin.note_sign_out")
        role_switched.connect(auth.note_role, dispatch_uid="sysadmin.note_role")

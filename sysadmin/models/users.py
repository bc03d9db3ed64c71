"""Users and their preferences."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from asgiref.sync import sync_to_async
from django.apps import apps
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.hashers import check_password, make_password
from django.core.exceptions import ValidationError
from django.db import connections, models, router
from django.db.models import Q, Value
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from moeen.db.constraints import Index, SearchIndex
from moeen.db.functions import SearchWords
from moeen.db.models import TimestampedModel
from moeen.db.public_ids import PublicIdField
from moeen.db.roles import PREFIX
from moeen.db.security import identity, rights
from moeen.db.security.rights import Right
from sysadmin import hashers
from sysadmin.managers import UserManager

#: What a permission of Django's is called -> the command that it is about.
_VERBS = {"view": "S", "add": "I", "change": "U", "delete": "D"}
EMAIL_TAKEN = _("Another user has this e-mail address.")


class User(AbstractBaseUser, TimestampedModel):
    """A person who may sign in, known by an e-mail address in any case. The role decides what they may do."""

    public_id = PublicIdField(prefix="usr_")

    class Roles(models.TextChoices):
        """The usual role of a person; further ones come by ``user_roles``."""

        PATIENT = "patient", _("Patient")
        DOCTOR = "doctor", _("Doctor")
        STAFF = "staff", _("Staff")
        SUPERVISOR = "supervisor", _("Supervisor")
        ADMIN = "admin", _("Administrator")

    email = models.EmailField(_("e-mail address"), max_length=255)
    password = models.CharField(  # type: ignore[assignment]
        _("password"),
        max_length=255,
        db_column="password_hash",
        null=True,
        blank=True,
        db_comment="A secret: a password hash, never shown or logged. NULL: this user cannot sign in with "
        "a password. Bcrypt of older applications is read, and hashed anew when its person signs in.",
    )
    name = models.CharField(_("name"), max_length=255, default="", db_default="", blank=True)
    role = models.CharField(
        _("role"),
        max_length=50,
        choices=Roles,
        default=Roles.PATIENT,
        db_default=Roles.PATIENT,
        db_comment="The role this person usually acts in; further ones come by user_roles. "
        "Legacy value: user = patient.",
    )
    phone = models.CharField(_("phone"), max_length=50, null=True, blank=True)
    is_active = models.BooleanField(_("active"), default=True, db_default=True, db_comment="False: may not sign in.")
    last_login = models.DateTimeField(_("last sign-in"), null=True, blank=True, editable=False)

    objects = UserManager()  # type: ignore[misc]

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        db_table = "users"
        db_table_comment = "Everyone who may sign in: patients, doctors, staff, supervisors, administrators."
        # Rows that refer to a user load it as its own queries do: without what may not be read.
        base_manager_name = "objects"
        verbose_name = _("user")
        verbose_name_plural = _("users")
        indexes = [
            SearchIndex(SearchWords("name", Value(None), "email", "phone"), name="users_search_idx"),
        ]
        constraints = [
            models.UniqueConstraint(Lower("email"), name="users_email_lower_key", violation_error_message=EMAIL_TAKEN),
            models.CheckConstraint(
                condition=Q(role__in=["patient", "doctor", "staff", "supervisor", "admin"]),
                name="users_role_check",
            ),
        ]

    def __str__(self) -> str:
        return self.name or str(self.public_id or self.pk)

    @staticmethod
    def email_taken() -> ValidationError:
        """What is raised when another user has the address, in whatever case."""
        return ValidationError({"email": EMAIL_TAKEN}, code="unique")

    def clean(self) -> None:
        super().clean()
        self.email = type(self).objects.normalize_email(self.email)

    def get_full_name(self) -> str:
        return self.name

    def get_short_name(self) -> str:
        return self.name or self.email

    @property
    def is_superuser(self) -> bool:
        """Acts as an administrator. Nothing is allowed by it: the database says what an administrator may do."""
        return identity.acting_role(self) == self.Roles.ADMIN

    @property
    def is_staff(self) -> bool:
        """May enter the admin, which shows each role what the policies give it."""
        return self.is_active

    def rights(self) -> dict[tuple[str, str], Right]:
        """(table, command letter) -> what grants and policies let this person's role do now; asked once for each role.

        Empty for somebody deactivated.
        """
        if not self.is_active:
            return {}
        role = identity.acting_role(self)
        known: dict[str, dict[tuple[str, str], Right]] = self.__dict__.setdefault("_rights", {})
        if role not in known:
            found = rights.read(connections[router.db_for_read(type(self))], roles=[PREFIX + role])
            known[role] = {(right.table, right.command): right for right in found}
        return known[role]

    def gives_roles(self) -> bool:
        """Whether they give people their roles here: then they may ask, and look at, what comes of it."""
        right = self.rights().get((self._meta.db_table, "U"))
        return right is not None and {"role", "is_active"} <= right.columns

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """Whether grants and policies give the role anything of ``perm``, such as ``sysadmin.view_role``.

        With a row, whether that row is among those that the policies let through.
        """
        label, _, name = perm.partition(".")
        verb, _, model_name = name.partition("_")
        try:
            model = apps.get_model(label, model_name)
        except LookupError:
            return False
        right = self.rights().get((model._meta.db_table, _VERBS.get(verb, "")))
        if right is None or obj is None:
            return right is not None
        key = model._meta.pk
        return rights.reaches(connections[router.db_for_read(model)], right, key=key.column, value=obj.pk)

    def has_perms(self, perm_list: Any, obj: Any = None) -> bool:
        return all(self.has_perm(perm, obj) for perm in perm_list)

    def has_module_perms(self, app_label: str) -> bool:
        """Whether the role may see anything in the app."""
        tables = {model._meta.db_table for model in apps.get_app_config(app_label).get_models()}
        return any((table, "S") in self.rights() for table in tables)

    @classmethod
    def withheld_from(cls, role: str) -> tuple[str, ...]:
        return ("password",) if role else ()

    def has_usable_password(self) -> bool:
        if "password" in self.get_deferred_fields():  # nobody but moeen_auth may read it; yes or no is all that leaves
            with identity.acting_as_auth():
                return type(self).objects.get(pk=self.pk).has_usable_password()
        return self.password is not None and super().has_usable_password()

    def refresh_from_db(self, using: Any = None, fields: Any = None, from_queryset: Any = None) -> None:
        if fields is not None and "password" in fields and from_queryset is None:
            # The manager would leave it out, and the look-up go round in circles; the database decides.
            from_queryset = models.QuerySet(type(self))
        super().refresh_from_db(using=using, fields=fields, from_queryset=from_queryset)

    def check_password(self, raw_password: str) -> bool:
        """Whether the password is right; one of an older form is then hashed anew.

        NULL, or a hash this project cannot read, is never right, and takes as long to refuse as a wrong password.
        """

        def upgrade(raw_password: str) -> None:
            self._take_anew(raw_password)
            self.save(update_fields=["password"])

        stored = hashers.named(self.password or "")
        try:
            begun = time.thread_time()
            is_right = check_password(raw_password, stored, upgrade)
            if not is_right:
                hashers.even_out(raw_password, stored, spent=time.thread_time() - begun)
            return is_right
        except ValueError:  # a known algorithm's, but cut short
            make_password(raw_password)  # as long as a real comparison takes
            return False

    async def acheck_password(self, raw_password: str) -> bool:
        return await sync_to_async(self.check_password)(raw_password)

    def _take_anew(self, raw_password: str) -> None:
        self.set_password(raw_password)
        self._password = None  # it is the same password: nothing that listens to changes is told


class UserPreference(TimestampedModel):
    """How one user wants the application to look and speak."""

    public_id = PublicIdField(prefix="prf_")

    class Theme(models.TextChoices):
        SYSTEM = "system", _("As the device")
        LIGHT = "light", _("Light")
        DARK = "dark", _("Dark")

    class Language(models.TextChoices):
        ARABIC = "ar", _("Arabic")
        ENGLISH = "en", _("English")

    class DashboardLayout(models.TextChoices):
        GRID = "grid", _("Grid")
        LIST = "list", _("List")

    user = models.OneToOneField(User, verbose_name=_("user"), on_delete=models.CASCADE, related_name="preferences")
    theme = models.CharField(_("theme"), max_length=20, choices=Theme, default=Theme.SYSTEM, db_default=Theme.SYSTEM)
    language = models.CharField(
        _("language"), max_length=5, choices=Language, default=Language.ARABIC, db_default=Language.ARABIC
    )
    timezone = models.CharField(
        _("time zone"),
        max_length=50,
        default="Asia/Riyadh",
        db_default="Asia/Riyadh",
        db_comment="IANA name of the zone times are shown in; all times are stored in UTC.",
    )
    notifications_enabled = models.BooleanField(_("notifications"), default=True, db_default=True)
    sidebar_collapsed = models.BooleanField(_("sidebar collapsed"), default=False, db_default=False)
    dashboard_layout = models.CharField(
        _("dashboard layout"),
        max_length=20,
        choices=DashboardLayout,
        default=DashboardLayout.GRID,
        db_default=DashboardLayout.GRID,
    )

    class Meta:
        db_table = "user_preferences"
        db_table_comment = "How a user wants the application to look and speak; at most one row a user."
        verbose_name = _("user preference")
        verbose_name_plural = _("user preferences")
        indexes = [
            Index(fields=["theme"], name="user_preferences_theme_idx"),
            Index(fields=["language"], name="user_preferences_language_idx"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(theme__in=["system", "light", "dark"]), name="user_preferences_theme_check"
            ),
            models.CheckConstraint(condition=Q(language__in=["ar", "en"]), name="user_preferences_language_check"),
            models.CheckConstraint(
                condition=Q(dashboard_layout__in=["grid", "list"]),
                name="user_preferences_dashboard_layout_check",
            ),
        ]

    def __str__(self) -> str:
        return str(self.public_id or self.pk)

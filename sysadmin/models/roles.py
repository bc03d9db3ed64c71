"""Roles and who holds them."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.lookups import Exact
from django.utils.translation import gettext_lazy as _

from moeen.db.constraints import Index
from moeen.db.functions import Now
from moeen.db.models import Model, TimestampedModel
from moeen.db.public_ids import PublicIdField
from sysadmin.models.users import User


def validate_permissions(value: object) -> None:
    """Raises ValidationError unless ``value`` is a list of strings."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValidationError(_("Permissions are a list of texts."), code="invalid")


_TYPE = Func(F("permissions"), function="jsonb_typeof", output_field=models.TextField())
# strict: a lax path would look into a nested array. Silent (the last argument): strict would raise on what is
# no array, which the first half of the check refuses.
_HAS_OTHER_THAN_STRINGS = Func(
    F("permissions"),
    Value('strict $[*] ? (@.type() != "string")'),
    Value("{}"),
    Value(value=True),
    function="jsonb_path_exists",
    output_field=models.BooleanField(),
)


class Role(TimestampedModel):
    """A named set of permissions. The five system roles bear the names of ``User.Roles``."""

    public_id = PublicIdField(prefix="rol_")

    name = models.CharField(_("name"), max_length=100, unique=True)
    description = models.TextField(_("description"), null=True, blank=True)
    permissions = models.JSONField(
        _("permissions"),
        default=list,
        db_default=[],
        blank=True,
        validators=[validate_permissions],
        db_comment='Array of strings such as "patients:read".',
    )
    is_system = models.BooleanField(
        _("system role"),
        default=False,
        db_default=False,
        db_comment="True: seeded, named by the policies, not to be deleted.",
    )

    class Meta:
        db_table = "roles"
        db_table_comment = "Named sets of permissions; who holds them stands in user_roles."
        ordering = ["name"]
        verbose_name = _("role")
        verbose_name_plural = _("roles")
        # The rows that most people see.
        indexes = [Index(fields=["is_system"], name="roles_is_system_idx")]
        constraints = [
            models.CheckConstraint(
                condition=Q(Exact(_TYPE, "array")) & ~Q(_HAS_OTHER_THAN_STRINGS),
                name="roles_permissions_check",
            ),
        ]

    def __str__(self) -> str:
        """The system's roles are called as people's usual roles are."""
        return str(dict(User.Roles.choices).get(self.name, self.name)) if self.is_system else self.name


class UserRole(Model):
    """A role that a user holds besides the usual one."""

    public_id = PublicIdField(prefix="uro_")

    user = models.ForeignKey(
        User,
        verbose_name=_("user"),
        on_delete=models.CASCADE,
        related_name="user_roles",
        db_index=False,  # the unique constraint begins with it
    )
    role = models.ForeignKey(Role, verbose_name=_("role"), on_delete=models.CASCADE, related_name="user_roles")
    assigned_by = models.ForeignKey(
        User,
        verbose_name=_("assigned by"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="assigned_user_roles",
        db_column="assigned_by",
    )
    assigned_at = models.DateTimeField(_("assigned at"), db_default=Now(), editable=False)

    class Meta:
        db_table = "user_roles"
        db_table_comment = "Roles that a user holds besides users.role."
        verbose_name = _("role assignment")
        verbose_name_plural = _("role assignments")
        constraints = [
            models.UniqueConstraint(
                fields=["user", "role"],
                name="user_roles_user_id_role_id_key",
                violation_error_message=_("This user holds this role already."),
            ),
        ]

    def __str__(self) -> str:
        return str(self.public_id or self.pk)

"""Pages of roles and their holders."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db import connections, router
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import translation
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from moeen.db.models import without_withheld
from sysadmin import permissions
from sysadmin.admin import matrix
from sysadmin.admin.base import ModelAdmin, ltr, preformatted
from sysadmin.admin.forms import RowForm
from sysadmin.models import Role, User, UserRole

#: How the system's roles describe themselves as they come.
DESCRIPTIONS = (
    _("Manages everything; the audit log and sessions are read only"),
    _("Treats patients: sees their own patients, appointments and sessions"),
    _("Sees what is their own"),
    _("Runs the front desk: patients, appointments, claims, their own leads; nothing clinical"),
    _("Oversees staff, the bot and sales; nothing clinical"),
)
#: As many holders as a page names; the rest stand behind a link.
HOLDERS_SHOWN = 100


class LinesField(forms.CharField):
    """A list of texts, one a line."""

    widget = forms.Textarea(attrs={"class": "vLargeTextField json", "rows": 10, "dir": "ltr"})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        lines = value if isinstance(value, list) else (super().to_python(value) or "").splitlines()
        return [line.strip() for line in lines if line.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(initial or []) != self.to_python(data))


class RoleForm(RowForm):
    """Permissions are written one a line."""

    permissions = LinesField(label=_("Permissions"), required=False, help_text=_("One a line."))

    class Meta:
        model = Role
        fields = ("name", "description", "permissions")


@admin.register(Role)
class RoleAdmin(ModelAdmin):
    """Roles and who holds them; of a system role what it may do, of others what their permissions are words for."""

    form = RoleForm
    list_display = (
        "shown_name",
        "is_system",
        "usual_count",
        "holder_count",
        "shown_description",
        "shown_public_id",
    )
    list_filter = ("is_system",)
    search_fields = ("name", "description")
    search_help_text = _("A public id, or part of the name or the description.")
    readonly_fields = ("is_system", "shown_permissions", "holders", "usual_holders")
    ordering = ("name",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Role]:
        return super().get_queryset(request).annotate(holder_total=Count("user_roles"))

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Those whose usual role it is are counted for all roles at once: of many users that is one look at each."""
        found = super().get_changelist_instance(request)
        counts = dict(User.objects.order_by().values_list("role").annotate(Count("pk")))
        for role in found.result_list:
            role.usual_total = counts.get(role.name, 0) if role.is_system else None
        return found

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        if obj is not None and obj.is_system:
            lines = matrix.of_role(connections[router.db_for_read(Role)], obj.name)
            context |= {"matrix": lines, "commands": matrix.COMMANDS.values(), "differs": any(x.differs for x in lines)}
        elif obj is not None:
            context["meanings"] = [permissions.meaning(word) for word in obj.permissions]
        return super().render_change_form(request, context, add, change, form_url, obj)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        obj: Any = super().get_object(request, object_id, from_field)
        if obj is not None:
            obj.viewer_sees_users = request.user.has_perm("sysadmin.view_user")
        return obj

    def get_readonly_fields(self, request: HttpRequest, obj: Role | None = None) -> tuple[str, ...]:
        fields = super().get_readonly_fields(request, obj)
        return (*fields, "coded_name") if obj is not None and obj.is_system else fields

    def get_fieldsets(self, request: HttpRequest, obj: Role | None = None) -> list[Any]:
        permissions = "permissions" if self.may_edit(request, obj) else "shown_permissions"
        main = (None, {"fields": ("name", "description", permissions)})
        if obj is None:
            return [main]
        return [
            (None, {"fields": ("coded_name" if obj.is_system else "name", "is_system", "description", permissions)}),
            (_("Holders"), {"fields": ("holders", *(("usual_holders",) if obj.is_system else ()))}),
            (_("Record"), {"fields": self.all_record_fields()}),
        ]

    def may_edit(self, request: HttpRequest, obj: Role | None) -> bool:
        return self.has_add_permission(request) if obj is None else self.has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Role | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj is not None and obj.is_system)

    @admin.display(description=_("name"), ordering="name")
    def shown_name(self, obj: Role) -> str:
        return str(obj)

    @admin.display(description=_("usual role of"))
    def usual_count(self, obj: Any) -> int | None:
        return obj.usual_total

    @admin.display(description=_("assigned to"), ordering="holder_total")
    def holder_count(self, obj: Any) -> int:
        return int(obj.holder_total)

    @admin.display(description=_("description"))
    def shown_description(self, obj: Role) -> str | None:
        """Of a system role as it came, in the reader's language."""
        return translation.gettext(obj.description) if obj.description else None

    @admin.display(description=_("name"))
    def coded_name(self, obj: Role) -> str:
        """The policies know it by this; it stays."""
        return format_html("{} {}", str(obj), ltr(f"({obj.name})"))

    @admin.display(description=_("permissions"))
    def shown_permissions(self, obj: Role) -> str:
        return preformatted("\n".join(map(str, obj.permissions))) if obj.permissions else "-"

    @admin.display(description=_("assigned to"))
    def holders(self, obj: Any) -> str:
        assignments = without_withheld(obj.user_roles.select_related("user")).order_by("user__name", "user_id")
        users = [assignment.user for assignment in assignments[: HOLDERS_SHOWN + 1]]
        if not users:
            return "-"
        items = format_html_join(
            "", "<li>{}</li>", ((named(user, obj.viewer_sees_users),) for user in users[:HOLDERS_SHOWN])
        )
        more: str | SafeString = ""
        if len(users) > HOLDERS_SHOWN:
            address = reverse("admin:sysadmin_userrole_changelist")
            more = format_html('<li><a href="{}?role__id__exact={}">{}</a></li>', address, obj.pk, _("All holders"))
        return format_html('<ul class="plain">{}{}</ul>', items, more)

    @admin.display(description=_("usual role of"))
    def usual_holders(self, obj: Any) -> str:
        count = User.objects.filter(role=obj.name).count()
        text = ngettext("%(count)d user", "%(count)d users", count) % {"count": count}
        if not obj.viewer_sees_users:
            return text
        address = reverse("admin:sysadmin_user_changelist")
        return format_html('<a href="{}?role__exact={}">{}</a>', address, obj.name, text)


@admin.register(UserRole)
class UserRoleAdmin(ModelAdmin):
    """Who holds which role, given by whom."""

    list_display = (
        "shown_public_id",
        "user",
        "role",
        "assigned_by",
        "assigned_at",
    )
    list_filter = ("role", "assigned_at")
    ordering = ("-assigned_at",)
    list_select_related = ("user", "role", "assigned_by")
    search_fields = ("public_id__exact", "user__name", "user__email", "role__name")
    search_help_text = _("A public id (of the assignment, its user or its role), or part of a name.")
    autocomplete_fields = ("user", "role")
    fieldsets = ((None, {"fields": ("user", "role")}),)
    record_fields = ("assigned_by", "assigned_at")
    author_field = "assigned_by"


def named(user: User, linked: bool) -> str:
    """The user's name; a link for whoever may follow it."""
    if not linked:
        return str(user)
    return format_html('<a href="{}">{}</a>', reverse("admin:sysadmin_user_change", args=[user.pk]), user)

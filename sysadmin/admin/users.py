"""Pages of users and their preferences. A password is set here, and never shown."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import SetPasswordMixin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from sysadmin import preferences, sessions
from sysadmin.admin.base import ModelAdmin, ltr
from sysadmin.admin.forms import RowForm
from sysadmin.admin.people import PersonPages
from sysadmin.models import User, UserPreference

admin.site.unregister(Group)  # roles take the place of Django's groups, which nothing here asks


class UserChangeForm(RowForm):
    """A user without the password, which has a page of its own."""

    class Meta:
        model = User
        fields = ("email", "name", "phone", "role", "is_active")


class UserAddForm(SetPasswordMixin, RowForm):
    """A user with a password, typed twice."""

    password1, password2 = SetPasswordMixin.create_password_fields()

    class Meta:
        model = User
        fields = ("email", "name", "phone", "role")

    def clean(self) -> dict[str, Any] | None:
        self.validate_passwords()
        return super().clean()

    def _post_clean(self) -> None:
        super()._post_clean()
        self.validate_password_for_user(self.instance)

    def save(self, commit: bool = True) -> User:
        user = super().save(commit=False)
        return self.set_password_and_save(user, commit=commit)


@admin.register(User)
class UserAdmin(PersonPages, ModelAdmin, DjangoUserAdmin):
    """Everyone who may sign in. Django's own views add users and change passwords."""

    found_by_name = True
    search_function = "search_users"
    form = UserChangeForm
    add_form = UserAddForm
    add_form_template = None
    list_display = (
        "email",
        "name",
        "role",
        "is_active",
        "last_login",
        "shown_public_id",
    )
    list_filter = ("role", "is_active", "last_login")
    filter_horizontal = ()
    search_fields = ("name", "email", "phone")
    search_help_text = _("A public id, or the beginning of a name, of the e-mail address or of the phone number.")
    ordering = ("email",)
    fieldsets = (
        (None, {"fields": ("email", "name", "phone")}),
        (_("Access"), {"fields": ("role", "is_active", "password_state", "last_login")}),
    )
    add_fieldsets = (
        (None, {"fields": ("email", "name", "phone", "role")}),
        (_("Access"), {"fields": ("password1", "password2")}),
    )
    readonly_fields = ("password_state", "last_login")
    actions = ("end_sessions",)

    def has_end_sessions_permission(self, request: HttpRequest) -> bool:
        """Whoever may deactivate people may end their sessions."""
        right = request.user.rights().get((self.opts.db_table, "U"))  # type: ignore[union-attr]
        return right is not None and "is_active" in right.columns

    @admin.action(description=_("End the sessions of selected users"), permissions=["end_sessions"])
    def end_sessions(self, request: HttpRequest, queryset: Any) -> None:
        people = list(queryset.values_list("pk", flat=True))
        ended = sessions.end_all(people, by=request.user, why="administrator")
        text = ngettext("%(count)d session has ended.", "%(count)d sessions have ended.", ended) % {"count": ended}
        self.message_user(request, text, messages.SUCCESS)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if change and "is_active" in form.changed_data and not obj.is_active:
            sessions.end_all([obj.pk], by=request.user, why="deactivated")

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        obj: Any = super().get_object(request, object_id, from_field)
        if obj is not None:
            obj.password_is_settable = self.may_set_password(request, obj)
        return obj

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> list[Any]:
        return list(self.add_fieldsets) if obj is None else super().get_fieldsets(request, obj)

    def may_set_password(self, request: HttpRequest, obj: User) -> bool:
        return self.has_change_permission(request, obj) and "password_hash" in self.columns_for(request, obj)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002
        """Of others. One's own takes the present one first, so that a desk that was left gives nobody the account."""
        user = self.get_object(request, unquote(id))
        if user is not None and user == request.user:
            return HttpResponseRedirect(reverse("admin:password_change"))
        if user is not None and not self.may_set_password(request, user):
            raise PermissionDenied
        answer = super().user_change_password(request, id, form_url)
        if user is not None and answer.status_code == HTTPStatus.FOUND:
            sessions.end_all([user.pk], by=request.user, why="password changed")
        return answer

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        self.delete_queryset(request, User.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        """By the database alone: its foreign keys clear what Django would write to in the administrator's name."""
        users = list(queryset.values_list("pk", flat=True))
        sessions.end_all(users, by=request.user, why="deleted")
        LogEntry.objects.filter(user__in=users).delete()
        User.objects.filter(pk__in=users)._raw_delete(queryset.db)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_delete_permission(request, obj) and obj != request.user

    @admin.display(description=_("password"))
    def password_state(self, obj: User) -> str:
        state = _("Set") if obj.has_usable_password() else _("None: cannot sign in")
        if not getattr(obj, "password_is_settable", False):
            return str(state)
        address = reverse("admin:auth_user_password_change", args=[obj.pk])
        return format_html('{} – <a href="{}">{}</a>', state, address, _("set a new one"))

    def choice_label(self, obj: Any) -> str:
        return f"{obj.name} ({obj.email})" if obj.name else obj.email


@admin.register(UserPreference)
class UserPreferenceAdmin(ModelAdmin):
    """How users want the application to look and speak."""

    list_display = (
        "shown_public_id",
        "user",
        "theme",
        "language",
        "shown_timezone",
        "notifications_enabled",
    )
    list_filter = ("theme", "language", "dashboard_layout", "notifications_enabled")
    list_select_related = ("user",)
    search_fields = ("public_id__exact", "user__name", "user__email")
    search_help_text = _("A public id (of the preference or its user), or part of the user's name.")
    autocomplete_fields = ("user",)
    fieldsets = (
        (None, {"fields": ("user", "language", "timezone", "notifications_enabled")}),
        (_("Appearance"), {"fields": ("theme", "dashboard_layout", "sidebar_collapsed")}),
    )

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"user": request.user.pk} | super().get_changeform_initial_data(request)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if obj.user_id == request.user.pk:
            preferences.keep(request.session, obj)

    @admin.display(description=_("time zone"), ordering="timezone")
    def shown_timezone(self, obj: UserPreference) -> str:
        return ltr(obj.timezone)

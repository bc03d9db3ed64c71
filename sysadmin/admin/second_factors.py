"""Pages of second factors: who has one, and the removal of one that was lost."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from sysadmin import sessions
from sysadmin.admin.base import ModelAdmin
from sysadmin.models import SecondFactor


@admin.register(SecondFactor)
class SecondFactorAdmin(ModelAdmin):
    """Whose it is and since when. One's own is removed on its own page, with a code of it."""

    list_display = ("user", "confirmed_at", "shown_public_id")
    list_filter = ("confirmed_at",)
    list_select_related = ("user",)
    search_fields = ("user__name", "user__email")
    search_help_text = _("A public id (of the second factor or its user), or part of the user's name.")
    fields = ("user", "confirmed_at")
    readonly_fields = ("confirmed_at",)

    def delete_model(self, request: HttpRequest, obj: SecondFactor) -> None:
        self.delete_queryset(request, SecondFactor.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        """Whoever has the lost telephone may be signed in on it."""
        people = list(queryset.values_list("user", flat=True))
        super().delete_queryset(request, queryset)
        sessions.end_all(people, by=request.user, why="second factor removed")

"""The admin's site: everybody's door. Each person sees what the policies give the role they act in."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin
from django.contrib.admin import AdminSite
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.views import PasswordChangeView
from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from moeen import looking, search, second_factor
from moeen.db import public_ids
from moeen.db.roles import PEOPLE
from moeen.db.security import identity
from moeen.middleware import ACTING_ROLE
from moeen.own_sessions import OwnSessionsPage
from moeen.sign_in import OwnPasswordForm, SignInForm, SignInView


class AutocompleteView(AutocompleteJsonView):
    """Stock, but a row is labelled by its ModelAdmin: ``__str__`` alone says no name of a patient."""

    def serialize_result(self, obj: Model, to_field_name: str) -> dict[str, Any]:
        label = getattr(self.model_admin, "choice_label", str)
        result: dict[str, Any] = super().serialize_result(obj, to_field_name)  # type: ignore[misc]
        return {**result, "text": label(obj)}


class MoeenAdminSite(AdminSite):
    """Everyone active enters. Who holds several roles switches between them, and acts in one at a time."""

    site_title = _("Moeen")
    site_header = _("Moeen administration")
    index_title = _("The clinic's data")
    site_url = None  # there is nothing else to view: the root leads here

    def get_urls(self) -> list[Any]:
        switch = self.admin_view(require_POST(self.switch_role))
        look, stop = (self.admin_view(require_POST(view)) for view in (looking.begin, looking.stop))
        searched = self.admin_view(lambda request: search.answer(request, self))
        return [
            path("role/", switch, name="switch_role"),
            path("look/<uuid:person>/", look, name="look_as"),
            path("look/stop/", stop, name="stop_looking"),
            path("search/", searched, name="search"),
            path("login/code/", second_factor.CodePage.as_view(site=self), name="second_factor_code"),
            path("second-factor/", second_factor.SetUpPage.as_view(site=self), name="second_factor"),
            path("own-sessions/", self.admin_view(OwnSessionsPage.as_view(site=self)), name="own_sessions"),
            *super().get_urls(),
        ]

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Django's page of signing in, by SignInView."""
        if request.method == "GET" and self.has_permission(request):
            return redirect("admin:index")
        context = {
            **self.each_context(request),
            "title": gettext("Log in"),
            "subtitle": None,
            "app_path": request.get_full_path(),
            "username": request.user.get_username(),
            **(extra_context or {}),
        }
        if not {REDIRECT_FIELD_NAME} & {*request.GET, *request.POST}:
            context[REDIRECT_FIELD_NAME] = reverse("admin:index")
        view = SignInView.as_view(
            extra_context=context, authentication_form=SignInForm, template_name="admin/login.html"
        )
        return cast(HttpResponse, view(request))

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        return super().each_context(request) | self.roles_context(request)

    def roles_context(self, request: HttpRequest) -> dict[str, Any]:
        """The roles that the person holds, as (name, label), and the one they act in."""
        if not self.has_permission(request):
            return {}
        labels = dict(request.user._meta.get_field("role").flatchoices)  # type: ignore[union-attr]
        held = identity.held_roles(request.user)
        acting = identity.acting_role(request.user)
        return {
            "held_roles": [(name, labels[name]) for name in held],
            "acting_role": acting,
            "acting_role_label": labels[acting],
            "looks": "look" in request.__dict__,
        }

    def switch_role(self, request: HttpRequest) -> HttpResponse:
        """From now on this session acts in another role that its person holds; 403 otherwise."""
        before, after = identity.acting_role(request.user), request.POST.get("role", "")
        if after not in PEOPLE:
            raise identity.RoleNotHeld(after)
        identity.of(request.user, role=after)
        request.session.cycle_key()  # as with every change of what a session may do
        request.session[ACTING_ROLE] = after
        identity.role_switched.send(type(self), user=request.user, before=before, after=after)
        address = request.POST.get("next", "")
        known = url_has_allowed_host_and_scheme(address, {request.get_host()}, require_https=request.is_secure())
        return redirect(address if known else reverse("admin:index"))

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> Any:
        view = PasswordChangeView.as_view(
            form_class=OwnPasswordForm,
            success_url=reverse("admin:password_change_done"),
            template_name="registration/password_change_form.html",
            extra_context={**self.each_context(request), **(extra_context or {})},
        )
        return view(request)

    def get_log_entries(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_log_entries(request).defer("user__password")

    def autocomplete_view(self, request: HttpRequest) -> HttpResponse:
        return cast(HttpResponse, AutocompleteView.as_view(admin_site=self)(request))


def row_by_public_id(request: HttpRequest, text: str) -> HttpResponse:
    """Leads from any public id, a former one too, to its row's page: where old links arrive."""
    try:
        row = public_ids.look_up(text)
    except ObjectDoesNotExist as error:
        raise Http404(str(error)) from error
    return redirect(search.address(admin.site, row))

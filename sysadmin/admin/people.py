"""A person's room: the roles they hold, what is theirs, their sessions, what they may do, and why or why not."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import connections, router
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from moeen.db.errors import MoeenError
from moeen.db.models import lean
from moeen.db.roles import PEOPLE
from moeen.db.security import access, why
from moeen.db.security.rights import COMMANDS
from sysadmin import sessions
from sysadmin.admin import kinds, matrix
from sysadmin.models import User, UserRole
from sysadmin.pages import row_page

#: Kind of hurdle -> what is asked there; and what is said where it is not passed.
HURDLES: dict[str, tuple[Any, Any]] = {
    "account": (_("The account is active"), _("The account is deactivated: nobody signs in with it.")),
    "schema": (_("The schema may be used"), _("The role may not use the schema.")),
    "grant": (_("The role holds the privilege"), _("The role does not hold this privilege on the table.")),
    "column": (_("The role holds the privilege on the column"), _("The role may not do this to the column.")),
    "key": (_("The row's key may be read"), _("The role may not read the key that the row is found by.")),
    "policy": (_("A policy lets the row through"), _("No policy lets this row through.")),
    "restrictive": (_("No restrictive policy keeps it back"), _("A restrictive policy keeps this row back.")),
    "sight": (_("The row may be seen as well"), _("The row may not be seen, and so not be changed.")),
    "new row": (_("A policy lets through what is to be written"), _("No policy lets through what is to be written.")),
    "trigger": (_("No trigger refuses it"), _("A trigger refuses it.")),
    "constraint": (_("No constraint refuses it"), _("A constraint refuses it.")),
    "answer": (_("The database, asked as this person, answers so"), _("The database does not show the row.")),
}
ANSWERS: dict[str, Any] = {why.YES: _("Yes"), why.NO: _("No"), why.UNKNOWN: _("Not known to you")}


class WhyForm(forms.Form):
    """Which row, what to do to it, and in which of the roles that the person holds."""

    row = forms.CharField(
        label=_("Public id of the row"),
        max_length=100,
        widget=forms.TextInput(attrs={"dir": "ltr", "class": "vTextField"}),
    )
    command = forms.ChoiceField(
        label=_("To do what"), choices=[(COMMANDS[letter], label) for letter, label in matrix.COMMANDS.items()]
    )
    column = forms.CharField(
        label=_("Column"), max_length=63, required=False, widget=forms.TextInput(attrs={"dir": "ltr"}),
        help_text=_("As the database calls it; without one, the row as a whole."),
    )  # fmt: skip
    role = forms.ChoiceField(label=_("In the role"))

    def __init__(self, *args: Any, roles: list[tuple[str, Any]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].choices = roles  # type: ignore[attr-defined]


class PersonPages:
    """Mixed into the pages of users."""

    admin_site: Any
    opts: Any
    get_queryset: Any
    message_user: Any

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        own = [
            path("<uuid:person>/access/", view(require_safe(self.access_view)), name="sysadmin_user_access"),
            path("<uuid:person>/why/", view(require_safe(self.why_view)), name="sysadmin_user_why"),
            path("<uuid:person>/end/", view(require_POST(self.end_view)), name="sysadmin_user_end_sessions"),
        ]
        return own + super().get_urls()  # type: ignore[misc]

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        user: Any = request.user
        extra = {"may_look_into": user.gives_roles()} | (extra_context or {})
        return super().change_view(request, object_id, form_url, extra)  # type: ignore[misc]

    def access_view(self, request: HttpRequest, person: Any) -> HttpResponse:
        user = self._person(request, person)
        held, others = self._held(user)
        role = request.GET.get("role") or user.role
        if role not in dict(held):
            raise Http404
        lines = matrix.of_role(connections[router.db_for_read(User)], role)
        return self._page(
            request, "access.html", user,
            held=held, role=role, role_label=dict(held)[role], matrix=lines, commands=matrix.COMMANDS.values(),
            may_look_as=user.is_active and user != request.user,
            differs=any(line.differs for line in lines), others=others, linked=self._linked(user),
            sessions=[(one, kinds.role(one.role or user.role)) for one in sessions.of(user.pk)],
            current=sessions.handle(request.session.session_key) if user == request.user else "",
        )  # fmt: skip

    def why_view(self, request: HttpRequest, person: Any) -> HttpResponse:
        """The answer stands under the question, whose words are in the address."""
        user = self._person(request, person)
        held, _others = self._held(user)
        form = WhyForm(request.GET or None, roles=held, initial={"role": user.role, "command": "SELECT"})
        found = self._explained(request, form, user) if form.is_bound and form.is_valid() else None
        return self._page(request, "why.html", user, form=form, found=found and _told(found))

    def _explained(self, request: HttpRequest, form: WhyForm, user: User) -> why.Why | None:
        asked = form.cleaned_data
        role = None if asked["role"] == user.role else asked["role"]
        command, column = asked["command"], asked["column"].strip()
        if command == "DELETE" and column:
            form.add_error("column", _("A row is deleted as a whole."))
            return None
        question = why.Question(row=asked["row"].strip().replace("\0", ""), command=command, column=column)
        try:
            return why.explain(connections[router.db_for_read(User)], access.person(user, role=role), question)
        except MoeenError as error:
            unknown = _("There is no such column.") if "has no column" in error.cause else _("There is no such row.")
            form.add_error("column" if "has no column" in error.cause else "row", unknown)
            return None

    def end_view(self, request: HttpRequest, person: Any) -> HttpResponse:
        """End one of the person's sessions, or all of them."""
        user = self._person(request, person)
        handle = request.POST.get("session", "")
        if handle:
            ended = sessions.end_one(user.pk, handle, by=request.user, why="administrator")
        else:
            ended = sessions.end_all([user.pk], by=request.user, why="administrator")
        text = ngettext("%(count)d session has ended.", "%(count)d sessions have ended.", ended) % {"count": ended}
        self.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:sysadmin_user_access", args=[user.pk]))

    def _person(self, request: HttpRequest, person: Any) -> User:
        if not request.user.gives_roles():  # type: ignore[union-attr]
            raise PermissionDenied
        user: User | None = self.get_queryset(request).filter(pk=person).first()
        if user is None:
            raise Http404
        return user

    def _held(self, user: User) -> tuple[list[tuple[str, Any]], list[str]]:
        """The system roles, the usual one first, a deactivated person's too; and the clinic's own."""
        labels = dict(User.Roles.choices)
        given = UserRole.objects.filter(user=user).order_by("role__name").values_list("role__name", "role__is_system")
        further = [name for name, is_system in given if is_system and name in PEOPLE]
        held = [(name, labels[name]) for name in dict.fromkeys([user.role, *further])]
        return held, [name for name, _is_system in given if name not in further]

    def _linked(self, user: User) -> list[tuple[str, str, str]]:
        """Rows of other apps that are this person's alone, a patient or a doctor: (kind, name, address of the page)."""
        found = []
        for relation in User._meta.related_objects:
            model: Any = relation.related_model
            page = self.admin_site._registry.get(model)
            if not relation.one_to_one or page is None or model._meta.app_label == User._meta.app_label:
                continue
            row = lean(model._base_manager.filter(**{relation.field.name: user.pk})).first()
            if row is not None:
                address = row_page(model, row.pk)
                found.append((str(model._meta.verbose_name), page.choice_label(row), address))
        return found

    def _page(self, request: HttpRequest, template: str, user: User, **context: Any) -> HttpResponse:
        title = gettext("Access of %(name)s") % {"name": str(user)}
        words = self.admin_site.each_context(request) | {"title": title, "opts": self.opts, "person": user} | context
        return TemplateResponse(request, f"admin/sysadmin/user/{template}", words)


def _told(found: why.Why) -> dict[str, Any]:
    """The answer in the person's language."""
    decisive = found.decisive
    return {
        "why": found,
        "answer": ANSWERS[found.allowed],
        "because": HURDLES[decisive.kind][1] if decisive and decisive.passed == why.NO else "",
        "decisive": decisive,
        "hurdles": [
            {"hurdle": hurdle, "asks": HURDLES[hurdle.kind][0], "answer": ANSWERS[hurdle.passed]}
            for hurdle in found.hurdles
        ],
    }

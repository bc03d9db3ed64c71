"""Pages about a patient's record: what is kept of them, the way in outside of one's care, and who has been there."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, connections, router, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.formats import localize
from django.utils.timezone import localtime
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from healthcare.admin import timeline
from healthcare.models import Patient
from moeen.db.public_ids import PublicIdError, parse
from moeen.db.security import identity
from sysadmin.admin import kinds, refusals
from sysadmin.trail import Question, find


class BreakGlassForm(forms.Form):
    """Whose record, and why it must be opened now."""

    required_css_class = "required"
    patient = forms.CharField(label=_("patient"), help_text=_("The public id: pat_..."), max_length=40)
    reason = forms.CharField(
        label=_("reason"),
        min_length=10,
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3, "cols": 60}),
        help_text=_("It is recorded, and supervisors are told at once. The record stays open for 60 minutes."),
    )

    def clean_patient(self) -> str:
        try:
            parse(text := self.cleaned_data["patient"].strip(), prefix="pat_")
        except PublicIdError as error:
            raise forms.ValidationError(str(_("This is no public id of a patient."))) from error
        return text


class RecordPages:
    """Mixed into the pages of patients."""

    admin_site: Any
    opts: Any

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        own = [
            path("break-glass/", view(self.break_glass_view), name="healthcare_patient_break_glass"),
            path("<uuid:patient_id>/timeline/", view(self.timeline_view), name="healthcare_patient_timeline"),
            path("<uuid:patient_id>/accesses/", view(self.accesses_view), name="healthcare_patient_accesses"),
        ]
        return own + super().get_urls()  # type: ignore[misc]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        acts = identity.acting_role(request.user)
        extra = {"may_break_glass": acts == "doctor"} | (extra_context or {})
        return super().changelist_view(request, extra)  # type: ignore[misc]

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        acts = identity.acting_role(request.user)
        extra = {"may_see_accesses": acts in ("patient", "admin")} | (extra_context or {})
        return super().change_view(request, object_id, form_url, extra)  # type: ignore[misc]

    def timeline_view(self, request: HttpRequest, patient_id: Any) -> HttpResponse:
        """What is kept of a patient whom the person may see."""
        page: Any = self
        if not page.has_view_permission(request):
            raise PermissionDenied
        patient = page.get_queryset(request).filter(pk=patient_id).first()
        if patient is None:
            raise Http404
        found = timeline.of(request, self.admin_site, patient)
        name = page.choice_label(patient)
        return self._page(
            request, "timeline.html", gettext("Timeline"), subtitle=name, patient=patient, name=name,
            days=found.days(), more=found.more,
        )  # fmt: skip

    def break_glass_view(self, request: HttpRequest) -> HttpResponse:
        """A doctor opens the record of a patient whom they do not treat, for a reason."""
        if identity.acting_role(request.user) != "doctor":
            raise PermissionDenied
        form = BreakGlassForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            patient = form.cleaned_data["patient"]
            try:
                with transaction.atomic(), connections[router.db_for_write(Patient)].cursor() as cursor:
                    cursor.execute("SELECT app.break_glass(%s, %s)", [patient, form.cleaned_data["reason"]])
            except DatabaseError as error:
                said = refusals.told(error, Patient)
                if said is None:
                    raise
                form.add_error("patient", said)
            else:
                text = _("The record is open for 60 minutes. Supervisors have been told.")
                messages.warning(request, text)
                # It is open once this request's transaction is committed, so the next one looks for it.
                return HttpResponseRedirect(reverse("row", args=[patient]))
        return self._page(request, "break_glass.html", gettext("Open a record in an emergency"), form=form)

    def accesses_view(self, request: HttpRequest, patient_id: Any) -> HttpResponse:
        """Who saw or changed the record: to the patient, and to administrators."""
        acts = identity.acting_role(request.user)
        connection = connections[router.db_for_read(Patient)]
        rows: list[tuple[Any, ...]]
        if acts == "admin":
            found = find(connection, Question(patient=patient_id, limit=500))
            rows = [(e.at, e.who, e.acted_as, e.action, e.table, e.why) for e in found]
        elif acts == "patient" and Patient.referred.filter(pk=patient_id, user=request.user.pk).exists():
            with connection.cursor() as cursor:
                cursor.execute("SELECT * FROM app.accesses_of_my_record()")
                rows = cursor.fetchall()
        else:
            raise PermissionDenied
        entries = [
            {
                "at": localize(localtime(at)),
                "who": who or "-",
                "role": kinds.role(role),
                "what": kinds.kind(action),
                "table": kinds.table(table),
                "why": kinds.PURPOSES.get(why, why) or "",
            }
            for at, who, role, action, table, why in rows
        ]
        return self._page(request, "accesses.html", gettext("Who saw or changed this record"), entries=entries)

    def _page(self, request: HttpRequest, template: str, title: str, **context: Any) -> HttpResponse:
        words = self.admin_site.each_context(request) | {"title": title, "opts": self.opts} | context
        return TemplateResponse(request, f"admin/healthcare/patient/{template}", words)

"""Pages about one's own account, on the admin's site."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.template.response import TemplateResponse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters


@method_decorator([never_cache, sensitive_post_parameters()], name="dispatch")
class AccountPage(View):
    """`site`: the admin's; `person`: whose page it is. What is posted holds passwords and codes: no error tells it."""

    site: Any = None
    person: Any = None

    def show(self, title: str, template: str, **context: Any) -> HttpResponse:
        words = self.site.each_context(self.request) | {"title": title, "person": self.person} | context
        return TemplateResponse(self.request, f"admin/account/{template}", words)

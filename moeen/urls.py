"""The addresses: the admin, the way to a row by its public id alone, and the language switch."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, path
from django.views.generic import RedirectView
from django.views.i18n import set_language

from moeen import password_reset
from moeen.admin_site import row_by_public_id
from moeen.apps import read_pages
from moeen.db import converters

read_pages()
converters.register()  # <public_id:...>, and one for each prefix, as <pat_id:...>

handler400 = "moeen.error_pages.bad_request"
handler403 = "moeen.error_pages.forbidden"
handler404 = "moeen.error_pages.not_found"
handler500 = "moeen.error_pages.server_error"

# By the names that Django's templates know.
letters: list[URLPattern | URLResolver] = [
    path("admin/password-reset/", password_reset.AskPage.as_view(), name="admin_password_reset"),
    path("admin/password-reset/asked/", password_reset.AskedPage.as_view(), name="password_reset_done"),
    path(
        "admin/password-reset/<uidb64>/<token>/",
        password_reset.NewPasswordPage.as_view(),
        name="password_reset_confirm",
    ),
    path("admin/password-reset/done/", password_reset.NewPasswordDonePage.as_view(), name="password_reset_complete"),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="root"),
    path("admin/id/<path:text>/", admin.site.admin_view(row_by_public_id), name="row"),
    *(letters if settings.SENDS_LETTERS else []),
    path("admin/", admin.site.urls),
    path("language/", set_language, name="set_language"),
]

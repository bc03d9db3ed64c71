"""A new password by a letter to the account's address. Nothing tells whether there is such an account.

The pages are Django's own, as are the letter and the token in it, which a new password or sign-in makes void. For an
account that there is not, the same is counted, recorded and rendered, and no letter leaves. A thread sends letters, so
that no answer waits for the mail server.
"""

from __future__ import annotations

import logging
import uuid
from contextlib import suppress
from functools import partial
from importlib import import_module
from threading import Thread
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import get_user_model, views
from django.contrib.auth.forms import PasswordResetForm
from django.core.exceptions import ObjectDoesNotExist
from django.core.mail import EmailMessage
from django.db import transaction
from django.http import HttpResponse
from django.template import loader
from django.utils.translation import gettext_lazy as _

from moeen import throttle
from moeen.db.security import identity, sign_ins
from moeen.middleware import origin
from moeen.sign_in import NewPasswordForm

#: Letters to one account in a quarter of an hour.
LETTERS = 3

_logger = logging.getLogger(__name__)


def _may_reset(user: Any) -> bool:
    """Whoever is active and signs in with a password: others are an administrator's to let in."""
    return bool(user.is_active and user.has_usable_password())


class ResetForm(PasswordResetForm):
    """The address of an account."""

    request: Any = None

    def get_users(self, email: str) -> list[Any]:
        """The account, or a made-up one for which no letter leaves."""
        sign_ins.record(sign_ins.PASSWORD_RESET_ASKED, account=email)
        marks = throttle.marks(email, origin(self.request)["address"], of="letter to ", most=LETTERS)
        waits = throttle.is_exhausted(marks)
        throttle.count(marks)
        users: Any = get_user_model()
        found = nobody = users(pk=uuid.uuid4(), email=email, password="!", is_active=False)
        with identity.acting_as_auth(), suppress(ObjectDoesNotExist):
            found = users.objects.get_by_natural_key(email)
        return [found if _may_reset(found) and not waits else nobody]

    def save(self, *args: Any, **options: Any) -> None:
        self.request = options["request"]
        super().save(*args, **options)

    def send_mail(
        self, subject_template_name: str, email_template_name: str, context: dict[str, Any], *args: Any, **options: Any
    ) -> None:
        subject = " ".join(loader.render_to_string(subject_template_name, context).split())
        user = context["user"]
        letter = EmailMessage(subject, loader.render_to_string(email_template_name, context), to=[user.email])
        if user.is_active:
            transaction.on_commit(lambda: Thread(target=partial(_send, letter), name="letter").start())


def _send(letter: EmailMessage) -> None:
    try:
        letter.send()
    except Exception as error:
        # Without its text: that may hold the address, or the server's greeting with a name.
        _logger.error("a letter could not be sent (%s); look at EMAIL_URL", type(error).__name__)


class _OnSite:
    """Shown as the admin's pages are."""

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        found: dict[str, Any] = super().get_context_data(**context)  # type: ignore[misc]
        return {**admin.site.each_context(self.request), **found}  # type: ignore[attr-defined]


class AskPage(_OnSite, views.PasswordResetView):
    form_class = ResetForm


class AskedPage(_OnSite, views.PasswordResetDoneView):
    pass


class NewPasswordPage(_OnSite, views.PasswordResetConfirmView):
    """Where the letter leads. A second factor stays: it is asked for at the sign-in that comes after."""

    form_class = NewPasswordForm

    def get_user(self, uidb64: str) -> Any:
        with identity.acting_as_auth():
            found: Any = super().get_user(uidb64)
        return found if found is not None and _may_reset(found) else None

    def form_valid(self, form: Any) -> HttpResponse:
        answer = super().form_valid(form)
        import_module(settings.SESSION_ENGINE).end_all([self.user.pk], by=self.user, why="password reset")
        throttle.forget(throttle.marks(self.user.email, "")[:1])
        return answer


class NewPasswordDonePage(_OnSite, views.PasswordResetCompleteView):
    title = _("Password reset complete")

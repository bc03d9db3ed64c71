"""Signing in: the password first, then the second factor of whoever has one; and the form of one's own password."""

from __future__ import annotations

import time
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import load_backend, login, logout
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm, SetPasswordForm
from django.contrib.auth.views import LoginView
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext_lazy as _

from moeen import known_browsers, throttle
from moeen.db.security import identity, sign_ins
from moeen.sessions import PROVEN, must_be_proven

_REFUSED = _("The e-mail address or the password is wrong, or this account may not sign in.")
#: Where a session of nobody keeps whose password was right, while their second factor is waited for; so long at most.
_HELD, _HELD_SECONDS = "held_sign_in", 10 * 60


def second_factors() -> Any:
    """The module that knows people's second factors."""
    return import_module(settings.SECOND_FACTOR_ENGINE)


class SignInForm(AuthenticationForm):
    """By e-mail address and password. What was wrong is not said."""

    def clean(self) -> dict[str, Any]:
        """Whoever has tried too often is refused like anybody else, with the right password too."""
        if self.request is None:
            return super().clean()
        account = self.cleaned_data.get("username", "")
        marks = known_browsers.marks(self.request, account)
        waits = throttle.is_exhausted(marks)
        if waits:
            sign_ins.record(sign_ins.LOCKED_OUT, account=account)
        if throttle.is_exhausted(marks[1:]):  # the address: that tells of no account, and costs no time
            raise self.get_invalid_login_error()
        try:
            found = super().clean()
        except ValidationError:
            throttle.count(marks)
            raise
        if waits:  # asked after the password was looked at: it takes as long
            self.user_cache = None
            raise self.get_invalid_login_error()
        return found

    error_messages = {
        "invalid_login": _REFUSED,
        "inactive": _REFUSED,
    }


class SignInView(LoginView):
    """Signs in whose password is enough; whoever has a second factor, or must have one, gives it first."""

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        user, address = form.get_user(), self.get_success_url()
        is_set_up = second_factors().is_set_up(user)
        if not is_set_up and not any(map(must_be_proven, identity.held_roles(user))):
            complete(self.request, user)
            return HttpResponseRedirect(address)
        _hold(self.request, user, address)
        return redirect("admin:second_factor_code" if is_set_up else "admin:second_factor")


def complete(request: HttpRequest, user: Any, *, proven: bool = False) -> None:
    """The end of signing in. `proven`: a second factor was given."""
    request.session.pop(_HELD, None)
    login(request, user)
    if proven:
        prove(request)
    throttle.forget(known_browsers.marks(request, user.email)[:1])


def prove(request: HttpRequest) -> None:
    """A second factor was given in this session."""
    request.session.cycle_key()  # as with every change of what a session may do
    request.session[PROVEN] = True


def held(request: HttpRequest) -> tuple[Any, str] | None:
    """Whose password was right in this session a short while ago and is still the same, and where they want to go."""
    found = request.session.get(_HELD)
    if found is None or not 0 <= time.time() - found["at"] <= _HELD_SECONDS:
        return None
    user = load_backend(settings.AUTHENTICATION_BACKENDS[0]).get_user(found["user"])
    if user is None or not constant_time_compare(user.get_session_auth_hash(), found["password"]):
        return None
    return user, found["address"]


def _hold(request: HttpRequest, user: Any, address: str) -> None:
    if request.user.is_authenticated:
        logout(request)
    request.session.cycle_key()
    password = user.get_session_auth_hash()
    request.session[_HELD] = {"user": str(user.pk), "password": password, "at": int(time.time()), "address": address}


class NewPasswordForm(SetPasswordForm):
    """A new password of one's own, typed twice."""

    required_css_class = "required"

    def save(self, commit: bool = True) -> Any:
        """As moeen_auth, in the person's name: no role of a person writes password hashes."""
        user = super().save(commit=False)
        if commit:
            with identity.bound(sign_ins.door(user)):
                user.save(update_fields=["password"])
        return user


class OwnPasswordForm(NewPasswordForm, PasswordChangeForm):
    """The same, the present one typed first."""

"""The pages of the second factor: giving it while signing in, setting it up, and what one may do with one's own."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from django import forms
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from moeen import known_browsers, throttle
from moeen.account import AccountPage
from moeen.db.security import identity, sign_ins
from moeen.sign_in import complete, held, prove, second_factors

#: In a session: its person has typed their password, and begins with a second factor.
_BEGINS = "begins_second_factor"
_WRONG_CODE = _("This code is wrong, or was used already. Wait for the next one.")


class CodeForm(forms.Form):
    """A code of the authenticator, or a recovery code where one is as good."""

    required_css_class = "required"
    code = forms.CharField(
        label=_("Code"),
        max_length=40,
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "autofocus": True, "dir": "ltr", "spellcheck": "false"}
        ),
    )


class PasswordForm(forms.Form):
    """One's present password: who finds a desk with somebody signed in cannot set up a factor of their own."""

    required_css_class = "required"
    password = forms.CharField(
        label=_("Password"), strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )


def _guessed(request: HttpRequest, user: Any, is_right: Any) -> bool:
    """Asks `is_right()`, unless the account or the address waits; what is wrong counts as a wrong password does."""
    marks = known_browsers.marks(request, user.email)
    if throttle.is_exhausted(marks):
        sign_ins.record(sign_ins.LOCKED_OUT, account=user.email)
        return False
    if is_right():
        return True
    throttle.count(marks)
    return False


class CodePage(AccountPage):
    """The second step of signing in."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        waiting = held(request)
        if waiting is None:
            return redirect("admin:login")
        self.person, self.address = waiting
        return super().dispatch(request, *args, **kwargs)

    def get(self, request: HttpRequest, form: Any = None) -> HttpResponse:
        return self.show(gettext("Second factor"), "code.html", form=form or CodeForm())

    def post(self, request: HttpRequest) -> HttpResponse:
        form = CodeForm(request.POST)
        if form.is_valid():
            code = form.cleaned_data["code"]
            if _guessed(request, self.person, lambda: second_factors().check(self.person, code)):
                complete(request, self.person, proven=True)
                return HttpResponseRedirect(self.address)
            form.add_error("code", _WRONG_CODE)
        return self.get(request, form)


class SetUpPage(AccountPage):
    """Sets one's second factor up, also for who must have one before they are signed in; renews or removes it."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        self.waiting = held(request)
        if self.waiting is not None:
            self.person = self.waiting[0]
        elif self.site.has_permission(request):
            self.person = request.user
        else:
            return redirect_to_login(request.get_full_path(), "admin:login")
        self.factor = second_factors().find(self.person)
        self.is_set_up = self.factor is not None and self.factor.confirmed_at is not None
        self.begins = self.waiting is not None or _BEGINS in request.session
        if self.waiting is not None and self.is_set_up:  # it is to be given, not to be changed
            return redirect("admin:second_factor_code")
        return super().dispatch(request, *args, **kwargs)

    def get(self, request: HttpRequest, form: Any = None) -> HttpResponse:
        """Set up: what may be done with it. Begun: the secret. Otherwise: the password is asked for."""
        context: dict[str, Any] = {"is_set_up": self.is_set_up, "factor": self.factor, "waiting": self.waiting}
        usual: forms.Form | None = CodeForm()
        if self.is_set_up:
            context["left"] = len(self.factor.recovery_codes)
        elif self.factor and self.begins and (shown := second_factors().shown(self.person, self.factor)):
            context["secret"], context["picture"] = shown
        else:
            usual = None if self.waiting else PasswordForm()
        return self.show(gettext("Second factor"), "second_factor.html", form=form or usual, **context)

    def post(self, request: HttpRequest) -> HttpResponse:
        able = {"renew": self._renew, "remove": self._remove} if self.is_set_up else {"begin": self._begin}
        if self.factor and self.begins and not self.is_set_up:
            able["confirm"] = self._confirm
        do = able.get(request.POST.get("do", ""))
        return do(request) if do else redirect("admin:second_factor")

    def _begin(self, request: HttpRequest) -> HttpResponse:
        form = PasswordForm(request.POST)
        if not self.waiting:
            if not self._knows_password(request, form):
                self.begins = False
                return self.get(request, form)
            request.session[_BEGINS] = True
        second_factors().begin(self.person)
        return redirect("admin:second_factor")

    def _knows_password(self, request: HttpRequest, form: PasswordForm) -> bool:
        if not form.is_valid():
            return False
        with identity.acting_as_auth():  # an older hash is made anew, as at a sign-in
            if _guessed(request, self.person, lambda: self.person.check_password(form.cleaned_data["password"])):
                return True
        form.add_error("password", _("This is not your password."))
        return False

    def _confirm(self, request: HttpRequest) -> HttpResponse:
        form = CodeForm(request.POST)
        codes = second_factors().confirm(self.person, form.cleaned_data["code"]) if form.is_valid() else None
        if codes is None:
            form.add_error("code", _WRONG_CODE)
            return self.get(request, form)
        address = ""
        if self.waiting:
            address = self.waiting[1]
            complete(request, self.person, proven=True)
        else:
            prove(request)
        request.session.pop(_BEGINS, None)
        return self._codes(codes, address)

    def _renew(self, request: HttpRequest) -> HttpResponse:
        form = CodeForm(request.POST)
        if not self._knows_code(request, form):
            return self.get(request, form)
        return self._codes(second_factors().renew(self.person))

    def _remove(self, request: HttpRequest) -> HttpResponse:
        form = CodeForm(request.POST)
        if not self._knows_code(request, form):
            return self.get(request, form)
        second_factors().remove(self.person)
        return redirect("admin:second_factor")

    def _knows_code(self, request: HttpRequest, form: CodeForm) -> bool:
        if not form.is_valid():
            return False
        if _guessed(request, self.person, lambda: second_factors().check(self.person, form.cleaned_data["code"])):
            return True
        form.add_error("code", _WRONG_CODE)
        return False

    def _codes(self, codes: list[str], address: str = "") -> HttpResponse:
        with identity.acting_as(self.person) if self.waiting else nullcontext():  # signed in by this request
            page: Any = self.show(gettext("Recovery codes"), "recovery_codes.html", codes=codes, address=address)
            return page.render()

"""The forms of signing in and of one's own password."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from moeen import throttle
from moeen.db.security import identity, sign_ins

_REFUSED = _("The e-mail address or the password is wrong, or this account may not sign in.")


class SignInForm(AuthenticationForm):
    """By e-mail address and password. What was wrong is not said."""

    def clean(self) -> dict[str, Any]:
        """Whoever has tried too often is refused like anybody else, with the right password too."""
        if self.request is None:
            return super().clean()
        account = self.cleaned_data.get("username", "")
        marks = throttle.marks(account, self.request.META.get("REMOTE_ADDR", ""))
        waits = throttle.is_exhausted(marks)
        if waits:
            sign_ins.record(sign_ins.LOCKED_OUT, account=account)
        try:
            found = super().clean()
        except ValidationError:
            throttle.count(marks)
            raise
        if waits:  # asked after the password was looked at: it takes as long
            self.user_cache = None
            raise self.get_invalid_login_error()
        throttle.forget(marks[:1])
        return found

    error_messages = {
        "invalid_login": _REFUSED,
        "inactive": _REFUSED,
    }


class OwnPasswordForm(PasswordChangeForm):
    """One's own password, the present one typed first."""

    required_css_class = "required"

    def save(self, commit: bool = True) -> Any:
        """As moeen_auth, in the person's name: no role of a person writes password hashes."""
        user = super().save(commit=False)
        if commit:
            with identity.bound(sign_ins.door(user)):
                user.save(update_fields=["password"])
        return user

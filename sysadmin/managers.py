"""How users are made and found: by e-mail address, without regard to case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.base_user import BaseUserManager
from django.db import models
from django.db.models import Value
from django.db.models.functions import Lower
from django.utils.translation import gettext as _

from moeen.db.models import PublicIdQuerySet, withhold
from moeen.db.security import identity

if TYPE_CHECKING:
    from sysadmin.models import User

# ``email__lower`` compiles to LOWER(email), which the unique index users_email_lower_key serves; iexact would
# compile to UPPER(email) and scan the table.
models.CharField.register_lookup(Lower)


#: What moeen_auth may read, and all that signing in needs. The rest comes when it is asked for, as the person.
CREDENTIALS = ("email", "password", "role", "is_active", "last_login")


class UserManager(BaseUserManager.from_queryset(PublicIdQuerySet)):  # type: ignore[misc]
    """Users by e-mail address. The columns that the current identity may not read are left out of its queries."""

    def get_queryset(self) -> Any:
        found = super().get_queryset()
        return found.only(*CREDENTIALS) if identity.current() == identity.AUTH else withhold(found)

    def get_by_natural_key(self, username: str | None) -> User:
        """The user of this e-mail address, in any case; ``User.DoesNotExist`` when there is none."""
        # Both sides are lowered by the database: Python and PostgreSQL disagree on some letters.
        return self.get(email__lower=Lower(Value(_without_nul(username))))

    async def aget_by_natural_key(self, username: str | None) -> User:
        return await self.aget(email__lower=Lower(Value(_without_nul(username))))

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """A saved user. Without a password the user exists but cannot sign in.

        Raises ValueError without an e-mail address, IntegrityError when it is taken.
        """
        user = self._new(email, password, **fields)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        """A saved user of role admin. Raises ValidationError when the address is malformed or taken."""
        user = self._new(email, password, **fields | {"role": self.model.Roles.ADMIN, "is_active": True})
        user.full_clean(validate_constraints=False)
        if self.filter(email__lower=Lower(Value(user.email))).exists():
            raise self.model.email_taken()
        user.save(using=self._db)
        return user

    create_superuser.alters_data = True  # type: ignore[attr-defined]
    create_user.alters_data = True  # type: ignore[attr-defined]

    def _new(self, email: str, password: str | None, **fields: Any) -> User:
        if not email:
            raise ValueError(_("A user needs an e-mail address."))
        user: User = self.model(email=self.normalize_email(email), **fields)
        if password is not None:
            user.set_password(password)
        return user


def _without_nul(username: str | None) -> str:
    """What to look for: PostgreSQL has no text with NUL in it, and nobody's address has one."""
    return (username or "").strip().replace("\0", "")

"""A demo clinic: made-up people and a month of work on either side of a day, the same for the same seed and day.

Each app that has a module `demo` furnishes the clinic with rows of its own: `furnish(clinic)`.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date, datetime, time, timedelta
from importlib import import_module
from random import Random
from typing import Any, TypeVar
from uuid import UUID

from django.apps import apps
from django.db import models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.crypto import get_random_string
from django.utils.module_loading import module_has_submodule
from django.utils.timezone import make_aware
from psycopg import sql

from moeen.db import public_ids, registry
from moeen.db.catalog import sizes
from moeen.db.codes import Code
from moeen.db.errors import FINDINGS, MoeenError
from moeen.db.roles import PEOPLE
from moeen.db.sql import compose
from sysadmin.models import Role, Setting, User

M = TypeVar("M", bound=models.Model)

#: How far the clinic's calendar reaches, back and ahead.
DAYS = 30
#: The setting by which a demo clinic is known.
MARK = "demo.clinic"
_LETTERS = string.ascii_lowercase + string.digits
# Without those that look alike.
_LEGIBLE = "abcdefghjkmnpqrstuvwxyz23456789"
_ROWS_AT_ONCE = 500

Tell = Callable[[int, int], None]


class RealRows(MoeenError):
    """The database holds rows that are no demo's."""

    default_code = Code.DEMO

    def __init__(self, database: str, tables: list[str]) -> None:
        shown = ", ".join(tables[:5]) + (f" and {len(tables) - 5} more tables" if len(tables) > 5 else "")
        super().__init__(
            f"Database {database} holds rows that are no demo's ({shown}). Nothing was changed.",
            next_step="`make demo` makes a demo clinic on an embedded server of its own.",
            exit_code=FINDINGS,
        )


@dataclass(frozen=True)
class Login:
    """Who can sign in to the demo clinic."""

    role: str
    email: str
    password: str


@dataclass(frozen=True)
class Seeded:
    """`made`: False where the clinic stood already, and only its logins got new passwords. `rows`: of each table."""

    database: str
    seed: int
    day: str
    made: bool
    rows: dict[str, int]
    logins: tuple[Login, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Clinic:
    """A demo clinic in the making, for the database of that alias, which is migrated.

    `chance` decides all that is made up; `today` is in the middle of its calendar.
    """

    def __init__(self, *, using: str, seed: int, today: date) -> None:
        self.using, self.today, self.chance = using, today, Random(seed)
        self.rows: dict[type[models.Model], list[Any]] = {}

    def add(self, model: type[M], *, at: datetime | None = None, **fields: Any) -> M:
        """A row of a table with public ids, made and last changed at that moment, today at midnight by default."""
        at = at or self.at(0)
        clocks = [
            field.name
            for field in model._meta.concrete_fields
            if isinstance(field, models.DateTimeField) and field.db_default is not models.NOT_PROVIDED
        ]
        body = "".join(self.chance.choices(_LETTERS, k=23))
        keys = {
            "id": UUID(int=self.chance.getrandbits(128), version=4),
            "public_id": f"{public_ids.prefix_of(model)}{self.chance.choice(string.ascii_lowercase)}{body}",
        }
        row = model(**keys | dict.fromkeys(clocks, at) | fields)
        self.rows.setdefault(model, []).append(row)
        return row

    def of(self, model: type[M]) -> list[M]:
        """The rows of the model that were made so far."""
        return self.rows.get(model, [])

    def at(self, days: int, hour: int = 0, minute: int = 0) -> datetime:
        """A moment of the day that is so many days from today, by the clinic's clock."""
        return make_aware(datetime.combine(self.day(days), time(hour, minute)))

    def day(self, days: int) -> date:
        return self.today + timedelta(days=days)

    def maybe(self, share: float, value: Any) -> Any:
        """The value in that share of the cases, else None."""
        return value if self.chance.random() < share else None

    def phone(self) -> str:
        return f"+96650000{self.chance.randint(0, 9999):04}"

    def person(self, mailbox: str, name: str, role: str) -> User:
        """Somebody known to the system. Those whose mailbox is their role get a password."""
        return self.add(User, at=self.at(-240), email=address(mailbox), name=name, role=role)

    def user(self, role: str) -> User:
        """The one of that role who signs in."""
        return next(user for user in self.of(User) if user.email == address(role))


def address(mailbox: str) -> str:
    """An e-mail address that is nobody's (RFC 2606)."""
    return f"{mailbox}@moeen.example"


def seed(
    connection: BaseDatabaseWrapper,
    *,
    seed: int,
    today: date,
    password: str = "",
    tell: Tell = lambda done, total: None,
) -> Seeded:
    """Puts a demo clinic into a migrated database that nobody has used yet, whole or not at all.

    Where one stands already its rows stay as they are. Its logins get the password, or one each that is made up here.
    Raises RealRows where rows of anybody else's stand.
    """
    database = str(connection.settings_dict["NAME"])
    logins = tuple(Login(role, address(role), password or _password()) for role in PEOPLE)
    with transaction.atomic(using=connection.alias):
        _hold(connection)
        mark = Setting.objects.using(connection.alias).filter(key=MARK).first()
        if mark is None:
            found = strangers_rows(connection)
            if found:
                raise RealRows(database, found)
            rows = _fill(connection, furnished(using=connection.alias, seed=seed, today=today), logins, tell)
            return Seeded(database, seed, today.isoformat(), made=True, rows=rows, logins=logins)
        known, day = _said(mark, database)
        people = {user.email: user for user in User.objects.using(connection.alias).filter(email__endswith=address(""))}
        logins = tuple(login for login in logins if login.email in people)  # whoever tries things out may remove one
        for login in logins:
            people[login.email].set_password(login.password)
            people[login.email].save(update_fields=["password"])
    return Seeded(database, known, day, made=False, rows={}, logins=logins)


def _said(mark: Setting, database: str) -> tuple[int, str]:
    """Of which seed and day the clinic is that stands already."""
    match mark.value:
        case {"seed": int(seed), "day": str(day)}:
            return seed, day
    raise MoeenError(
        f"The setting {MARK} of database {database} was changed, and says no longer which demo clinic it holds.",
        next_step="Begin anew: remove the folder of the demo (docs/serving.md), or the database.",
        exit_code=FINDINGS,
        code=Code.DEMO,
    )


def furnished(*, using: str, seed: int, today: date) -> Clinic:
    """The rows of all apps, in memory."""
    clinic = Clinic(using=using, seed=seed, today=today)
    for config in apps.get_app_configs():
        if module_has_submodule(config.module, "demo"):
            import_module(f"{config.name}.demo").furnish(clinic)
    clinic.add(
        Setting,
        key=MARK,
        value={"seed": seed, "day": today.isoformat()},
        description="هذه بيانات تجريبية، لا تخص أحدًا. Demo data: nobody's.",
    )
    return clinic


def strangers_rows(connection: BaseDatabaseWrapper) -> list[str]:
    """The tables with rows that neither migrations nor commands have made; other applications' tables count too."""
    made_by_us = {*registry.OWN_TABLES, registry.facts().audit_table, *sizes.BOOKKEEPING}
    names = sizes.populated(connection) - made_by_us
    if not Role.objects.using(connection.alias).filter(is_system=False).exists():
        names -= {Role._meta.db_table}
    return sorted(names)


def _fill(connection: BaseDatabaseWrapper, clinic: Clinic, logins: tuple[Login, ...], tell: Tell) -> dict[str, int]:
    for login in logins:
        clinic.user(login.role).set_password(login.password)
    total, done = sum(map(len, clinic.rows.values())), 0
    for model, rows in clinic.rows.items():
        for begin in range(0, len(rows), _ROWS_AT_ONCE):
            part = rows[begin : begin + _ROWS_AT_ONCE]
            model._default_manager.using(connection.alias).bulk_create(part)
            done += len(part)
            tell(done, total)
    return {model._meta.db_table: len(rows) for model, rows in clinic.rows.items()}


def _hold(connection: BaseDatabaseWrapper) -> None:
    """Nobody else writes while it is looked whether the tables are empty, and until they are filled."""
    tables = [model._meta.db_table for model in public_ids.PREFIXES.values() if model._meta.managed]
    names = sql.SQL(", ").join(sql.Identifier("public", name) for name in sorted(tables))
    with connection.cursor() as cursor:
        cursor.execute(compose("LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE", names=names))


def _password() -> str:
    """Sixteen characters in groups of four, 79 bits."""
    return "-".join(get_random_string(4, _LEGIBLE) for _ in range(4))

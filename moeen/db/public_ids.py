"""Public ids: the registry of prefixes, the field, the generators, and parsing.

A public id is ``<prefix><body>``, for example ``pat_x1y2...``: the only identifier the outside sees. New bodies are
cuid2 (24 characters, a letter first). Bodies that older databases hold are accepted for ever; ids of any other form,
which imports bring, are kept as aliases and lead to their rows:

========  =====================================================  =================================
form      body                                                   note
========  =====================================================  =================================
cuid2     ``[a-z][0-9a-z]{23}``                                  what is made today
legacy    ``c`` + 14 to 31 of ``[0-9a-z]``                       time, counter, random, host
dated     ``YYYYMMDD_`` + a counter of 6 to 12 digits            guessable: date and counter
========  =====================================================  =================================
"""

from __future__ import annotations

import enum
import functools
import itertools
import re
import secrets
import time
import unicodedata
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import cuid2
from django.core import checks
from django.core.exceptions import ImproperlyConfigured, ObjectDoesNotExist
from django.db import DEFAULT_DB_ALIAS, ProgrammingError, connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import Func, Value
from psycopg import sql

from moeen.db.security import identity

#: The SQL function that is every public_id column's default.
SQL_GENERATOR = "app.generate_public_id"
MAX_LENGTH = 255  # what the older databases declared; keeping it spares them a rewrite
LONGEST = 36  # prefix of 4, "c" and 31 characters
PREFIX_PATTERN = re.compile(r"[a-z]{3}_")
PREFIX_LENGTH = 4


class Form(enum.StrEnum):
    """How the part after the prefix was made."""

    CUID2 = "cuid2"
    LEGACY = "legacy"
    DATED = "dated"


#: The bodies of each form, as regular expressions that Python and PostgreSQL read alike.
BODIES: Mapping[Form, str] = {
    Form.CUID2: "[a-z][0-9a-z]{23}",
    Form.LEGACY: "c[0-9a-z]{14,31}",
    Form.DATED: "[0-9]{8}_[0-9]{6,12}",
}


class PublicIdError(ValueError):
    """The text is not a public id of this project; the message says in which respect."""


@dataclass(frozen=True)
class PublicId:
    """A well-formed public id: its text, its prefix, how it was made, and the model whose rows bear the prefix."""

    text: str
    prefix: str
    form: Form
    model: type[models.Model]


class Registry(Mapping[str, type[models.Model]]):
    """Prefix -> model, filled as the models are loaded. One prefix, one model."""

    def __init__(self) -> None:
        self._models: dict[str, type[models.Model]] = {}

    def register(self, prefix: str, model: type[models.Model]) -> None:
        """Raises ImproperlyConfigured when another model bears the prefix already."""
        bearer = self._models.setdefault(prefix, model)
        if bearer._meta.label != model._meta.label:
            raise ImproperlyConfigured(
                f"Public id prefix {prefix!r} of {model._meta.label} is taken by {bearer._meta.label}."
            )

    def __getitem__(self, prefix: str) -> type[models.Model]:
        return self._models[prefix]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._models))

    def __len__(self) -> int:
        return len(self._models)


#: The one place that knows all prefixes.
PREFIXES = Registry()


def prefix_of(model: type[models.Model]) -> str:
    """The prefix of a model's public ids; LookupError when it has none."""
    for field in model._meta.concrete_fields:
        if isinstance(field, PublicIdField):
            return field.prefix
    raise LookupError(f"{model._meta.label} has no public id.")


def prefix_in(default: str) -> str:
    """The prefix that a column's default makes ids with, as PostgreSQL writes that default; "" where it makes none."""
    found = re.match(rf"{re.escape(SQL_GENERATOR)}\('({PREFIX_PATTERN.pattern})'", default)
    return found[1] if found else ""


def generate(prefix: str) -> str:
    """A new public id, made by the application; ``app.generate_public_id`` is the database's twin."""
    return prefix + cuid2.create_id()


def legacy_cuid() -> str:
    """A body in the legacy form: ``c``, then base-36 milliseconds, counter, four random and two host characters.

    For compatibility with older systems and their tests only: half of it can be guessed.
    """
    host = _base36(uuid.getnode() % 36**2).rjust(2, "0")
    noise = _base36(secrets.randbelow(36**4)).rjust(4, "0")
    return f"c{_base36(time.time_ns() // 1_000_000)}{_base36(next(_legacy_counter))}{noise}{host}"


def parse(text: str, *, prefix: str | None = None) -> PublicId:
    """The parts of a public id, which must bear ``prefix`` where one is given.

    A body of 24 characters is cuid2, even where it begins with c: the two forms meet there, and mean the same row.
    Raises PublicIdError, naming what is wrong, for every text that is not exactly such a public id.
    """
    if not isinstance(text, str):
        raise PublicIdError(f"A public id is text, not {type(text).__name__}.")
    if len(text) > LONGEST:
        raise PublicIdError(f"Too long: {len(text)} characters where a public id has at most {LONGEST}.")
    for position, character in enumerate(text, start=1):
        if not ("a" <= character <= "z" or "0" <= character <= "9" or character == "_"):
            raise PublicIdError(f"Character {position} {_fault(character)}; only a-z, 0-9 and _ occur in a public id.")
    found, body = text[:PREFIX_LENGTH], text[PREFIX_LENGTH:]
    if not PREFIX_PATTERN.fullmatch(found):
        raise PublicIdError("No prefix: a public id begins with three letters and _, as in pat_.")
    if found not in PREFIXES:
        raise PublicIdError(f"Unknown prefix {found}; the prefixes are {', '.join(PREFIXES)}.")
    if prefix not in (None, found):
        raise PublicIdError(f"Wrong prefix: {found} is that of {PREFIXES[found]._meta.db_table}; {prefix} is expected.")
    for form, pattern in BODIES.items():
        if re.fullmatch(pattern, body):
            return PublicId(text=text, prefix=found, form=form, model=PREFIXES[found])
    raise PublicIdError(f"After {found} {_misshape(body)}.")


def look_up(text: str, *, using: str | None = None) -> models.Model:
    """The row that bears this public id, or bore it before, of whatever table.

    Raises ObjectDoesNotExist for an unknown one, and for a row that the caller may not see.
    """
    using = using or DEFAULT_DB_ALIAS
    try:
        return _of_model(parse(text).model, text, using)
    except (PublicIdError, ObjectDoesNotExist) as error:
        unknown = ObjectDoesNotExist(str(error))
    bearer = bearer_of_alias(text, using=using) if may_be_alias(text) else None
    model = next((one for one in PREFIXES.values() if bearer and one._meta.db_table == bearer.table), None)
    if model is None:
        raise unknown
    try:
        with transaction.atomic(using):  # a caller who may not read the table at all goes on, and is told no more
            return _of_model(model, text, using)
    except (ObjectDoesNotExist, ProgrammingError) as error:
        raise unknown from error


def _of_model(model: type[models.Model], text: str, using: str) -> models.Model:
    row: models.Model = model._default_manager.using(using).get_by_public_id(text)  # type: ignore[attr-defined]
    return row


class Bearer(NamedTuple):
    """Whose a former public id was."""

    table: str
    row_id: uuid.UUID


def may_be_alias(text: object) -> bool:
    """Whether a column can hold the text: former ids have any form."""
    return isinstance(text, str) and 0 < len(text) <= MAX_LENGTH and not re.search("[\0\ud800-\udfff]", text)


def bearer_of_alias(text: str, *, using: str) -> Bearer | None:
    """The row that bore this public id before it got another one, for a query by whoever asks.

    Not to be told to them: it says that there is such a row, whether they may see it or not. So their role cannot ask.
    """
    asking = identity.bound(identity.AUTH if identity.current().role else identity.OPERATOR)
    with asking, connections[using].cursor() as cursor:
        cursor.execute("SELECT table_name, row_id FROM app.bearer_of_alias(%s) WHERE row_id IS NOT NULL", [text])
        row = cursor.fetchone()
    return Bearer(*row) if row else None


class PublicIdField(models.CharField):  # type: ignore[type-arg]  # its parameters exist for type checkers only
    """A table's public id: not null, unique, collation "C", made in Python or by the database, of checked form."""

    description = "Prefixed public id"

    def __init__(self, *, prefix: str, **kwargs: Any) -> None:
        self.prefix = prefix
        super().__init__(**kwargs | self._fixed(prefix))

    @staticmethod
    def _fixed(prefix: str) -> dict[str, Any]:
        """What every public id column shares; never written to migrations."""
        return {
            "max_length": MAX_LENGTH,
            "unique": True,
            "editable": False,
            "default": functools.partial(generate, prefix),
            "db_default": Func(Value(prefix), function=SQL_GENERATOR, output_field=models.CharField()),
            "db_collation": "C",
        }

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        fixed = {key: value for key, value in kwargs.items() if key not in self._fixed(self.prefix)}
        return name, path, args, fixed | {"prefix": self.prefix}

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        errors = super().check(**kwargs)
        if not PREFIX_PATTERN.fullmatch(self.prefix):
            hint = "Three lower-case letters and an underscore, such as pat_."
            errors.append(checks.Error(f"Prefix {self.prefix!r} is malformed.", hint=hint, obj=self, id="moeen.E001"))
        return errors

    def contribute_to_class(self, cls: type[models.Model], name: str, private_only: bool = False) -> None:
        super().contribute_to_class(cls, name, private_only)
        # Migrations rebuild past models in a module of this name; those bear no prefix of their own.
        if not cls._meta.abstract and cls.__module__ != "__fake__":
            PREFIXES.register(self.prefix, cls)

    def db_check(self, connection: BaseDatabaseWrapper) -> str:
        """The CHECK on the form: this table's prefix, and a new or a legacy body."""
        return form_condition(sql.Identifier(self.column), self.prefix).as_string(None)


def alphabets(prefix: str) -> tuple[str, str]:
    """What ids of this prefix are made of, as regular expressions: the forms with letters, and the dated one."""
    return f"^{prefix}[a-z][0-9a-z]*$", f"^{prefix}[0-9]+_[0-9]+$"


def form_condition(value: sql.Composable, prefix: str) -> sql.Composed:
    """SQL that is true of the public ids of this prefix, false of other text: what BODIES say.

    Lengths are looked at by themselves: PostgreSQL takes seven times as long for a pattern that counts repetitions.
    """
    letters, dated = map(sql.Literal, alphabets(prefix))
    return sql.SQL(
        "{value} ~ {letters} AND (length({value}) = 28"
        " OR substr({value}, 5, 1) = 'c' AND length({value}) BETWEEN 19 AND 36)"
        " OR {value} ~ {dated} AND substr({value}, 13, 1) = '_' AND length({value}) BETWEEN 19 AND 25"
    ).format(value=value, letters=letters, dated=dated)


_legacy_counter = itertools.count(1)
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def _base36(number: int) -> str:
    digits = ""
    while True:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
        if not number:
            return digits


def _misshape(body: str) -> str:
    """In which respect a body of allowed characters is none."""
    if not body:
        return "nothing follows, where 24 characters should"
    if re.fullmatch("[0-9]+_[0-9]*", body):
        return "follow eight digits, _ and 6 to 12 digits in the dated form; here there are more or fewer"
    if "_" in body:
        return "comes no further _, but 24 letters and digits"
    if body[0].isdigit():
        return "comes a letter first; here it is a digit"
    return f"follow 24 characters, or c and 14 to 31 in the legacy form; here there are {len(body)}"


def _fault(character: str) -> str:
    """What is wrong with a character, told by its number and name: it may be invisible or look like another."""
    code = f"U+{ord(character):04X}"
    name = unicodedata.name(character, "")
    described = f"{code} {name}" if name else code
    if character == "\0":
        return "is NUL"
    if "A" <= character <= "Z":
        return "is upper case"
    if character.isspace():
        return f"is white space ({described})"
    if character.isdecimal() or character.isdigit() or character.isnumeric():
        return f"is a digit of another script ({described})"
    if character.isalpha():
        return f"is a letter of another alphabet, whatever it looks like ({described})"
    return f"does not belong there ({described})"

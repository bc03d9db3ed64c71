"""The abstract bases of every table: a uuid key, times kept by the database, look-up by public id."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar, TypeVar

from django.contrib.postgres.functions import RandomUUID
from django.db import models

from moeen.db import public_ids
from moeen.db.functions import Now
from moeen.db.security import identity

M = TypeVar("M", bound=models.Model)


class PublicIdQuerySet(models.QuerySet[M]):
    """Rows by what the outside calls them."""

    def get_by_public_id(self, text: str) -> M:
        """The row of this public id, or of one it bore before, which may have any form.

        Raises ``DoesNotExist`` for an unknown or another table's id. Whether there is a row that the caller may not
        see, neither the message nor the number of queries tells.
        """
        unknown = f"{self.model._meta.object_name} matching query does not exist."
        try:
            public_ids.parse(text, prefix=public_ids.prefix_of(self.model))
        except public_ids.PublicIdError as error:
            unknown = str(error)
        if public_ids.may_be_alias(text):
            found = self.filter(public_id=text).first()
            if found is None:
                bearer = public_ids.bearer_of_alias(text, using=self.db)
                is_ours = bearer is not None and bearer.table == self.model._meta.db_table
                found = self.filter(pk=bearer.row_id if bearer and is_ours else uuid.uuid4()).first()
            if found is not None:
                return found
        raise self.model.DoesNotExist(unknown)  # type: ignore[attr-defined]


class Manager(models.Manager.from_queryset(PublicIdQuerySet)):  # type: ignore[misc]
    """Rows without the columns that the current identity may not read."""

    def get_queryset(self) -> Any:
        return withhold(super().get_queryset())


def withhold(queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
    """The same rows without the columns that the current identity may not read."""
    names = queryset.model.withheld_from(identity.current().role)
    return queryset.defer(*names) if names else queryset


def without_withheld(queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
    """The same rows; of those they refer to, select_related() loads nothing that is withheld or clinical."""
    role = identity.current().role
    names = [
        f"{field.name}__{withheld}"
        for field in queryset.model._meta.concrete_fields
        if hasattr(field.related_model, "withheld_from")
        for withheld in (*field.related_model.withheld_from(role), *field.related_model.clinical_fields)
    ]
    return queryset.defer(*names) if names else queryset


def lean(queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
    """The same rows, whose clinical fields are read when they are looked at."""
    names = getattr(queryset.model, "clinical_fields", ())
    return queryset.defer(*names) if names else queryset


class LeanManager(Manager):
    """Rows for those that refer to them: of a patient's name, nobody opens the record."""

    def get_queryset(self) -> Any:
        return lean(super().get_queryset())


class KeyField(models.UUIDField):  # type: ignore[type-arg]  # no generic at run time
    """A uuid that the database makes: no role of a person chooses one (app.keep_identity).

    Migrations go on calling it a UUIDField with a default in Python, which is nothing to the database.
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.pop("default", None)
        super().__init__(**kwargs | {"primary_key": True, "db_default": RandomUUID(), "editable": False})

    def deconstruct(self) -> Any:
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.UUIDField", args, kwargs | {"default": uuid.uuid4}


class Model(models.Model):
    """A row with a uuid key."""

    #: Fields of a patient's clinical record: whoever reads one in a request is entered in the audit log.
    clinical_fields: ClassVar[tuple[str, ...]] = ()

    id = KeyField()

    objects = Manager()
    referred = LeanManager()

    class Meta:
        abstract = True

    def refresh_from_db(self, using: Any = None, fields: Any = None, from_queryset: Any = None) -> None:
        wanted = self.clinical_fields if fields is None else set(fields) & set(self.clinical_fields)
        if wanted and from_queryset is None:
            # A lean manager would leave them out: they would stay as they were, or be looked up for ever.
            from_queryset = models.QuerySet(type(self))
        super().refresh_from_db(using=using, fields=fields, from_queryset=from_queryset)

    @classmethod
    def withheld_from(cls, role: str) -> tuple[str, ...]:
        """Fields that this database role may not read, so that queries leave them out; "" is the operator."""
        return ()


class TimestampedModel(Model):
    """A row that knows when it was made and last changed; the trigger ``<table>_updated_at_set`` keeps the latter."""

    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        abstract = True

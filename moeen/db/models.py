"""The abstract bases of every table: a uuid key, times kept by the database, look-up by public id."""

from __future__ import annotations

import uuid
from typing import TypeVar

from django.contrib.postgres.functions import RandomUUID
from django.db import models

from moeen.db import public_ids
from moeen.db.functions import Now

M = TypeVar("M", bound=models.Model)


class PublicIdQuerySet(models.QuerySet[M]):
    """Rows by what the outside calls them."""

    def get_by_public_id(self, text: str) -> M:
        """The row of this public id, or of one it bore before.

        Raises ``DoesNotExist`` for an unknown, malformed or other table's id.
        """
        try:
            public_ids.parse(text, prefix=public_ids.prefix_of(self.model))
        except public_ids.PublicIdError as error:
            raise self.model.DoesNotExist(str(error)) from error  # type: ignore[attr-defined]
        found = self.filter(public_id=text).first()
        if found is not None:
            return found
        # pk is never NULL: without an alias this raises DoesNotExist.
        return self.get(pk=public_ids.row_of_alias(text, using=self.db))


class Model(models.Model):
    """A row with a uuid key. The default stands in Python *and* in the database, so that every writer gets one."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, db_default=RandomUUID(), editable=False)

    objects = PublicIdQuerySet.as_manager()

    class Meta:
        abstract = True


class TimestampedModel(Model):
    """A row that knows when it was made and last changed; the trigger ``<table>_updated_at_set`` keeps the latter."""

    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        abstract = True

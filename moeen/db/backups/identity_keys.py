"""The keys that identities are signed with belong to the place where a database serves, not to its backups.

Who serves a copy could otherwise sign for the people of its original, and a key that was retired would come back.
"""

from __future__ import annotations

from moeen.db.backups.login import Login
from moeen.db.security import signing
from moeen.db.security.signing import Key

_APPLICATION = "moeen backups"


def settle(restored: Login, *, place: Login | None, is_same: bool) -> str:
    """Give what was restored the keys of the database in whose place it comes; or a new one, whose id is returned.

    `place`: that database, while it stands under its own name, None where nothing stands. `is_same`: the backup is of
    this database; where nothing stands it keeps the backup's keys then. Nothing is done where the backup holds none.
    `restored`: a login without power, for functions of the backup's run.
    """
    known: list[Key] = []
    if place is not None:
        with place.connect(application=_APPLICATION) as connection:
            known = signing.keys(connection)
    if is_same and not known:
        return ""
    with restored.connect(application=_APPLICATION) as connection, connection.transaction():
        standing = signing.keys(connection)
        if not standing or standing == known:
            return ""
        signing.replace(connection, known or [Key.new()])
        return "" if known else signing.keys(connection)[0].id

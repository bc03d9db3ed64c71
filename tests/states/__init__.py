"""The start states of a database, as SQL, and databases that stand in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.db import connections

from moeen.db.server import programs
from tests import servers
from tests.templates import EMPTY, SHAPES

HERE = Path(__file__).parent

CORE = ("core.sql", "rows_core.sql")
FULL = (*CORE, "full.sql", "rows_full.sql")
#: State -> the files that make it, in order.
STATES: dict[str, tuple[str, ...]] = {
    "fresh": (),
    "core": CORE,
    "full": FULL,
    "full_users_public_id": (*CORE, "full.sql", "users_public_id.sql", "rows_full.sql"),
    "foreign_integer_keys": ("foreign_integer_keys.sql",),
    "foreign_columns": (*CORE, "foreign_columns.sql"),
    "foreign_view": ("foreign_view.sql",),
    "unmappable_core": (*CORE, "unmappable_core.sql"),
    "unmappable_full": (*FULL, "unmappable_full.sql"),
}
#: The session's own server; a cluster shaped like Supabase; the other versions that are at hand.
OWN = f"embedded-{programs.MAJOR}"
PLACES = ("here", "supabase", *(name for name in servers.versions() if name != OWN))

_servers: dict[str, Any] = {}
_templates: dict[tuple[str, str], str] = {}


def load(connection: Any, state: str) -> None:
    """Make a state in an empty database. ``connection``: psycopg's, in autocommit mode, of the database's owner."""
    for name in STATES[state]:
        connection.execute((HERE / name).read_text(encoding="utf-8"))


def database(new_database: Any, state: str, *, place: str = "here") -> Any:
    """A new database in this state: a copy of one that is made once a session. Owned by no superuser."""
    server = _server(place)
    owner = SHAPES[place].owner if place == "supabase" else None
    if (place, state) not in _templates:
        template = new_database(server=server, owner=owner, template=EMPTY if place == "supabase" else "template0")
        with template.connect() as connection:
            load(connection, state)
        _templates[place, state] = template.name
    return new_database(server=server, owner=owner, template=_templates[place, state])


def migrated(new_database: Any, *, place: str = "here") -> Any:
    """A database that was migrated from nothing."""
    owner = SHAPES[place].owner if place == "supabase" else None
    return new_database.migrated(server=_server(place), owner=owner)


def copy(new_database: Any, original: Any) -> Any:
    """A copy of a database; Django's connection to that is closed, nobody else may be connected."""
    connections[original.alias].close()
    return new_database(server=original.target.server, owner=original.owner, template=original.name)


def _server(place: str) -> Any:
    if place == "here":
        return None
    if place not in _servers:
        if place == "supabase":
            _servers[place] = servers.start(shape="supabase")
        else:
            _servers[place] = servers.start(bin_dir=servers.versions()[place])
    return _servers[place]

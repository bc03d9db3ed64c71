"""The start states of a database, as SQL, and databases that stand in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from moeen.db.server import programs
from tests import servers

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
    server = _server(new_database, place)
    owner = "postgres" if place == "supabase" else None
    if (place, state) not in _templates:
        shaped = _templates.get((place, "empty"), "template0")
        template = new_database(server=server, owner=owner, template=shaped)
        with template.connect() as connection:
            load(connection, state)
        _templates[place, state] = template.name
    made = new_database(server=server, owner=owner, template=_templates[place, state])
    with made.connect() as connection:
        # Values without a zone count as UTC, whatever the clinic's server thinks the time is.
        connection.execute(f"ALTER DATABASE {made.name} SET timezone TO 'America/New_York'")
    return made


def copy(new_database: Any, original: Any) -> Any:
    """A copy of a database that nobody else is connected to."""
    return new_database(server=original.target.server, owner=original.owner, template=original.name)


def _server(new_database: Any, place: str) -> Any:
    if place == "here":
        return None
    if place not in _servers:
        if place == "supabase":
            _servers[place] = servers.start(superuser="supabase_admin")
            shaped = new_database(server=_servers[place], owner="supabase_admin")
            with shaped.admin() as connection:
                connection.execute((HERE / "supabase.sql").read_text(encoding="utf-8"))
            _templates[place, "empty"] = shaped.name
        else:
            _servers[place] = servers.start(bin_dir=servers.versions()[place])
    return _servers[place]

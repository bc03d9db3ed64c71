"""What every process that serves does first: it makes sure that it does so as a login that row security binds.

Commands do not come here. Where no database answers yet, the engine looks at the first connection.
"""

from __future__ import annotations

import os
import sys
import threading

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db.errors import MoeenError
from moeen.db.explain import explain
from moeen.db.security import web_login

_warned = False


def hindrance(connection: BaseDatabaseWrapper) -> web_login.Refused | web_login.NotMade | None:
    """What would keep the web from serving this database, asked over an operator's connection; None: nothing."""
    words = connection.settings_dict
    database = str(words["NAME"])
    if not settings.WEB_LOGIN:
        return web_login.served_by_owner(str(words["USER"]), database)
    connection.ensure_connection()
    found = web_login.standing(connection.connection, login=settings.WEB_LOGIN)
    if found is None or found.lacks:
        says = f"it {found.lacks[0]}" if found else "there is no such login"
        step = "Run `manage.py migrate`, which makes it." if words.get("EMBEDDED") else web_login.steps(database)
        return web_login.NotMade(f"The web cannot serve as {settings.WEB_LOGIN}: {says}.", next_step=step)
    return web_login.refusal(found, database) if found.powers else None


def refuse_owner() -> None:
    """Raise web_login.Refused unless this process may serve. A developer's, with DEBUG, may, and is warned."""
    entry = settings.DATABASES[DEFAULT_DB_ALIAS]
    if not settings.WEB_LOGIN:
        refusal = web_login.served_by_owner(entry["USER"], entry["NAME"])
        if not settings.DEBUG:
            raise refusal
        _warn(f"{refusal.cause} Without DEBUG it does not start; `manage.py print_web_role_sql` makes a login for it.")
        return
    found: list[Exception] = []
    # In a thread of its own: an asynchronous server imports the application inside its event loop, and a connection
    # that was made before a server forks must be closed.
    thread = threading.Thread(target=_ask, args=(found,))
    thread.start()
    thread.join()
    for error in found:
        if isinstance(error, MoeenError):
            raise error
        known = explain(error)
        cause = known.cause if known else type(error).__name__
        _warn(f"{cause} The server starts; the login is looked at with the first request.")


def _ask(found: list[Exception]) -> None:
    try:
        connections[DEFAULT_DB_ALIAS].ensure_connection()  # the engine looks at the login
    except (DatabaseError, MoeenError) as error:
        found.append(error)
    finally:
        connections[DEFAULT_DB_ALIAS].close()


def _warn(text: str) -> None:
    global _warned
    # runserver's reloader is a process of its own, which has said it already.
    if not _warned and os.environ.get("RUN_MAIN") != "true":
        print(f"Warning: {text}", file=sys.stderr)
    _warned = True

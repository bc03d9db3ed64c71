"""One connection on which every road can be walked inside one transaction, so that what that has changed is seen.

The connection is a superuser's, whose session acts as the owner; a superuser's rights are used for mutations alone.
"""

import json
import re
import time
from contextlib import contextmanager

import psycopg
from psycopg import sql

from moeen.db.security import identity, signing
from tests.access import roads
from tests.access.functions import FUNCTIONS, NOTHING, Error, Warned
from tests.access.matrix import ACTORS

_STEP = re.compile(
    r"(?P<who>\w+?)(?:/(?P<label>\w+))?(?:~(?P<forged>[\w ]+))?(?P<claims>\{.*?\})?: (?P<statements>.+)", re.S
)
_PLATFORM = ("anon", "authenticated", "service_role")
_BIND = """SELECT set_config('role', %s, true), set_config('request.jwt.claims', %s, true),
                  set_config('moeen.signature', %s, true)"""


class Stage:
    """Plays the cases of FUNCTIONS. `owner`: the role that owns the database; `neighbour`: another connection of it."""

    def __init__(self, connection, world, owner, *, neighbour):
        self.connection, self.world, self.owner, self.neighbour = connection, world, owner, neighbour
        neighbour.autocommit = False
        self.warnings = []
        connection.add_notice_handler(lambda said: self._hear(said))
        connection.execute(sql.SQL("SET SESSION AUTHORIZATION {}").format(sql.Identifier(owner)))
        self.key = signing.signer_for(connection, configured="").key

    def _hear(self, said):
        if said.severity == "WARNING":
            self.warnings.append(said.message_primary)

    @contextmanager
    def as_superuser(self):
        self.connection.execute("RESET SESSION AUTHORIZATION")
        yield self.connection.execute
        self.connection.execute(sql.SQL("SET SESSION AUTHORIZATION {}").format(sql.Identifier(self.owner)))

    @contextmanager
    def undone(self):
        """What is done in it is undone. Locks are given back as well."""
        self.connection.execute("SAVEPOINT stage")
        try:
            yield
        finally:
            self.connection.execute("ROLLBACK TO SAVEPOINT stage")
            self.connection.execute("RELEASE SAVEPOINT stage")

    def differences(self, names=None):
        """What the functions do otherwise than is written down, as lines."""
        return [line for name in names or FUNCTIONS for line in self._differences(name)]

    def _differences(self, name):
        for expected, *steps in FUNCTIONS[name].cases:
            steps = [self._filled(step) for step in steps]
            found = self.played(steps)
            warning, result = (expected.text, expected.result) if isinstance(expected, Warned) else ("", expected)
            result = self._filled(result) if isinstance(result, str) else result
            agrees = type(found) is type(result) and found == result and bool(warning) == bool(self.warnings)
            if not agrees or any(warning not in said for said in self.warnings):
                said = f", with {self.warnings}" if self.warnings else ""
                yield f"{name}: {' | '.join(steps)}: expected {expected!r}, found {found!r}{said}"

    def _filled(self, text):
        text = re.sub(r"<(\w+)\.([\w >-]+)>", lambda found: self.world.keys[found[1]][found[2]], text)
        return re.sub(r"\[signature of (\w+)\]", lambda found: self.signature("", f"moeen_{found[1]}", ""), text)

    def played(self, steps):
        """What comes out of the last step; an Error ends the case."""
        self.warnings.clear()
        with self.undone():
            try:
                for step in steps:
                    found = self._step(**_STEP.fullmatch(step).groupdict())
            except psycopg.Error as error:
                if error.sqlstate is None:
                    raise
                return Error(error.sqlstate)
            finally:
                self.neighbour.rollback()
        return found

    def _step(self, who, label, forged, claims, statements):
        if who in (*_PLATFORM, "authenticator") and (who != "anon" or label or claims):
            return self._from_platform(who, label, forged, claims, statements)
        if who == "owner":
            return self._run(statements)
        if who == "superuser":
            with self.as_superuser():
                return self._run(statements)
        if who == "neighbour":
            return self._run(f"SET LOCAL lock_timeout = '1s'; {statements}", self.neighbour)
        if who in ACTORS:
            person = self.world.keys["users"][label or ACTORS[who]]
            said = claims or identity.person(person, who).claims
        else:
            said = claims or ""
        role = f"moeen_{who}"
        self.connection.execute(_BIND, [role, said, self.signature(forged, role, said)])
        found = self._run(statements)
        self.connection.execute(_BIND, ["none", "", ""])
        return found

    def _from_platform(self, role, label, forged, claims, statements):
        """As PostgREST comes."""
        if claims is None:
            sub = {"sub": self.world.keys["users"][label]} if label else {}
            claims = json.dumps({"role": role, **sub})
        self.connection.execute("RESET SESSION AUTHORIZATION")
        login = role if forged == "as login unbound" else "authenticator"
        self.connection.execute(sql.SQL("SET SESSION AUTHORIZATION {}").format(sql.Identifier(login)))
        self.connection.execute(_BIND, [role if role != login else "none", claims, ""])
        if forged is None:
            self.connection.execute("SELECT app.bind_request()")
        found = self._run(statements)
        self.connection.execute(_BIND, ["none", "", ""])
        self.connection.execute("RESET SESSION AUTHORIZATION")
        self.connection.execute(sql.SQL("SET SESSION AUTHORIZATION {}").format(sql.Identifier(self.owner)))
        return found

    def _run(self, statements, connection=None):
        cursor = (connection or self.connection).execute(statements)
        while cursor.nextset():
            pass
        if cursor.description is None:
            return cursor.rowcount
        row = cursor.fetchone()
        return row[0] if row else NOTHING

    def signature(self, kind, role, claims):
        """A signature over role and claims, wrong in the way that FORGERIES names."""
        key, expiry = self.key, int(time.time()) + signing.LIFETIME
        if kind == "unsigned":
            return ""
        if kind == "nonsense":
            return "x"
        if kind == "expired":
            expiry = int(time.time()) - 2
        elif kind == "role":
            role = "moeen_anon" if role != "moeen_anon" else "moeen_patient"
        elif kind == "claims":
            claims = "" if claims else "{}"
        elif kind == "other claims":
            claims = identity.person(self.world.keys["users"]["p2"], "patient").claims
        elif kind == "unknown key":
            key = signing.Key.new()
        elif kind == "other secret":
            key = signing.Key(key.id, signing.Key.new().secret)
        elif kind == "other id":
            key = signing.Key(signing.Key.new().id, key.secret)
        signature = key.sign(role=role, claims=claims, expiry=expiry)
        id_, expires, mac = signature.split(".")
        if kind == "longer":
            return f"{signature}.0"
        if kind == "upper case":
            return f"{id_}.{expires}.{mac.upper()}"
        if kind == "shorter":
            return signature[:-1]
        if kind == "no number":
            return f"{id_}.abcdefabcd.{mac}"
        return signature


class StageRoad(roads.OwnerRoad):
    """The matrix's road on a stage."""

    def __init__(self, stage):
        self.connection, self.world = stage.connection, stage.world
        self.signer = signing.Signer(stage.key, 0.0)

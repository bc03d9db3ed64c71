"""Whoever can run any SQL inside a request gains nothing: the attacks of tests/access/attacks, as every role.

Each is run in a request of that role's, on both roads, through PgBouncer with one server connection for everybody.
Asked are, in the attacked transaction, what is seen now; of the results, whether they hold what the role may not read;
in the next request, another person's, whether they see exactly what the matrix says; of the database, whether anything
has changed.
"""

import json
import re
import time
from contextlib import ExitStack, contextmanager

import psycopg
import pytest
from django.db import DatabaseError, connections, transaction

from moeen.db.errors import MoeenError
from moeen.db.security import identity, signing
from moeen.db.security.access import web_role_sql
from moeen.env import parse_database_url
from tests import servers
from tests.access import attacks, roads
from tests.access.attacks import state
from tests.access.matrix import ACTORS, MATRIX
from tests.test_row_security import Proof

ATTACKS = attacks.read()
LOGIN, OTHER_LOGIN = "moeen_web", "other_web"
#: Tables that are looked at after each attack: the most telling ones.
TELLING = (
    "users", "patients", "sessions", "internal_messages", "messages", "audit_logs", "settings", "user_roles",
    "django_session", "chatbot_integrations", "crm_leads",
)  # fmt: skip
#: Texts that stand in rows or statements -> the roles that may read them. `gained` is said by the attacks themselves.
TELLTALES = {
    "gained": set(),
    "told-password": {"auth"},
    "told-webhook": set(),
    "told-diagnosis": {"admin"},
    "told-history": {"staff", "supervisor", "admin"},
    "told-statement": set(),
    "a1@example.test": {"staff", "supervisor", "admin", "service", "auth"},
}
#: What stands in the way of an attack, whatever road it came by.
STOPPED = (DatabaseError, psycopg.Error, MoeenError)

PLACES = list(servers.versions())


def _forget(alias):
    connections[alias].close()
    del connections[alias], connections.settings[alias]


class Django:
    """A person's request through the engine, on a pooled connection."""

    roles = roads.DjangoRoad.roles
    login = LOGIN

    def __init__(self, database, world, url):
        self.alias = "attacked"
        self.road = roads.DjangoRoad(database, world)
        entry = {"ENGINE": "moeen.db.engine", **parse_database_url(url), "POOLED": True}
        entry["IDENTITY_KEY"] = database.identity_key()
        connections.settings[self.alias] = connections.configure_settings({"default": {}, self.alias: entry})[
            self.alias
        ]

    @contextmanager
    def request(self, role):
        with identity.bound(self.road.identity(role)):
            try:
                with transaction.atomic(using=self.alias):
                    yield connections[self.alias].cursor()
            finally:
                connections[self.alias].close()

    def close(self):
        _forget(self.alias)


class Api:
    """A person's request as PostgREST makes it, on a pooled connection."""

    roles = roads.ApiRoad.roles
    login = "authenticator"

    def __init__(self, database, world, url):
        self.road, self.url = roads.ApiRoad(database, world), url

    @contextmanager
    def request(self, role):
        claims = self.road.claims(role)
        with psycopg.connect(self.url, autocommit=True, prepare_threshold=None) as connection:
            connection.execute("BEGIN")
            connection.execute(
                "SELECT set_config('role', %s, true), set_config('request.jwt.claims', %s, true)",
                [claims["role"], json.dumps(claims)],
            )
            connection.execute("SELECT app.bind_request()")
            yield connection.cursor()
            connection.execute("COMMIT")

    def close(self):
        self.road.close()


class Siege:
    """A migrated database with the world's rows in it, two roads through poolers, and what it was like before."""

    def __init__(self, database, stack):
        self.proof = Proof(database)
        self.database, self.world = database, self.proof.world
        self.admin = stack.enter_context(database.admin())
        for login in (LOGIN, OTHER_LOGIN):
            script = web_role_sql(login=login, database=database.name, api=False)
            self.admin.execute(script.replace("PASSWORD '...'", ""))
        self.owner = stack.enter_context(database.connect())
        self.owner.execute("""
            UPDATE users SET password_hash = 'told-password';
            UPDATE chatbot_integrations SET webhook_secret = 'told-webhook';
            UPDATE sessions SET diagnosis = 'told-diagnosis' WHERE patient_id IN
                (SELECT id FROM patients WHERE first_name = 'w');
            UPDATE patients SET medical_history = 'told-history' WHERE first_name = 'p2';
            ANALYZE
        """)
        self.probe = roads.Probe(database, self.world)
        urls = {
            login: stack.enter_context(servers.pooler(database.target, database.name, login))
            for login in (LOGIN, "authenticator")
        }
        self.urls = urls
        self.roads = {
            "django": Django(database, self.world, urls[LOGIN]),
            "api": Api(database, self.world, urls["authenticator"]),
        }
        self._work_beside(stack)
        self.signer = signing.signer_for(self.owner, configured="")
        self.before = self.state()

    def _work_beside(self, stack):
        """Another session of the web's, whose last statement speaks of somebody."""
        entry = {
            "ENGINE": "moeen.db.engine",
            **parse_database_url(self.database.target.url(self.database.name, user=LOGIN)),
        }
        entry |= {
            "IDENTITY_KEY": self.database.identity_key(),
            "OPTIONS": {**entry["OPTIONS"], "server_side_binding": True},
        }
        connections.settings["beside"] = connections.configure_settings({"default": {}, "beside": entry})["beside"]
        stack.callback(_forget, "beside")
        with identity.bound(self.roads["django"].road.identity("admin")):
            connections["beside"].cursor().execute("SELECT id FROM users WHERE name = %s", ["told-statement"])

    def state(self):
        return state.read(self.owner, self.probe.tables)

    def values(self, road, role):
        """What the words in braces stand for."""
        keys = self.world.keys
        admin = self.proof.roads["django"].identity("admin")
        signer, other = self.signer, signing.Key.new()
        soon = int(time.time()) + 300
        return {
            "role": role,
            "me": keys["users"][ACTORS[role]] if role in ACTORS else "00000000-0000-4000-8000-000000000000",
            "admin": keys["users"]["a1"],
            "victim_user": keys["users"]["p2"],
            "victim": keys["patients"]["p2"],
            "walkin": keys["patients"]["walk-in"],
            "bot": keys["chatbot_integrations"]["bot"],
            "setting": keys["settings"]["secret"],
            "others_deal": keys["crm_deals"]["s2"],
            "owner": self.database.owner,
            "database": self.database.name,
            "login": self.roads[road].login,
            "other_login": OTHER_LOGIN,
            "admin_claims": admin.claims,
            "expired": signer.key.sign(role=admin.role, claims=admin.claims, expiry=soon - 600),
            "foreign": other.sign(role=admin.role, claims=admin.claims, expiry=soon),
            "anon_signature": signer.sign(role="moeen_anon", claims=""),
        }

    def rows(self, execute, table):
        """Keys of the rows of a table that are seen now; none where it is refused."""
        try:
            execute("SAVEPOINT looking")
        except psycopg.errors.NoActiveSqlTransaction:
            execute("BEGIN")
            execute("SAVEPOINT looking")
        try:
            key, _, _ = self.probe.tables[table]
            return {row[0] for row in execute(f'SELECT "{key}"::text FROM public."{table}"').fetchall()}
        except STOPPED:
            return set()
        finally:
            execute("ROLLBACK TO SAVEPOINT looking")

    def allowed(self, table, role):
        return self.probe._expected(table, roads.parse(MATRIX[table].get(role, "")).get("S"))

    def attack(self, road, role, attack):
        """Run it as a request of that role; what it gained, as lines."""
        gained, results = [], []
        try:
            with self.roads[road].request(role) as cursor:
                for statement in attack.filled(self.values(road, role)):
                    results.append(_run(cursor, statement))

                def execute(query):
                    cursor.execute(query)
                    return cursor

                for table in TELLING:
                    more = self.rows(execute, table) - self.allowed(table, role)
                    gained += [f"sees {len(more)} more rows of {table}"] if more else []
        except STOPPED:
            pass
        told = " ".join(results)
        gained += [f"was told {text}" for text, may in TELLTALES.items() if role not in may and text in told]
        return [f"{road}, {role}: {line}" for line in gained]

    def differences(self, road, role):
        """How the next request of that role differs from the matrix, as lines."""
        tables = [table for table in TELLING if "S" in roads.parse(MATRIX[table].get(role, ""))]
        query = " UNION ALL ".join(
            f"""SELECT '{table}', "{self.probe.tables[table][0]}"::text FROM public."{table}\"""" for table in tables
        )
        with self.roads[road].request(role) as cursor:
            cursor.execute("SELECT 'role', current_user" + (f" UNION ALL {query}" if query else ""))
            found = set(cursor.fetchall())
        expected = {("role", f"moeen_{role}")} | {(table, key) for table in tables for key in self.allowed(table, role)}
        return [f"{road}, {role}, the next request: {line}" for line in sorted(found ^ expected)]

    def mend(self, road):
        """The server's session as new, as an administrator leaves it."""
        with psycopg.connect(self.urls[self.roads[road].login], autocommit=True) as connection:
            connection.execute("DISCARD ALL")

    def put_back(self, attack, found):
        """Undo what an attack may leave, and begin with new sessions."""
        logins = [LOGIN, OTHER_LOGIN, "authenticator"]
        for role in [*logins, *(f"moeen_{name}" for name in roads.DjangoRoad.roles)]:
            self.admin.execute(f"ALTER ROLE {role} RESET ALL")
            if found["default privileges"] != self.before["default privileges"]:
                self.admin.execute(f"ALTER DEFAULT PRIVILEGES FOR ROLE {role} REVOKE SELECT ON TABLES FROM PUBLIC")
        for login in (LOGIN, "authenticator"):
            self.admin.execute(f"REVOKE {login} FROM {OTHER_LOGIN}")
        self.admin.execute("SELECT lo_unlink(oid) FROM pg_largeobject_metadata")
        for table in attack.changes:
            key, _, rows = self.probe.tables[table]
            self.owner.execute(f'DELETE FROM "{table}" WHERE "{key}"::text <> ALL (%s)', [list(rows)])


def _run(cursor, statement):
    """Its result as text."""
    if statement.startswith("COPY") and statement.endswith("STDOUT"):
        with cursor.copy(statement) as copy:
            return b"".join(bytes(part) for part in copy).decode()
    cursor.execute(statement)
    return str(cursor.fetchall()) if cursor.description else ""


@pytest.fixture(scope="module", params=PLACES)
def siege(request, new_database):
    server = servers.start(bin_dir=servers.versions()[request.param], shape="platform")
    with ExitStack() as stack:
        made = Siege(new_database.migrated(server=server), stack)
        yield made
        for road in made.roads.values():
            road.close()
        stack.close()
        made.proof.close(new_database)


def try_out(siege, attack):
    """What an attack gains on both roads, as every role."""
    gained, expected = [], set()
    for name, road in siege.roads.items():
        for role, following in zip(road.roles, [*road.roles[1:], road.roles[0]], strict=True):
            lines = siege.attack(name, role, attack)
            if name in attack.gains:
                expected |= {name} if lines else set()
                lines = []
            gained += lines
            try:
                gained += siege.differences(name, following)
            except psycopg.errors.InsufficientPrivilege as error:
                if "left something" not in str(error) or not (attack.closes or attack.temp):
                    raise
                siege.mend(name)
                gained += siege.differences(name, following)
            siege.mend(name)
    gained += [f"{road}: no longer gains what it is said to" for road in attack.gains.keys() - expected]
    found = siege.state()
    changed = {part for part in found if found[part] != siege.before[part]}
    gained += [f"{part} changed" for part in sorted(changed - attack.leaves.keys() - attack.changes.keys())]
    if changed:
        siege.put_back(attack, found)
        gained += [f"{part} stays changed" for part, now in siege.state().items() if now != siege.before[part]]
    return gained


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_attack__as_every_role_on_both_roads__gains_nothing(siege, attack):
    assert try_out(siege, attack) == []


@pytest.mark.parametrize("attack", [a for a in ATTACKS if a.temp], ids=lambda attack: attack.name)
def test_attack__where_everybody_may_make_temporary_objects__gains_nothing(siege, attack):
    siege.admin.execute(f"GRANT TEMP ON DATABASE {siege.database.name} TO PUBLIC")
    siege.before = siege.state()
    try:
        assert try_out(siege, attack) == []
    finally:
        siege.admin.execute(f"REVOKE TEMP ON DATABASE {siege.database.name} FROM PUBLIC")
        siege.before = siege.state()


@pytest.mark.parametrize("role", ["patient", "staff"])
def test_attacks__afterwards__the_whole_matrix_holds(siege, role):
    for road in siege.proof.roads.values():
        assert siege.probe.differences(road, role) == []


def test_attacks__in_the_file__are_many_and_each_has_a_name_of_its_own():
    assert len(ATTACKS) >= 100
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)


def test_functions__that_act_for_others_or_are_granted__each_are_attacked(siege):
    """A new function with the owner's rights, a trigger function, or one that a role may call needs its line."""
    functions = {
        name
        for (name,) in siege.owner.execute(
            """SELECT DISTINCT p.proname FROM pg_proc p WHERE p.pronamespace = 'app'::regnamespace
               AND (p.prosecdef OR p.prorettype = 'trigger'::regtype
                    OR EXISTS (SELECT FROM aclexplode(p.proacl) a WHERE a.grantee <> p.proowner))"""
        ).fetchall()
    }
    named = {name for attack in ATTACKS for text in attack.sql for name in re.findall(r"\bapp\.(\w+)\(", text)}
    covered = named | {name for attack in ATTACKS for name in attack.covers}
    assert functions - covered == set()


def test_functions__of_ours__have_no_literal_that_settings_read_otherwise(siege):
    """Under standard_conforming_strings = off a backslash in a plain literal is another text."""
    bodies = siege.owner.execute(
        """SELECT p.proname, p.prosrc FROM pg_proc p WHERE p.pronamespace = 'app'::regnamespace
           AND p.proname <> 'allow'  -- the owner's, for migrations"""
    ).fetchall()
    assert len(bodies) > 30
    for name, body in bodies:
        plain = re.sub(r"--[^\n]*|\bE'(?:[^'\\]|\\.|'')*'", "", body)
        assert "\\" not in plain, name

"""Ways around: what somebody who controls text, statements or timing could try, and that none of it shows a row."""

import json
import threading
import uuid
from contextlib import ExitStack, suppress

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections, transaction
from psycopg import sql

from moeen.db.security import identity
from moeen.env import parse_database_url
from tests import servers
from tests.access import roads
from tests.access.matrix import ACTORS
from tests.test_row_security import Proof, prepare


@pytest.fixture(scope="module")
def proof(new_database):
    proof = Proof(prepare(new_database, "here"))
    yield proof
    proof.close(new_database)


@pytest.fixture(scope="module")
def web(proof):
    """A login that owns nothing, as `print_web_role_sql` describes it."""
    from moeen.db.security.access import web_role_sql

    if proof.database.target.server is None:
        pytest.skip("the server is not the tests' own")
    with proof.database.admin() as admin:
        if admin.execute("SELECT FROM pg_roles WHERE rolname = 'moeen_web'").fetchone() is None:
            admin.execute(
                web_role_sql(login="moeen_web", database=proof.database.name, api=False).replace("PASSWORD '...'", "")
            )
    return "moeen_web"


def victim(proof):
    """The patient whose rows are after by p1."""
    return proof.world.keys["patients"]["p2"]


# --- a connection that is bound to nobody -------------------------------------------------------------------------


def test_web_login__unbound__sees_nothing_at_all(proof, web):
    with proof.database.connect(user=web) as connection:
        for table in proof.probe.tables:
            with pytest.raises(roads.REFUSED):
                connection.execute(sql.SQL("SELECT FROM {}").format(sql.Identifier(table)))


@pytest.mark.parametrize(
    "escape", ["RESET ROLE", "SET ROLE NONE", "SET SESSION AUTHORIZATION DEFAULT", "COMMIT", "RESET ALL", "DISCARD ALL"]
)
def test_web_login__role_given_back_by_an_injected_statement__sees_nothing(proof, web, escape):
    with proof.database.connect(user=web) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT set_config('role', 'moeen_patient', true)")
        try:
            connection.execute(escape)
        except psycopg.Error:
            connection.execute("ROLLBACK")
        try:
            assert connection.execute("SELECT FROM patients").fetchall() == []
        except roads.REFUSED:
            connection.execute("ROLLBACK")
        assert connection.execute("SELECT current_user").fetchone()[0] in (web, "moeen_patient")


def test_web_login__owner__cannot_be_become(proof, web):
    with proof.database.connect(user=web) as connection:
        for statement in (f"SET ROLE {proof.database.owner}", f"SET SESSION AUTHORIZATION {proof.database.owner}"):
            with pytest.raises(roads.REFUSED):
                connection.execute(statement)
        with pytest.raises(roads.REFUSED):
            connection.execute("CREATE TABLE public.mine (id int)")
        with pytest.raises(roads.REFUSED):
            connection.execute("ALTER TABLE users DISABLE ROW LEVEL SECURITY")


def test_web_login__through_the_engine__serves_people(proof, web):
    alias = "web_login"
    connections.settings[alias] = connections.configure_settings(
        {
            "default": {},
            alias: {
                "ENGINE": "moeen.db.engine",
                "IDENTITY_KEY": proof.database.identity_key(),
                **parse_database_url(proof.database.target.url(proof.database.name, user=web)),
            },
        }
    )[alias]
    try:
        road = roads.DjangoRoad(type("Database", (), {"alias": alias}), proof.world)
        for role in ACTORS:
            with road.acting(role) as execute:
                assert execute("SELECT current_user").fetchone() == (f"moeen_{role}",)
        with identity.acting_as_operator(), pytest.raises(Exception, match=r"permission denied|row-level security"):
            connections[alias].cursor().execute("SELECT FROM users")
    finally:
        connections[alias].close()
        del connections[alias], connections.settings[alias]


# --- what a person can say in SQL ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM patients WHERE id = '{victim}'",
        "SELECT * FROM patients TABLESAMPLE SYSTEM (100) WHERE id = '{victim}'",
        "SELECT p FROM patients p WHERE p.id = '{victim}'",
        "WITH x AS MATERIALIZED (SELECT * FROM patients) SELECT * FROM x WHERE id = '{victim}'",
        "SELECT * FROM patients WHERE id = '{victim}'"
        " AND ctid = ANY (ARRAY(SELECT format('(0,%s)', n)::tid FROM generate_series(1, 50) n))",
        "SELECT * FROM patients WHERE first_name = 'p2' OR 1 = 1 ORDER BY 1 LIMIT 0",
        "SELECT conversations.* FROM conversations JOIN patients ON true WHERE conversations.patient_id = '{victim}'",
        "SELECT * FROM messages WHERE content = 'p2'",
        "SELECT * FROM audit_logs WHERE user_id = (SELECT user_id FROM patients WHERE id = '{victim}')",
    ],
)  # fmt: skip
def test_query__whatever_its_form__shows_no_row_of_another(proof, query):
    for road in proof.roads.values():
        with road.acting("patient") as execute:
            assert execute(query.replace("{victim}", victim(proof)).replace("%", "%%"), []).fetchall() == []


@pytest.mark.parametrize(
    "statement",
    [
        "COPY users TO STDOUT",
        "COPY patients FROM STDIN",
        "COPY (SELECT password_hash FROM users) TO STDOUT",
        "TABLE users",
        "SELECT password_hash FROM users",
        "SELECT u FROM users u",
        "SELECT to_jsonb(u) FROM users u",
        "SELECT FROM users ORDER BY password_hash",
        "UPDATE users SET name = password_hash",
        "DELETE FROM users",
        "INSERT INTO users (email, role) VALUES ('me@example.test', 'admin')",
        "UPDATE users SET role = 'admin'",
        "SELECT * FROM django_session",
        "SELECT * FROM users FOR UPDATE OF users NOWAIT",
        "LOCK TABLE users IN ACCESS EXCLUSIVE MODE",
        "ALTER TABLE patients DISABLE ROW LEVEL SECURITY",
        "DROP POLICY patients_select_patient ON patients",
        "CREATE POLICY mine ON patients TO moeen_patient USING (true)",
        "ALTER FUNCTION app.my_patient_id() SECURITY INVOKER",
        "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE TABLE public.t ()",
        "CREATE FUNCTION app.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "SELECT app.allow('patients', 'patient', 'S', 'true')",
        "SELECT app.lock_away('patients')",
        "SELECT app.role_of(NULL)",
        "SELECT app.my_patient_ids()",
        "SELECT app.my_doctor_id()",
        "SELECT app.my_flow_ids()",
        "SELECT app.my_patients_conversation_ids()",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT lo_import('/etc/passwd')",
    ],
)
def test_statement__beyond_the_patients_cells__is_refused(proof, statement):
    with (
        proof.roads["api"].acting("patient") as execute,
        pytest.raises((roads.REFUSED, psycopg.errors.FeatureNotSupported)),
    ):
        execute(statement)


@pytest.mark.parametrize("what", ["(SELECT first_name FROM patients)", "patients (first_name)"])
def test_copy__of_a_table_or_query__holds_only_ones_own_rows(proof, what):
    road = proof.roads["api"]
    with (
        road.request(road.claims("patient")) as connection,
        connection.cursor().copy(f"COPY {what} TO STDOUT") as copy,
    ):
        assert b"".join(bytes(part) for part in copy) == b"p1\n"


def test_explain__of_a_query__counts_no_rows_of_others(proof):
    with proof.roads["api"].acting("patient") as execute:
        plan = "\n".join(
            line for (line,) in execute("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT * FROM patients").fetchall()
        )
    assert "rows=1 " in plan.replace(".00 ", " ")
    for secret in ("p2", victim(proof)):
        assert secret not in plan


def test_function_in_a_condition__that_tells_what_it_sees__is_shown_no_row_of_another(proof):
    """A function that is not leakproof must not be called on a row before the policy let the row through."""
    with proof.database.connect() as owner:
        owner.execute(
            """CREATE SCHEMA IF NOT EXISTS probe; GRANT USAGE ON SCHEMA probe TO PUBLIC;
               CREATE OR REPLACE FUNCTION probe.tell(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS
               $$ BEGIN RAISE NOTICE 'seen %', $1; RETURN true; END $$"""
        )
    told = []
    road = proof.roads["api"]
    with road.request(road.claims("patient")) as connection:
        connection.add_notice_handler(lambda notice: told.append(notice.message_primary))
        connection.execute("SELECT FROM patients WHERE probe.tell(first_name)")
        connection.execute("SELECT FROM messages WHERE probe.tell(content)")
    assert told == ["seen p1", "seen p1"]


def test_error_of_a_condition__on_rows_of_others__does_not_happen(proof):
    with proof.roads["api"].acting("patient") as execute:
        assert execute("SELECT 1 / (length(first_name) - 2 + 1) FROM patients WHERE first_name = 'p2'").fetchall() == []
        assert execute(
            "SELECT count(*) FROM patients WHERE 1 / (CASE first_name WHEN 'p2' THEN 0 ELSE 1 END) = 1"
        ).fetchone() == (1,)


# --- what constraints give away -----------------------------------------------------------------------------------


def test_foreign_key__to_a_row_of_another__is_refused_like_one_to_nothing(proof):
    """Refused by the policy before the constraint is asked, so that the answer tells nothing."""
    nothing = str(uuid.uuid4())
    for role, table, label, column, other in (
        ("doctor", "sessions", "p1-d1", "patient_id", proof.world.keys["patients"]["p2"]),
        ("doctor", "sessions", "p1-d1", "appointment_id", proof.world.keys["appointments"]["p2-d2"]),
        ("patient", "internal_messages", "p1>d1", "parent_message_id", proof.world.keys["internal_messages"]["s1>v1"]),
        ("staff", "crm_deals", "s1", "lead_id", proof.world.keys["crm_leads"]["s2"]),
    ):
        with proof.roads["api"].acting(role) as execute:
            like = proof.world.keys[table][label]
            answers = {proof.probe.insert_like(execute, table, like, **{column: value}) for value in (other, nothing)}
        assert answers == {roads.REFUSED}, (role, table, column)


def test_unique__value_of_another__is_refused_before_the_constraint_is_asked(proof):
    with proof.roads["api"].acting("patient") as execute, pytest.raises(roads.REFUSED):
        execute("INSERT INTO patients (first_name, last_name, email) VALUES ('a', 'b', 'p2@example.test')")
    with proof.roads["api"].acting("patient") as execute, pytest.raises(roads.REFUSED):
        execute(
            "INSERT INTO user_preferences (user_id) VALUES (%s) ON CONFLICT (user_id) DO UPDATE SET theme = 'dark'",
            [proof.world.keys["users"]["p2"]],
        )


# --- what a transaction does not see of others --------------------------------------------------------------------


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_administrators__two_at_once_give_the_role_up__one_stays(proof, isolation):
    one, other = (proof.world.keys["users"][label] for label in ("a1", "v1"))
    with proof.database.connect() as owner:
        owner.execute("UPDATE users SET role = 'admin' WHERE id = %s", [other])
        with ExitStack() as stack:
            people = []
            for person in (one, other):
                connection = stack.enter_context(proof.database.connect(user="authenticator"))
                connection.execute(f"BEGIN ISOLATION LEVEL {isolation}")
                connection.execute(
                    "SELECT set_config('role', 'authenticated', true), set_config('request.jwt.claims', %s, true)",
                    [json.dumps({"sub": person})],
                )
                connection.execute("SELECT app.bind_request()")
                people.append((connection, person))
            for connection, person in people:
                with suppress(psycopg.Error):
                    connection.execute("UPDATE users SET role = 'staff' WHERE id = %s", [person])
                connection.execute("COMMIT")
        try:
            assert owner.execute("SELECT count(*) FROM users WHERE role = 'admin' AND is_active").fetchone() != (0,)
        finally:
            owner.execute("UPDATE users SET role = CASE id WHEN %s THEN 'admin' ELSE 'supervisor' END "
                          "WHERE id = ANY (%s::uuid[])", [one, [one, other]])  # fmt: skip


# --- what the schema itself must not have -------------------------------------------------------------------------


def test_views__in_reach__run_with_the_rights_of_who_asks(proof):
    with proof.database.connect() as owner:
        found = owner.execute(
            """SELECT relname FROM pg_class WHERE relnamespace IN ('public'::regnamespace, 'app'::regnamespace)
               AND (relkind = 'm'
                    OR relkind = 'v' AND NOT coalesce(reloptions::text LIKE '%security_invoker=%', false))"""
        ).fetchall()
    assert found == []


def test_functions__of_the_schema__are_closed_to_public_and_know_their_path(proof):
    with proof.database.connect() as owner:
        found = owner.execute(
            """
            SELECT p.oid::regprocedure::text, p.prosecdef, p.provolatile, coalesce(p.proconfig::text, '')
            FROM pg_proc p WHERE p.pronamespace = 'app'::regnamespace
            """
        ).fetchall()
        open_to_all = owner.execute(
            """SELECT p.oid::regprocedure::text FROM pg_proc p
               CROSS JOIN aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
               WHERE p.pronamespace = 'app'::regnamespace AND a.grantee = 0"""
        ).fetchall()
    # Part of app.audit_statement(), whose path holds for it: with one of its own it would be called for each value.
    part = "app.audited(text,json,text[])"
    assert [name for name, *_, settings in found if "search_path=" not in settings] == [part]
    assert [name for name, _, volatility, _ in found if "my_" in name and volatility != "s"] == []
    # Whoever writes a row makes its entry in the index of searches; it tells of nothing but what it is given.
    assert [name for name, *_ in open_to_all] == ["app.search_words(text,text,text,text)"]


TEXT_INPUTS = [
    "'; SELECT set_config('role', 'none', true); --",
    "\\'; RESET ROLE; --",
    '{"sub": "00000000-0000-0000-0000-000000000000", "app_role": "admin"}',
    "$$; RESET ROLE; $$",
    "%s%(x)s{}",
    "\u2019; RESET ROLE; --",
    "'||(SELECT password_hash FROM users LIMIT 1)||'",
]


@pytest.mark.parametrize("text", TEXT_INPUTS)
def test_text__in_every_column_one_may_write__changes_nobody(proof, text):
    road = proof.roads["django"]
    with road.acting("patient") as execute:
        execute("UPDATE patients SET address = %s, phone = left(%s, 50)", [text, text])
        execute("UPDATE users SET name = %s", [text])
        execute(
            "INSERT INTO internal_messages (sender_id, recipient_id, content, subject) VALUES (%s, %s, %s, %s)",
            [proof.world.keys["users"]["p1"], proof.world.keys["users"]["d1"], text, text],
        )
        assert execute("SELECT current_user, count(*) FROM patients GROUP BY 1").fetchall() == [("moeen_patient", 1)]
    who = identity.person(text, "patient")
    with identity.bound(who), transaction.atomic(using=proof.database.alias):
        cursor = connections[proof.database.alias].cursor()
        cursor.execute("SELECT current_user, current_setting('request.jwt.claims')::json ->> 'sub'")
        assert cursor.fetchone() == ("moeen_patient", text)
        transaction.set_rollback(True, using=proof.database.alias)


@pytest.mark.parametrize("text", TEXT_INPUTS)
def test_claims__with_forged_text_in_every_place__end_as_anon_or_are_refused(proof, text):
    for claims in ({"sub": text}, {"sub": proof.world.keys["users"]["p1"], "app_role": text}, {"app_role": text}):
        try:
            with proof.roads["api"].request({"role": "authenticated", **claims}) as connection:
                assert connection.execute("SELECT current_user").fetchone() == ("moeen_anon",)
        except roads.REFUSED:
            pass


# --- one connection, many people ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pooled(proof, web):
    """alias of a connection through PgBouncer in transaction mode, with one server connection for everybody."""
    with servers.pooler(proof.database.target, proof.database.name, web) as url:
        alias = "pooled"
        connections.settings[alias] = connections.configure_settings(
            {
                "default": {},
                alias: {
                    "ENGINE": "moeen.db.engine",
                    **parse_database_url(url),
                    "POOLED": True,
                    "IDENTITY_KEY": proof.database.identity_key(),
                },
            }
        )[alias]
        yield alias
        connections[alias].close()
        del connections[alias], connections.settings[alias]


def test_pooler__one_server_connection_and_people_interleaved__never_mix(proof, pooled):
    road = roads.DjangoRoad(type("Database", (), {"alias": pooled}), proof.world)
    expected = {"patient": {"p1"}, "doctor": {"p1"}, "staff": {"p1", "p2", "w"}, "anon": None}
    wrong, barrier = [], threading.Barrier(len(expected), timeout=60)

    def look(role):
        cursor = connections[pooled].cursor()
        cursor.execute("SELECT pg_backend_pid(), current_user")
        pid, who = cursor.fetchone()
        if who != f"moeen_{role}":
            wrong.append((role, who))
        try:
            cursor.execute("SELECT first_name FROM patients")
            seen = {name for (name,) in cursor.fetchall()}
        except Exception as error:
            seen = None if "permission denied" in str(error) else error
        if seen != expected[role]:
            wrong.append((role, seen))
        return pid

    pids = set()

    def work(role):
        try:
            barrier.wait()
            for turn in range(30):
                with identity.bound(road.identity(role)):
                    pids.add(look(role))
                    try:
                        with transaction.atomic(using=pooled):
                            connections[pooled].cursor().execute("SELECT current_user")
                            if turn % 3 == 0:
                                connections[pooled].cursor().execute("SELECT 1/0")
                    except Exception as error:
                        if "division" not in str(error):
                            wrong.append((role, error))
        finally:
            connections[pooled].close()

    threads = [threading.Thread(target=work, args=[role]) for role in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(pids) == 1


def test_pooler__session__is_left_as_it_was(proof, pooled):
    """What a client leaves behind, the next one would find."""
    with identity.bound(roads.DjangoRoad(proof.database, proof.world).identity("patient")):
        cursor = connections[pooled].cursor()
        cursor.execute("SELECT now(), current_setting('TimeZone')")
        assert cursor.fetchone()[1] == "UTC"
        rows = cursor.execute("SELECT 1")
        del rows
    url = connections.settings[pooled]
    with psycopg.connect(
        host=url["HOST"], port=url["PORT"], user=url["USER"], dbname=url["NAME"], autocommit=True
    ) as other:
        found = other.execute(
            "SELECT current_user, current_setting('role'), coalesce(current_setting('request.jwt.claims', true), ''), "
            "(SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_cursors WHERE is_holdable)"
        ).fetchone()
    assert found == (url["USER"], "none", "", 0, 0)


@pytest.mark.slow
def test_migrate__two_databases_of_one_new_cluster_at_once__both_get_their_roles(new_database, manage):
    server = servers.start(shape=None)
    databases = [new_database(server=server) for _ in range(2)]
    done = {}

    def run(database):
        done[database.name] = manage("migrate", DATABASE_URL=database.url)

    threads = [threading.Thread(target=run, args=[database]) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result.returncode for result in done.values()] == [0, 0], [result.stderr for result in done.values()]
    one, other = databases

    def roles():
        with server.connect_as_superuser(server.ensure_running()) as connection:
            return {
                name
                for (name,) in connection.execute("SELECT rolname FROM pg_roles WHERE rolname ~ '^moeen_'").fetchall()
            }

    made = roles()
    assert len(made) == 8
    call_command("migrate", "sysadmin", "0006", database=one.alias, verbosity=0, no_rehearsal="test", interactive=False)
    assert roles() == made  # the other database needs them
    call_command(
        "migrate", "sysadmin", "0006", database=other.alias, verbosity=0, no_rehearsal="test", interactive=False
    )
    assert roles() == set()
    call_command("migrate", database=one.alias, verbosity=0)
    assert roles() == made
    for database in databases:
        new_database.drop(database)
    servers.stop(server)


def test_migrate__role_that_may_not_make_roles__is_told_what_an_administrator_runs(new_database, manage):
    server = servers.start(shape=None)
    with server.connect_as_superuser(server.ensure_running()) as connection:
        connection.execute("ALTER ROLE moeen NOCREATEROLE")
    database = new_database(server=server)
    done = manage("migrate", DATABASE_URL=database.url)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    statements = [
        line.strip()
        for line in done.stderr.splitlines()
        if line.strip().startswith(("CREATE ROLE", "GRANT", "ALTER ROLE"))
    ]
    assert statements, done.stderr
    with server.connect_as_superuser(server.ensure_running()) as connection:
        for statement in statements:
            connection.execute(statement)
    done = manage("migrate", DATABASE_URL=database.url)
    assert done.returncode == 0, done.stderr
    new_database.drop(database)
    servers.stop(server)

"""Who may see and do what, tried on both roads and held against the matrix that is written down in tests/access."""

import os
import random
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.management import call_command
from django.db import ProgrammingError, connections
from psycopg import sql

from moeen.db import public_ids, schema
from moeen.db.security import identity
from tests import servers, states
from tests.access import mutants, mutations, roads, world
from tests.access.functions import FUNCTIONS
from tests.access.matrix import BLIND, FORGERIES, IN_SIGHT, MATRIX, MOVES, ROLES
from tests.access.stage import Stage, StageRoad


class Proof:
    """A migrated database with the world's rows, and the roads to it."""

    def __init__(self, database):
        self.database = database
        with database.connect() as owner:
            refuse_superuser(owner)
            self.world = world.make(owner)
        self.probe = roads.Probe(database, self.world)
        self.roads = {
            "django": roads.DjangoRoad(database, self.world),
            "api": roads.ApiRoad(database, self.world),
        }

    def close(self, new_database):
        self.roads["api"].close()
        new_database.drop(self.database)
        if self.database.owner != "postgres":
            servers.stop(self.database.target.server)


def refuse_superuser(connection):
    """Whom row security does not bind at all, nothing can be proven with."""
    (name, is_superuser) = connection.execute(
        "SELECT rolname, rolsuper FROM pg_roles WHERE rolname = session_user"
    ).fetchone()
    if is_superuser:
        pytest.fail(f"The proof runs as the superuser {name}: it would prove nothing.")


def prepare(new_database, place):
    """A migrated database whose cluster has the roles of a hosting platform."""
    if place == "supabase":
        database = states.migrated(new_database, place=place)
    else:
        # A cluster of its own: the platform's roles belong to the whole cluster, and others would meet them.
        programs = None if place == "here" else servers.versions()[place]
        database = new_database.migrated(server=servers.start(bin_dir=programs, shape="platform"))
    return database


#: Every place in .ci/run; without it, this version and a cluster shaped like a hosting platform.
PLACES = states.PLACES if os.environ.get("MOEEN_TEST_BIN_DIRS") else states.PLACES[:2]


@pytest.fixture(scope="module", params=PLACES)
def proof(request, new_database):
    proof = Proof(prepare(new_database, request.param))
    yield proof
    proof.close(new_database)


def test_proof__as_a_superuser__is_refused(proof):
    with proof.database.admin() as superuser, pytest.raises(pytest.fail.Exception, match="would prove nothing"):
        refuse_superuser(superuser)


def test_matrix__written_down__covers_every_table(proof):
    unsaid = set(proof.probe.tables) - set(MATRIX)
    assert not unsaid, (
        f"Who may see and do what with {unsaid}? Add a cell for each role to MATRIX in tests/access/matrix.py"
    )
    assert set(MATRIX) - set(proof.probe.tables) == set()
    assert {role for cells in MATRIX.values() for role in cells} == set(ROLES)


@pytest.mark.parametrize("role", ROLES)
def test_matrix__django_road__is_exactly_what_is_allowed(proof, role):
    assert proof.probe.differences(proof.roads["django"], role) == []


@pytest.mark.parametrize("role", roads.ApiRoad.roles)
def test_matrix__api_road__is_exactly_what_is_allowed(proof, role):
    assert proof.probe.differences(proof.roads["api"], role) == []


def test_grants_and_row_security__in_the_catalog__are_exactly_what_is_allowed(proof):
    with proof.database.connect() as owner:
        assert proof.probe.catalog_differences(owner) == []


@pytest.fixture(scope="module")
def stage(proof):
    with proof.database.admin() as connection, proof.database.connect() as neighbour:
        connection.execute("BEGIN")
        yield Stage(connection, proof.world, proof.database.owner, neighbour=neighbour)
        connection.execute("ROLLBACK")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function__of_schema_app__does_what_is_written_down(stage, name):
    assert stage.differences([name]) == []


def test_function__new_and_not_written_down__is_found(proof, stage):
    with stage.undone():
        stage.connection.execute("CREATE FUNCTION app.newcomer() RETURNS boolean LANGUAGE sql RETURN true")
        assert mutants.unmutated(stage.connection) == ["newcomer()"]
        assert "function newcomer(): is not written down" in proof.probe.catalog_differences(stage.connection)


def test_mutants__one_of_each_kind__is_noticed(proof, stage):
    """`make test-mutation` tries all of them."""
    judge = mutations.Proof(proof.probe, stage, StageRoad(stage))
    chosen = {}
    for mutant in mutants.every(stage.connection):
        chosen.setdefault(mutant.kind, []).append(mutant)
    assert mutants.unmutated(stage.connection) == []
    tried = [random.Random(1).choice(several) for several in chosen.values()]
    assert len(chosen) > 20
    assert [mutant.name for mutant in tried if not mutations.reason(mutant) and not judge.notices(mutant)] == []


def value_of(proof, value):
    return proof.world.keys[value[0]][value[1]] if isinstance(value, tuple) else value


@pytest.mark.parametrize("move", MOVES, ids=lambda move: ".".join(map(str, move[:4])))
@pytest.mark.parametrize("road", ["django", "api"])
def test_update__row_moved_to_somebody_else__is_refused(proof, road, move):
    role, table, label, column, value = move
    if role not in proof.roads[road].roles:
        pytest.skip("nobody acts in this role on this road")
    key, _, _ = proof.probe.tables[table]
    query = f'UPDATE "{table}" SET "{column}" = %s WHERE "{key}"::text = %s'
    with proof.roads[road].acting(role) as execute, pytest.raises(roads.REFUSED):
        execute(query, [value_of(proof, value), proof.world.keys[table][label]])


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda move: ".".join(map(str, move[:4])))
@pytest.mark.parametrize("road", ["django", "api"])
def test_insert__hung_on_what_is_not_seen__is_refused(proof, road, forgery):
    role, table, label, column, value = forgery
    with proof.roads[road].acting(role) as execute:
        made = proof.probe.insert_like(
            execute, table, proof.world.keys[table][label], **{column: value_of(proof, value)}
        )
    assert made is roads.REFUSED


def test_references__that_somebody_may_write__lead_only_to_what_they_see(proof):
    """Each foreign key of the live catalog, as each role that holds a right to write its column."""
    with proof.database.connect() as owner:
        written = owner.execute(_WRITTEN, [[f"moeen_{role}" for role in ROLES]]).fetchall()
    found, tried = [], set()
    for role in sorted({role for role, *_ in written}):
        references = [(t, c, s) for who, t, c, s in written if who == role and (t, c[-1]) not in BLIND]
        strays, count = proof.probe.strays(proof.roads["django"], role, references)
        found += strays
        tried |= {(role, *where) for where in count}
    assert found == []
    # It is tried wherever something is hidden from a role.
    assert tried >= {("staff", *where) for where in IN_SIGHT if where[0] != "conversations"}
    assert tried >= {("supervisor", "conversations", "integration_id"), ("doctor", "sessions", "patient_id")}
    assert {where for _, t, c, _ in written if (where := (t, c[-1])) in BLIND} == BLIND.keys()


# A key of several columns is written by its last; those before it are keys of their own.
_WRITTEN = """
    SELECT DISTINCT substr(r.rolname, 7), k.conrelid::regclass::text, c.columns, k.confrelid::regclass::text
    FROM pg_constraint AS k CROSS JOIN pg_roles AS r CROSS JOIN LATERAL (
        SELECT array_agg(a.attname::text ORDER BY u.place) AS columns
        FROM unnest(k.conkey) WITH ORDINALITY AS u (number, place)
        JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.number
    ) AS c
    WHERE k.contype = 'f' AND k.connamespace = 'public'::regnamespace AND r.rolname = ANY (%s)
      AND has_column_privilege(r.oid, k.conrelid, k.conkey[cardinality(k.conkey)], 'INSERT, UPDATE')
    ORDER BY 1, 2, 3
"""


def test_flow__published_while_its_parts_are_written__keeps_them_as_they_were(new_database):
    """Two sessions: whoever comes second waits, and sees what the first has done."""
    database = new_database.migrated()
    with (
        database.connect() as writes, database.connect() as publishes, database.connect() as looks,
        ThreadPoolExecutor(1) as pool,
    ):  # fmt: skip
        people = world.make(looks)
        author, supervisor = roads.OwnerRoad(writes, people), roads.OwnerRoad(publishes, people)
        flow = [people.keys["chatbot_flows"]["s1"]]

        def write():
            with author.acting("staff") as execute, writes.transaction():
                execute("INSERT INTO chatbot_nodes (name, node_type, flow_id) VALUES ('n', 'start', %s)", flow)

        def publish():
            with supervisor.acting("supervisor") as execute:
                return execute("UPDATE chatbot_flows SET status = 'published' WHERE id = %s", flow).rowcount

        def wait_for(connection):
            query = "SELECT cardinality(pg_blocking_pids(%s))"
            for _ in range(600):
                if looks.execute(query, [connection.info.backend_pid]).fetchone() != (0,):
                    return
                time.sleep(0.05)
            pytest.fail("nothing waits")

        writes.execute("BEGIN")
        publishes.execute("BEGIN")
        write()
        published = pool.submit(publish)
        wait_for(publishes)
        writes.execute("COMMIT")
        assert published.result() == 1
        # The other way about: the policies of what is written take the flow for a draft.
        writes.execute("BEGIN")
        written = pool.submit(write)
        wait_for(writes)
        publishes.execute("COMMIT")
        with pytest.raises(roads.REFUSED, match="the flow is published"):
            written.result()
        writes.execute("ROLLBACK")
    new_database.drop(database)


def test_truncate__every_role__is_refused(proof):
    for role in proof.roads["django"].roles:
        with proof.roads["django"].acting(role) as execute:
            for table in proof.probe.tables:
                assert roads._tried(execute, f'TRUNCATE "{table}" CASCADE') is roads.REFUSED, (role, table)


def test_auth_role__on_the_api_road__cannot_be_taken(proof):
    road = proof.roads["api"]
    with road.request({"role": "anon"}) as connection, pytest.raises(roads.REFUSED):
        connection.execute("SET LOCAL ROLE moeen_auth")


CLAIMS = {
    "unknown": {"role": "authenticated", "sub": "00000000-0000-0000-0000-000000000000"},
    "malformed": {"role": "authenticated", "sub": "1 OR 1=1"},
    "a number": {"role": "authenticated", "sub": 7},
    "empty": {"role": "authenticated", "sub": ""},
    "missing": {"role": "authenticated"},
    "anon with a sub": {"role": "anon", "sub": "p1"},
}


@pytest.mark.parametrize("name", [*CLAIMS, "deactivated"])
def test_claims__of_nobody__end_as_anon(proof, name):
    if name == "deactivated":
        claims = {"role": "authenticated", "sub": proof.world.keys["users"]["left"]}
    else:
        claims = {**CLAIMS[name]}
        if claims.get("sub") == "p1":
            claims["sub"] = proof.world.keys["users"]["p1"]
    with proof.roads["api"].request(claims) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("moeen_anon",)
        assert [row[0] for row in connection.execute("SELECT key FROM settings").fetchall()] == ["clinic.name"]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "7"])
def test_claims__no_object__end_as_anon(proof, text):
    with proof.roads["api"].request({"role": "authenticated"}, text=text) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("moeen_anon",)


@pytest.mark.parametrize("where", ["app_role", "app_metadata"])
def test_claims__role_that_is_held__is_taken(proof, where):
    wanted = {"app_role": "staff"} if where == "app_role" else {"app_metadata": {"app_role": "staff"}}
    claims = {"role": "authenticated", "sub": proof.world.keys["users"]["d2"], **wanted}
    with proof.roads["api"].request(claims) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("moeen_staff",)


@pytest.mark.parametrize("wanted", ["admin", "nurse", "anon", "service", "auth", "staff; --"])
def test_claims__role_that_is_not_held__is_refused(proof, wanted):
    claims = {"role": "authenticated", "sub": proof.world.keys["users"]["d1"], "app_role": wanted}
    with pytest.raises(roads.REFUSED), proof.roads["api"].request(claims):
        pass


def test_claims__user_metadata__says_nothing(proof):
    claims = {
        "role": "authenticated",
        "sub": proof.world.keys["users"]["p1"],
        "user_metadata": {"app_role": "admin"},
    }
    with proof.roads["api"].request(claims) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("moeen_patient",)


def test_service_key__request_bound__reads_what_the_service_may(proof):
    """As PostgREST does it: the platform's role, which row security does not bind, then the pre-request function."""
    with proof.database.connect(user="authenticator") as connection, connection.transaction():
        connection.execute("SET LOCAL ROLE service_role")
        connection.execute("SELECT app.bind_request()")
        assert connection.execute("SELECT current_user").fetchone() == ("moeen_service",)
        assert connection.execute("SELECT count(*) FROM conversations").fetchone() == (4,)
        with pytest.raises(roads.REFUSED), connection.transaction():
            connection.execute("SELECT FROM sessions")
        with pytest.raises(roads.REFUSED), connection.transaction():
            connection.execute("DELETE FROM conversations")


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
def test_platform_role__before_the_request_is_bound__sees_nothing(proof, role):
    with proof.database.connect(user="authenticator") as connection:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
        for table in proof.probe.tables:
            with pytest.raises(roads.REFUSED):
                connection.execute(sql.SQL("SELECT FROM {}").format(sql.Identifier(table)))
        for function in ("app.allow('users', 'anon', 'S', 'true')", "app.role_of(NULL)", "app.my_patient_ids()"):
            with pytest.raises(roads.REFUSED):
                connection.execute(f"SELECT {function}")


@pytest.mark.parametrize("role", roads.DjangoRoad.roles)
def test_former_public_id__of_ones_own_row__resolves_and_another_is_not_found(proof, role):
    seen = roads.parse(MATRIX["patients"].get(role, "")).get("S", (None, False, set()))[2]
    for number, label in enumerate(("p1", "p2"), start=1):
        alias = world.ALIAS.format(number)
        with identity.bound(proof.roads["django"].identity(role)):
            patients = public_ids.PREFIXES["pat_"].objects.using(proof.database.alias)
            if seen is None or label in seen:
                assert str(patients.get_by_public_id(alias).pk) == proof.world.keys["patients"][label]
                assert public_ids.look_up(alias, using=proof.database.alias).first_name == label
            else:
                # A role that may read no patient at all is refused, as for any id.
                for text in (alias, "pat_20991231_999999"):
                    with pytest.raises((patients.model.DoesNotExist, ProgrammingError)) as error:
                        patients.get_by_public_id(text)
                    assert error.type is (ProgrammingError if not seen else patients.model.DoesNotExist)


@pytest.mark.parametrize("role", [role for role in ROLES if role != "auth"])
def test_former_public_id__asked_for_in_sql__tells_nobody_whose_it_was(proof, role):
    """It would tell that there is such a row: the dated ones can be counted up."""
    for road in proof.roads.values():
        if role in road.roles:
            with road.acting(role) as execute, pytest.raises(roads.REFUSED):
                execute("SELECT app.bearer_of_alias('pat_20251017_000002')")


@pytest.mark.parametrize("ours", [True, False], ids=["ours", "not ours"])
def test_schema_public__open_to_everybody__is_closed_or_told(new_database, ours):
    """As before PostgreSQL 15, where the schema is a superuser's as well."""
    database = new_database()
    with database.admin() as admin:
        if not ours:
            admin.execute("ALTER SCHEMA public OWNER TO postgres")
            admin.execute(f"GRANT USAGE, CREATE ON SCHEMA public TO {database.owner} WITH GRANT OPTION")
        admin.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
    call_command("migrate", database=database.alias, verbosity=0)
    with database.connect() as owner:
        assert owner.execute("SELECT has_schema_privilege('moeen_patient', 'public', 'CREATE')").fetchone() == (
            not ours,
        )
    found = [(f.object, f.kind, f.severity) for f in schema.validate(connections[database.alias]).findings]
    assert found == ([] if ours else [("public", "schema grants", "unsafe")])
    new_database.drop(database)


def test_notify__any_signed_in_person__reaches_a_user_with_a_path(proof):
    recipient = proof.world.keys["users"]["d1"]
    with proof.roads["django"].acting("patient") as execute:
        cursor = execute("SELECT app.notify(%s, 'Hello', 'See you', 'info', '/appointments')", [recipient])
        assert cursor.fetchone()[0] is not None
    for address in ("https://evil.example", "//evil.example", "/\\evil.example", "javascript:x", ""):
        with (
            proof.roads["django"].acting("patient") as execute,
            pytest.raises(Exception, match="must be a path"),
        ):
            execute("SELECT app.notify(%s, 'Hello', 'See you', 'info', %s)", [recipient, address])
    with proof.roads["django"].acting("anon") as execute, pytest.raises(roads.REFUSED):
        execute("SELECT app.notify(%s, 'Hello', 'See you')", [recipient])


def test_system_roles__seeded__mirror_the_five_roles_of_people(proof):
    with proof.database.connect() as owner:
        found = owner.execute("SELECT name, jsonb_array_length(permissions) FROM roles WHERE is_system").fetchall()
    assert {name for name, _ in found} == {"patient", "doctor", "staff", "supervisor", "admin"}
    assert all(count > 10 for _, count in found)


# --- plans --------------------------------------------------------------------------------------------------------

NARROW = ("patient", "doctor", "staff", "supervisor")
#: Cells that leave few rows out, so that no index would help, and why.
WIDE = {("supervisor", "settings"): "all but the few that hold secrets"}


def nodes(plan, *, inside=False):
    """Every node of a plan, and whether it belongs to a sub-select that is run once."""
    inside = inside or plan.get("Parent Relationship") in ("InitPlan", "SubPlan")
    yield plan, inside
    for part in plan.get("Plans", ()):
        yield from nodes(part, inside=inside)


def narrow_cells():
    for table, cells in MATRIX.items():
        for role in NARROW:
            wanted = roads.parse(cells.get(role, "")).get("S")
            if wanted is not None and wanted[2] is not None and (role, table) not in WIDE:
                yield role, table


@pytest.mark.parametrize(("role", "table"), list(narrow_cells()))
def test_plan__of_a_narrow_role__finds_rows_by_index_and_calls_helpers_once(proof, role, table):
    key, _, _ = proof.probe.tables[table]
    with proof.roads["django"].acting(role) as execute:
        # A table of ten rows is scanned whatever indexes there are; this asks whether there is another way.
        execute("SET LOCAL enable_seqscan = off")
        (plan,) = execute(f'EXPLAIN (VERBOSE, FORMAT JSON) SELECT "{key}" FROM "{table}"').fetchone()
    found = list(nodes(plan[0]["Plan"]))
    scanned = [node for node, _ in found if node["Node Type"] == "Seq Scan"]
    assert scanned == []
    conditions = [
        (name, node[name]) for node, inside in found if not inside for name in node if name.endswith(("Cond", "Filter"))
    ]
    assert [text for _, text in conditions if re.search(r"\b(?:app|auth)\.|current_setting", text)] == []
    assert conditions

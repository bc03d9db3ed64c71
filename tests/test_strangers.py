"""A schema auth or app that somebody planted is refused before anything is changed; the platform's own is known."""

import re

import pytest
from django.core.management import call_command
from django.db import connections

from moeen.db.backups.login import Login
from moeen.db.errors import FINDINGS
from moeen.db.migrate.refusals import StrangersSchema
from moeen.db.security import planted
from moeen.db.security.strangers import strange_schemas
from tests import backups, servers, states
from tests.states import snapshots

UID = "FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE"
WHO = "AS $$ SELECT '00000000-0000-0000-0000-000000000001'::uuid $$"
CLAIMS = "AS $$ SELECT nullif(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub', '')::uuid $$"
#: What was done beforehand, as a superuser -> (object, kind) of what is found.
PLANTED = {
    "schema of a stranger": (
        "CREATE SCHEMA auth AUTHORIZATION stranger",
        [("schema auth", "stranger's schema")],
    ),
    "schema and functions of a stranger": (
        f"CREATE SCHEMA auth AUTHORIZATION stranger; CREATE {UID} SECURITY DEFINER {WHO};"
        "ALTER FUNCTION auth.uid() OWNER TO stranger",
        [("auth.uid()", "stranger's function"), ("schema auth", "stranger's schema")],
    ),
    "function of a stranger in a schema of ours": (
        f"CREATE SCHEMA auth AUTHORIZATION moeen; CREATE {UID} {WHO}; ALTER FUNCTION auth.uid() OWNER TO stranger",
        [("auth.uid()", "stranger's function")],
    ),
    "function of a stranger in a superuser's schema": (
        f"CREATE SCHEMA auth; CREATE {UID} {WHO}; ALTER FUNCTION auth.uid() OWNER TO stranger",
        [("auth.uid()", "stranger's function")],
    ),
    "definer function of ours that we never made": (
        f"CREATE SCHEMA auth AUTHORIZATION moeen; CREATE {UID} SECURITY DEFINER {WHO};"
        "ALTER FUNCTION auth.uid() OWNER TO moeen",
        [("auth.uid()", "definer function in auth")],
    ),
    "a schema that anybody may put functions into": (
        "CREATE SCHEMA auth AUTHORIZATION moeen; GRANT CREATE ON SCHEMA auth TO PUBLIC, stranger",
        [("schema auth", "stranger's right to create"), ("schema auth", "stranger's right to create")],
    ),
    "schema app of a stranger": ("CREATE SCHEMA app AUTHORIZATION stranger", [("schema app", "stranger's schema")]),
}  # fmt: skip
#: What stands beforehand and is nobody's harm.
TRUSTED = {
    "a superuser's": f"CREATE SCHEMA auth; CREATE {UID} {CLAIMS}; GRANT USAGE ON SCHEMA auth TO PUBLIC",
    "our own": f"CREATE SCHEMA auth AUTHORIZATION moeen; CREATE {UID} {CLAIMS};"
    "ALTER FUNCTION auth.uid() OWNER TO moeen",
    "the platform's": "CREATE SCHEMA auth AUTHORIZATION supabase_auth_admin;"
    f"CREATE {UID} {CLAIMS}; ALTER FUNCTION auth.uid() OWNER TO supabase_auth_admin;"
    "GRANT USAGE ON SCHEMA auth TO PUBLIC",
}


@pytest.fixture(scope="module")
def cluster(server_versions):
    made = servers.start(bin_dir=server_versions.bin_dir, shape=None)
    with servers.target_of(made).connect() as admin:
        admin.execute("CREATE ROLE stranger LOGIN; CREATE ROLE supabase_auth_admin LOGIN")
    yield made
    servers.stop(made)


@pytest.fixture
def database(new_database, cluster):
    made = new_database(server=cluster)
    yield made
    new_database.drop(made)


@pytest.mark.parametrize("how", PLANTED)
def test_migrate__planted_schema__is_refused_and_nothing_is_changed(database, how):
    statements, found = PLANTED[how]
    with database.admin() as admin:
        admin.execute(statements)
        before = snapshots.everything(admin)
    with pytest.raises(StrangersSchema) as refusal:
        call_command("migrate", database=database.alias, verbosity=0)
    assert sorted((f.object, f.kind) for f in refusal.value.findings) == found
    assert refusal.value.exit_code == FINDINGS
    assert all(finding.fix for finding in refusal.value.findings)
    with database.admin() as admin:
        assert snapshots.everything(admin) == before


@pytest.mark.parametrize("how", TRUSTED)
def test_migrate__trusted_schema__is_used(database, how):
    with database.admin() as admin:
        admin.execute(TRUSTED[how])
    call_command("migrate", database=database.alias, verbosity=0)
    assert list(strange_schemas(connections[database.alias])) == []


def test_migrate__as_a_superuser__refuses_a_strangers_schema_too(database, manage):
    with database.admin() as admin:
        admin.execute(PLANTED["schema of a stranger"][0])
    refused = manage("migrate", DATABASE_URL=database.target.url(database.name))
    assert refused.returncode == FINDINGS
    assert "Nothing was changed" in refused.stderr
    assert "schema auth" in refused.stderr


def test_migrate__platforms_cluster__knows_its_schema_by_the_owner(new_database):
    database = states.database(new_database, "fresh", place="supabase")
    assert list(strange_schemas(connections[database.alias])) == []
    with database.admin() as admin:
        admin.execute("CREATE ROLE planter; ALTER FUNCTION auth.uid() OWNER TO planter")
        try:
            (found,) = strange_schemas(connections[database.alias])
            assert (found.object, found.found) == ("auth.uid()", "planter")
        finally:
            admin.execute("ALTER FUNCTION auth.uid() OWNER TO supabase_auth_admin; DROP ROLE planter")
    new_database.drop(database)


#: What a login that may create in schema public made -> what is named, if it is refused.
BESIDE = {
    "public.quote_ident(name) RETURNS text": "routine public.quote_ident(name) of stranger",
    "public.format(text, name, name) RETURNS text": "routine public.format(text,name,name) of stranger",
    "public.quote_ident(text) RETURNS text": "",  # PostgreSQL's own comes first
    "public.quoted(name) RETURNS text": "",
}
BODY = "LANGUAGE plpgsql AS $$ BEGIN CREATE TABLE public.ran AS SELECT current_user AS who; RETURN ''; END $$"


@pytest.fixture
def open_database(database):
    """Before PostgreSQL 15 everybody may create in schema public, and databases of that time stay so."""
    with database.admin() as admin:
        admin.execute("GRANT CREATE ON SCHEMA public TO stranger")
    return database


@pytest.mark.parametrize("function", BESIDE)
def test_planted__beside_postgresqls_own__refused_when_an_operator_connects(open_database, function):
    with open_database.admin() as admin:
        admin.execute(f"SET ROLE stranger; CREATE FUNCTION {function} {BODY}")
    for user in ("postgres", "moeen"):
        login = Login.of_url(open_database.target.url(open_database.name, user=user))
        if not BESIDE[function]:
            login.connect(application="test").close()
            continue
        with pytest.raises(planted.Planted, match=re.escape(BESIDE[function])) as refusal:
            login.connect(application="test")
        assert refusal.value.exit_code == FINDINGS


def test_planted__a_backup_by_a_superuser__nothing_of_it_is_called(open_database, manage, tmp_path):
    with open_database.admin() as admin:
        admin.execute(f"SET ROLE stranger; CREATE FUNCTION public.quote_ident(name) RETURNS text {BODY}")
    url = open_database.target.url(open_database.name)
    done = manage("backup_database", **backups.environment(open_database, tmp_path, DATABASE_URL=url))
    assert (done.returncode, "quote_ident(name) of stranger" in done.stderr) == (FINDINGS, True), done.stderr
    with open_database.admin() as admin:
        assert admin.execute("SELECT to_regclass('public.ran')").fetchone() == (None,)


def test_planted__operator_of_a_stranger_or_of_the_owner__the_owners_is_used(database):
    with database.admin() as admin:
        admin.execute("""
            CREATE FUNCTION public.same(varchar, varchar) RETURNS boolean LANGUAGE sql RETURN true;
            CREATE OPERATOR public.= (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = public.same);
            ALTER OPERATOR public.= (varchar, varchar) OWNER TO moeen
        """)
        with database.connect() as owner:
            planted.refuse(owner)
        admin.execute("ALTER OPERATOR public.= (varchar, varchar) OWNER TO stranger")
        with database.connect() as owner, pytest.raises(planted.Planted, match="operator") as refusal:
            planted.refuse(owner)
    assert "ALTER OPERATOR public.=(character varying,character varying) SET SCHEMA own" in refusal.value.next_step

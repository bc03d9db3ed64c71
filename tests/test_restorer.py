"""A restore by a superuser: what a signed backup holds runs without that power, and everything is as it was."""

import shutil
import tempfile
from pathlib import Path

import pytest

from moeen.db.backups import dump, keys, restore, restorer
from moeen.db.backups.login import Login
from moeen.db.backups.restorer import Restorer
from moeen.db.errors import MoeenError
from tests import backups

# Whoever may make a function in a live database has it in the next backup, signed. Each tries to come back to power.
PLANTED = """
    CREATE TABLE seen (who text, super boolean, came text);
    CREATE TABLE tried (n integer, result text);
    CREATE FUNCTION grasp(n integer) RETURNS boolean LANGUAGE plpgsql AS $$
    DECLARE
        words text[] := ARRAY['RESET SESSION AUTHORIZATION', 'RESET ROLE', 'SET SESSION AUTHORIZATION postgres',
                              'SET ROLE postgres', 'ALTER ROLE restorer_taken SUPERUSER',
                              $c$COPY (SELECT 1) TO PROGRAM 'touch {cage}/taken'$c$];
    BEGIN
        BEGIN
            EXECUTE words[n];
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
        BEGIN
            EXECUTE $c$COPY (SELECT 1) TO PROGRAM 'touch {cage}/taken'$c$;
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
        RETURN NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)
            AND NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = session_user);
    END $$;
    CREATE TABLE taken (n integer CONSTRAINT taken_n_check CHECK (grasp(n)));
    CREATE TABLE app.identity_keys (id text PRIMARY KEY, secret bytea, created_at timestamptz DEFAULT now());
    CREATE FUNCTION app.add_identity_key(id text, secret bytea) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        IF NOT public.grasp(6) THEN
            RAISE EXCEPTION 'with power';
        END IF;
        INSERT INTO app.identity_keys (id, secret) VALUES ($1, $2);
    END $$;
    -- The planner computes conditions of indexes, and a cast of one's own stands between a value and its text.
    CREATE FUNCTION reach() RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        EXECUTE $c$COPY (SELECT 1) TO PROGRAM 'touch {cage}/reached'$c$;
    EXCEPTION WHEN OTHERS THEN NULL;
    END $$;
    CREATE FUNCTION planned() RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
    BEGIN PERFORM public.reach(); RETURN true; END $$;
    CREATE INDEX taken_planned_idx ON taken (n) WHERE planned();
    CREATE TYPE pair AS (a integer);
    CREATE FUNCTION telling(pair) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
    BEGIN PERFORM public.reach(); RETURN 'pair'; END $$;
    CREATE CAST (pair AS text) WITH FUNCTION telling(pair);
    CREATE TABLE pairs (p pair);
    INSERT INTO pairs VALUES (ROW(1));
    INSERT INTO app.identity_keys VALUES ('0123abcd', decode(repeat('ab', 32), 'hex'));
"""


@pytest.fixture(scope="module")
def planted(new_database):
    """A database whose owner is no superuser, and the folder in which a program would leave a file."""
    cage = Path(tempfile.mkdtemp(prefix="moeen-cage-"))
    cage.chmod(0o777)
    database = new_database()
    with database.admin() as connection:
        connection.execute(f"COPY (SELECT 1) TO PROGRAM 'touch {cage}/control'")
    (cage / "control").unlink()
    backups.fill(database, rows=20)
    with database.connect() as connection:
        connection.execute(PLANTED.replace("{cage}", str(cage)))
        connection.execute("INSERT INTO taken SELECT generate_series(1, 6)")
    yield database, cage
    found = list(cage.iterdir())
    shutil.rmtree(cage)
    assert found == []


def powers_login(database):
    with database.admin() as connection:
        return Login.of(connection)


def owners(database, name):
    with database.target.connect(name) as connection:
        return connection.execute(
            """
            SELECT c.relname, pg_get_userbyid(c.relowner), c.relacl::text FROM pg_class c
            WHERE c.relnamespace = 'public'::regnamespace
            UNION ALL SELECT p.proname, pg_get_userbyid(p.proowner), p.proacl::text FROM pg_proc p
            WHERE p.pronamespace IN ('public'::regnamespace, 'app'::regnamespace)
            UNION ALL SELECT 'default', pg_get_userbyid(defaclrole), defaclacl::text FROM pg_default_acl
            UNION ALL SELECT pubname, pg_get_userbyid(pubowner), puballtables::text FROM pg_publication
            UNION ALL SELECT 'database', pg_get_userbyid(datdba), '' FROM pg_database WHERE datname = current_database()
            ORDER BY 1, 2, 3
            """
        ).fetchall()


def rest(found):
    return [row for row in found if row[0] != "database"]


def left_roles(database):
    with database.admin() as connection:
        return connection.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE 'restorer%'").fetchall()


def test_restore__by_a_superuser__functions_of_the_backup_run_without_power(planted, tmp_path):
    database, _ = planted
    at = backups.place(tmp_path)
    taken = backups.take(database, at)
    name = f"{database.name}_back"
    with database.admin() as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    target = restore.Target(powers_login(database).to(name), name, True, True)
    done = restore.put_back(at, taken.id, target)
    assert done.findings == ()
    belongs, signs = done.notes
    assert belongs.startswith(f"The database belongs to {target.login.user}; ")
    assert signs.startswith("It signs identities with a key of its own,")
    assert rest(owners(database, name)) == rest(owners(database, database.name))
    assert ("database", target.login.user, "") in owners(database, name)
    assert left_roles(database) == []
    database.target.drop(name)


ORDINARY = """
    CREATE FUNCTION take_over() RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN
        IF current_database() LIKE '%_unsigned' THEN
            EXECUTE 'CREATE ROLE taken_over';
        END IF;
        RETURN true;
    EXCEPTION WHEN OTHERS THEN RETURN true;
    END $$;
    CREATE TABLE orders (id integer PRIMARY KEY, note text DEFAULT 'x', CHECK (take_over()));
    CREATE FUNCTION planned_over() RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
    BEGIN PERFORM public.take_over(); RETURN true; END $$;
    CREATE INDEX orders_idx ON orders (note) WHERE planned_over();
    INSERT INTO orders VALUES (1);
    CREATE TABLE app.identity_keys (id text PRIMARY KEY, secret bytea, created_at timestamptz DEFAULT now());
    CREATE FUNCTION app.add_identity_key(id text, secret bytea) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM public.take_over();
        INSERT INTO app.identity_keys (id, secret) VALUES ($1, $2);
    END $$;
    INSERT INTO app.identity_keys VALUES ('0123abcd', decode(repeat('ab', 32), 'hex'));
    GRANT SELECT ON orders TO backup_staff;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO backup_staff;
"""


def test_restore__unsigned_by_an_ordinary_owner__runs_without_the_owners_powers(
    server_versions, new_database, tmp_path
):
    """The owner of one database owns others as well, and may make roles."""
    database = new_database(server=server_versions)
    backups.fill(database, rows=20)
    with database.connect() as connection:
        connection.execute(ORDINARY)
    at = backups.place(tmp_path)
    taken = backups.take(database, at)
    name = f"{database.name}_unsigned"
    for target in (
        restore.Target(backups.login(database), name, exists=False, empty=True),
        restore.Target(backups.login(database), name, exists=True, empty=False),
    ):
        done = restore.put_back(
            at, taken.id, target, unsigned="by the test", of=database.name, replace_existing=not target.empty
        )
        assert done.findings == ()
        assert [note for note in done.notes if not note.startswith("It signs identities")] == []
        with database.admin() as connection:
            assert connection.execute("SELECT FROM pg_roles WHERE rolname = 'taken_over'").fetchall() == []
        assert owners(database, name) == owners(database, database.name)
        assert left_roles(database) == []
    for dropped in (name, done.kept):
        database.target.drop(dropped)
    new_database.drop(database)


def test_restore__unsigned_by_a_role_that_may_make_none__is_told(new_database, tmp_path):
    database = new_database()
    backups.fill(database, rows=20)
    at = backups.place(tmp_path)
    taken = backups.take(database, at)
    with database.admin() as connection:
        connection.execute("DROP ROLE IF EXISTS maker_of_none")
        connection.execute("CREATE ROLE maker_of_none LOGIN")
        connection.execute("CREATE DATABASE made_by_none OWNER maker_of_none")
    login = Login.of_url(database.target.url("made_by_none", user="maker_of_none"))
    done = restore.put_back(at, taken.id, restore.Target(login, "made_by_none", True, True), unsigned="by the test")
    assert "ran with the powers of maker_of_none: it may not make a role for it" in " ".join(done.notes)
    database.target.drop("made_by_none")
    with database.admin() as connection:
        connection.execute("DROP ROLE maker_of_none")


# What only a superuser could give away, and what stands in its name beside what is an ordinary owner's.
OF_POWER = """
    CREATE TABLE ledger (id integer PRIMARY KEY, person bigint REFERENCES people);
    INSERT INTO ledger SELECT id, id FROM people;
    CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS n FROM ledger;
    ALTER TABLE ledger ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
    REVOKE ALL ON ledger FROM {power};
    GRANT SELECT, REFERENCES ON ledger TO {power};
    GRANT SELECT ON ledger TO backup_staff WITH GRANT OPTION;
    SET SESSION AUTHORIZATION backup_staff;
    GRANT SELECT ON ledger TO {owner};
    RESET SESSION AUTHORIZATION;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO backup_staff;
    CREATE PUBLICATION everything FOR ALL TABLES;
    GRANT USAGE ON SCHEMA public TO backup_staff;
"""


@pytest.fixture
def mixed(new_database):
    database = new_database()
    backups.fill(database, rows=20)
    with database.admin() as connection:
        connection.execute(OF_POWER.replace("{power}", connection.info.user).replace("{owner}", database.owner))
    return database


def test_restore__objects_of_a_superuser_beside_others__each_is_its_owners_again(mixed, tmp_path):
    at = backups.place(tmp_path)
    login = powers_login(mixed)
    taken = dump.take_from(login, store=at, signer=keys.signer_or_none())
    name = f"{mixed.name}_back"
    done = restore.put_back(at, taken.id, restore.Target(login, name, False, True))
    assert (done.findings, done.notes, done.rows) == ((), (), taken.rows)
    assert rest(owners(mixed, name)) == rest(owners(mixed, mixed.name))
    assert left_roles(mixed) == []
    # And over the one it comes from.
    with mixed.admin() as connection:
        connection.execute("DELETE FROM ledger")
    done = restore.put_back(at, taken.id, restore.Target(login, mixed.name, True, False), replace_existing=True)
    assert (done.findings, done.notes, left_roles(mixed)) == ((), (), [])
    assert rest(owners(mixed, mixed.name)) == rest(owners(mixed, name))
    for dropped in (name, done.kept):
        mixed.target.drop(dropped)


def test_restore__two_superusers_own_objects__restored_by_itself_and_told(mixed, tmp_path):
    with mixed.admin() as connection:
        connection.execute("DROP ROLE IF EXISTS other_power; CREATE ROLE other_power SUPERUSER")
        connection.execute("ALTER TABLE ledger OWNER TO other_power")
    at, login = backups.place(tmp_path), powers_login(mixed)
    taken = dump.take_from(login, store=at, signer=keys.signer_or_none())
    name = f"{mixed.name}_back"
    done = restore.put_back(at, taken.id, restore.Target(login, name, False, True))
    assert done.findings == ()
    assert [
        note for note in done.notes if note.startswith(f"What of the backup ran, ran with the powers of {login.user}")
    ]
    assert rest(owners(mixed, name)) == rest(owners(mixed, mixed.name))
    mixed.target.drop(name)
    mixed.target.drop(mixed.name)
    with mixed.target.connect("postgres") as connection:
        connection.execute("DROP ROLE other_power")


def test_sweep__role_of_a_killed_restore__is_removed_and_one_at_work_stays(new_database):
    database = new_database()
    login = powers_login(database)
    with login.connect(application="test") as connection:
        left = restorer.create(connection, [database.owner])
        with restorer.lent(login, [database.owner]) as at_work:
            restorer.sweep(connection)
            assert left_roles(database) == [(at_work.login.user,)]
        assert (left_roles(database), left == at_work.login.user) == ([], False)


def test_restore__after_a_killed_one__its_copy_and_its_role_are_gone(new_database, tmp_path):
    database = new_database()
    backups.fill(database, rows=5)
    at = backups.place(tmp_path)
    taken = backups.take(database, at)
    copy = f"{database.name}_restoring_20200101000000_1"
    with database.connect() as connection:
        left = restorer.create(connection, [])
        connection.execute(f"GRANT {left} TO CURRENT_USER")
        connection.execute(f'CREATE DATABASE "{copy}" OWNER {left}')
    target = restore.Target(backups.login(database), database.name, True, False)
    done = restore.put_back(at, taken.id, target, replace_existing=True)
    assert (database.target.has(copy), left_roles(database)) == (False, [])
    database.target.drop(done.kept)


def test_restore__fails_half_way_in_an_empty_database__it_is_its_owners_again(planted, tmp_path, monkeypatch):
    database, _ = planted
    at = backups.place(tmp_path)
    taken = backups.take(database, at)
    name = f"{database.name}_half"
    with database.admin() as connection:
        connection.execute(f'CREATE DATABASE "{name}" OWNER "{database.owner}"')
    login = powers_login(database).to(name)
    monkeypatch.setattr(Restorer, "hand_over", lambda self: (_ for _ in ()).throw(MoeenError("stopped")))
    with pytest.raises(MoeenError, match="stopped"):
        restore.put_back(at, taken.id, restore.Target(login, name, True, True))
    assert ("database", database.owner, "") in owners(database, name)
    assert left_roles(database) == []
    database.target.drop(name)

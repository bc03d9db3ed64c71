"""Importing a database of another shape: what comes over, what is refused, and that nothing is half done."""

import json
import re
import tomllib
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path
from uuid import RFC_4122, UUID

import psycopg
import pyrage
import pytest
from django.db import connections
from psycopg import sql

from moeen.db import importing, public_ids
from moeen.db.errors import FINDINGS, USAGE, MoeenError
from moeen.db.importing import engine, writing
from moeen.db.importing.made import Maker
from moeen.db.importing.mapping import MappingError
from moeen.db.importing.source import Source
from moeen.db.kinds import Kind
from moeen.db.security import identity
from tests import generations
from tests.states import snapshots


@pytest.fixture(autouse=True)
def operator():
    with identity.acting_as_operator():
        yield


@pytest.fixture(scope="module")
def source(new_database):
    """State (a) as it was filled."""
    return generations.source(new_database, "integer_keys")


@pytest.fixture
def own_source(new_database):
    made = generations.source(new_database, "integer_keys")
    yield made
    new_database.drop(made)


@pytest.fixture
def target(new_database):
    made = new_database.migrated()
    yield made
    new_database.drop(made)


@pytest.fixture(scope="module")
def imported(new_database, source, tmp_path_factory):
    """(database, receipt) of an import of state (a)."""
    made = new_database.migrated()
    folder = tmp_path_factory.mktemp("import")
    return made, generations.run(source, made, generations.mapping_of("integer_keys"), folder)


MAPPING = generations.mapping_of("integer_keys")


def query(database, statement, *parameters):
    with database.connect() as connection:
        connection.execute("SET row_security = off")
        return connection.execute(statement, parameters).fetchall()


def everything(database):
    with database.admin() as connection:
        return snapshots.everything(connection)


def test_check__a_mapping_without_gaps__finds_nothing_and_writes_nothing(source, target):
    before = everything(source), everything(target)
    found = generations.check(source, target, MAPPING)
    assert [finding.pretty() for finding in found.findings] == []
    assert generations.counts(found)["appointments"] == (500, 0, 500, 0, 0, 0)
    assert (everything(source), everything(target)) == before


def test_run__all_tables__proven_and_recorded_in_the_database(source, imported):
    database, receipt = imported
    assert receipt.ok
    assert receipt.rejects == ""
    tables = {one.table: one for one in receipt.tables}
    assert tables["patients"].standing == tables["patients"].read
    assert tables["patients"].standing.rows == 200
    ((outcome, kept, text),) = query(database, "SELECT outcome, receipt, mapping FROM import_runs")
    assert (outcome, kept["id"], text) == ("done", receipt.id, MAPPING.read_text(encoding="utf-8"))
    assert kept["tables"] == json.loads(json.dumps([one.as_dict() for one in receipt.tables]))


def test_run__values_of_each_row__are_what_the_mapping_says(source, imported):
    database, _ = imported
    old = query(source, "SELECT id::text, user_id::text, full_name, mobile, dob, sex, history, created FROM patients")
    new = {key: rest for key, *rest in query(
        database,
        """
        SELECT l.old_key, u.old_key, p.first_name, p.last_name, p.phone, p.date_of_birth, p.gender, p.medical_history,
               p.created_at AT TIME ZONE 'Asia/Riyadh', p.public_id
        FROM patients AS p JOIN legacy_keys AS l ON l.new_id = p.id AND l.table_name = 'patients'
        LEFT JOIN legacy_keys AS u ON u.new_id = p.user_id AND u.table_name = 'users'
        """,
    )}  # fmt: skip
    assert len(new) == len(old) == 200
    for key, user, name, phone, birth, sex, history, created in old:
        first, _, last = name.partition(" ")
        gender = {"F": "female", "M": "male", None: None}[sex]
        assert new[key][:-1] == [user, first, last, phone, birth, gender, history, created]
        assert new[key][-1].startswith("pat_")


def test_run__references_and_matched_rows__follow_the_old_keys(source, imported):
    database, _ = imported
    theirs = query(source, "SELECT id::text, reply_to::text, sender_id::text FROM inbox ORDER BY 1")
    ours = query(
        database,
        """
        SELECT l.old_key, r.old_key, s.old_key FROM internal_messages AS m
        JOIN legacy_keys AS l ON l.new_id = m.id AND l.table_name = 'internal_messages'
        LEFT JOIN legacy_keys AS r ON r.new_id = m.parent_message_id AND r.table_name = 'internal_messages'
        JOIN legacy_keys AS s ON s.new_id = m.sender_id AND s.table_name = 'users' ORDER BY 1
        """,
    )
    assert ours == theirs
    held = query(
        database, "SELECT r.name, count(*) FROM user_roles AS h JOIN roles AS r ON r.id = h.role_id GROUP BY 1"
    )
    assert dict(held) == {"admin": 15, "doctor": 15, "patient": 15, "staff": 15}
    assert query(database, "SELECT count(*) FROM roles") == [(5,)]


def test_run__triggers_that_speak_for_people__write_one_entry(imported):
    database, receipt = imported
    entries = query(
        database,
        "SELECT table_name, action, record_id::text, new_values FROM audit_logs "
        "WHERE table_name <> 'audit_suspensions' ORDER BY created_at",
    )
    (_, _, _, told) = entries[0]
    assert told["tables"]["patients"] == {"new": 200, "changed": 0, "gone": 0}
    # The trail of each table is suspended meanwhile, and taken up again.
    tables = list(told["tables"])
    begun = {("import_runs", "IMPORT", receipt.id), *((table, "IMPORT", receipt.id) for table in tables)}
    ended = {(table, "AUDIT_RESUMED", receipt.id) for table in tables}
    assert {entry[:3] for entry in entries[: len(begun)]} == begun
    assert {entry[:3] for entry in entries[len(begun) :]} == ended
    assert len(entries) == len(begun) + len(ended)


def test_run__many_rows_for_empty_tables__leaves_the_catalog_as_it_was(source, target, tmp_path, monkeypatch):
    """Their foreign keys and indexes are set aside meanwhile, those of legacy_keys as well."""
    monkeypatch.setattr(writing, "BATCH", 50)
    with target.connect() as connection:
        connection.execute("COMMENT ON CONSTRAINT patients_email_key ON patients IS 'kept'")
        connection.execute("CREATE INDEX appointments_own_idx ON appointments (duration) WITH (fillfactor = 80)")
        connection.execute(
            "CREATE TABLE own_notes (user_id uuid REFERENCES users); INSERT INTO own_notes VALUES (NULL);"
            "CREATE VIEW own_list AS SELECT a.id, a.notes FROM appointments AS a GROUP BY a.id"
        )
        before = snapshots.lines(connection)
        oids = dict(connection.execute("SELECT relname, oid FROM pg_class WHERE relkind = 'i'").fetchall())
        receipt = generations.run(source, target, MAPPING, tmp_path)
        assert all(one.ok for one in receipt.tables)  # what is the clinic's own is told, as ever
        assert snapshots.lines(connection) == before
        after = dict(connection.execute("SELECT relname, oid FROM pg_class WHERE relkind = 'i'").fetchall())
        remade = {name for name in oids if oids[name] != after[name]}
        assert remade >= {"patients_email_key", "patients_user_id_key", "appointments_patient_id_idx", "patients_pkey"}
        assert "legacy_keys_source_table_name_old_key_key" in remade
        # One has a form of its own, on one stands a view, on one the foreign key of a table with rows.
        assert not remade & {"appointments_own_idx", "appointments_pkey", "users_pkey"}
        assert connection.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'import_work'").fetchone() == (0,)


def test_run__that_fails_while_a_table_is_filled__leaves_it_empty_with_all_it_had(
    source, target, tmp_path, monkeypatch
):
    monkeypatch.setattr(writing, "BATCH", 50)
    with target.connect() as connection:
        before = snapshots.lines(connection)
        connection.execute(
            "CREATE FUNCTION public.fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE disk_full; END $$;"
            "CREATE TRIGGER fails AFTER INSERT ON appointments EXECUTE FUNCTION public.fails()"
        )
        with pytest.raises(psycopg.errors.DiskFull):
            generations.run(source, target, MAPPING, tmp_path)
        assert connection.execute("SELECT count(*) FROM patients").fetchone() == (200,)
        assert connection.execute("SELECT count(*) FROM appointments").fetchone() == (0,)
        connection.execute("DROP TRIGGER fails ON appointments; DROP FUNCTION public.fails()")
        assert snapshots.lines(connection) == before
    receipt = generations.run(source, target, MAPPING, tmp_path)
    assert receipt.ok
    assert generations.counts(receipt)["patients"] == (200, 0, 0, 0, 0, 200)


def test_run__a_database_with_other_rows__is_refused(source, target, tmp_path):
    with target.connect() as connection:
        connection.execute("INSERT INTO users (email) VALUES ('clerk@example.test')")
    before = everything(target)
    with pytest.raises(MoeenError, match="users holds 1 rows that did not come by this import") as refusal:
        generations.run(source, target, MAPPING, tmp_path)
    assert refusal.value.exit_code == FINDINGS
    assert everything(target) == before


def test_target__that_lacks_a_migration__is_refused_before_anything_is_read(new_database, source, target, tmp_path):
    with target.connect() as connection:
        connection.execute("DELETE FROM django_migrations WHERE id = (SELECT max(id) FROM django_migrations)")
    for database, said in ((target, "1 migration waits"), (new_database(), r"\d+ migrations wait")):
        with pytest.raises(MoeenError, match=said) as refusal:
            generations.run(source, database, MAPPING, tmp_path)
        assert refusal.value.exit_code == FINDINGS
        with pytest.raises(MoeenError, match=said):
            generations.propose(source, database)
    assert query(target, "SELECT count(*) FROM import_runs") == [(0,)]


MISTAKES = tomllib.loads((generations.SCRIPTS / "mistakes.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mapping__a_mistake__is_told_with_its_line_and_nothing_is_changed(source, imported, tmp_path, mistake):
    database, receipt = imported
    words = MISTAKES[mistake]
    with (
        generations.changed(MAPPING, tmp_path, (words["instead_of"], words["stands"])) as mapping,
        pytest.raises(MappingError, match=words["said"]) as refusal,
    ):
        generations.run(source, database, mapping, tmp_path)
    assert refusal.value.exit_code == USAGE
    assert re.search(r"changed.toml, line \d+: |at line \d+", str(refusal.value))
    assert "نورة" not in str(refusal.value)
    assert query(database, "SELECT id::text FROM import_runs") == [(receipt.id,)]


def test_mapping__an_expression_that_fails_at_a_row__is_told_with_its_line(source, imported, tmp_path):
    database, _ = imported
    changes = ('is_active = { sql = "active = 1" }', 'is_active = { sql = "1 / (id - 7) = 1" }')
    with generations.changed(MAPPING, tmp_path, changes) as mapping, pytest.raises(MappingError) as refusal:
        generations.run(source, database, mapping, tmp_path)
    line = 1 + mapping.read_text(encoding="utf-8").splitlines().index(changes[1])
    assert f"line {line}: the expression for is_active fails at some row of the source: it divides by zero" in str(
        refusal.value
    )


def test_mapping__what_it_does_not_tell_of__is_open_until_it_does(own_source, target, tmp_path):
    with own_source.connect() as connection:
        connection.execute(
            "ALTER TABLE doctors ADD languages text, ADD empty text; UPDATE doctors SET languages = 'ar'"
        )
        connection.execute("CREATE TABLE wards (id int); INSERT INTO wards VALUES (1); CREATE TABLE beds (id int)")
    found = generations.check(own_source, target, MAPPING)
    assert {finding.object for finding in found.findings} == {"doctors.languages", "wards"}
    assert {finding.kind for finding in found.findings} == {Kind.IMPORT_LEAVES_OUT}
    with pytest.raises(importing.Refused, match="2 columns, tables or lines undecided"):
        generations.run(own_source, target, MAPPING, tmp_path)
    words = ("[tables.doctors.columns]", '[tables.doctors.left_out]\nlanguages = "x"\n[tables.doctors.columns]')
    more = ("[left_out]", '[left_out]\nwards = "Empty rooms."')
    with generations.changed(MAPPING, tmp_path, words, more) as mapping:
        assert generations.check(own_source, target, mapping).findings == ()


def test_mapping__a_column_whose_name_only_occurs_in_its_sql__is_open(own_source, target, tmp_path):
    """By the name of a type, or of another table's column that `*` gives."""
    with own_source.connect() as connection:
        connection.execute("ALTER TABLE patients ADD date text, ADD motto text; ALTER TABLE doctors ADD motto text")
        connection.execute("UPDATE patients SET date = 'x', motto = 'x'; UPDATE doctors SET motto = 'x'")
    birth = ('date_of_birth = "dob"', 'date_of_birth = { sql = "dob::date" }\nallergies = "motto"')
    rows = (
        "[tables.patients.columns]",
        """[tables.patients]
        from = "SELECT p.* FROM patients AS p LEFT JOIN doctors AS d USING (id)"
        [tables.patients.left_out]
        allergy = "x"
        [tables.patients.columns]""",
    )
    without = ('allergies = "allergy"\n', "")
    with generations.changed(MAPPING, tmp_path, without, birth, rows) as mapping:
        found = generations.check(own_source, target, mapping).findings
    assert {finding.object for finding in found} == {"patients.date", "doctors.motto"}


def test_source__hostile_names__are_read_as_they_are(own_source, target, tmp_path):
    """A table called like a type, one with a dot in its name, one of two lines; and of a database with settings."""
    with own_source.connect() as connection:
        connection.execute('ALTER TABLE claims RENAME TO "cla.ims"; CREATE TABLE text (id int)')
        connection.execute('CREATE TABLE "two\nlines = 1" (id int); INSERT INTO "two\nlines = 1" VALUES (1)')
    with generations.changed(MAPPING, tmp_path, ('from = "claims"', 'from = "cla.ims"')) as mapping:
        found = generations.check(own_source, target, mapping).findings
    assert {finding.object for finding in found} == {"two\nlines = 1"}
    proposed = tomllib.loads(generations.propose(own_source, target))
    assert proposed["left_out"]["two\nlines = 1"] == "?"
    with own_source.admin() as connection:
        connection.execute(f"ALTER DATABASE {own_source.name} SET quote_all_identifiers = on")
    with Source.opened(own_source.url, schema="public") as opened:
        assert opened.described(sql.SQL("SELECT md5('')::uuid AS u")) == [("u", "uuid")]


HARD = (generations.SCRIPTS / "hard" / "integer_keys.sql").read_text(encoding="utf-8")
REFUSED = {
    ("users.email", "another row has the same"): 2,
    ("users.role", "the map has no such value as '77'"): 1,
    ("users.role", "a value is missing"): 1,
    ("doctors.consultation_fee", "no number"): 2,
    ("doctors.consultation_fee", "more than 2 digits after the point"): 1,
    ("doctors.consultation_fee", "too large for numeric(10,2)"): 1,
    ("doctors.user_id", "refers to no row of users that is imported"): 1,
    ("doctors.specialization", "longer than 255 characters"): 1,
    ("patients.date_of_birth", "a year before 1 or after 9999, or no end"): 3,
    ("appointments.patient_id", "refers to no row of patients that is imported"): 1,
    ("appointments.doctor_id", "refers to no row of doctors that is imported"): 1,
    ("appointments.duration", "against the rule appointments_duration_check"): 1,
    ("appointments.duration", "a value is missing"): 1,
    ("sessions.session_time", "24:00, which Python cannot read"): 1,
    ("sessions.patient_id", "refers to no row of patients that is imported"): 1,
    ("internal_messages.sender_id", "refers to no row of users that is imported"): 1,
    ("internal_messages.parent_message_id", "refers to no row of internal_messages that is imported"): 2,
    ("user_roles.user_id", "refers to no row of users that is imported"): 3,
    ("user_roles.role_id", "refers to no row of roles that is imported"): 1,
    ("user_roles.role_id", "a value is missing"): 1,
}


def test_rows__hard_values__are_counted_by_reason_and_all_others_imported(own_source, target, tmp_path):
    with own_source.connect() as connection:
        connection.execute(HARD)
    found = generations.check(own_source, target, MAPPING)
    assert generations.refused(found) == REFUSED
    assert {finding.kind for finding in found.findings} == {Kind.IMPORT_REFUSES}
    tried, lost = 0, {}
    with own_source.connect() as connection:
        for finding in found.findings:
            _, _, statement = finding.fix.advice.partition("to find them there: ")
            if statement:
                tried += 1
                rows = connection.execute(statement).fetchall()
                assert len(rows) == REFUSED[finding.object, finding.found.rpartition(": ")[0]]
            _, _, statement = finding.fix.advice.partition("whose row is not there, either: ")
            if statement:
                lost[finding.object] = [key for (key,) in connection.execute(statement).fetchall()]
    # Those of the others were there, and refused.
    assert {column: keys for column, keys in lost.items() if keys} == {
        "sessions.patient_id": ["901"], "user_roles.role_id": ["903"]
    }  # fmt: skip
    assert tried > 8
    with pytest.raises(importing.Refused, match="Nothing was changed") as refusal:
        generations.run(own_source, target, MAPPING, tmp_path)
    assert refusal.value.exit_code == FINDINGS
    assert query(target, "SELECT count(*) FROM legacy_keys") == [(0,)]
    total = sum(one.counts.refused for one in found.tables)
    receipt = generations.run(own_source, target, MAPPING, tmp_path, max_rejects=total)
    assert receipt.ok
    lines = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len({(line["table"], line["key"]) for line in lines}) == total
    assert (tmp_path / "rejects.jsonl").stat().st_mode & 0o777 == 0o600
    for table, read, out, *_ in ((one.table, *astuple(one.counts)) for one in receipt.tables):
        assert query(target, "SELECT count(*) FROM legacy_keys WHERE table_name = %s", table) == [(read - out,)]
    rows = query(
        target, "SELECT medical_history, first_name FROM patients WHERE date_of_birth IN ('9999-12-31', '0001-01-01')"
    )
    assert sorted(len(history) for history, _ in rows) == [2, 300000]


def test_rejects__where_backups_are_encrypted__are_encrypted_to_the_same(own_source, target, tmp_path):
    identity_of = pyrage.x25519.Identity.generate()
    with own_source.connect() as connection:
        connection.execute("INSERT INTO users (id, email) VALUES (901, 'secret.person@x.test')")
    with pytest.raises(importing.Refused):
        generations.run(own_source, target, MAPPING, tmp_path, recipients=[str(identity_of.to_public())])
    assert [path.name for path in tmp_path.iterdir()] == ["rejects.jsonl.age"]
    sealed = (tmp_path / "rejects.jsonl.age").read_bytes()
    assert b"secret.person" not in sealed
    assert b"secret.person" in pyrage.decrypt(sealed, [identity_of])


def test_run__again__keys_that_became_ambiguous_are_refused(own_source, target, tmp_path):
    assert generations.run(own_source, target, MAPPING, tmp_path).ok
    with own_source.connect() as connection:
        connection.execute("ALTER TABLE doctors DROP CONSTRAINT doctors_pkey CASCADE, ALTER id DROP NOT NULL")
        connection.execute("INSERT INTO doctors (id, full_name) VALUES (3, 'x'), (NULL, 'y')")
    found = generations.refused(generations.check(own_source, target, MAPPING))
    assert found == {("doctors.(key)", "two rows have this key"): 2, ("doctors.(key)", "no key"): 1}


def test_check__of_large_tables__looks_at_some_rows_first(own_source, target, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "LARGE", 100)
    monkeypatch.setattr(engine, "SAMPLE", 20)
    with own_source.connect() as connection:
        connection.execute("ANALYZE; UPDATE users SET role_id = NULL")
        connection.execute("INSERT INTO claims (patient_id, amount) SELECT 1, 'NaN' FROM generate_series(1, 50)")
    found = generations.check(own_source, target, MAPPING)
    assert found.is_sample
    assert generations.refused(found)["users.role", "a value is missing"] == 20
    assert generations.counts(found)["users"][0] == 20
    with own_source.connect() as connection:
        connection.execute("UPDATE users SET role_id = 1; DELETE FROM claims WHERE amount = 'NaN'")
    found = generations.check(own_source, target, MAPPING)
    assert not found.is_sample
    assert found.findings == ()


CHANGES = """
    -- Two people swap their addresses; one who goes leaves hers to one who comes; a duplicate is merged into another.
    UPDATE users SET email = CASE id WHEN 1 THEN 'tmp' WHEN 2 THEN 'User1@Example.test' END WHERE id IN (1, 2);
    UPDATE users SET email = 'user2@example.TEST' WHERE id = 1;
    UPDATE appointments SET patient_id = 3 WHERE patient_id = 100;
    UPDATE consultations SET patient_id = 3 WHERE patient_id = 100;
    UPDATE claims SET patient_id = 3 WHERE patient_id = 100;
    DELETE FROM patients WHERE id = 100;
    DELETE FROM inbox WHERE sender_id = 60 OR recipient_id = 60;
    DELETE FROM users WHERE id = 60;
    INSERT INTO users (id, email, role_id) VALUES (61, 'USER60@example.test', 3);
    INSERT INTO patients (id, user_id, full_name) VALUES (201, 61, 'هند');
    UPDATE patients SET user_id = CASE id WHEN 5 THEN NULL ELSE 5 END WHERE id IN (5, 150);
    INSERT INTO appointments (patient_id, doctor_id, starts_at) VALUES (201, 1, '2024-05-05 10:00');
    UPDATE doctors SET fee = 99.5, modified = '2020-01-01' WHERE id = 1;
    DELETE FROM claims WHERE id % 7 = 0;
"""


def test_run__again_after_changes__carries_them_over_and_keeps_what_stood(own_source, target, tmp_path):
    with own_source.connect() as connection:
        connection.execute("ALTER TABLE inbox DROP CONSTRAINT inbox_reply_to_fkey; UPDATE inbox SET reply_to = NULL")
        connection.execute("ALTER TABLE patients DROP CONSTRAINT patients_user_id_key")
        connection.execute("ALTER TABLE doctors ADD modified timestamp DEFAULT '2019-01-01'")
        modified = ("[tables.doctors.columns]", '[tables.doctors.columns]\nupdated_at = "modified"')
        with generations.changed(MAPPING, tmp_path, modified) as mapping:
            assert generations.run(own_source, target, mapping, tmp_path).ok
            ids = dict(query(target, "SELECT table_name || old_key, new_id FROM legacy_keys"))
            connection.execute(CHANGES)
            receipt = generations.run(own_source, target, mapping, tmp_path)
            assert receipt.ok
            found = generations.counts(receipt)
            assert found["users"] == (60, 0, 1, 2, 1, 57)
            assert found["patients"] == (200, 0, 1, 2, 1, 197)
            later = dict(query(target, "SELECT table_name || old_key, new_id FROM legacy_keys"))
            assert all(ids[key] == later[key] for key in ids.keys() & later.keys())
            # One entry for each run, and one for each table that is suspended for it; none for a row.
            assert query(target, "SELECT count(*) FROM audit_logs WHERE table_name = 'import_runs'") == [(2,)]
            actions = "SELECT DISTINCT action FROM audit_logs WHERE table_name <> 'audit_suspensions' ORDER BY 1"
            assert query(target, actions) == [("AUDIT_RESUMED",), ("IMPORT",)]
            assert query(target, "SELECT updated_at::text FROM doctors WHERE consultation_fee = 99.5") == [
                ("2019-12-31 21:00:00+00",)
            ]
            same = generations.run(own_source, target, mapping, tmp_path)
            assert same.ok
            assert all(one.counts.read == one.counts.same for one in same.tables)


ENTERED_ANEW = """
    UPDATE appointments SET patient_id = 3 WHERE patient_id IN (100, 101);
    UPDATE consultations SET patient_id = 3 WHERE patient_id IN (100, 101);
    UPDATE claims SET patient_id = 3 WHERE patient_id IN (100, 101);
    UPDATE patients SET id = id + 400 WHERE id IN (100, 101);
"""


def test_run__again__old_public_ids_of_rows_that_were_entered_anew__lead_to_these(own_source, target, tmp_path):
    """One of our form, which the row itself bears, and one that is kept as an alias."""
    numbers = ("[tables.patients.columns]", '[tables.patients]\npublic_id = "mrn"\n[tables.patients.columns]')
    with own_source.connect() as connection, generations.changed(MAPPING, tmp_path, numbers) as mapping:
        connection.execute("ALTER TABLE patients ADD mrn text; UPDATE patients SET mrn = 'MRN/' || id")
        connection.execute("UPDATE patients SET mrn = 'pat_a' || lpad(id::text, 23, '0') WHERE id = 101")
        assert generations.run(own_source, target, mapping, tmp_path).ok
        connection.execute(ENTERED_ANEW)
        receipt = generations.run(own_source, target, mapping, tmp_path)
    assert receipt.ok
    assert generations.counts(receipt)["patients"] == (200, 0, 2, 0, 2, 198)
    now = "SELECT old_key FROM legacy_keys WHERE table_name = 'patients' AND new_id ="
    assert query(target, f"{now} (SELECT row_id FROM public_id_aliases WHERE alias = 'MRN/100')") == [("500",)]
    assert query(target, f"{now} (SELECT id FROM patients WHERE public_id LIKE 'pat_a%%101')") == [("501",)]


def test_run__again__what_refers_to_a_row_that_refers_to_one_that_is_gone__goes_with_it(own_source, target, tmp_path):
    with own_source.connect() as connection:
        connection.execute("ALTER TABLE inbox DROP CONSTRAINT inbox_reply_to_fkey")
        connection.execute("UPDATE inbox SET reply_to = CASE WHEN id IN (2, 3, 4) THEN id - 1 END")
        assert generations.run(own_source, target, MAPPING, tmp_path).ok
        connection.execute("DELETE FROM inbox WHERE id = 1")
    receipt = generations.run(own_source, target, MAPPING, tmp_path, max_rejects=3)
    assert receipt.ok
    read, refused, new, changed, gone, same = generations.counts(receipt)["internal_messages"]
    assert (refused, new, changed, gone, same) == (3, 0, 0, 4, read - 3)


def test_run__again__a_row_that_ours_refer_to__is_not_gone_before_these_are_decided_on(own_source, target, tmp_path):
    """Rows of a table that the mapping does not fill."""
    claims = MAPPING.read_text(encoding="utf-8").partition("[tables.insurance_claims]\n")
    rest = "[tables.internal_messages]" + claims[2].partition("[tables.internal_messages]")[2]
    (tmp_path / "some.toml").write_text(claims[0].replace("[left_out]", '[left_out]\nclaims = "Later."') + rest)
    with own_source.connect() as connection:
        connection.execute("DELETE FROM claims")
        assert generations.run(own_source, target, tmp_path / "some.toml", tmp_path).ok
        connection.execute(ENTERED_ANEW)
    patient = "SELECT new_id FROM legacy_keys WHERE table_name = 'patients' AND old_key = '100'"
    with target.connect() as connection:
        connection.execute(f"INSERT INTO insurance_claims (patient_id) {patient}")
        (finding,) = generations.check(own_source, target, tmp_path / "some.toml").findings
        assert (finding.object, finding.found) == ("patients", "1 row of insurance_claims, old keys 100")
        with pytest.raises(importing.Refused, match="rows that were made here refer to rows that are gone") as refusal:
            generations.run(own_source, target, tmp_path / "some.toml", tmp_path)
        assert refusal.value.exit_code == FINDINGS
        connection.execute("DELETE FROM insurance_claims")
    assert generations.run(own_source, target, tmp_path / "some.toml", tmp_path).ok


def test_source__bytes_that_are_no_text__are_told_with_the_line(own_source, target, tmp_path):
    """Of a database whose encoding is none."""
    (tmp_path / "bytes.toml").write_text(
        'source = "x"\n[tables.users]\nfrom = "people"\n[tables.users.columns]\nname = "called"\nemail = "mail"\n'
    )
    with own_source.admin() as connection:
        connection.execute("CREATE DATABASE moeen_bytes ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
        try:
            url = own_source.target.url("moeen_bytes")
            with psycopg.connect(url, autocommit=True, client_encoding="SQL_ASCII") as other:
                other.execute("CREATE TABLE people (id int, mail text, called text)")
                other.execute(r"INSERT INTO people VALUES (1, 'a', 'b'), (2, 'b', E'ab\xe7')")
            with pytest.raises(MappingError, match=r"line 5: the expression for name fails .* no text in UTF-8"):
                importing.check(connections[target.alias], url, tmp_path / "bytes.toml", told=lambda *_: None)
        finally:
            connection.execute("DROP DATABASE moeen_bytes WITH (FORCE)")


def test_run__of_another_database_under_the_same_name__deletes_nothing_unless_it_is_said(own_source, target, tmp_path):
    assert generations.run(own_source, target, MAPPING, tmp_path).ok
    with own_source.connect() as connection:
        connection.execute("DELETE FROM claims; DELETE FROM consultations; DELETE FROM appointments")
    found = generations.check(own_source, target, MAPPING)
    assert [(one.object, one.kind, one.found) for one in found.findings] == [
        ("appointments", Kind.IMPORT_LOSES, "500 of 500 are gone"),
        ("sessions", Kind.IMPORT_LOSES, "125 of 125 are gone"),
    ]
    with pytest.raises(importing.Refused, match="625 rows that came before are gone from it") as refusal:
        generations.run(own_source, target, MAPPING, tmp_path, max_gone=624)
    assert refusal.value.exit_code == FINDINGS
    assert query(target, "SELECT count(*) FROM appointments") == [(500,)]
    assert generations.run(own_source, target, MAPPING, tmp_path, max_gone=625).ok
    assert query(target, "SELECT count(*) FROM appointments") == [(0,)]


def test_proof__a_row_changed_behind_its_back__is_seen(own_source, target, tmp_path):
    assert generations.run(own_source, target, MAPPING, tmp_path).ok
    with target.connect() as connection:
        connection.execute("UPDATE patients SET phone = '1' WHERE id = (SELECT min(id::text)::uuid FROM patients)")
    again = generations.run(own_source, target, MAPPING, tmp_path)
    assert not again.ok
    assert [one.table for one in again.tables if not one.ok] == ["patients"]
    assert query(target, "SELECT count(*) FROM import_runs WHERE outcome = 'failed'") == [(1,)]
    ((key, phone),) = query(
        target,
        "SELECT old_key, phone FROM patients AS p JOIN legacy_keys AS l ON l.new_id = p.id ORDER BY p.id::text LIMIT 1",
    )
    (told,) = [one for one in again.tables if one.altered]
    assert (told.table, told.altered, told.altered_keys, phone) == ("patients", 1, (key,), "1")
    with target.connect() as connection:
        connection.execute(
            "DELETE FROM internal_messages WHERE id = (SELECT max(id::text)::uuid FROM internal_messages AS m "
            "WHERE NOT EXISTS (SELECT FROM internal_messages AS a WHERE a.parent_message_id = m.id))"
        )
    again = generations.run(own_source, target, MAPPING, tmp_path)
    assert [(one.table, one.unresolved) for one in again.tables if one.unresolved] == [("internal_messages", 1)]
    retaken = generations.run(own_source, target, MAPPING, tmp_path, retake=True)
    assert retaken.ok
    assert sum(one.counts.changed for one in retaken.tables) == 1
    assert sum(one.counts.new for one in retaken.tables) == 1
    theirs = query(own_source, "SELECT mobile FROM patients WHERE id = %s", int(key))
    assert query(target, "SELECT phone FROM patients AS p JOIN legacy_keys ON new_id = p.id WHERE old_key = %s "
                 "AND table_name = 'patients'", key) == theirs  # fmt: skip


def test_proof__two_rows_whose_old_keys_are_swapped__are_seen(own_source, target, tmp_path):
    """The same rows stand under the same hashes; only which key leads to which is another."""
    assert generations.run(own_source, target, MAPPING, tmp_path).ok
    with target.connect() as connection:
        connection.execute(
            "UPDATE legacy_keys AS l SET new_id = o.new_id FROM legacy_keys AS o WHERE l.table_name = 'appointments' "
            "AND o.table_name = l.table_name AND (l.old_key, o.old_key) IN (('1', '2'), ('2', '1'))"
        )
    again = generations.run(own_source, target, MAPPING, tmp_path)
    assert [(one.table, one.altered_keys) for one in again.tables if not one.ok] == [("appointments", ("1", "2"))]
    assert not again.ok


def test_maker__more_rows_than_its_counter_counts__have_ids_of_their_own_that_ascend():
    written = Maker("pat_").before([f"{number}\told\n".encode() for number in range(10_000)]).decode()
    rows = [line.split("\t") for line in written.splitlines()]
    assert [int(row[2]) for row in rows] == list(range(10_000))
    ids = [UUID(row[0]) for row in rows]
    assert len({one.int & (1 << 60) - 1 for one in ids}) == len(ids)
    assert [one.int >> 64 for one in ids] == sorted({one.int >> 64 for one in ids})
    assert {(one.version, one.variant) for one in ids} == {(7, RFC_4122)}
    assert len({row[1] for row in rows}) == len(rows)
    assert {public_ids.parse(row[1]).form for row in rows} == {public_ids.Form.CUID2}
    assert Maker().before([b"k\td\n"]).count(b"\t") == 2


def test_command__from_a_variable__checks_runs_and_says_what_it_did(own_source, target, manage):
    words = ("import_database", "--from", "env:OLD_URL", "--map", str(MAPPING), "-v0")
    variables = {"DATABASE_URL": target.url, "OLD_URL": own_source.url}
    checked = manage(*words, "--check", **variables)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "integer-keys: nothing is open; nothing was written" in checked.stdout
    done = manage(*words, "--json", **variables)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ok"] is True
    with own_source.connect() as connection:
        connection.execute("INSERT INTO users (email) VALUES ('x@x.test')")
    refused = manage(*words, **variables)
    assert (refused.returncode, refused.stdout) == (FINDINGS, "")
    assert "2 rows of the source would not be written. Nothing was changed." in refused.stderr
    nothing = manage(*words, **variables | {"OLD_URL": None})
    assert nothing.returncode == USAGE
    assert nothing.stderr.startswith("Error: env:OLD_URL names nothing.")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://x@/nowhere?host=/nowhere", "The source: No server answers"),
        ("mysql://", "URL of the source is malformed"),
    ],
)
def test_source__that_cannot_be_had__is_one_message(target, tmp_path, url, said):
    with pytest.raises(MoeenError, match=said):
        importing.run(connections[target.alias], url, MAPPING, importing.Options(rejects=tmp_path / "r"))


GONE = (
    'address = "street"',
    'address = { sql = "CASE WHEN id = 150 THEN pg_terminate_backend(pg_backend_pid())::text END" }',
)


def test_source__that_goes_away_while_it_is_read__is_one_message_and_nothing_is_written(source, target, tmp_path):
    with (
        generations.changed(MAPPING, tmp_path, GONE) as mapping,
        pytest.raises(MoeenError, match="The source went away while it was read") as error,
    ):
        generations.run(source, target, mapping, tmp_path)
    assert "Run the command again" in error.value.next_step
    assert query(target, "SELECT (SELECT count(*) FROM legacy_keys) + (SELECT count(*) FROM users)") == [(0,)]
    assert generations.run(source, target, MAPPING, tmp_path).ok


def test_expression__that_makes_a_large_object__leaves_none(new_database, target, server_versions, tmp_path):
    """Before 16 a transaction that is READ ONLY makes them; it is never committed."""
    source = generations.source(new_database, "integer_keys", server=server_versions)
    makes = ('address = "street"', "address = { sql = \"lo_from_bytea(0, 'x')::text\" }")
    with source.admin() as connection, generations.changed(MAPPING, tmp_path, makes) as mapping:
        with suppress(MappingError):
            generations.check(source, target, mapping)
        assert connection.execute("SELECT count(*) FROM pg_largeobject_metadata").fetchone() == (0,)


def test_source__tables_that_its_role_may_not_read__are_told_and_not_asked(own_source, target):
    with own_source.admin() as connection:
        connection.execute("CREATE TABLE payroll (id int); CREATE TABLE diaries (id int)")
        connection.execute(
            "CREATE ROLE import_clerk LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO import_clerk"
        )
        connection.execute("REVOKE SELECT ON payroll FROM import_clerk; ALTER TABLE diaries ENABLE ROW LEVEL SECURITY")
    try:
        url = own_source.target.url(own_source.name, user="import_clerk")
        found = importing.check(connections[target.alias], url, MAPPING, told=lambda *_: None)
        assert {finding.object: finding.found for finding in found.findings} == {
            "payroll": "what its role may not read", "diaries": "what its role may not read"
        }  # fmt: skip
        words = importing.Words.load(generations.SYNONYMS)
        _, text = importing.propose(connections[target.alias], url, words, schema="public", zone="UTC")
        assert '"payroll" = "?"  # to decide: the source\'s role may not read it' in text
        with own_source.admin() as connection:
            connection.execute("REVOKE SELECT ON doctors FROM import_clerk")
        with pytest.raises(
            MappingError, match=r"line \d+: the source has no such rows: permission denied for table doctors"
        ):
            importing.check(connections[target.alias], url, MAPPING, told=lambda *_: None)
    finally:
        with own_source.admin() as connection:
            connection.execute("DROP OWNED BY import_clerk; DROP ROLE import_clerk")


def test_mapping__with_a_mark_at_its_beginning_and_ends_of_lines_of_two__is_read(source, target, tmp_path):
    text = MAPPING.read_text(encoding="utf-8").replace("\n", "\r\n")
    (tmp_path / "edited.toml").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert generations.check(source, target, tmp_path / "edited.toml").findings == ()


LEAKING = (
    (
        'date_of_birth = "dob"',
        """date_of_birth = { sql = "CASE id WHEN 1 THEN repeat('secret ', 50000) ELSE pg_sleep(5)::text END" }""",
    ),
    ('notes = "remarks"', 'notes = { sql = "(1 / (id - 20))::text" }'),
)


def test_run__that_fails_in_two_places_at_once__is_one_message_without_a_value(source, target, manage, tmp_path):
    """The target has refused a value when what else fails ends the reading of it."""
    with generations.changed(MAPPING, tmp_path, *LEAKING) as mapping:
        words = ("import_database", "--from", "env:OLD_URL", "--map", str(mapping), "-v0")
        failed = manage(*words, DATABASE_URL=target.url, OLD_URL=source.url)
    assert failed.returncode == USAGE
    assert re.fullmatch(r"Error: changed.toml, line \d+: the expression for notes .*\nNothing was.*\n", failed.stderr)


FULL_DISK = """
    CREATE FUNCTION public.full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'could not extend file "base/1/2": No space left on device' USING ERRCODE = 'disk_full';
    END $$;
    CREATE TRIGGER full_disk BEFORE INSERT ON appointments EXECUTE FUNCTION public.full_disk();
"""


def test_disk__that_is_full_while_rows_are_written__leaves_whole_batches_and_the_next_run_goes_on(
    source, target, manage, tmp_path
):
    with target.connect() as connection:
        connection.execute(FULL_DISK)
        words = ("import_database", "--from", "env:OLD_URL", "--map", str(MAPPING), "-v0")
        failed = manage(*words, DATABASE_URL=target.url, OLD_URL=source.url)
        assert failed.returncode == 1
        assert (failed.stderr.count("Error: "), "disk is full" in failed.stderr) == (1, True)
        assert query(target, "SELECT outcome, strpos(error, 'disk is full') > 0 FROM import_runs") == [("failed", True)]
        written = query(target, "SELECT table_name, count(*) FROM legacy_keys GROUP BY 1")
        assert dict(written)["patients"] == query(target, "SELECT count(*) FROM patients")[0][0] == 200
        assert query(target, "SELECT count(*) FROM appointments") == [(0,)]
        connection.execute("DROP TRIGGER full_disk ON appointments; DROP FUNCTION public.full_disk()")
    receipt = generations.run(source, target, MAPPING, tmp_path)
    assert receipt.ok
    assert generations.counts(receipt)["patients"] == (200, 0, 0, 0, 0, 200)


def test_rejects__that_cannot_be_written__stop_the_run_before_its_first_row(own_source, target):
    with own_source.connect() as connection:
        connection.execute("INSERT INTO users (email) VALUES ('nobody@example.test')")
    wanted = importing.Options(rejects=Path("/dev/full"), max_rejects=10)
    with pytest.raises(OSError, match="No space left"):
        importing.run(connections[target.alias], own_source.url, MAPPING, wanted)
    assert query(target, "SELECT (SELECT count(*) FROM legacy_keys) + (SELECT count(*) FROM users)") == [(0,)]


def test_rejects__to_a_file_that_others_may_read__are_readable_by_its_owner_alone(own_source, target, tmp_path):
    with own_source.connect() as connection:
        connection.execute("INSERT INTO users (email) VALUES ('nobody@example.test')")
    (tmp_path / "rejects.jsonl").touch(0o644)
    with pytest.raises(importing.Refused):
        generations.run(own_source, target, MAPPING, tmp_path)
    assert (tmp_path / "rejects.jsonl").stat().st_mode & 0o777 == 0o600
    with pytest.raises(MoeenError, match="cannot be written: Is a directory") as refusal:
        importing.run(connections[target.alias], own_source.url, MAPPING, importing.Options(rejects=tmp_path))
    assert refusal.value.exit_code == USAGE


def test_source__in_another_schema_of_the_target__is_read_and_nothing_waits_for_it(target, tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "BATCH", 50)
    with target.connect() as connection:
        connection.execute("CREATE SCHEMA old; CREATE TABLE old.people (id int PRIMARY KEY, mail text)")
        connection.execute("INSERT INTO old.people SELECT n, 'p' || n FROM generate_series(1, 100) AS n")
    (tmp_path / "old.toml").write_text(
        'source = "x"\nschema = "old"\n[left_out]\n"public.*" = "Ours."\n"app.*" = "Ours."\n"import_work.*" = "Ours."\n'
        '[tables.users]\nfrom = "people"\n[tables.users.columns]\nemail = "mail"\n'
    )
    receipt = generations.run(target, target, tmp_path / "old.toml", tmp_path)
    assert all(one.ok for one in receipt.tables)  # the schema itself is told, as ever
    assert generations.counts(receipt)["users"] == (100, 0, 100, 0, 0, 0)


def test_source__read__in_a_transaction_that_cannot_write(source):
    with Source.opened(source.url, schema="public") as opened, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        opened.connection.execute("UPDATE patients SET full_name = ''")

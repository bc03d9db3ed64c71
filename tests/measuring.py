"""What a statement really does to a table: its locks, the table's file, whether the rows are read through."""

import threading
import time
from dataclasses import dataclass

from moeen.db.actions import Lock, strongest

SETUP = """
    CREATE DOMAIN percent AS int CHECK (value BETWEEN 0 AND 100);
    CREATE FUNCTION weigh() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
    CREATE TABLE clinics (id int PRIMARY KEY);
    CREATE TABLE patients (
        id int PRIMARY KEY, email text NOT NULL, phone varchar(20), gender text, born date, clinic int,
        "type" text, "a, CHECK (b) UNIQUE" text, gone boolean
    );
    CREATE UNIQUE INDEX patients_email_idx ON patients (email);
    CREATE UNIQUE INDEX patients_phone_idx ON patients (phone);
    CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER patients_touch BEFORE UPDATE ON patients FOR EACH ROW EXECUTE FUNCTION nothing();
    INSERT INTO clinics SELECT n FROM generate_series(1, 3) n;
    INSERT INTO patients SELECT n, n || '@example.org', n, 'f', now(), 1, '', '', false FROM generate_series(1, 100) n;
    ALTER TABLE patients ADD CONSTRAINT proven CHECK (gender <> '') NOT VALID;
    ALTER TABLE patients ADD CONSTRAINT patients_clinic_fkey FOREIGN KEY (clinic) REFERENCES clinics NOT VALID;
"""
LOCKS = """
    SELECT array_agg(regexp_replace(mode, '([a-z])([A-Z])', '\\1 \\2', 'g'))
    FROM pg_locks WHERE pid = %s AND granted AND relation = %s
"""
WORK = """
    SELECT pg_relation_filenode(c.oid), coalesce(s.seq_scan, 0)
    FROM pg_class c LEFT JOIN pg_stat_xact_user_tables s ON s.relid = c.oid WHERE c.oid = %s
"""


@dataclass
class Truth:
    """What was done to one table: the strongest lock, whether its file is another, whether it was read through."""

    lock: Lock = Lock.NONE
    rewrites: bool = False
    scans: bool = False


def oid_of(connection, table):
    """None of what is no relation."""
    return connection.execute("SELECT to_regclass(%s)::oid", [table]).fetchone()[0]


def lock_of(connection, pid, oid):
    """The strongest lock that a session holds on a table."""
    (modes,) = connection.execute(LOCKS, [pid, oid]).fetchone()
    return strongest(Lock(told) for mode in modes or () if (told := mode.removesuffix(" Lock").upper()) in set(Lock))


def truth(connection, *statements, table="patients"):
    """What the statements do in one transaction, which is rolled back."""
    connection.execute("BEGIN")
    try:
        oid = oid_of(connection, table)
        file, scans = connection.execute(WORK, [oid]).fetchone() or (None, 0)
        for statement in statements:
            connection.execute(statement)
        lock = lock_of(connection, connection.info.backend_pid, oid)
        file_now, scans_now = connection.execute(WORK, [oid]).fetchone() or (file, scans)
    finally:
        connection.execute("ROLLBACK")
    return Truth(lock, file != file_now, scans_now > scans)


def truth_alone(database, *statements, table="patients"):
    """The same of statements that run in no transaction: they have to wait for a writer. What they did stays."""
    with database.admin() as writer, database.admin() as live, database.admin() as looker:
        oid = oid_of(looker, table)
        writer.execute(f"BEGIN; LOCK TABLE {table} IN ROW EXCLUSIVE MODE")
        file, _ = looker.execute(WORK, [oid]).fetchone()
        run = threading.Thread(target=lambda: [live.execute(statement) for statement in statements])
        run.start()
        try:
            deadline, lock = time.monotonic() + 20, Lock.NONE
            while not lock and time.monotonic() < deadline:
                lock = lock_of(looker, live.info.backend_pid, oid)
        finally:
            writer.execute("ROLLBACK")
            run.join(timeout=60)
        file_now, _ = looker.execute(WORK, [oid]).fetchone()
    return Truth(lock, file != file_now)

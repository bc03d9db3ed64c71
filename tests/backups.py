"""What the tests of backups share: a database with every kind of column and object, and damage to a backup's files."""

import json
import os
import shutil
from pathlib import Path

from moeen.db.backups import dump, store

# Every kind of column, and one of each kind of object that a restore has to bring back. %(rows)s: how many.
EVERYTHING = """
CREATE TYPE mood AS ENUM ('calm', 'ok', 'سعيد');
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE TYPE scores AS RANGE (subtype = float8);
CREATE SCHEMA app;
CREATE FUNCTION app.twice(x integer) RETURNS integer LANGUAGE sql IMMUTABLE SET search_path = '' AS 'SELECT x * 2';
REVOKE EXECUTE ON FUNCTION app.twice(integer) FROM PUBLIC;
CREATE TABLE people (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key uuid UNIQUE, name varchar(255) NOT NULL, note text,
    doc jsonb, raw json, amount numeric(12, 4), ratio double precision, small real, at timestamptz, local timestamp,
    day date, clock time, span interval, address inet, net cidr, mac macaddr, bytes bytea, words text[],
    feeling mood, size positive, bits bit varying, place point, money money, range int4range, search tsvector,
    doubled integer GENERATED ALWAYS AS (app.twice(3)) STORED, "odd ""name" text COLLATE "C",
    CONSTRAINT people_status_check CHECK (name IN ('a', 'b') OR length(name) > 0),
    CONSTRAINT people_kind_check CHECK (name::text = ANY (ARRAY['x'::character varying, 'سارة']::text[]) OR id > 0)
);
COMMENT ON TABLE people IS 'مرضى';
CREATE TABLE visits (id serial PRIMARY KEY, person bigint NOT NULL REFERENCES people ON DELETE RESTRICT, v integer);
CREATE INDEX visits_v_idx ON visits (v) WHERE v > 10;
CREATE VIEW grown WITH (security_invoker = true) AS SELECT id, name FROM people WHERE size > 5;
CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TRIGGER people_touch BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION app.touch();
ALTER TABLE people ENABLE ROW LEVEL SECURITY;
CREATE POLICY staff_read ON people FOR SELECT TO backup_staff USING (size > 0);
GRANT SELECT ON people TO backup_staff;
GRANT UPDATE (name) ON people TO backup_staff;
INSERT INTO people (key, name, note, doc, raw, amount, ratio, small, at, local, day, clock, span, address, net, mac,
                    bytes, words, feeling, size, bits, place, money, range, search, "odd ""name")
SELECT md5('k' || n)::uuid, (ARRAY['سارة', 'Zoë', 'عُمَر'])[1 + n %% 3] || n,
       CASE n %% 5 WHEN 0 THEN NULL WHEN 1 THEN ''
                   WHEN 2 THEN E'tab\\t newline\\n back\\\\ quote'' "' ELSE 'ملاحظة 🩺' || n END,
       jsonb_build_object('n', n, 'v', 1.50, 'ع', ARRAY[1, NULL, 3]), '{"a": 1,  "a": 2}', n / 7.0, n / 3.0, n / 3.0,
       timestamptz '2024-02-29 23:59:59.999999+03' + n * interval '7 hours',
       timestamp '2024-03-10 02:30' + n * interval '1 s',
       date '1900-01-01' + n, time '08:00' + n * interval '1 s', n * interval '1 month 25 hours', '2001:db8::1',
       '10.0.0.0/8', '08:00:2b:01:02:03', decode(md5(n::text), 'hex'), ARRAY['a', NULL, 'ب'], 'سعيد', 1 + n %% 9,
       B'1011', point(n, 0.1), n::money, int4range(n, n + 5), to_tsvector('simple', 'a b ' || n), 'x' || n
FROM generate_series(1, %(rows)s) AS n;
UPDATE people SET ratio = 'NaN', at = 'infinity', amount = 'NaN' WHERE id = 1;
INSERT INTO visits (person, v) SELECT 1 + n %% %(rows)s, n FROM generate_series(1, %(rows)s) AS n;
SELECT lo_from_bytea(0, decode('00ff10', 'hex'));
"""


def fill(database, *, rows=200, long_text=10_000):
    """Everything above, and one row with a text of that many characters that hardly compress."""
    with database.admin() as connection:
        connection.execute(
            "DO $$ BEGIN CREATE ROLE backup_staff NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        )
    with database.connect() as connection:
        connection.execute(EVERYTHING.replace("%(rows)s", str(rows)).replace("%%", "%"))
        connection.execute(
            "INSERT INTO people (name, note) SELECT 'long', string_agg(md5(n::text), '') FROM generate_series(1, %s) n",
            [long_text // 32 + 1],
        )


def place(folder) -> store.Store:
    return store.Store(str(folder), None, Path(folder))


def whole_ids(at: store.Store) -> list[str]:
    """The ids of all backups whose files are as their manifests say; fails on one that is not."""
    from moeen.db.backups import verify

    for backup_id in at.ids():
        assert verify.intact(at.folder / backup_id, at.manifest(backup_id)) == []
    return at.ids()


def copy(at: store.Store, backup_id: str, folder: Path) -> store.Store:
    """A store of its own with a copy of that backup."""
    shutil.copytree(at.folder / backup_id, folder / backup_id)
    return place(folder)


def paths(at: store.Store, backup_id: str) -> list[Path]:
    return sorted(path for path in (at.folder / backup_id).rglob("*") if path.is_file())


def damage(at: store.Store, backup_id: str, chance) -> tuple[str, set[str]]:
    """One random damage: what was done, and the files of which at least one must be named."""
    root = at.folder / backup_id
    files = [path for path in paths(at, backup_id) if path.name != "verified.json"]
    kind = chance.choice(["flip", "flip", "cut", "swap", "delete", "edit", "append"])
    path = chance.choice(files)
    names = {path.relative_to(root).as_posix()}
    data = bytearray(path.read_bytes())
    if kind == "flip":
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
    elif kind == "cut":
        path.write_bytes(data[: -chance.randint(1, len(data))])
    elif kind == "append":
        path.write_bytes(data + chance.randbytes(chance.randint(1, 100)))
    elif kind == "delete":
        path.unlink()
    elif kind == "swap":
        other = chance.choice([entry for entry in files if entry != path])
        names.add(other.relative_to(root).as_posix())
        spare = other.read_bytes()
        other.write_bytes(data)
        path.write_bytes(spare)
    else:
        path = root / "manifest.json"
        names = {"manifest.json"}
        paper = json.loads(path.read_text(encoding="utf-8"))
        key = chance.choice(sorted(paper))
        paper[key] = {"int": 7, "str": "other", "list": [], "dict": {}, "float": 0.5}[type(paper[key]).__name__]
        path.write_text(json.dumps(paper, indent=2, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
    return kind, names


def take(database, at, **options) -> dump.Backup:
    from django.db import connections

    return dump.take(connections[database.alias], store=at, **options)


def seal(at: store.Store, backup_id: str, **changes) -> None:
    """The manifest anew, as it would be with these fields, signed by this installation's key."""
    from moeen.db.backups import keys, manifest

    root, paper = at.folder / backup_id, at.manifest(backup_id)
    files = [manifest.file_of(root, root / file.path) for file in paper.files]
    fresh = manifest.Manifest(**vars(paper) | {"files": files} | changes)
    (root / manifest.NAME).write_bytes(manifest.sealed(fresh, signer=keys.signer()))


def login(database):
    """The way in for programs, as its owner."""
    from moeen.db.backups.login import Login

    with database.connect() as connection:
        return Login.of(connection)


def environment(database, folder, **more) -> dict:
    """For `manage`: that database, and backups in that folder."""
    return {
        "DATABASE_URL": database.url,
        "BACKUP_DIR": os.fspath(folder),
        "LOG_DIR": os.fspath(Path(folder).with_name("logs")),
        "BACKUP_RECIPIENTS": "",
        "BACKUP_IDENTITY": "",
        "BACKUP_STORAGE": "",
        "SUPABASE_PROJECT_REF": "",
        **more,
    }


def restored(at, taken, database):
    """The backup restored beside its database, as a Database."""
    from dataclasses import replace

    from django.db import connections

    from moeen.db.backups import restore

    name = f"{database.name}_back"
    target = restore.target_named(connections[database.alias], name)
    done = restore.put_back(at, taken.id, target)
    assert done.findings == ()
    return replace(database, name=name)

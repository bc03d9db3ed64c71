"""Forged backups: what somebody could do who may write to the folder, and seals the manifest anew afterwards.

The archive is read and written here by other code than the project's. `%CANARY%` in a statement becomes the path of a
file that a forgery makes if it runs.
"""

import json
import os
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

from moeen.db.backups import manifest

FIELDS = ("tableoid", "oid", "tag", "desc", "section", "defn", "drop", "copy", "namespace", "tablespace", "tableam",
          "relkind", "owner", "with_oids")  # fmt: skip
INTEGERS = ("section", "relkind")
PROGRAM = "COPY (SELECT 1) TO PROGRAM 'touch %CANARY%'"
NUMBER = 900_000


@dataclass
class Toc:
    """The table of contents in the folder form (toc.dat), as bytes of its head and entries that can be changed."""

    head: bytes
    minor: int
    entries: list = field(default_factory=list)

    @classmethod
    def read(cls, data: bytes) -> "Toc":
        minor = data[6]
        at = 11 + (1 if minor >= 15 else 5) + 7 * 5
        for _ in range(3):
            length, at = cls._int(data, at)
            at += max(length, 0)
        toc = cls(data[:at], minor)
        count, at = cls._int(data, at)
        for _ in range(count):
            entry, at = toc._entry(data, at)
            toc.entries.append(entry)
        assert at == len(data)
        return toc

    @staticmethod
    def _int(data, at):
        value = int.from_bytes(data[at + 1 : at + 5], "little")
        return (-value if data[at] else value), at + 5

    def _text(self, data, at):
        length, at = self._int(data, at)
        return (None, at) if length < 0 else (data[at : at + length], at + length)

    def _entry(self, data, at):
        entry = {}
        entry["id"], at = self._int(data, at)
        entry["dumper"], at = self._int(data, at)
        for name in self._fields():
            entry[name], at = (self._int if name in INTEGERS else self._text)(data, at)
        entry["needs"] = []
        while True:
            word, at = self._text(data, at)
            if word is None:
                break
            entry["needs"].append(word)
        entry["file"], at = self._text(data, at)
        return entry, at

    def _fields(self):
        return [name for name in FIELDS if name != "relkind" or self.minor >= 16]

    def bytes(self) -> bytes:
        def number(value):
            return bytes([value < 0]) + abs(value).to_bytes(4, "little")

        def text(value):
            value = value.encode() if isinstance(value, str) else value
            return number(-1) if value is None else number(len(value)) + value

        out = [self.head, number(len(self.entries))]
        for entry in self.entries:
            out += [number(entry["id"]), number(entry["dumper"])]
            out += [(number if name in INTEGERS else text)(entry[name]) for name in self._fields()]
            out += [text(word) for word in entry["needs"]] + [number(-1), text(entry["file"])]
        return b"".join(out)

    def kinds(self):
        return sorted({entry["desc"].decode() for entry in self.entries})

    def of(self, kind, name=None):
        """The first entry of that kind, and of that name."""
        return next(e for e in self.entries if e["desc"] == kind.encode() and name in (None, e["tag"].decode()))

    def add(self, kind, create, **more):
        """A further entry, in the form of a table's."""
        self.entries.append(
            self.of("TABLE") | {"id": NUMBER, "desc": kind.encode(), "tag": b"planted", "defn": create, "drop": None,
                                "copy": None, "dumper": 0, "needs": [], "file": b"", "owner": b""} | more
        )  # fmt: skip


@dataclass(frozen=True)
class Forgery:
    """What is forged, and how: `change(folder, other, cage)` edits a copy of a backup; `other` is another's folder."""

    name: str
    change: object
    reseals: bool = True


def of_contents(name, change):
    """A forgery of the dump's table of contents: `change(toc)`."""

    def edit(folder, other, cage):
        path = folder / "dump" / "toc.dat"
        toc = Toc.read(path.read_bytes())
        change(toc)
        for entry in toc.entries:
            for part in FIELDS:
                if isinstance(entry.get(part), str):
                    entry[part] = entry[part].replace("%CANARY%", str(cage / "canary"))
        path.write_bytes(toc.bytes())

    return Forgery(name, edit)


def reseal(folder: Path, **changes) -> None:
    """A manifest that fits the files, sealed as everybody can who has the source."""
    paper = manifest.read((folder / manifest.NAME).read_bytes())
    ours = (manifest.NAME, manifest.VERIFIED)
    files = [
        manifest.file_of(folder, path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and path.name not in ours
    ]
    (folder / manifest.NAME).write_bytes(manifest.sealed(replace(paper, **({"files": files} | changes))))


def edit_json(path: Path, change) -> None:
    raw = json.loads(path.read_text(encoding="utf-8"))
    change(raw)
    path.write_text(json.dumps(raw, ensure_ascii=False, sort_keys=True), encoding="utf-8")


def of_paper(name, **changes):
    """A forgery of the manifest's fields, sealed anew."""

    def edit(folder, other, cage):
        reseal(folder, **changes)

    return Forgery(name, edit, reseals=False)


def of_content(name, change):
    """A forgery of content.json; the manifest is made to fit it."""
    from moeen.db.backups import inventory

    def edit(folder, other, cage):
        path = folder / manifest.CONTENT
        edit_json(path, change)
        raw = json.loads(path.read_text(encoding="utf-8"))
        rows = sum(table["rows"] for table in raw["tables"].values())
        reseal(folder, inventory=inventory.fingerprint(raw["inventory"]), fingerprint=raw["fingerprint"], rows=rows)

    return Forgery(name, edit, reseals=False)


# -- statements -------------------------------------------------------------------------------------------------

#: Kind -> SQL that no restore may run, in an entry of its own.
PLANTED = [
    ("TABLE", PROGRAM),
    ("TABLE", "COPY public.visits FROM PROGRAM 'touch %CANARY%'"),
    ("TABLE", "COPY public.visits TO '%CANARY%'"),
    ("TABLE", "COPY public.visits FROM '/etc/passwd'"),
    ("TABLE", "ALTER ROLE moeen PASSWORD 'x'"),
    ("TABLE", "ALTER ROLE moeen SUPERUSER"),
    ("TABLE", "CREATE ROLE evil SUPERUSER LOGIN"),
    ("TABLE", "ALTER SYSTEM SET archive_command = 'touch %CANARY%'"),
    ("TABLE", "ALTER DATABASE postgres SET session_preload_libraries = 'evil'"),
    ("TABLE", "CREATE EXTENSION dblink"),
    ("TABLE", "LOAD '$libdir/evil'"),
    ("TABLE", "SET ROLE postgres"),
    ("TABLE", "RESET ROLE"),
    ("TABLE", "RESET SESSION AUTHORIZATION"),
    ("TABLE", "CREATE TABLE public.planted AS SELECT pg_read_file('/etc/passwd') AS x"),
    ("TABLE", "CREATE TABLE public.planted (x) AS EXECUTE p"),
    ("TABLE", "SELECT lo_export(1, '%CANARY%')"),
    ("TABLE", "DROP TABLE public.people"),
    ("TABLE", "\\! touch %CANARY%"),
    ("TABLE", "CREATE TABLE public.planted (a int);\n\\! touch %CANARY%"),
    ("TABLE", "\\copy public.visits to program 'touch %CANARY%'"),
    ("DO", "DO $$ BEGIN EXECUTE $x$" + PROGRAM + "$x$; END $$"),
    ("FUNCTION", "DO $$ BEGIN EXECUTE $x$" + PROGRAM + "$x$; END $$"),
    ("FUNCTION", "CREATE FUNCTION public.planted() RETURNS int LANGUAGE c AS 'libc.so.6', 'system'"),
    ("FUNCTION", "CREATE FUNCTION public.planted() RETURNS int LANGUAGE internal AS 'pg_read_file_all'"),
    ("FUNCTION", "CREATE FUNCTION public.planted() RETURNS int LANGUAGE plpython3u AS 'import os'"),
    ("FUNCTION", "CREATE FUNCTION public.planted() RETURNS int LANGUAGE 'c' AS 'libc.so.6', 'system'"),
    ("FUNCTION", "CREATE FUNCTION public.planted() RETURNS int LANGUAGE \"plperlu\" AS 'x'"),
    ("FUNCTION", "CREATE OR REPLACE FUNCTION pg_catalog.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT NULL'"),
    ("FUNCTION", "CREATE FUNCTION public.planted() RETURNS int LANGUAGE sql AS 'SELECT 1'; " + PROGRAM),
    ("PROCEDURE", "CREATE PROCEDURE public.planted() LANGUAGE sql AS 'SELECT 1'; CALL public.planted()"),
    ("AGGREGATE", "CREATE AGGREGATE public.planted(int) (SFUNC = array_agg_transfn, STYPE = internal)"),
    ("EXTENSION MEMBER", "CREATE EXTENSION file_fdw"),
    ("SUBSCRIPTION", "CREATE SUBSCRIPTION s CONNECTION 'host=evil' PUBLICATION p"),
    ("FOREIGN DATA WRAPPER", "CREATE FOREIGN DATA WRAPPER evil"),
    ("SERVER", "CREATE SERVER evil FOREIGN DATA WRAPPER postgres_fdw"),
    ("USER MAPPING", "CREATE USER MAPPING FOR moeen SERVER evil"),
    ("FOREIGN TABLE", "CREATE FOREIGN TABLE public.planted (a int) SERVER evil"),
    ("TRANSFORM", "CREATE TRANSFORM FOR int LANGUAGE sql (FROM SQL WITH FUNCTION evil(internal))"),
    ("ACCESS METHOD", "CREATE ACCESS METHOD evil TYPE INDEX HANDLER bthandler"),
    ("OPERATOR CLASS", "CREATE OPERATOR CLASS public.evil FOR TYPE int USING btree AS STORAGE int"),
    ("CONVERSION", "CREATE CONVERSION public.evil FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8"),
    ("TEXT SEARCH PARSER", "CREATE TEXT SEARCH PARSER public.evil (START = prsd_start)"),
    ("SECURITY LABEL", "SECURITY LABEL ON TABLE public.people IS 'x'"),
    ("CAST", "CREATE CAST (int AS public.mood) WITHOUT FUNCTION"),
    ("TYPE", "CREATE TYPE public.planted (INPUT = int4in, OUTPUT = int4out)"),
    ("MATERIALIZED VIEW", "CREATE MATERIALIZED VIEW public.planted AS SELECT pg_read_file('/etc/passwd') WITH DATA"),
    ("MATERIALIZED VIEW", "CREATE MATERIALIZED VIEW public.planted AS SELECT pg_read_file('/etc/passwd')"),
    ("SCHEMA", "CREATE SCHEMA planted CREATE TABLE t (a int)"),
    ("SCHEMA", "CREATE SCHEMA planted AUTHORIZATION postgres"),
    ("ACL", "GRANT postgres TO backup_staff"),
    ("ACL", "GRANT pg_execute_server_program TO backup_staff"),
    ("ACL", "GRANT SET ON PARAMETER session_preload_libraries TO backup_staff"),
    ("ACL", "GRANT ALL ON DATABASE postgres TO backup_staff"),
    ("ACL", "GRANT ALL ON TABLE public.visits TO backup_staff; " + PROGRAM),
    ("DEFAULT ACL", "ALTER DEFAULT PRIVILEGES FOR ROLE moeen GRANT ALL ON DATABASES TO PUBLIC"),
    ("COMMENT", "COMMENT ON ROLE moeen IS 'x'"),
    ("SEQUENCE SET", "SELECT pg_catalog.pg_reload_conf()"),
    ("SEQUENCE SET", "SELECT pg_catalog.setval('public.visits_id_seq', (SELECT pg_sleep(1))::int, true)"),
    ("MATERIALIZED VIEW DATA", "VACUUM FULL"),
    ("INDEX", "DROP INDEX public.visits_v_idx"),
    ("TRIGGER", "ALTER TABLE public.people OWNER TO postgres"),
    ("ROW SECURITY", "ALTER TABLE public.people DISABLE ROW LEVEL SECURITY"),
    ("PUBLICATION", "ALTER PUBLICATION p OWNER TO postgres"),
    ("BLOB METADATA", "1'); SELECT lo_export(1, '%CANARY%'); --\n"),
    ("BLOB", "SELECT pg_catalog.lo_create('1'); SELECT pg_catalog.lo_import('/etc/passwd');\n"),
]

#: What only an exact reader of SQL sees: the second statement is hidden from one that reads a little differently.
HIDDEN = {
    "a comment ends with a carriage return": "-- x\r" + PROGRAM,
    "a literal goes on after a line's end": "CREATE TABLE public.planted (a text DEFAULT E'a'\n'\\''); "
    + PROGRAM
    + "; COMMENT ON TABLE public.planted IS ''",
    "a sign beyond ASCII is a letter": "CREATE TABLE public.planted (\N{STETHOSCOPE}$$ int); "
    + PROGRAM
    + "; CREATE TABLE public.planted2 (\N{STETHOSCOPE}$$ int)",
    "a blank beyond ASCII is none": "CREATE TABLE public.planted\N{NO-BREAK SPACE}$$ (a int); " + PROGRAM + "; --$$",
    "a column is called atomic": "CREATE TABLE public.planted (atomic int); " + PROGRAM,
    "a comment within a comment": "CREATE TABLE public.planted (a int) /* /* */; */; " + PROGRAM,
    "a line's comment": "CREATE TABLE public.planted (a int) -- ;\n; " + PROGRAM,
    "a bracket that does not close": "CREATE TABLE public.planted (a int; " + PROGRAM,
}
ATOMIC = [
    "CREATE FUNCTION public.planted() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; END; " + PROGRAM + "; END",
    "CREATE FUNCTION public.planted(begin atomic) RETURNS int LANGUAGE sql AS 'x'; SELECT 1; END",
    "CREATE FUNCTION public.planted() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; " + PROGRAM + "; END",
]


def _set(kind, **changes):
    return lambda toc: toc.of(kind).update(changes)


def contents(toc: Toc) -> list[Forgery]:
    """Forgeries of a table of contents like this one."""
    found = []
    for number, (kind, text) in enumerate(PLANTED):
        found.append(of_contents(f"planted {number}: {kind}: {text[:40]}", lambda t, k=kind, x=text: t.add(k, x)))
    for name, text in HIDDEN.items():
        found.append(of_contents(f"hidden: {name}", lambda t, x=text: t.add("TABLE", x)))
    for text in ATOMIC:
        found.append(of_contents(f"a body of SQL: {text[-40:]}", lambda t, x=text: t.add("FUNCTION", x)))
    for kind in toc.kinds():
        if kind in ("DATABASE", "DATABASE PROPERTIES", "BLOBS", "TABLE DATA"):
            continue

        def append(t, kind=kind):
            entry = t.of(kind)
            entry["defn"] = (entry["defn"] or b"").decode() + "; " + PROGRAM + ";"

        found.append(of_contents(f"a second statement in {kind}", append))
    data = [
        ("another table's rows", _set("TABLE DATA", copy="COPY pg_catalog.pg_authid (rolname) FROM stdin;\n")),
        ("rows by a program", _set("TABLE DATA", copy="COPY public.visits FROM PROGRAM 'touch %CANARY%';\n")),
        ("rows to a program", _set("TABLE DATA", copy="COPY public.visits (id) TO PROGRAM 'touch %CANARY%';\n")),
        ("rows from a file", _set("TABLE DATA", copy="COPY public.visits (id) FROM '/etc/passwd';\n")),
        ("rows with a query", _set("TABLE DATA", copy="COPY (SELECT 1) TO PROGRAM 'touch %CANARY%';\n")),
        ("rows and a statement", lambda t: t.of("TABLE DATA").update(
            copy=t.of("TABLE DATA")["copy"].decode().strip() + " " + PROGRAM + ";\n")),
        ("rows and a WHERE", lambda t: t.of("TABLE DATA").update(
            copy=t.of("TABLE DATA")["copy"].decode().strip().rstrip(";") + " WHERE pg_sleep(0) IS NULL;\n")),
        ("rows that are SQL", _set("TABLE DATA", copy=None)),
        ("rows as a statement", _set("TABLE DATA", defn=PROGRAM, dumper=0, copy=None)),
        ("a line behind the root of partitions",
         _set("TABLE DATA", defn=f"-- load via partition root public.visits\n{PROGRAM};\n")),
        ("a root that is PostgreSQL's", _set("TABLE DATA", defn="-- load via partition root pg_catalog.pg_authid",
                                             copy="COPY pg_catalog.pg_authid (rolname) FROM stdin;\n")),
        ("a root that the rows do not go to", _set("TABLE DATA", defn="-- load via partition root public.visits",
                                                   copy="COPY public.django_migrations (id) FROM stdin;\n")),
        ("a policy with rows", lambda t: t.of("POLICY").update(dumper=1, file=t.of("TABLE DATA")["file"])),
        ("a policy with a COPY", lambda t: t.of("POLICY").update(copy=PROGRAM)),
        ("a file above", _set("TABLE DATA", file=b"../../../../../etc/passwd")),
        ("a file by its whole path", _set("TABLE DATA", file=b"/etc/passwd")),
        ("a file of another kind", _set("TABLE DATA", file=b"toc.dat")),
        ("large objects listed elsewhere", _set("BLOBS", file=b"../../../../../etc/passwd")),
        ("large objects by a COPY", _set("BLOBS", copy=PROGRAM)),
        ("an owner's DROP with more in it", _set("FUNCTION", drop="DROP FUNCTION app.touch(); " + PROGRAM + ";\n")),
        ("an owner's DROP of something else", _set("FUNCTION", drop="DROP ROLE moeen;\n")),
        ("a name with a line's end", lambda t: t.of("TABLE").update(tag=b"x\n\\! touch /tmp/x\n")),
        ("an owner with a line's end", lambda t: t.of("TABLE").update(owner=b"x\n;SELECT 1")),
        ("a schema with a line's end", lambda t: t.of("TABLE").update(namespace=b"x\r;SELECT 1")),
        ("a table of PostgreSQL's own", lambda t: t.of("TABLE").update(namespace=b"pg_catalog")),
        ("another encoding", _set("ENCODING", defn="SET client_encoding = 'SJIS';\n")),
        ("backslashes in literals", _set("STDSTRINGS", defn="SET standard_conforming_strings = 'off';\n")),
        ("another search path", _set("SEARCHPATH", defn="SELECT pg_catalog.set_config('search_path', 'x', false);\n")),
        ("a search path that runs", _set("SEARCHPATH", defn=PROGRAM)),
        ("two entries of one number", lambda t: t.entries.append(dict(t.of("TABLE")))),
        ("an entry of number 0", lambda t: t.of("TABLE").update(id=0)),
        ("a zero byte", lambda t: t.of("TABLE").update(defn=t.of("TABLE")["defn"] + b"\0; " + PROGRAM.encode())),
        ("a text that is no UTF-8", lambda t: t.of("TABLE").update(defn=t.of("TABLE")["defn"] + b"\xff")),
        ("another format", lambda t: setattr(t, "head", t.head[:6] + bytes([99]) + t.head[7:])),
        ("wider numbers", lambda t: setattr(t, "head", t.head[:8] + bytes([8]) + t.head[9:])),
        ("another form", lambda t: setattr(t, "head", t.head[:10] + bytes([1]) + t.head[11:])),
        ("another mark", lambda t: setattr(t, "head", b"PGDMX" + t.head[5:])),
    ]  # fmt: skip
    return found + [of_contents(name, change) for name, change in data]


def _write(name, data):
    return lambda folder, other, cage: (folder / name).write_bytes(data)


def _blobs(folder, other, cage):
    (path,) = (folder / "dump").glob("blobs*.toc")
    path.write_text("16384 ../../../../../etc/passwd\n")


def _link(name):
    def change(folder, other, cage):
        (folder / name).unlink()
        (folder / name).symlink_to("/etc/passwd")

    return change


def _role(**changes):
    return lambda raw: raw["roles"][0].update(changes)


def papers() -> list[Forgery]:
    """Forgeries of the manifest and of the content, sealed anew."""
    file = manifest.File("../../../../etc/passwd", 1, "0" * 64)
    column = {"name": "id", "type": "uuid", "modifier": -1}
    table = {"schema": "auth", "name": "users", "columns": [column]}
    stub = {"schema": "auth", "name": "uid", "arguments": "", "result": "uuid", "volatility": "s"}
    sql = "); COPY (SELECT 1) TO PROGRAM 'true'; --"
    return [
        of_paper("a file above the backup", files=[file]),
        of_paper("a file by its whole path", files=[replace(file, path="/etc/passwd")]),
        of_paper("a file with a line's end", files=[replace(file, path="x\ny")]),
        of_paper("an unknown form", format="plain"),
        of_paper("a server's version that is none", server_version="x"),
        of_paper("a moment that is none", created_at="yesterday"),
        of_paper("rows that are a text", rows="5"),
        of_paper("jobs that are a list", jobs=[]),
        of_paper("recipients that are a number", recipients=[5]),
        of_paper("migrations that are a text", migrations="x"),
        of_paper("another backup's id", id="20200101T000000Z-000000"),
        of_paper("a newer format", version=99),
        of_content("a role of PostgreSQL's own", _role(name="pg_execute_server_program")),
        of_content("a role without a name", _role(name="")),
        of_content("a role with a zero byte", _role(name="x\0y")),
        of_content("a role whose right is a text", _role(bypassrls="yes")),
        of_content("an owner that is no role of it", lambda raw: raw["settings"].update(owner="postgres_")),
        of_content("a stand-in's arguments that are SQL", lambda raw: raw.update(stubs=[stub | {"arguments": sql}])),
        of_content("a stand-in's result that is SQL", lambda raw: raw.update(stubs=[stub | {"result": "int" + sql}])),
        of_content("a stand-in's result with a body", lambda raw: raw.update(stubs=[stub | {"result": "int $$ x $$"}])),
        of_content("a stand-in in a schema of PostgreSQL's", lambda raw: raw.update(stubs=[stub | {"schema": "pg_x"}])),
        of_content(
            "a stand-in's table in such a schema",
            lambda raw: raw["outside"].update(tables=[table | {"schema": "pg_x"}]),
        ),
        of_content(
            "a stand-in's column that is a word",
            lambda raw: raw["outside"].update(tables=[table | {"columns": ["id"]}]),
        ),
        of_content(
            "a stand-in's column twice", lambda raw: raw["outside"].update(tables=[table | {"columns": [column] * 2}])
        ),
        of_content("no kinds of objects", lambda raw: raw.update(inventory={})),
        of_content("objects that are a list", lambda raw: raw["inventory"].update(owner=[1])),
        of_content("another count of rows", lambda raw: next(iter(raw["tables"].values())).update(rows=7)),
    ]


def files() -> list[Forgery]:
    """Forgeries of whole files: links, swaps with another backup of the same database, and an older manifest."""

    def swap(*names):
        def change(folder, other, cage):
            for name in names:
                path = folder / name
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                (shutil.copytree if (other / name).is_dir() else shutil.copy)(other / name, path)

        return change

    return [
        Forgery("the other's dump", swap("dump"), reseals=True),
        Forgery("the other's content", swap("content.json"), reseals=True),
        Forgery("the other's manifest", swap("manifest.json"), reseals=False),
        Forgery("the other's dump and content", swap("dump", "content.json"), reseals=False),
        Forgery("all of the other", swap("dump", "content.json", "manifest.json"), reseals=False),
        Forgery("no manifest", lambda folder, other, cage: (folder / "manifest.json").unlink(), reseals=False),
        Forgery("an empty manifest", _write("manifest.json", b""), reseals=False),
        Forgery("a manifest of brackets", _write("manifest.json", b"[" * 100_000), reseals=False),
        Forgery("no content", _write("content.json", b""), reseals=True),
        Forgery("a content of brackets", _write("content.json", b"[" * 100_000), reseals=True),
        Forgery("a link for the content", _link("content.json"), reseals=False),
        Forgery("a link for the dump's contents", _link("dump/toc.dat"), reseals=False),
        Forgery("an empty table of contents", _write("dump/toc.dat", b""), reseals=True),
        Forgery("a file more", _write("planted", b"x"), reseals=False),
        Forgery("large objects from elsewhere", _blobs, reseals=True),
        Forgery(
            "a flipped byte in the dump", lambda folder, other, cage: _flip(folder / "dump" / "toc.dat"), reseals=False
        ),
        Forgery(
            "a flipped byte in the content", lambda folder, other, cage: _flip(folder / "content.json"), reseals=False
        ),
        Forgery(
            "a flipped byte in the manifest", lambda folder, other, cage: _flip(folder / "manifest.json"), reseals=False
        ),
    ]


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def forged(forgery: Forgery, *, folder: Path, other: Path, into: Path, cage: Path) -> Path:
    """A copy of the backup in `folder`, forged, in the store `into`. What runs makes a file in `cage`."""
    copy = into / folder.name
    shutil.copytree(folder, copy)
    forgery.change(copy, other, cage)
    if forgery.reseals:
        reseal(copy)
    return copy


def state_of(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file below that folder, with size and moment of change."""
    found = {}
    for root, _, names in os.walk(folder):
        for name in names:
            stat = os.lstat(os.path.join(root, name))
            found[os.path.join(root, name)] = (stat.st_size, stat.st_mtime_ns)
    return found

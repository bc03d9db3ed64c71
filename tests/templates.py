"""Clusters that hold a migrated database already, kept between runs, so that a test need not wait for a migrate.

One is built by the real commands when it is first asked for, stopped, and kept under `.pytest_cache` (git-ignored;
`pytest --cache-clear` and `make clean` remove it). Each server of the tests starts on a copy of one. Its key is the
checksum of all that decides what is in it: a changed migration, SQL file or module builds it anew.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from psycopg import sql

from moeen.db.server.cluster import ROLE, Server

PROJECT = Path(__file__).resolve().parent.parent
CACHE = PROJECT / ".pytest_cache" / "d" / "clusters"
#: The databases that a kept cluster holds: at the newest schema, and with what its shape brings and no more.
MIGRATED = "moeen_migrated"
EMPTY = "moeen_empty"


@dataclass(frozen=True)
class Shape:
    """What stands in a cluster before the migrate: made by `superuser`, migrated by `owner`."""

    superuser: str = "postgres"
    owner: str = ROLE
    script: str = ""


#: As the project's own server is; with the roles of a hosting platform besides; and like Supabase in all things.
SHAPES = {
    "plain": Shape(),
    "platform": Shape(
        script="""
            CREATE ROLE anon NOLOGIN NOINHERIT;
            CREATE ROLE authenticated NOLOGIN NOINHERIT;
            CREATE ROLE service_role NOLOGIN NOINHERIT BYPASSRLS;
            CREATE ROLE authenticator LOGIN NOINHERIT;
            GRANT anon, authenticated, service_role TO authenticator;
        """
    ),
    "supabase": Shape(
        superuser="supabase_admin",
        owner="postgres",
        script=(PROJECT / "tests" / "states" / "supabase.sql").read_text(encoding="utf-8"),
    ),
}


def lay(server: Server, name: str) -> None:
    """Put a copy of the kept cluster of this shape where the server, which has none yet, will look for its own."""
    shape = SHAPES[name]
    kind = f"{name}-{server.major}"
    with _locked(CACHE / f"{kind}.lock"):
        kept = CACHE / kind / _key(server, shape)
        if not kept.is_dir():
            shutil.rmtree(kept.parent, ignore_errors=True)
            kept.parent.mkdir(parents=True)
            _build(server, shape, kept)
        _copy(kept, server.data_dir)


def _build(server: Server, shape: Shape, kept: Path) -> None:
    root = Path(tempfile.mkdtemp(prefix="moeen-template-"))
    root.chmod(0o711)  # root's server runs as another user
    source = replace(server, data_dir=root / "data", settings=(("fsync", "off"),), port=5432)
    try:
        try:
            _fill(source, shape)
        finally:
            source.stop()
        source.log.unlink()
        part = kept.with_suffix(".part")
        _copy(source.data_dir, part)
        part.rename(kept)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _fill(source: Server, shape: Shape) -> None:
    address = source.ensure_running()
    with source.connect_as_superuser(address) as connection:
        create = "CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE {}"
        empty, migrated = sql.Identifier(EMPTY), sql.Identifier(MIGRATED)
        connection.execute(sql.SQL(create).format(empty, sql.Identifier(source.role), sql.Identifier("template0")))
        if shape.script:
            with source.connect_as_superuser(address, database=EMPTY) as shaping:
                shaping.execute(shape.script)
        connection.execute(sql.SQL(create).format(migrated, sql.Identifier(shape.owner), empty))
    url = f"postgresql://{shape.owner}@/{MIGRATED}?host={address.host}&port={address.port}"
    done = subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0", "--no-backup", "template of the tests"],
        cwd=PROJECT,
        env={**os.environ, "DATABASE_URL": url, "SUPABASE_PROJECT_REF": " ", "WEB_DATABASE_URL": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"The template of the tests could not be migrated:\n{done.stdout}{done.stderr}")


def _key(server: Server, shape: Shape) -> str:
    """The checksum of the project's modules and SQL, the shape, and the programs."""
    packages = sorted(path.parent for path in PROJECT.glob("*/__init__.py") if path.parent.name != "tests")
    digest = hashlib.sha256(f"{shape}\0{server.bin_dir}\0".encode())
    digest.update(subprocess.run([server.bin_dir / "postgres", "--version"], capture_output=True, check=True).stdout)
    digest.update(Path(__file__).read_bytes())
    for package in packages:
        for path in sorted(path for path in package.rglob("*") if path.suffix in (".py", ".sql")):
            digest.update(f"{path.relative_to(PROJECT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:32]


def _copy(source: Path, target: Path) -> None:
    """With owners and modes: root's servers run as another user."""
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", source, target], check=True)


@contextmanager
def _locked(path: Path):
    """One process at a time builds or copies. The kernel frees a dead one's lock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

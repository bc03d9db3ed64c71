"""A server that demands TLS and a password: the tools use both, or are not run at all."""

import os
import shutil
import socket
import subprocess
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from moeen.db.backups import dump, keys, pg_dump, tools, verify
from moeen.db.backups.login import Login
from moeen.db.errors import MoeenError
from moeen.db.server.programs import bin_dir
from tests import backups, servers

PASSWORD = r"pa:ss\wörd @/%"


@pytest.fixture(scope="module")
def demanding():
    """A login over TCP at a server that takes TLS with SCRAM only; no build without TLS can be that server."""
    programs = next((path for path in servers.extra_bin_dirs() if _has_tls(path)), None)
    if programs is None or shutil.which("openssl") is None:
        pytest.skip("no server with TLS: MOEEN_TEST_BIN_DIRS names none, or openssl is missing")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    root = servers.scratch()
    data = root / "data"
    server = servers.throwaway(bin_dir=programs, data_dir=data, port=port)
    server.ensure_running()
    server.stop()
    key, certificate = data / "server.key", data / "server.crt"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    for path in (key, certificate):
        os.chown(path, data.stat().st_uid, data.stat().st_gid)
        path.chmod(0o600)
    hba = data / "pg_hba.conf"
    hba.write_text("local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n")
    server = replace(server, settings=(*server.settings, ("ssl", "on"), ("listen_addresses", "127.0.0.1")))
    servers._started.append(server)
    address = server.ensure_running()
    with server.connect_as_superuser(address) as connection:
        connection.execute(psycopg.sql.SQL("ALTER ROLE moeen PASSWORD {}").format(psycopg.sql.Literal(PASSWORD)))
    with server.connect_as_superuser(address, database="moeen") as connection:
        connection.execute("CREATE TABLE public.t AS SELECT n FROM generate_series(1, 100) n")
        connection.execute("ALTER TABLE public.t OWNER TO moeen")
    words = {"host": "127.0.0.1", "port": str(port), "user": "moeen", "dbname": "moeen", "sslmode": "prefer"}
    yield Login(words, PASSWORD).settled()
    servers.stop(server)


def _has_tls(folder):
    words = [Path(folder) / "pg_config", "--configure"]
    return "openssl" in subprocess.run(words, capture_output=True, text=True, check=False).stdout


def test_login__server_with_tls__insisted_on_from_then_on(demanding):
    assert demanding.tls
    assert demanding.parameters["sslmode"] == "require"
    assert demanding.password == PASSWORD


def test_take__tls_and_password__round_trip_and_no_password_on_a_command_line(demanding, tmp_path, monkeypatch):
    seen = []
    popen = subprocess.Popen

    def watched(command, *args, **options):
        seen.append((list(map(str, command)), dict(options.get("env") or {})))
        return popen(command, *args, **options)

    monkeypatch.setattr(pg_dump.subprocess, "Popen", watched)
    at = backups.place(tmp_path)
    taken = dump.take_from(demanding, store=at, signer=keys.signer())
    assert taken.rows == 100
    assert verify.prove(at, taken.id).findings == ()
    dumps = [entry for entry in seen if any(word.startswith("--format") for word in entry[0])]
    assert dumps != []
    for command, environment in dumps:
        assert PASSWORD not in " ".join(command)
        assert environment["PGPASSWORD"] == PASSWORD
        assert environment["PGSSLMODE"] == "require"


def test_take__tools_without_tls__refused_and_nothing_written(demanding, tmp_path, monkeypatch):
    major = 15
    bare = bin_dir(16)
    # The wheel's programs stand in for the only ones of the server's version.
    monkeypatch.setattr(tools, "candidates", lambda: iter([bare]))
    monkeypatch.setattr(tools, "_major", lambda folder: major)
    monkeypatch.setattr(tools, "_library_with_tls", lambda: None)
    with pytest.raises(MoeenError, match="no TLS"):
        dump.take_from(demanding, store=backups.place(tmp_path), signer=keys.signer())
    assert backups.place(tmp_path).ids() == []


def test_take__tools_that_borrow_tls__dump_over_it(demanding, tmp_path, monkeypatch):
    bare = bin_dir(16)
    monkeypatch.setattr(tools, "candidates", lambda: iter([bare]))
    monkeypatch.setattr(tools, "_major", lambda folder: 15)
    at = backups.place(tmp_path)
    taken = dump.take_from(demanding, store=at, signer=keys.signer())
    assert at.manifest(taken.id).tools_version.startswith("16")
    # A server may stamp what only its own version's tools know to leave out, so this dump is read, not restored.
    listed = subprocess.run(
        [bare / "pg_restore", "--list", tmp_path / taken.id / "dump.custom"], capture_output=True, text=True, check=True
    )
    assert "TABLE DATA public t moeen" in listed.stdout
    assert taken.rows == 100

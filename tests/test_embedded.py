"""The embedded server, on the real programs: how it is made, found, survived and refused."""

import os
import pwd
import signal
import stat
import subprocess
import sys
import threading
import time

import pytest

from moeen.db.errors import MoeenError
from moeen.db.server import places, programs, project, sockets, users
from tests import servers

AS_ROOT = os.geteuid() == 0


@pytest.fixture
def cluster():
    """A throwaway cluster that has not been made yet."""
    server = servers.throwaway()
    yield server
    servers.stop(server)


@pytest.fixture(scope="module")
def running():
    server = servers.start()
    yield server
    servers.stop(server)


def ask(server, query, *, user=None, database="postgres"):
    with servers.target_of(server).connect(database, user=user) as connection:
        return connection.execute(query).fetchone()


def kill(pid):
    """End the server as a power cut would, and wait until its socket is dead."""
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.3)


def server_user():
    return {"user": users.os_user(servers.PROJECT / "absent").pw_uid} if AS_ROOT else {}


def test_boot__nothing_there__role_and_database_for_the_project(running):
    role = ask(
        running,
        "SELECT rolsuper, rolcreatedb, rolcreaterole, rolcanlogin, rolbypassrls FROM pg_roles WHERE rolname = 'moeen'",
    )
    database = ask(
        running,
        "SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding) FROM pg_database WHERE datname = 'moeen'",
    )
    assert role == (False, True, True, True, False)
    assert database == ("moeen", "UTF8")


def test_boot__nothing_there__closed_to_other_users_and_the_network(running):
    address = running.ensure_running()
    assert ask(running, "SHOW listen_addresses") == ("",)
    assert ask(running, "SHOW data_checksums") == ("on",)
    assert stat.S_IMODE(os.stat(address.host).st_mode) == 0o700
    assert stat.S_IMODE(running.data_dir.stat().st_mode) == 0o700
    assert os.stat(address.host).st_uid == running.data_dir.stat().st_uid != 0


def test_boot__arabic_and_latin_text__letters_beyond_ascii_are_known(running):
    assert ask(running, "SELECT upper('é'), 'مريم' ~ '^\\w+$', 'ب' < 'ت'") == ("É", True, True)


def test_status__running_then_stopped__says_so(cluster):
    assert cluster.status().running is False
    address = cluster.ensure_running()
    status = cluster.status()
    assert (status.running, status.address, status.major) == (True, address, 18)
    assert cluster.stop() is True
    assert cluster.status().running is False
    assert cluster.stop() is False


def test_stop__never_made__makes_nothing(cluster):
    assert cluster.stop() is False
    assert list(cluster.data_dir.parent.iterdir()) == []


START = """
import sys
from pathlib import Path
from moeen.db.server.cluster import Server
Server(data_dir=Path(sys.argv[1]), bin_dir=Path(sys.argv[2]), durable=False).ensure_running()
"""


def test_start__four_processes_at_once__one_server(cluster):
    command = [sys.executable, "-c", START, str(cluster.data_dir), str(cluster.bin_dir)]
    processes = [subprocess.Popen(command, cwd=servers.PROJECT, stdout=subprocess.PIPE) for _ in range(4)]
    # communicate() would wait for ever if the server had inherited the pipe.
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [0, 0, 0, 0]
    assert cluster.log.read_text().count("starting PostgreSQL") == 1
    assert ask(cluster, "SELECT 1") == (1,)


def test_start__starter_has_ended__server_goes_on(cluster):
    command = [sys.executable, "-c", START, str(cluster.data_dir), str(cluster.bin_dir)]
    subprocess.run(command, cwd=servers.PROJECT, check=True)
    assert cluster.status().running is True


def test_start__killed__recovers_with_the_rows(cluster):
    cluster.ensure_running()
    with servers.target_of(cluster).connect() as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
        connection.execute("SET synchronous_commit = on")
        connection.execute("UPDATE kept SET n = 8")  # its commit waits until the log is written
    kill(cluster.status().pid)
    assert (cluster.data_dir / "postmaster.pid").exists()
    assert ask(cluster, "SELECT n FROM kept") == (8,)


def test_start__pid_file_names_another_living_program__starts(cluster):
    cluster.ensure_running()
    kill(cluster.status().pid)
    other = subprocess.Popen(["sleep", "60"], **server_user())
    try:
        for path in (cluster.data_dir / "postmaster.pid", next(cluster_socket_locks(cluster))):
            path.write_text("\n".join([str(other.pid), *path.read_text().split("\n")[1:]]))
        assert ask(cluster, "SELECT 1") == (1,)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def cluster_socket_locks(server):
    user = pwd.getpwuid(server.data_dir.stat().st_uid) if AS_ROOT else None
    return sockets.socket_folder(server.data_dir, user=user).glob(".s.PGSQL.*.lock")


def test_start__socket_was_swept_away__reachable_again(cluster):
    address = cluster.ensure_running()
    os.unlink(address.path)
    assert ask(cluster, "SELECT 1") == (1,)


def test_start__initdb_was_killed__begins_anew(cluster):
    left = cluster.data_dir.with_name(cluster.data_dir.name + ".new-x1")
    (left / "base").mkdir(parents=True)
    cluster.ensure_running()
    assert not left.exists()


def test_start__long_path_with_shell_characters__starts():
    folder = servers.scratch() / ("x" * 110) / "a b ' \" $HOME `id` ö,é"
    folder.mkdir(parents=True)
    server = servers.throwaway(data_dir=folder / "data")
    address = server.ensure_running()
    assert len(os.fsencode(address.path)) < 104
    assert ask(server, "SHOW data_directory") == (str(server.data_dir),)
    servers.stop(server)


def test_start__folder_with_other_files__refused_untouched(cluster):
    cluster.data_dir.mkdir()
    (cluster.data_dir / "letter.txt").write_text("mine")
    with pytest.raises(MoeenError, match="no PostgreSQL cluster"):
        cluster.ensure_running()
    assert [path.name for path in cluster.data_dir.iterdir()] == ["letter.txt"]


def test_start__cluster_of_another_version__refused(cluster):
    cluster.data_dir.mkdir()
    (cluster.data_dir / "PG_VERSION").write_text("16\n")
    with pytest.raises(MoeenError, match=r"is of PostgreSQL 16; the programs here are PostgreSQL 18"):
        cluster.ensure_running()


def test_start__bad_configuration__shows_the_reason_from_the_log(cluster):
    cluster.ensure_running()
    cluster.stop()
    with (cluster.data_dir / "postgresql.conf").open("a") as file:
        file.write("\nshared_bufers = 1\n")
    with pytest.raises(MoeenError, match=r"did not start.*shared_bufers") as caught:
        cluster.ensure_running()
    assert str(cluster.log) in caught.value.next_step


def test_socket__folder_open_to_others__refused(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", "")
    monkeypatch.setattr("tempfile.tempdir", "/tmp")
    folder = sockets.socket_folder(tmp_path)
    try:
        folder.chmod(0o770)
        with pytest.raises(MoeenError, match="alone"):
            sockets.socket_folder(tmp_path)
    finally:
        folder.rmdir()


def test_socket__folder_is_a_link__refused(tmp_path):
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    sockets.check_socket_folder(tmp_path / "real", uid=os.geteuid())
    with pytest.raises(MoeenError, match="alone"):
        sockets.check_socket_folder(tmp_path / "link", uid=os.geteuid())


def test_socket__private_runtime_folder__is_preferred(tmp_path, monkeypatch):
    runtime = servers.scratch("m-")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    elsewhere = sockets.socket_folder(tmp_path)  # others may enter this runtime folder
    elsewhere.rmdir()
    assert elsewhere.parent != runtime
    runtime.chmod(0o700)
    assert sockets.socket_folder(tmp_path).parent == runtime


def test_database__dropped_while_running__made_again_on_connect(manage, tmp_path):
    env = {"EMBEDDED_DATA_DIR": str(servers.scratch() / "data"), "DATABASE_URL": ""}
    script = (
        "from django.db import connection as c\n"
        "with c._nodb_cursor() as cursor: cursor.execute('DROP DATABASE moeen')\n"
        "c.ensure_connection(); i = c.connection.info; print(i.dbname, i.user)\n"
        "import os, signal; from moeen.db.server.project import configured_server as s\n"
        "c.close(); os.kill(s().status().pid, signal.SIGKILL)\n"
        "cursor = c.cursor(); cursor.execute('SHOW application_name'); print(cursor.fetchone()[0])\n"
        "cursor.execute('SHOW timezone'); print(cursor.fetchone()[0])"
    )
    try:
        done = manage("shell", "-v0", "-c", script, **env)
        assert done.stdout.split("\n")[:3] == ["moeen moeen", "moeen shell", "UTC"], done.stderr
        status = manage("embedded_server", "status", **env).stdout
        assert "running" in status
        assert env["EMBEDDED_DATA_DIR"] in status
        shell = manage("dbshell", "--", "-Atc", "SELECT current_user", **env)
        assert shell.stdout.strip() == "moeen"
    finally:
        assert manage("embedded_server", "stop", **env).returncode == 0


@pytest.mark.parametrize(
    "words",
    [("check",), ("makemigrations", "--check", "--dry-run"), ("--help",), ("migrate", "--help")],
    ids=lambda words: words[0],
)
def test_commands__no_need_of_the_database__start_nothing(manage, words):
    data_dir = servers.scratch() / "data"
    done = manage(*words, DATABASE_URL="", EMBEDDED_DATA_DIR=str(data_dir))
    assert (
        done.returncode,
        done.stderr.replace("System check identified no issues (0 silenced).\n", ""),
    ) == (0, "")
    assert list(data_dir.parent.iterdir()) == []


def test_programs__by_major_version__from_the_wheel_or_the_system():
    assert programs.major_of(programs.bin_dir(18)) == 18
    assert programs.major_of(programs.bin_dir(16)) == 16
    assert programs.bin_dir(9) is None


def test_programs__looked_up__package_is_not_imported():
    code = "from moeen.db.server import programs as e; e.bin_dir(); import sys; print(e.PACKAGE in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=servers.PROJECT, capture_output=True, text=True)
    assert done.stdout == "False\n"


@pytest.mark.skipif(not AS_ROOT, reason="only root runs the server as somebody else")
def test_root__project_that_nobody_else_may_enter__data_elsewhere_and_no_permission_changed(monkeypatch):
    root = servers.scratch()
    closed = root / "closed"
    (closed / "project" / "venv").mkdir(parents=True)
    closed.chmod(0o700)
    wheel = programs.package_dir()
    for name in (wheel.name, wheel.name + ".libs"):
        subprocess.run(["cp", "-r", wheel.with_name(name), closed / "project" / "venv" / name], check=True)
    monkeypatch.setattr(places, "SHARED_FOLDER", root / "shared")
    monkeypatch.setattr(programs, "package_dir", lambda: closed / "project" / "venv" / wheel.name)
    server = project.project_server(closed / "project")
    try:
        assert server.data_dir.is_relative_to(root / "shared")
        assert server.bin_dir.is_relative_to(root / "shared")
        assert ask(server, "SELECT 1") == (1,)
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        assert stat.S_IMODE(root.stat().st_mode) == 0o711
        assert project.project_server(closed / "project") == server
    finally:
        servers.stop(server)


@pytest.mark.skipif(not AS_ROOT, reason="only root runs the server as somebody else")
def test_root__project_of_an_ordinary_user__server_runs_as_that_user(monkeypatch):
    root = servers.scratch()
    nobody = pwd.getpwnam("nobody")
    (root / "project").mkdir()
    os.chown(root / "project", nobody.pw_uid, nobody.pw_gid)
    server = project.project_server(root / "project")
    try:
        server.ensure_running()
        assert server.data_dir.stat().st_uid == nobody.pw_uid
        assert server.data_dir.parent.stat().st_uid == nobody.pw_uid
    finally:
        servers.stop(server)


def test_lock__held_by_another_thread__waits_for_it(cluster):
    results = []
    threads = [threading.Thread(target=lambda: results.append(cluster.ensure_running())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 3
    assert len(set(results)) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
def test_shared_programs__two_versions__each_has_its_copy(monkeypatch):
    monkeypatch.setattr(places, "SHARED_FOLDER", servers.scratch() / "shared")
    copies = [places._shared_programs(programs.bin_dir(major)) for major in (programs.MAJOR, 16)]
    assert [programs.major_of(copy) for copy in copies] == [programs.MAJOR, 16]

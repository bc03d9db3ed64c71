"""Three servers under Patroni and etcd, on loopback, for tests of failover: programs of Debian's packages."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from moeen.db.server.users import become, os_user
from tests import servers

PATRONI, ETCD = shutil.which("patroni"), shutil.which("etcd")
#: The newest of Debian's servers: its Patroni knows no newer one.
BIN_DIR = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None, key=lambda path: int(path.parent.name))
MISSING = [name for name, there in (("patroni", PATRONI), ("etcd-server", ETCD), ("postgresql", BIN_DIR)) if not there]
#: Seconds after which a leader that says nothing is one no more; Patroni takes no shorter ones.
TTL = 20


def free_port():
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@dataclass
class Node:
    name: str
    folder: Path
    port: int = field(default_factory=free_port)
    api: int = field(default_factory=free_port)
    process: subprocess.Popen | None = None

    def ask(self, path="patroni"):
        """What its Patroni says; {} where it says nothing."""
        address = f"http://127.0.0.1:{self.api}/{path}"
        with suppress(OSError, ValueError), urllib.request.urlopen(address, timeout=2) as answer:
            return json.load(answer)
        return {}

    def server(self):
        """The process of its PostgreSQL server, None where there is none."""
        with suppress(OSError, ValueError):
            pid = int((self.folder / "data" / "postmaster.pid").read_text().split("\n")[0])
            if b"postgres" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        return None

    def kill(self):
        """As when the machine is lost: Patroni and PostgreSQL are gone at the same moment."""
        pid = self.server()
        self.process.kill()
        if pid:
            os.kill(pid, signal.SIGKILL)
        self.process.wait()


class Cluster:
    """Three nodes with synchronous replication; `with Cluster() as cluster:`, and all of it has ended afterwards."""

    def __init__(self):
        self.root = servers.scratch("moeen-ha-")
        self.passwords = {name: secrets.token_hex(12) for name in ("postgres", "replicator", "moeen", "moeen_web")}
        self.who = os_user(self.root / "none") if os.geteuid() == 0 else None
        self.etcd_port, self.peer_port = free_port(), free_port()
        self.nodes = [Node(f"n{number}", self.root / f"n{number}") for number in (1, 2, 3)]
        self.etcd = None

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for node in self.nodes:
            if node.process and node.process.poll() is None:
                node.process.terminate()
        for node in self.nodes:
            if node.process:
                with suppress(subprocess.TimeoutExpired):
                    node.process.wait(30)
            if node.process and node.process.poll() is None:
                node.kill()
            if pid := node.server():
                os.kill(pid, signal.SIGQUIT)
        if self.etcd:
            self.etcd.terminate()
            self.etcd.wait(20)

    def url(self, database="moeen", *, user="moeen", port=None):
        """Every node, and libpq finds the one that takes writes; with a port that one node."""
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes if port in (None, node.port))
        asks = "" if port else "?target_session_attrs=read-write&connect_timeout=2"
        return f"postgresql://{user}:{self.passwords[user]}@{hosts}/{database}{asks}"

    def leader(self):
        """The node that takes writes, None where there is none."""
        return next((node for node in self.nodes if node.ask().get("role") in ("master", "primary")), None)

    def wait(self, what, *, seconds, told):
        deadline = time.monotonic() + seconds
        while not (found := what()):
            if time.monotonic() > deadline:
                raise AssertionError(f"{told}: not within {seconds} s\n{self.logs()}")
            time.sleep(0.2)
        return found

    def is_whole(self):
        """All three run, and one of the others is a synchronous standby."""
        members = [member for node in self.nodes[:1] for member in node.ask("cluster").get("members", [])]
        members = members or self.nodes[1].ask("cluster").get("members", [])
        ready = [member for member in members if member["state"] in ("running", "streaming")]
        return len(ready) == 3 and any(member["role"] == "sync_standby" for member in ready)

    def start(self, node):
        """Let a node's Patroni run, and with it its server."""
        node.process = self._run([PATRONI, str(node.folder / "patroni.json")], node.folder / "log")

    def make_databases(self, *names):
        with psycopg.connect(self.url("postgres", user="postgres"), autocommit=True) as administrator:
            for role, rights in (("moeen", "CREATEDB CREATEROLE"), ("moeen_web", "NOINHERIT")):
                administrator.execute(f"CREATE ROLE {role} LOGIN {rights} PASSWORD '{self.passwords[role]}'")
            for name in names:
                administrator.execute(f"CREATE DATABASE {name} OWNER moeen TEMPLATE template0 ENCODING 'UTF8'")

    def logs(self):
        return "\n".join(f"== {path}\n{path.read_text()[-1500:]}" for path in sorted(self.root.glob("*/log")))

    def _start(self):
        self._folder(self.root / "etcd")
        client, peer = f"http://127.0.0.1:{self.etcd_port}", f"http://127.0.0.1:{self.peer_port}"
        self.etcd = self._run(
            [
                ETCD, "--data-dir", str(self.root / "etcd" / "data"), "--name", "one",
                "--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer,
                "--initial-advertise-peer-urls", peer, "--initial-cluster", f"one={peer}",
            ],
            self.root / "etcd" / "log",
        )  # fmt: skip
        for node in self.nodes:
            self._folder(node.folder)
            path = node.folder / "patroni.json"
            path.write_text(json.dumps(self._settings(node)))
            path.chmod(0o600)
            if self.who:
                os.chown(path, self.who.pw_uid, self.who.pw_gid)
        self.start(self.nodes[0])
        self.wait(self.leader, seconds=60, told="the first node leads")
        for node in self.nodes[1:]:
            self.start(node)
        self.wait(self.is_whole, seconds=90, told="three nodes")

    def _folder(self, path):
        path.mkdir(mode=0o700)
        if self.who:
            os.chown(path, self.who.pw_uid, self.who.pw_gid)

    def _run(self, command, log):
        with log.open("ab") as file:
            return subprocess.Popen(
                command, stdout=file, stderr=file, stdin=subprocess.DEVNULL, cwd="/", start_new_session=True,
                env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "HOME": str(log.parent)}, **become(self.who),
            )  # fmt: skip

    def _settings(self, node):
        """As docs/high-availability.md has them, with ports of this machine."""
        address = f"127.0.0.1:{node.port}"
        return {
            "scope": "clinic",
            "name": node.name,
            "restapi": {"listen": f"127.0.0.1:{node.api}", "connect_address": f"127.0.0.1:{node.api}"},
            "etcd3": {"host": f"127.0.0.1:{self.etcd_port}"},
            "bootstrap": {
                "dcs": {
                    "ttl": TTL,
                    "loop_wait": 2,
                    "retry_timeout": 5,
                    "synchronous_mode": True,
                    "synchronous_mode_strict": True,
                    "postgresql": {"use_pg_rewind": True, "use_slots": True},
                },
                "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "data-checksums"],
                "pg_hba": [
                    "local all all scram-sha-256",
                    "host all all 127.0.0.1/32 scram-sha-256",
                    "host replication replicator 127.0.0.1/32 scram-sha-256",
                ],
            },
            "postgresql": {
                "listen": address,
                "connect_address": address,
                "data_dir": str(node.folder / "data"),
                "bin_dir": str(BIN_DIR),
                "pgpass": str(node.folder / "pgpass"),
                "authentication": {
                    "superuser": {"username": "postgres", "password": self.passwords["postgres"]},
                    "replication": {"username": "replicator", "password": self.passwords["replicator"]},
                    "rewind": {"username": "postgres", "password": self.passwords["postgres"]},
                },
                "parameters": {
                    "unix_socket_directories": str(node.folder),
                    "shared_buffers": "64MB",
                    "password_encryption": "scram-sha-256",
                },
            },
            "tags": {},
        }

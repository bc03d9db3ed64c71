"""One cluster: made, started, stopped, and asked how it is.

The server listens on a unix socket in a folder that only its own user may enter, on no network address, and keeps
running when a command ends (`manage.py embedded_server stop` ends it).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from moeen.db.codes import Code
from moeen.db.errors import MoeenError
from moeen.db.server.processes import is_alive, is_postmaster, read_text
from moeen.db.server.programs import major_of
from moeen.db.server.sockets import PORT, SocketAddress, accepts, addressed, check_socket_folder, socket_folder
from moeen.db.server.users import become, os_user, user_name

ROLE = "moeen"
DATABASE = "moeen"
LOG_NAME = "server.log"
LOG_BYTES = 10 * 1024 * 1024
START_SECONDS = 120.0
STOP_SECONDS = 60.0
# Lines that every start and stop writes into the server's log.
_ROUTINE = re.compile(r"LOG: +(starting PostgreSQL|listening on|database system (was|is)|redo |checkpoint |.*recovery)")
_NO_SPACE = "No space left on device"
_LOG_PREFIX = re.compile(r"^.*?\b(FATAL|PANIC|ERROR|HINT|LOG): +")


@dataclass(frozen=True)
class Status:
    """A cluster as it stands. Made never: `major` is None. Stopped: `pid` and `address` are None."""

    data_dir: Path
    log: Path
    major: int | None
    running: bool
    pid: int | None
    address: SocketAddress | None


@dataclass(frozen=True, kw_only=True)
class Server:
    """One cluster: a data folder, and the programs that serve it.

    `settings` are further server settings (name, value) given at each start. `role` and `database` are
    created at the first start: a role that may log in and create databases and roles but is no superuser, and
    its database; with the role "" neither is. `owner` is the operating system user to run as when the caller is
    root. `durable=False` spares initdb the waiting for the disk. `port` matters only in the name of the socket. A start
    that takes longer than `start_seconds` has failed.
    """

    data_dir: Path
    bin_dir: Path
    superuser: str = "postgres"
    role: str = ROLE
    database: str = DATABASE
    settings: tuple[tuple[str, str], ...] = ()
    owner: str | None = None
    durable: bool = True
    port: int = PORT
    start_seconds: float = START_SECONDS

    # -- what others ask for ---------------------------------------------------------------------------------

    def ensure_running(self) -> SocketAddress:
        """Start the server unless it answers, creating cluster, role and database as needed.

        Raises MoeenError with the reason from the server's log when it does not come up.
        """
        address = self._answering()
        if address is not None:
            return address
        with self._locked():
            address = self._answering()
            if address is not None:
                return address
            if not (self.data_dir / "PG_VERSION").exists():
                self._create_cluster()
            self._check_version()
            address = self._start()
            self.ensure_database(address)
            return address

    def stop(self, *, mode: str = "fast") -> bool:
        """Stop the server; False when it was not running. `mode` is pg_ctl's: smart, fast or immediate."""
        if not self.data_dir.exists():
            return False
        with self._locked():
            if self._live_pid() is None:
                return False
            folder = self._pid_file()[4]
            self._run(
                [
                    self._program("pg_ctl"),
                    "stop",
                    "-D",
                    self.data_dir,
                    "-m",
                    mode,
                    "-w",
                    "-t",
                    int(STOP_SECONDS),
                ],
                failed="The embedded server could not be stopped",
            )
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        return True

    def status(self) -> Status:
        """What stands and what runs, without starting anything."""
        address = self._answering()
        version = read_text(self.data_dir / "PG_VERSION").strip()
        return Status(
            data_dir=self.data_dir,
            log=self.log,
            major=int(version) if version.isdigit() else None,
            running=address is not None,
            pid=self._live_pid() if address else None,
            address=address,
        )

    def ensure_database(self, address: SocketAddress) -> None:
        """Create the role and the database where they are missing. Cheap, and harmless to repeat."""
        if not self.role:
            return
        with self.connect_as_superuser(address) as connection:
            row = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [self.role]).fetchone()
            if row is None:
                connection.execute(
                    sql.SQL("CREATE ROLE {} LOGIN CREATEDB CREATEROLE NOSUPERUSER").format(sql.Identifier(self.role))
                )
            row = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [self.database]).fetchone()
            if row is None:
                connection.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE template0").format(
                        sql.Identifier(self.database), sql.Identifier(self.role)
                    )
                )

    def connect_as_superuser(
        self, address: SocketAddress, *, database: str = "postgres"
    ) -> psycopg.Connection[tuple[Any, ...]]:
        """An autocommit connection as the cluster's superuser, for its administration only.

        Names are PostgreSQL's own: what the database's owner made is not called with a superuser's rights.
        """
        return psycopg.connect(
            **addressed({"host": address.host, "port": address.port}),
            options="-c search_path=pg_catalog",
            user=self.superuser,
            dbname=database,
            autocommit=True,
            connect_timeout=10,
            application_name="moeen embedded_server",
        )

    @property
    def log(self) -> Path:
        return self.data_dir / LOG_NAME

    # -- is it running? --------------------------------------------------------------------------------------

    def _answering(self) -> SocketAddress | None:
        """The address, if a server of this data folder accepts connections there. Trusts no recorded PID."""
        lines = self._pid_file()
        if len(lines) < 5 or not lines[4]:
            return None
        address = SocketAddress(lines[4], int(lines[3]))
        if not accepts(address):
            return None
        check_socket_folder(Path(address.host), uid=self.data_dir.stat().st_uid)
        return address

    def _pid_file(self) -> list[str]:
        """postmaster.pid: pid, data folder, start time, port, socket folder, network address, memory key."""
        try:
            return (self.data_dir / "postmaster.pid").read_text(encoding="utf-8").split("\n")
        except FileNotFoundError:
            return []
        except PermissionError as error:
            raise self._foreign() from error

    def _live_pid(self) -> int | None:
        """The PID of this cluster's server; None if the recorded one is dead or is another program by now."""
        lines = self._pid_file()
        pid = int(lines[0]) if lines and lines[0].lstrip("-").isdigit() else 0
        return pid if pid > 0 and is_postmaster(pid, data_dir=self.data_dir) else None

    def _foreign(self) -> MoeenError:
        try:
            owner = user_name(self.data_dir.stat().st_uid)
        except OSError:
            owner = "another user"
        return MoeenError(
            f"The embedded server's data in {self.data_dir} belong to {owner}.",
            next_step="Run the command as that user, or let EMBEDDED_DATA_DIR name a folder of your own.",
            code=Code.EMBEDDED_FOLDER,
        )

    # -- create ----------------------------------------------------------------------------------------------

    def _create_cluster(self) -> None:
        """initdb into a sibling folder, then rename: one that was killed leaves nothing that looks whole."""
        if self.data_dir.exists() and any(self.data_dir.iterdir()):
            raise MoeenError(
                f"{self.data_dir} holds files but no PostgreSQL cluster.",
                next_step="Empty it if it is not needed, or let EMBEDDED_DATA_DIR name another folder.",
                code=Code.EMBEDDED_FOLDER,
            )
        for left in self.data_dir.parent.iterdir():
            if left.name.startswith(f"{self.data_dir.name}.new-"):
                shutil.rmtree(left, ignore_errors=True)
        fresh = Path(tempfile.mkdtemp(prefix=f"{self.data_dir.name}.new-", dir=self.data_dir.parent))
        self._give(fresh)
        command: list[Any] = [self._program("initdb"), "-D", fresh, "-U", self.superuser, "--encoding=UTF8"]
        # Who may enter the socket's folder is trusted. There is no network listener; should someone add one,
        # it asks for passwords.
        command += [
            "--auth-local=trust",
            "--auth-host=scram-sha-256",
            "--data-checksums",
            "--no-instructions",
        ]
        # The C locale is the one that every build and platform has, and sorts alike everywhere. From 17 on
        # the built-in C.UTF-8 also knows upper, lower and word characters beyond ASCII, without the platform.
        command += ["--locale=C"]
        if self.major >= 17:
            command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        if not self.durable:
            command += ["--no-sync"]
        try:
            self._run(command, failed="The embedded database could not be created")
            fresh.rename(self.data_dir)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise

    def _check_version(self) -> None:
        held = read_text(self.data_dir / "PG_VERSION").strip()
        if held != str(self.major):
            raise MoeenError(
                f"{self.data_dir} is of PostgreSQL {held}; the programs here are PostgreSQL {self.major}.",
                next_step="Let EMBEDDED_DATA_DIR name another folder; carry the data over with a dump.",
                code=Code.EMBEDDED_FOLDER,
            )

    @property
    def major(self) -> int:
        """The major version of the programs."""
        return major_of(self.bin_dir) or 0

    # -- start -----------------------------------------------------------------------------------------------

    def _start(self) -> SocketAddress:
        deadline = time.monotonic() + self.start_seconds
        address = SocketAddress(str(socket_folder(self.data_dir, user=self._user())), self.port)
        while True:
            self._end_unreachable()
            self._disown_pid_file()
            # The lock of the socket may name a reused PID as well. The folder is this cluster's alone.
            Path(f"{address.path}.lock").unlink(missing_ok=True)
            self._rotate_log()
            mark = self.log.stat().st_size if self.log.exists() else 0
            pid = self._spawn(address)
            if self._wait_until_ready(address, pid=pid, deadline=deadline):
                return address
            words = self._log_since(mark)
            # After kill -9 of the server its children take a moment to notice and leave the shared memory.
            if "shared memory block" in words and "still in use" in words and time.monotonic() < deadline:
                time.sleep(0.3)
                continue
            raise self._start_failure(words)

    def _end_unreachable(self) -> None:
        """Stop a server that lives but whose socket was swept away (a cleaned /tmp), to be started anew."""
        if self._live_pid() is not None:
            self._run(
                [
                    self._program("pg_ctl"),
                    "stop",
                    "-D",
                    self.data_dir,
                    "-m",
                    "fast",
                    "-w",
                    "-t",
                    int(STOP_SECONDS),
                ],
                failed="The embedded server runs but cannot be reached, and could not be stopped",
            )

    def _disown_pid_file(self) -> None:
        """A stale postmaster.pid may name a PID that another program has by now; PostgreSQL would not start.

        The file is kept and only its first line replaced by our own PID, which PostgreSQL disregards as its
        parent's: so its check for children that still use the old shared memory remains in force.
        """
        path = self.data_dir / "postmaster.pid"
        lines = self._pid_file()
        if lines:
            with path.open("r+", encoding="utf-8") as file:
                file.truncate()
                file.write("\n".join([str(os.getpid()), *lines[1:]]))

    def _rotate_log(self) -> None:
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))

    def _spawn(self, address: SocketAddress) -> int:
        """Start the server as an orphan with its own session and no inherited files, and return its PID.

        pg_ctl start would do as well, but hands paths to a shell inside double quotes, and whoever reads a
        pipe that the server inherited waits for ever.
        """
        options: dict[str, str] = {
            "listen_addresses": "",
            "unix_socket_directories": '"' + address.host.replace('"', '""') + '"',
            "unix_socket_permissions": "0700",
            "timezone": "UTC",
            "log_timezone": "UTC",
            # A row's values must not reach the log through the statements and details of errors.
            "log_error_verbosity": "terse",
            "log_min_error_statement": "panic",
            "log_line_prefix": "%m [%p] %a ",
        }
        options.update(self.settings)
        command: list[Any] = [self._program("postgres"), "-D", self.data_dir, "-p", address.port]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        script = 'log=$1; shift; "$@" >>"$log" 2>&1 </dev/null & echo $!'
        said = self._run(
            ["/bin/sh", "-c", script, "sh", self.log, *command],
            failed="The embedded server could not be started",
            env={"PG_GRANDPARENT_PID": str(os.getpid())},
        )
        return int(said)

    def _wait_until_ready(self, address: SocketAddress, *, pid: int, deadline: float) -> bool:
        """Poll until the server takes a session (it may replay its log first); False when it ended."""
        told = time.monotonic() + 5
        while time.monotonic() < deadline:
            if accepts(address):
                with contextlib.suppress(psycopg.OperationalError):
                    self.connect_as_superuser(address).close()
                    return True
            if not is_alive(pid):
                return False
            if time.monotonic() > told:
                print("Waiting for the embedded server to come up ...", file=sys.stderr)
                told = deadline
            time.sleep(0.03)
        return False

    def _log_since(self, mark: int) -> str:
        try:
            with self.log.open("rb") as file:
                file.seek(mark)
                return file.read(64_000).decode("utf-8", "replace")
        except OSError:
            return ""

    def _start_failure(self, words: str) -> MoeenError:
        lines = [line for line in words.splitlines() if line.strip() and not _ROUTINE.search(line)]
        telling = [line for line in lines if _NO_SPACE in line][-1:] or lines
        reason = "; ".join(_LOG_PREFIX.sub("", line).strip().rstrip(".") for line in telling[-2:])
        reason = reason or "it ended without a word"
        if _NO_SPACE in words:
            step = "Free space on that disk, then run the command again."
        else:
            step = f"The whole story is in {self.log}."
        return MoeenError(f"The embedded PostgreSQL did not start: {reason}.", next_step=step, code=Code.EMBEDDED_START)

    # -- run programs as the right user ----------------------------------------------------------------------

    def _user(self) -> pwd.struct_passwd | None:
        """The user to become, None when the caller is not root and simply stays what they are."""
        return os_user(self.data_dir, owner=self.owner) if os.geteuid() == 0 else None

    def _give(self, path: Path) -> None:
        user = self._user()
        if user is not None:
            os.chown(path, user.pw_uid, user.pw_gid)

    def _program(self, name: str) -> Path:
        return self.bin_dir / name

    def _run(self, command: list[Any], *, failed: str, env: Mapping[str, str] | None = None) -> str:
        """Run a program to its end and return what it said. Its output goes through a file, never a pipe."""
        with tempfile.TemporaryFile() as output:
            try:
                code = subprocess.run(
                    [str(part) for part in command],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd="/",
                    env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", **(env or {})},
                    start_new_session=True,
                    check=False,
                    **become(self._user()),
                ).returncode
            except OSError as error:
                raise MoeenError(
                    f"{failed}: {error}.",
                    next_step="Is the virtual environment whole? Run `make`.",
                    code=Code.EMBEDDED_START,
                ) from error
            output.seek(0)
            said = output.read().decode("utf-8", "replace").strip()
        if code:
            lines = [line for line in said.splitlines() if line.strip()] or [f"exit code {code}"]
            telling = [line for line in lines if re.search(r"error|FATAL|PANIC|could not", line)] or lines
            raise MoeenError(
                f"{failed}: {_LOG_PREFIX.sub('', telling[-1]).strip().rstrip('.')}.",
                next_step=f"Look at the free space and the permissions of {self.data_dir.parent}.",
                code=Code.EMBEDDED_START,
            )
        return said

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time makes, starts or stops this cluster. The kernel frees a dead one's lock."""
        made = [folder for folder in (self.data_dir.parent, *self.data_dir.parent.parents) if not folder.exists()]
        path = self.data_dir.with_name(self.data_dir.name + ".lock")
        try:
            self.data_dir.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise MoeenError(
                f"The embedded server's folder {self.data_dir.parent} cannot be written: {error.strerror}.",
                next_step="Let EMBEDDED_DATA_DIR name a folder that can, or let DATABASE_URL name a server.",
                code=Code.EMBEDDED_FOLDER,
            ) from error
        try:
            for folder in made:
                self._give(folder)
            if os.fstat(handle).st_uid == 0:
                self._give(path)
            deadline = time.monotonic() + START_SECONDS + STOP_SECONDS
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise MoeenError(
                            f"Another process has been starting the embedded server for long ({path}).",
                            next_step="Look for a hanging manage.py, end it, and run the command again.",
                            code=Code.EMBEDDED_START,
                        ) from None
                    time.sleep(0.05)
            yield
        finally:
            os.close(handle)

"""One run of pg_dump, and of the encryption behind it."""

from __future__ import annotations

import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any

from moeen.db.backups import encryption, program_errors, tools
from moeen.db.backups.login import Login

LOCK_WAIT_SECONDS = 60


class PgDump:
    """One run of pg_dump, and of the encryption behind it."""

    def __init__(
        self,
        programs: tools.Tools,
        login: Login,
        *,
        application: str,
        target: Path,
        form: str,
        jobs: int,
        snapshot: str,
        left_out: Sequence[str],
        keys: Sequence[Any],
    ) -> None:
        self.application = application
        self._login = login
        self._target = target
        self._keys = keys
        self._environment: Mapping[str, str] = programs.environment
        self._command = [
            programs.program("pg_dump"), "--no-password", f"--format={form}", f"--snapshot={snapshot}", "--no-sync",
            "--no-subscriptions", f"--lock-wait-timeout={LOCK_WAIT_SECONDS * 1000}", "--encoding=UTF8",
        ]  # fmt: skip
        if jobs > 1:
            self._command.append(f"--jobs={jobs}")
        if not keys:
            self._command.append(f"--file={target}")
        for name in left_out:
            self._command.append('--exclude-schema="' + name.replace('"', '""') + '"')
        if left_out:
            # Publications of a platform are the platform's as well.
            self._command.append("--no-publications")
        self._stack = ExitStack()
        self._said: IO[bytes] = self._stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        self._process: subprocess.Popen[bytes] | None = None
        self._cipher: threading.Thread | None = None
        self._cipher_error: BaseException | None = None

    def start(self) -> None:
        environment = self._login.environment(application=self.application)
        self._process = subprocess.Popen(
            self._command,
            env={**environment, **self._environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if self._keys else subprocess.DEVNULL,
            stderr=self._said,
        )
        if self._keys:
            self._cipher = threading.Thread(target=self._encrypt, name="age", daemon=True)
            self._cipher.start()

    def _encrypt(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            with self._process.stdout as plain, self._target.open("wb") as target:
                encryption.encrypt(plain, target, self._keys)
        except BaseException as error:
            self._cipher_error = error

    def finished(self) -> bool:
        assert self._process is not None
        return self._process.poll() is not None and not (self._cipher and self._cipher.is_alive())

    def failed(self) -> bool:
        assert self._process is not None
        return self._cipher_error is not None or bool(self._process.poll())

    def wait(self, seconds: float) -> None:
        assert self._process is not None
        if self.finished():
            time.sleep(0.02)
            return
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def check(self) -> None:
        """Raise what went wrong, once pg_dump has ended; otherwise leave it running."""
        assert self._process is not None
        if self._cipher_error is not None:
            raise self._cipher_error
        code = self._process.poll()
        if code is None:
            # The digests failed. Often pg_dump fails of the same a moment later, and says it better.
            with suppress(subprocess.TimeoutExpired):
                code = self._process.wait(2)
        if code:
            self._said.seek(0)
            raise program_errors.failure("pg_dump", self._said.read().decode("utf-8", "replace"), code)
        if code == 0 and self._cipher is not None:
            self._cipher.join()
            if self._cipher_error is not None:
                raise self._cipher_error
        if code is not None:
            self._stack.close()

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._cipher is not None:
            self._cipher.join()
        self._stack.close()

"""Who is told how a command ended: what is sent, what never is, and that a failing alarm changes nothing."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from moeen import ending
from moeen.db import alarm
from moeen.db.codes import Code
from moeen.db.errors import MoeenError
from moeen.ending import Ending
from tests import servers

NOBODY = "postgresql://clinic:s3cret@127.0.0.1:1/clinic"
SECRETS = {"SECRET_KEY": "s3cret", "DATABASE_URL": NOBODY}


@pytest.fixture
def listener():
    """A server that keeps what it is told in `.told`; `.status` is its answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.told.append((self.path, json.loads(body)))
            self.send_response(self.server.status)
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
            self.end_headers()

        def do_GET(self):
            self.server.told.append((self.path, {}))

        def log_message(self, *words):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.told, server.status, server.url = [], 200, f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def keeping(folder, *, then="true"):
    """A command that keeps its standard input and its environment in the folder."""
    script = folder / "told.sh"
    script.write_text(f"#!/bin/sh\ncat > {folder}/input\nenv > {folder}/environment\n{then}\n")
    script.chmod(0o755)
    return shlex.quote(str(script))


def test_failure__url__gets_names_outcome_and_cause_and_no_secret(manage, listener):
    done = manage("backup_database", ON_FAILURE=f"{listener.url}/{{command}}?key=hidden", **SECRETS)
    ((path, told),) = listener.told
    assert (done.returncode, path) == (1, "/backup_database?key=hidden")
    at, version = told.pop("at"), told.pop("version")
    assert told == {
        "command": "backup_database", "database": "clinic", "outcome": "failed", "exit_code": 1,
        "kind": "OperationalError", "message": done.stderr.strip().removeprefix("Error: "),
    }  # fmt: skip
    assert (at[-6:], version[:2]) == ("+00:00", "0.")
    assert "s3cret" not in json.dumps(listener.told)
    assert "hidden" not in done.stdout + done.stderr


def test_failure__command__gets_it_on_stdin_and_in_variables_without_our_environment(manage, tmp_path):
    done = manage("backup_database", "--jobs", "no", ON_FAILURE=keeping(tmp_path), **SECRETS)
    told = json.loads((tmp_path / "input").read_text())
    assert (done.returncode, told["outcome"], told["kind"]) == (2, "wrong usage", "MoeenError")
    environment = (tmp_path / "environment").read_text()
    assert "MOEEN_COMMAND=backup_database\n" in environment
    assert "MOEEN_EXIT_CODE=2\n" in environment
    assert "s3cret" not in environment + json.dumps(told)


def test_failure__malformed_settings__are_told_too(manage, listener):
    done = manage("migrate", DATABASE_URL="mysql://u:s3cret@h/d", ON_FAILURE=listener.url)
    ((_, told),) = listener.told
    assert (done.returncode, told["database"]) == (2, "")
    assert told["message"].startswith("DATABASE_URL is malformed")
    assert "s3cret" not in json.dumps(told)


def test_failure__ended_by_sigterm__is_told_as_cancelled(listener):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://u:p@127.0.0.1:{silent.getsockname()[1]}/d?connect_timeout=60"
        process = subprocess.Popen(
            [sys.executable, "manage.py", "verify_backup", "latest", "--against-live"], cwd=servers.PROJECT,
            env={**os.environ, "DATABASE_URL": url, "ON_FAILURE": listener.url}, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        with silent.accept()[0]:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 130
    assert [told["outcome"] for _, told in listener.told] == ["cancelled"]


def test_findings__summary__is_told_and_values_are_not(manage, listener, tmp_path):
    (tmp_path / "20260101T000000Z-aaaa").mkdir()
    done = manage("list_backups", BACKUP_DIR=str(tmp_path), ON_FAILURE=listener.url)
    ((_, told),) = listener.told
    assert (done.returncode, told["outcome"], told["kind"]) == (3, "findings", "findings")
    assert told["message"] in done.stderr.replace("Warning: ", "")


def test_success__heartbeat__and_nothing_of_what_only_says_something(manage, listener, tmp_path):
    where = {"BACKUP_DIR": str(tmp_path), "ON_SUCCESS": f"{listener.url}/{{command}}", "ON_FAILURE": listener.url}
    for words, variables in ((["--dry-run"], {}), (["--help"], {}), ([], {"DRY_RUN": "true"})):
        assert manage("prune_backups", *words, **where, **variables).returncode == 0
    assert manage("version", **where).returncode == 0
    assert listener.told == []
    assert manage("prune_backups", **where).returncode == 0
    assert [(path, told["outcome"]) for path, told in listener.told] == [("/prune_backups", "done")]


@pytest.mark.parametrize(
    ("receiver", "says"),
    [
        ("http://127.0.0.1:1/hidden", "127.0.0.1 cannot be reached (ConnectionRefusedError)"),
        ("/nonexistent/hidden", "FileNotFoundError (No such file or directory)"),
        ("sh -c 'exit 7' hidden", "the command ended with 7"),
    ],
)
def test_alarm__cannot_be_told__one_line_and_the_same_exit_code(manage, receiver, says):
    done = manage("backup_database", ON_FAILURE=receiver, **SECRETS)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"ON_FAILURE: nobody was told: {says}."
    assert "hidden" not in done.stderr


def test_alarm__redirected__is_not_told_elsewhere(listener):
    listener.status = 302
    assert alarm.tell(listener.url, alarm.Event("migrate", "d", 1)) == "127.0.0.1 answered 302"
    assert len(listener.told) == 1


def test_alarm__takes_too_long__is_ended_with_what_it_started(monkeypatch, tmp_path):
    monkeypatch.setattr(alarm, "SECONDS", 0.5)
    started = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        assert alarm.tell(url, alarm.Event("migrate", "d", 1)) in (
            "no answer in time",
            "127.0.0.1 cannot be reached (TimeoutError)",
        )
    slow = keeping(tmp_path, then=f"(sleep 1.5; touch {tmp_path}/outlived) & wait")
    assert alarm.tell(slow, alarm.Event("migrate", "d", 1)) == "the command took longer than 0 s"
    assert time.monotonic() - started < 5
    time.sleep(1.5)
    assert not (tmp_path / "outlived").exists()


def test_message__passwords_and_length__are_cut():
    event = alarm.Event("migrate", "d", 1, message="postgresql://u:s3cret@h/d password='s3 cret' password=s3cret " * 99)
    told = json.loads(event.as_json())["message"]
    assert ("s3" in told, len(told)) == (False, 2000)


def test_message__unforeseen_error__its_words_are_not_told(monkeypatch, listener, settings):
    settings.ON_FAILURE = listener.url
    ending.tell(["manage.py", "migrate"], Ending.of(ValueError("Patient Fatimah")))
    ending.tell(
        ["manage.py", "migrate"],
        Ending.of(MoeenError("The disk is full.", next_step="Make room.", code=Code.DISK_FULL)),
    )
    unforeseen, known = (told["message"] for _, told in listener.told)
    assert "Fatimah" not in unforeseen
    assert known == "The disk is full. [MOEEN-DISK-1]\nMake room."


def test_doctor__try_alarm__tells_or_says_why_not(manage, listener):
    done = manage("doctor", "--try-alarm", "--json", ON_FAILURE=listener.url)
    assert (done.returncode, json.loads(done.stdout)["ok"]) == (0, True)
    assert [told["outcome"] for _, told in listener.told] == ["try"]
    done = manage("doctor", "--try-alarm")
    assert (done.returncode, "ON_FAILURE is not set" in done.stdout) == (3, True)

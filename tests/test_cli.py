"""manage.py from outside: exit codes, one message, no traceback, no secret."""

import json
import runpy
import signal
import subprocess
import sys
import threading
from argparse import ArgumentTypeError

import pytest
from django.core.management import load_command_class

from moeen import cli
from moeen.db import logs
from moeen.db.interruption import interruptible
from sysadmin.management import arguments, reference
from sysadmin.management.arguments import Reason
from tests import documents, servers

# Django's commands run the system checks first; this one goes straight to the database.
ASK = ("inspectdb",)


def first_line(done):
    return done.stderr.strip().split("\n")[0]


@pytest.mark.parametrize(
    ("url", "code", "cause"),
    [
        ("postgresql://u:s3cret@127.0.0.1:1/d", 1, "No server answers at 127.0.0.1, port 1."),
        (
            "postgresql://u:s3cret@/d?host=/nonexistent",
            1,
            "No server answers on socket /nonexistent/.s.PGSQL.5432.",
        ),
        ("postgresql://u:s3cret@h.invalid/d", 1, "The host 'h.invalid' is not known."),
        ("postgresql://u:s3cret@127.0.0.1:x/d", 2, "DATABASE_URL is malformed: the port is no number"),
        ("postgresql://u:s3cret@127.0.0.1:1/d?sslmode=s3cret", 2, "DATABASE_URL holds an option"),
        (
            "mysql://u:s3cret@127.0.0.1:1/d",
            2,
            "DATABASE_URL is malformed: it does not begin with postgresql://.",
        ),
    ],
)
def test_connection__bad_address__one_message_and_exit_code(manage, url, code, cause):
    done = manage(*ASK, DATABASE_URL=url)
    assert done.returncode == code
    assert first_line(done).startswith(f"Error: {cause}")
    assert len(done.stderr.strip().split("\n")) == 2
    assert "s3cret" not in done.stderr + done.stdout


@pytest.mark.parametrize(
    ("url", "refused"),
    [
        ("postgresql://postgres:s3cret@db.otherref.supabase.co/postgres", True),
        ("postgresql://postgres:s3cret@127.0.0.2,db.otherref.supabase.co/postgres", True),
        ("postgresql://postgres.otherref:s3cret@127.0.0.1:1/postgres", True),
        ("postgresql://postgres:s3cret@db.myref-2.supabase.co.invalid/postgres", True),
        ("postgresql://postgres:s3cret@db.myrefs.invalid/postgres", True),
        ("postgresql://postgres:s3cret@db.myref.invalid/postgres?hostaddr=127.0.0.1&port=1", True),
        ("postgresql://postgres.myref:s3cret@db.otherref.supabase.co/postgres", True),
        ("postgresql:///myref?service=other", True),
        ("postgresql://postgres:s3cret@127.0.0.1:1/postgres", False),
        ("postgresql://username:s3cret@localhost:1/moeen_db", False),
        ("postgresql:///myref?host=/nonexistent", False),
        ("postgresql://postgres.myref:s3cret@127.0.0.1:1/postgres", False),
        ("postgresql://postgres:s3cret@db.myref.invalid/postgres", False),
    ],
)
def test_connection__project_reference__another_projects_database_is_refused(manage, url, refused):
    done = manage(*ASK, DATABASE_URL=url, SUPABASE_PROJECT_REF="myref")
    assert ("SUPABASE_PROJECT_REF is 'myref', but" in first_line(done)) is refused
    assert done.returncode == (2 if refused else 1)
    assert "s3cret" not in done.stderr


def test_check__project_reference_beside_this_machines_database__says_which_is_meant(manage):
    env = {"DATABASE_URL": "postgresql://u:s3cret@localhost:1/clinic", "SUPABASE_PROJECT_REF": "myref"}
    done = manage("check", **env)
    assert (done.returncode, "The database is clinic on this machine" in done.stderr) == (0, True)
    assert "s3cret" not in done.stderr
    done = manage("check", **env | {"PGHOSTADDR": "192.0.2.1"})
    assert "on this machine" not in done.stderr


def test_connection__project_reference_without_database_url__embedded_server_serves(manage):
    env = {
        "DATABASE_URL": "",
        "EMBEDDED_DATA_DIR": str(servers.scratch() / "data"),
        "SUPABASE_PROJECT_REF": "myref",
    }
    try:
        assert manage(*ASK, **env).returncode == 0
    finally:
        manage("embedded_server", "stop", **env)


def test_traceback__asked_for__shown(manage):
    done = manage(*ASK, "--traceback", DATABASE_URL="postgresql://u:s3cret@127.0.0.1:1/d")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "s3cret" not in done.stderr


def test_usage__reason_without_words__exit_2(manage):
    """One command shows what happens; that every reason is asked for in this way is held against all of them."""
    done = manage("migrate", "--no-backup", " ")
    assert (done.returncode, "--no-backup: say why" in done.stderr) == (2, True)
    told = {}
    for name, app in reference.own_commands().items():
        for action in load_command_class(app, name).create_parser("manage.py", name)._actions:
            if action.metavar == "REASON" or "--reason" in action.option_strings:
                told[name, action.dest] = isinstance(action, Reason)
    assert [key for key, is_reason in told.items() if not is_reason] == []
    assert len(told) > 5


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (("migrat",), "There is no command 'migrat'. Did you mean migrate?"),
        (("migrate", "--nosuchoption"), "Unrecognized arguments: --nosuchoption."),
        (("embedded_server", "fly"), "Argument action: invalid choice: 'fly' "),
        (("migrate", "nosuchapp"), "No installed app with label 'nosuchapp'."),
        (("migrate", "--database", "nowhere"), "Argument --database: invalid choice: 'nowhere' "),
    ],
)
def test_usage__unknown_word__is_one_error_that_leads_to_help(manage, words, cause):
    done = manage(*words, "--json")
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["code"], error["cause"].startswith(cause)) == (2, "MOEEN-USAGE-1", True), error
    assert (done.stderr.count("Error"), "help" in error["next_step"]) == (1, True)
    assert done.stderr == f"Error: {error['cause']} [MOEEN-USAGE-1]\n{error['next_step']}\n"


@pytest.fixture
def inside(monkeypatch, capsys, settings, tmp_path):
    """`manage.py` in this process, for what ends before a database is asked: (exit code, stdout, stderr)."""
    settings.LOG_DIR = tmp_path

    def run(*words):
        for place, name in ((sys, "stdout"), (threading, "excepthook"), (logs, "_database")):
            monkeypatch.setattr(place, name, getattr(place, name))
        code = cli.main(["manage.py", *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.mark.parametrize("name", reference.own_commands())
def test_usage__of_every_command__is_told_once_and_in_json(inside, name):
    code, out, said = inside(name, "--nosuchoption", "--json")
    assert (code, documents.hold("error", out)["error"]["code"]) == (2, "MOEEN-USAGE-1")
    assert (said.count("Error"), "usage:" in said, len(said.splitlines())) == (1, False, 2), said


def test_usage__numbers_out_of_range__are_refused_before_anything_is_done():
    numbers = (arguments.whole, arguments.positive, arguments.jobs, arguments.seconds)
    found = 0
    for name, app in reference.own_commands().items():
        for action in load_command_class(app, name).create_parser("manage.py", name)._actions:
            assert action.type is not int or action.choices, (name, action.dest)
            assert action.metavar not in ("N", "MS", "SECONDS") or action.type in numbers, (name, action.dest)
            for text in ("-1", "", "x", "1e99", "nan", "9" * 20, "٣") if action.type in numbers else ():
                if (action.type, text) == (arguments.seconds, "٣"):
                    continue  # float() reads it
                with pytest.raises(ArgumentTypeError, match="is no"):
                    action.type(text)
                found += 1
    assert found > 100
    for kind in (arguments.positive, arguments.jobs):
        with pytest.raises(ArgumentTypeError):
            kind("0")


def test_configuration__malformed_variable__help_still_works(manage):
    assert manage("--help", DEBUG="perhaps").returncode == 0
    done = manage("embedded_server", "status", DEBUG="perhaps")
    assert (done.returncode, first_line(done)) == (2, "Error: DEBUG is malformed. [MOEEN-CONFIG-1]")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_interrupt__any_signal__exit_130_and_how_to_go_on(manage, name):
    done = manage("shell", "-v0", "-c", f"import os, signal; os.kill(os.getpid(), signal.{name})")
    assert (done.returncode, first_line(done)) == (130, "Cancelled.")
    assert "The same command goes on where it was" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_interruptible__again_while_all_is_undone__is_not_heard(name):
    number, undone = getattr(signal, name), []
    before = signal.getsignal(number)

    def work():
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt:
            signal.raise_signal(signal.SIGINT)
            undone.append("all")
            raise

    with pytest.raises(KeyboardInterrupt), interruptible(peace=60):
        work()
    assert (undone, signal.getsignal(number)) == (["all"], before)
    undone.clear()
    with pytest.raises(KeyboardInterrupt), interruptible():
        work()
    assert undone == []


def test_interrupt__while_the_program_loads__is_quiet(monkeypatch, capsys):
    class Loading:
        __path__ = []

        def __getattr__(self, name):
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "moeen.cli", Loading())
    manage = runpy.run_path(str(servers.PROJECT / "manage.py"), run_name="manage")
    assert manage["main"]() == 130
    assert capsys.readouterr().err == "Cancelled.\n"


def test_output__no_color__has_none(manage):
    coloured = ("showmigrations", "crm", "--force-color")
    assert "\x1b[" in manage(*coloured).stdout
    assert "\x1b[" not in manage(*coloured, NO_COLOR="1").stdout


def test_failure__with_json__is_one_object_and_the_message_besides(manage):
    done = manage("doctor", "--json", DATABASE_URL="postgresql://u:s3cret@127.0.0.1:1/d", DEBUG="perhaps")
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["exit_code"], error["code"]) == (2, 2, "MOEEN-CONFIG-1")
    assert first_line(done) == f"Error: {error['cause']} [MOEEN-CONFIG-1]"
    assert error["next_step"] in done.stderr


def test_log__connection_that_fails__has_its_line_with_database_and_run(manage, tmp_path):
    for _ in range(2):
        manage("validate_schema", DATABASE_URL="postgresql://u:s3cret@127.0.0.1:1/d", LOG_DIR=str(tmp_path))
    text = (tmp_path / "validation.log").read_text(encoding="utf-8")
    first, second = map(json.loads, text.splitlines())
    assert (first["database"], first["command"], first["exit_code"]) == ("d", "validate_schema", 1)
    assert first["code"] == "MOEEN-CONNECT-1"
    assert first["run"] != second["run"]
    assert "s3cret" not in text


def test_failure__unforeseen__place_but_not_the_words(manage):
    done = manage("shell", "-v0", "-c", "raise ValueError('patient Amal')")
    assert done.returncode == 1
    assert "unforeseen ValueError in" in done.stderr
    assert "Amal" not in done.stderr
    assert "Traceback" not in done.stderr


def test_failure__command_error__djangos_words_and_code(manage):
    script = "from django.core.management.base import CommandError; raise CommandError('so it is', returncode=3)"
    done = manage("shell", "-v0", "-c", script)
    assert (done.returncode, first_line(done)) == (3, "Error: so it is [MOEEN-DJANGO-1]")


def test_output__reader_has_gone__no_traceback():
    script = "import sys; print('x' * 1_000_000); sys.stdout.flush()"
    process = subprocess.Popen(
        [sys.executable, "manage.py", "shell", "-v0", "-c", script],
        cwd=servers.PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 1


def test_requirements__not_installed__says_how():
    done = subprocess.run([sys.executable, "-S", "manage.py"], cwd=servers.PROJECT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "is not installed" in done.stderr
    assert "make migrate" in done.stderr


def python(code):
    """The last line that a process of its own prints which runs this."""
    words = [sys.executable, "-c", f"import sys; {code}"]
    done = subprocess.run(words, cwd=servers.PROJECT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


HAS_READ = "print('sysadmin.admin' in sys.modules)"


@pytest.mark.parametrize("words", [["version"], ["migrate", "--plan"], ["backfill_public_ids", "--dry-run"]])
def test_start__of_a_command__reads_no_page_of_the_admin(words):
    assert python(f"from moeen import cli; cli.main(['manage.py', *{words}]); {HAS_READ}") == "False"


def test_start__of_a_server__has_read_every_page():
    assert python(f"from django.core.wsgi import get_wsgi_application; get_wsgi_application(); {HAS_READ}") == "True"


def test_check__of_the_admin__looks_at_pages_that_nobody_has_read_yet():
    run = "cli.main(['manage.py', 'check', '--tag', 'admin'])"
    known = "from django.contrib.admin import site; print(len(site._registry) > 20)"
    assert python(f"from moeen import cli; {run}; {known}") == "True"

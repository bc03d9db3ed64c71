"""Somebody with nothing but the text: a fresh folder, an ordinary user, the first commands of README.md, the guide."""

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests import servers, states
from tests.test_pages import blocks, lines_of, typed

#: How long the README's first commands may take, in seconds, on a machine that has nothing of the project yet.
GOALS = {"make migrate": 60, "make demo": 90}
#: What reaches a package registry from here; nothing else of the environment is taken along.
NETWORK = re.compile(r"PIP_.*|.*_proxy|.*_PROXY|SSL_CERT_.*|REQUESTS_CA_BUNDLE")


def python(version, folder):
    """What leads to a `python3` of that version that everybody may run: variables of the environment."""
    found = shutil.which(f"python{version}") or pytest.skip(f"Python {version} is not installed here")
    # Where pyenv keeps several, it asks for the one that is meant.
    asked = [found, "-c", "import sys; print(sys.base_prefix)"]
    said = subprocess.run(
        asked, env=os.environ | {"PYENV_VERSION": version}, capture_output=True, text=True, check=False
    )
    if said.returncode != 0:
        pytest.skip(f"Python {version} is not installed here")
    root, programs, more = Path(said.stdout.strip()), folder / "bin", {}
    if not os.access(root, os.X_OK) or not all(path.stat().st_mode & 1 for path in root.parents):
        without = shutil.ignore_patterns("test", "tests", "__pycache__", "*.a")
        root = Path(shutil.copytree(root, folder / "python", symlinks=True, ignore=without))
        # What a copy knows is the place of before: it looks around where it was called, and is told of its library.
        programs, more = root / "bin", {"LD_LIBRARY_PATH": str(root / "lib")}
        (programs / "python3").unlink(missing_ok=True)
    programs.mkdir(exist_ok=True)
    (programs / "python3").symlink_to(root / "bin" / f"python{version}")
    return {"PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin", **more}


@pytest.fixture
def newcomer(version):
    """(folder with the project, environment, uid): of an ordinary user, where this is root."""
    home = servers.scratch("moeen-newcomer-")
    there = home / "moeen"
    listed = subprocess.run(["git", "ls-files", "-zco", "--exclude-standard"], cwd=servers.PROJECT,
                            capture_output=True, text=True, check=True).stdout.split("\0")  # fmt: skip
    for name in filter(None, listed):
        if (servers.PROJECT / name).is_file() and not (servers.PROJECT / name).is_symlink():
            (there / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(servers.PROJECT / name, there / name)
    found = python(version, home)
    user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
    if user is not None:
        for each in (home, *there.rglob("*"), there):
            os.chown(each, user, -1)
    environment = {name: value for name, value in os.environ.items() if NETWORK.fullmatch(name)}
    environment |= {**found, "HOME": str(home), "LANG": "C.UTF-8"}
    yield there, environment, user
    subprocess.run(["make", "stop"], cwd=there, env=environment, user=user, capture_output=True, check=False)


def demo(folder, environment, user):
    """Seconds until `make demo` serves; Ctrl-C ends it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    began = time.monotonic()
    with (folder / "said").open("w+b") as out:
        process = subprocess.Popen(
            ["make", "demo"], cwd=folder, env=environment | {"ADDRESS": address}, user=user, stdin=subprocess.DEVNULL,
            stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
        try:
            while b"Listening at" not in (folder / "said").read_bytes():
                assert process.poll() is None, (folder / "said").read_text(encoding="utf-8")
                assert time.monotonic() - began < 300
                time.sleep(0.1)
            return time.monotonic() - began
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(60)


def older_database(folder, environment, user):
    """The address of a clinic as the older scripts left it, on the server that runs there."""
    manage = [folder / ".venv/bin/python", "manage.py", "embedded_server", "start"]
    started = subprocess.run(manage, cwd=folder, env=environment, user=user, capture_output=True, text=True, check=True)
    socket_folder = re.search(r"^socket +(\S+)", started.stdout, re.M)[1]

    def run(address, script):
        words = "import psycopg, sys; psycopg.connect(sys.argv[1], autocommit=True).execute(sys.stdin.read())"
        command = [folder / ".venv/bin/python", "-c", words, f"postgresql://{address}?host={socket_folder}"]
        subprocess.run(command, cwd=folder, env=environment, user=user, input=script, text=True, check=True)

    run("postgres@/postgres", "CREATE DATABASE clinic OWNER moeen")
    for name in states.STATES["core"]:
        run("moeen@/clinic", (states.HERE / name).read_text(encoding="utf-8"))
    return f"postgresql://moeen@/clinic?host={socket_folder}"


def follow_guide(folder, environment, user):
    """Every block of the guide, in its order: (line, exit code, what it said) of each line that did not end with 0."""
    address = older_database(folder, environment, user)
    example = (folder / ".env.example").read_text(encoding="utf-8")
    assert example.count("\nDATABASE_URL=\n") == 1
    (folder / ".env").write_text(example.replace("\nDATABASE_URL=\n", f"\nDATABASE_URL={address}\n"), encoding="utf-8")
    (folder / ".env").chmod(0o600)
    os.chown(folder / ".env", -1 if user is None else user, -1)
    lines = [line for block in blocks("docs/guide.md")[0] for line in lines_of(block)]
    assert len(lines) > 8
    found = typed(lines, folder=folder, environment=environment, user=user)
    # The demo's first backup has made the keys.
    return [done for done in found if done[1] != (3 if done[0].startswith("manage.py make_backup_keys") else 0)]


@pytest.mark.long
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_newcomer__readme_then_guide__work_word_by_word_and_in_time(version, newcomer):
    folder, environment, user = newcomer
    first, *_ = blocks("README.md")[0]
    assert [line.partition("#")[0].strip() for line in lines_of(first)][:2] == list(GOALS)
    began = time.monotonic()
    (done,) = typed(lines_of(first)[:1], folder=folder, environment=environment, user=user)
    seconds = {"make migrate": time.monotonic() - began, "make demo": 0.0}
    assert done[1] == 0, done[2]
    assert re.search(r"^Database: .*\nThe schema is as expected", done[2], re.M), done[2]
    seconds["make demo"] = demo(folder, environment, user)
    busy = os.getloadavg()[0] > (os.cpu_count() or 1) + 1  # it takes as long as others let it
    print(f"Python {version}: " + ", ".join(f"{what} {taken:.0f} s" for what, taken in seconds.items()),
          "(not judged: the machine is busy)" if busy else "")  # fmt: skip
    assert follow_guide(folder, environment, user) == []
    assert busy or {what: taken for what, taken in seconds.items() if taken > GOALS[what]} == {}

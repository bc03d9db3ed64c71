"""Somebody with nothing but the text: a fresh folder, an ordinary user, the first commands of README.md."""

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

from tests import servers
from tests.test_pages import blocks, lines_of, typed

#: How long the README's first commands may take, in seconds, on a machine that has nothing of the project yet.
GOALS = {"make migrate": 60, "make demo": 90}
#: What reaches a package registry from here; nothing else of the environment is taken along.
NETWORK = re.compile(r"PIP_.*|.*_proxy|.*_PROXY|SSL_CERT_.*|REQUESTS_CA_BUNDLE")


def python(version, folder):
    """A folder whose `python3` is of that version, and may be read by everybody."""
    own = sorted(Path.home().glob(f".pyenv/versions/{version}.*"))
    found = own[-1] / "bin" / "python3" if own else shutil.which(f"python{version}")
    if found is None:
        pytest.skip(f"Python {version} is not installed here")
    root = Path(found).resolve().parents[1]
    if not os.access(root, os.X_OK) or not all(path.stat().st_mode & 1 for path in root.parents):
        without = shutil.ignore_patterns("test", "tests", "__pycache__", "*.a")
        root = Path(shutil.copytree(root, folder / "python", symlinks=True, ignore=without))
    (folder / "bin").mkdir()
    (folder / "bin" / "python3").symlink_to(root / "bin" / f"python{version}")
    return folder / "bin"


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
    path = python(version, home)
    user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
    if user is not None:
        for each in (home, *there.rglob("*"), there):
            os.chown(each, user, -1)
    environment = {name: value for name, value in os.environ.items() if NETWORK.fullmatch(name)}
    environment |= {"PATH": f"{path}:/usr/local/bin:/usr/bin:/bin", "HOME": str(home), "LANG": "C.UTF-8"}
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


@pytest.mark.long
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_newcomer__first_commands_of_the_readme__work_word_by_word_and_in_time(version, newcomer):
    folder, environment, user = newcomer
    first, *_ = blocks("README.md")[0]
    assert [line.partition("#")[0].strip() for line in lines_of(first)][:2] == list(GOALS)
    began = time.monotonic()
    (done,) = typed(lines_of(first)[:1], folder=folder, environment=environment, user=user)
    seconds = {"make migrate": time.monotonic() - began, "make demo": 0.0}
    assert done[1] == 0, done[2]
    assert re.search(r"^Database: .*\nThe schema is as expected", done[2], re.M), done[2]
    seconds["make demo"] = demo(folder, environment, user)
    print(f"Python {version}: " + ", ".join(f"{what} {taken:.0f} s" for what, taken in seconds.items()))
    assert {what: taken for what, taken in seconds.items() if taken > GOALS[what]} == {}

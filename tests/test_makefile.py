"""The Makefile builds the environment: two at once do not disturb each other, a killed one is made good."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests import servers

pytestmark = pytest.mark.slow


@pytest.fixture
def checkout(tmp_path):
    """The Makefile with requirements that need no download."""
    shutil.copy(servers.PROJECT / "Makefile", tmp_path)
    for name in ("requirements.txt", "requirements-dev.txt"):
        (tmp_path / name).write_text("# nothing\n", encoding="utf-8")
    return tmp_path


def start(checkout, target="development"):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.Popen(
        ["make", target, f"PYTHON={sys.executable}"],
        cwd=checkout, env=environment, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def finish(process):
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    return output


def test_environment__two_makes_at_once__built_by_one_and_used_by_both(checkout):
    first = start(checkout)
    while not (checkout / ".venv" / "unfinished").exists():
        time.sleep(0.01)
    second = start(checkout)
    outputs = [finish(first), finish(second)]
    assert [output.count("Creating .venv") for output in outputs] == [1, 0]
    assert "Another make builds .venv; waiting for it" in outputs[1]
    assert "Installing" not in outputs[1]
    assert not (checkout / ".venv" / "unfinished").exists()
    assert finish(start(checkout)) == ""
    # Changed requirements are installed into it, and it is not built anew.
    (checkout / "requirements-dev.txt").write_text("# changed\n", encoding="utf-8")
    assert finish(start(checkout)) == "Installing requirements-dev.txt ...\n"
    assert finish(start(checkout, "runtime")) == ""


def test_environment__make_killed_while_building__next_one_builds_anew(checkout):
    killed = start(checkout)
    while not (checkout / ".venv" / "unfinished").exists():
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert (checkout / ".venv" / "unfinished").exists()
    output = finish(start(checkout))
    assert output.count("Creating .venv") == 1
    assert "waiting" not in output

"""Log files: UTC, one object a line, and one word on stderr where none can be kept."""

import json
import logging
import re
from contextlib import suppress

import pytest

from moeen.db import logs


@pytest.fixture
def fresh(request):
    """`logger()` makes a name's logger once; a name of its own for each test."""
    name = request.node.name
    yield lambda: logs.logger(name)
    for handler in logging.getLogger(f"moeen.file.{name}").handlers:
        with suppress(OSError):  # as logging does at the end of a process: what a full disk did not take
            handler.close()


def test_log__line__is_one_object_with_its_time_in_utc(fresh, settings, tmp_path):
    settings.LOG_DIR = tmp_path / "logs"
    log = fresh()
    assert list((tmp_path / "logs").iterdir()) == []
    log.info("a line", extra={"rows": 3})
    (file,) = (tmp_path / "logs").iterdir()
    (line,) = file.read_text().splitlines()
    said = json.loads(line)
    assert (said["message"], said["level"], said["rows"]) == ("a line", "INFO", 3)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", said["at"])


def test_log__disk_is_full__says_so_once_and_goes_on(fresh, settings, tmp_path, capsys, request):
    settings.LOG_DIR = tmp_path
    (tmp_path / f"{request.node.name}.log").symlink_to("/dev/full")
    fresh().info("nobody reads this")
    fresh().info("nor this")
    said = capsys.readouterr().err
    assert (said.count("No log is kept"), "Traceback" in said, len(said.splitlines())) == (1, False, 1)


def test_log__folder_that_cannot_be__says_so_once_and_goes_on(fresh, settings, tmp_path, capsys):
    (tmp_path / "file").touch()
    settings.LOG_DIR = tmp_path / "file" / "logs"
    fresh().info("nobody reads this")
    fresh().info("nor this")
    assert capsys.readouterr().err.count("No log is kept") == 1

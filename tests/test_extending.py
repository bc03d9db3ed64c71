"""docs/extending.md: its five steps, taken from the text as it stands and done in a copy of the project."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import servers

DOCUMENT = servers.PROJECT / "docs" / "extending.md"


def steps():
    """The five steps: the text of each, and its blocks of code as (language, text)."""
    text = DOCUMENT.read_text(encoding="utf-8").split("\n## ")[1]
    parts = re.split(r"^\*\*\d\. ", text, flags=re.MULTILINE)[1:]
    assert len(parts) == 5
    return [(part, re.findall(r"^```(\w*)\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)) for part in parts]


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, (path, old)
    path.write_text(text.replace(old, new), encoding="utf-8")


class Copy:
    """The project in another folder, with an environment that is not copied."""

    def __init__(self, folder):
        self.folder = folder
        kept_out = shutil.ignore_patterns(".git", ".venv*", ".moeen", ".*cache", ".hypothesis", "__pycache__", "logs")
        shutil.copytree(servers.PROJECT, folder, ignore=kept_out, dirs_exist_ok=True)
        (folder / ".venv").symlink_to(Path(sys.prefix))

    def run(self, *words):
        done = subprocess.run(
            words,
            cwd=self.folder,
            # No database is needed, and none is started.
            env={**os.environ, "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "PYTHONWARNINGS": "default"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    def manage(self, *words):
        return self.run(sys.executable, "manage.py", *words)


def follow(copy):
    """Do the first four steps, word for word. Yields after each."""
    (_, model), (_, words), (_, migration), (_, access), _ = steps()
    app = copy.folder / "healthcare"
    (app / "models" / "branches.py").write_text(model[0][1], encoding="utf-8")
    names = app / "models" / "__init__.py"
    edit(names, "from healthcare.models.insurance import", f"{model[1][1]}from healthcare.models.insurance import")
    edit(names, '["Appointment", ', '["Appointment", "Branch", ')
    yield
    with (copy.folder / "sysadmin/locale/ar/LC_MESSAGES/django.po").open("a", encoding="utf-8") as catalogue:
        catalogue.write(f"\n{words[0][1]}")
    assert copy.run("make", "messages")[0] == 0
    yield
    code, said = copy.run(*migration[0][1].split())
    assert code == 0, said
    yield
    edit(max((app / "sql").glob("*_rls.sql")), "COMMIT;\n", f"{access[0][1]}COMMIT;\n")
    edit(copy.folder / "tests" / "access" / "matrix.py", "MATRIX = {\n", f"MATRIX = {{\n{access[1][1]}")
    yield


@pytest.mark.slow
def test_extending__word_for_word__each_check_asks_for_its_step_and_is_content_with_it(tmp_path):
    if (servers.PROJECT / "healthcare" / "models" / "branches.py").exists():
        pytest.skip("branches is a table of this project by now; docs/extending.md needs another example")
    copy = Copy(tmp_path)
    way = follow(copy)
    next(way)
    code, said = copy.manage("check", "--fail-level", "WARNING")
    assert (code, set(re.findall(r"moeen\.[EW]\d+", said))) == (1, {"moeen.W124"}), said
    next(way)
    assert copy.manage("check", "--fail-level", "WARNING")[0] == 0
    code, said = copy.manage("makemigrations", "--check", "--dry-run")
    assert (code, "Create model Branch" in said) == (1, True), said
    next(way)
    (migration,) = (tmp_path / "healthcare" / "migrations").glob("*_branch.py")
    number = migration.name[:4]
    sql = {f"{number}_{what}.{end}" for what in ("indexes", "rls") for end in ("sql", "reverse.sql")}
    assert {path.name for path in (tmp_path / "healthcare" / "sql").glob(f"{number}_*")} == sql
    # What it writes passes as it is: nobody may see the table.
    for words in (["check", "--fail-level", "WARNING"], ["makemigrations", "--check", "--dry-run"]):
        code, said = copy.manage(*words)
        assert code == 0, said
    next(way)
    code, said = copy.manage("check", "--fail-level", "WARNING")
    assert code == 0, said
    code, said = copy.manage("lint_migrations", f"healthcare.{migration.stem}")
    assert (code, "0 findings" in said) == (0, True), said
    for words in (["check", "."], ["format", "--check", "."]):
        code, said = copy.run(".venv/bin/ruff", *words)
        assert code == 0, said

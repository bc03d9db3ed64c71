"""Every block of commands in README.md and docs/: run as it is written, in its order, on a clinic of its own.

A block that cannot be run here begins with `# elsewhere:` and the reason, for readers as for this test.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from textwrap import dedent

import pyrage
import pytest

from moeen.db.server import programs
from tests import generations, servers, states
from tests.test_extending import Copy

ROOT = servers.PROJECT
PAGES = {
    str(path.relative_to(ROOT)): [
        (language, dedent(text))
        for _, language, text in re.findall(r"^( *)```(\S*)\n(.*?)^\1```$", path.read_text("utf-8"), re.M | re.S)
    ]
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
}
COMMAND = re.compile(
    r"^([A-Z_]+=\S+ )*((\S*python )?\S*manage\.py|make|git|psql|createdb|cp|systemctl|compose|useradd) \b", re.M
)
#: Blocks that are not run, by their reasons.
ELSEWHERE = {
    ("docs/archive.md", "on a server of one's own, with pgBackRest"),
    ("docs/operations.md", "in the clinic's checkout, when there is a newer version"),
    ("docs/serving.md", "as root of a machine with systemd"),
    ("docs/serving.md", "with Docker"),
}
#: Pages that a test of their own follows.
FOLLOWED = {
    "docs/extending.md": "test_extending",
    "docs/guide.md": "test_guide",
    "docs/rollback.md": "test_backup_restore",
}


@dataclass(frozen=True)
class Reader:
    """What a page is read with. ``has``: the state of the clinic's database, and whether it is ``migrated`` by now;
    ``databases``: further, empty ones;
    ``words``: what stands for something of the reader's own; ``ends``: the exit code of a line, where it is not 0;
    ``after``: what the reader does after a line; ``settings``: in the environment."""

    has: str = "demo"
    migrated: bool = False
    databases: tuple[str, ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)
    ends: Mapping[str, int] = field(default_factory=dict)
    after: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)


URL = "postgresql://moeen@/{}?host=$PGHOST"
READERS = {
    "README.md": Reader(
        "fresh",
        databases=("clinic",),
        words={"postgresql://moeen:...@db.example:5432/clinic": URL.format("clinic")},
    ),
    # Nobody is there to be asked whether it is to be replaced.
    "docs/archive.md": Reader(
        ends={"manage.py restore_database --at latest --to moeen --replace": 2}, settings={"ARCHIVE": "true"}
    ),
    "docs/audit.md": Reader(words={"FILE|URL": "seals.txt"}),
    "docs/backfills.md": Reader("core", migrated=True),
    "docs/backups.md": Reader(
        words={"/path/to/key.txt": "key.txt"},
        ends={"manage.py make_backup_keys  ": 3},  # the first backup has made them
    ),
    "docs/fleet.md": Reader(databases=("olaya", "jeddah"), ends={"manage.py fleet status": 3}),
    "docs/guide.ar.md": Reader("core", ends={"manage.py make_backup_keys  ": 3}),  # the first backup has made them
    "docs/import.md": Reader(
        "fresh",
        databases=("old",),
        words={
            "postgresql://reader:...@old.example/clinic": URL.format("old"),
            "postgresql://moeen:...@new.example/clinic": URL.format("clinic"),
        },
        after={"--propose ": f"cp {generations.mapping_of('hospital')} clinic.toml"},
    ),
    "docs/migrations.md": Reader("full"),
    "docs/operations.md": Reader(
        "core",
        words={"postgresql://moeen@db.example/clinic_two": URL.format("clinic_two")},
        # Before the first migrate, before a backup was verified and before the first seal; adoption has made the keys.
        ends=dict.fromkeys(
            (
                "manage.py doctor  ",
                "manage.py make_backup_keys  ",
                "manage.py list_backups",
                "manage.py verify_audit_log",
            ),
            3,
        ),
        settings={"ARCHIVE": "true"},
    ),
    "docs/row-security.md": Reader(),
    "docs/serving.md": Reader(words={"/run/moeen/doctor.prom": "doctor.prom"}),
    "docs/signing-in.md": Reader(),
    "docs/supabase.md": Reader(),
    "docs/validation.md": Reader("fresh"),
}


def blocks(page):
    """The blocks of commands that are to be run, and the reasons of those that are not."""
    found = [text for language, text in PAGES[page] if language == "sh"]
    reasons = [re.match(r"# elsewhere: (.*)\n", text) for text in found]
    run = [text for text, reason in zip(found, reasons, strict=True) if not reason]
    return run, [reason[1] for reason in reasons if reason]


def test_pages__blocks_of_commands__are_run_or_say_why_not():
    assert {page for page, found in PAGES.items() for language, _ in found if not language} == set()
    hidden = [(page, text) for page, found in PAGES.items() for language, text in found
              if language not in ("sh", "python", "sql") and COMMAND.search(text)]  # fmt: skip
    assert {page for page, _ in hidden} == {"docs/architecture.md"}  # what a command does within, as a drawing
    assert {(page, reason) for page in PAGES for reason in blocks(page)[1]} == ELSEWHERE
    assert {page for page in PAGES if blocks(page)[0]} == READERS.keys() | FOLLOWED.keys()


def lines_of(block):
    return [line for line in re.sub(r"\\\n", " ", block).splitlines() if line.strip() and line[0] != "#"]


def typed(lines, *, folder, environment, filled=str, after=(), user=None):
    """The lines in one shell, `manage.py` as the pages mean it: (line, exit code, what it said) of each. Of a target
    of make that serves or tests, only what it would do."""
    script = ['manage.py() { .venv/bin/python manage.py "$@"; }; export -f manage.py',
              'make() { [ "$1" = migrate ] || set -- --dry-run "$@"; command make "$@"; }']  # fmt: skip
    for line in lines:
        script += [filled(line), 'echo "@@ $?"', *(after[words] for words in after if words in line)]
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)], cwd=folder, env=environment, user=user,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    said = re.split(r"^@@ (\d+)\n", done.stdout, flags=re.M)
    assert len(said) == 2 * len(lines) + 1, done.stdout
    return list(zip(lines, map(int, said[1::2]), said[::2], strict=False))


class Clinic:
    """A checkout with an embedded server of its own, and a shell in it."""

    def __init__(self, reader):
        self.reader, self.folder = reader, Copy(servers.scratch("moeen-page-")).folder
        self.folder.chmod(0o755)
        kept = self.folder / ".moeen"
        self.environment = {
            **os.environ,
            "DATABASE_URL": "", "SUPABASE_PROJECT_REF": "", "BACKUP_DIR": "", "LOG_DIR": "", "ARCHIVE": "false",
            "EMBEDDED_DATA_DIR": str(kept / "postgres"), "BACKUP_SIGNING_KEY": str(kept / "backup.key"),
            "ARCHIVE_DIR": str(kept / "archive"), "ARCHIVE_STATE": str(kept / "state"),
            "PATH": f"{programs.bin_dir(programs.MAJOR)}:{os.environ['PATH']}",
            **reader.settings,
        }  # fmt: skip
        for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "MAKEFLAGS"):
            self.environment.pop(name, None)

    def __enter__(self):
        started = self.manage("embedded_server", "start").stdout
        self.environment |= {"PGHOST": re.search(r"^socket +(\S+)", started, re.M)[1], "PGUSER": "postgres"}
        if self.reader.has == "demo":
            self.manage("migrate")
            self.manage("seed_demo")
        elif self.reader.has != "fresh":
            for name in states.STATES[self.reader.has]:
                self.psql("moeen", (states.HERE / name).read_text(encoding="utf-8"))
        if self.reader.migrated:
            self.manage("migrate")
        for name in self.reader.databases:
            subprocess.run(["createdb", "--owner", "moeen", name], env=self.environment, check=True)
        return self

    def __exit__(self, *error):
        self.manage("embedded_server", "stop")

    def manage(self, *words, **more):
        command = [sys.executable, "manage.py", *words]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False, **more
        )
        assert done.returncode in (0, 3), done.stderr
        return done

    def psql(self, database, script):
        words = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-U", "moeen", "-d", database]
        done = subprocess.run(words, env=self.environment, input=script, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def run(self, block):
        """(line, exit code, what it said) of each of its lines."""
        return typed(lines_of(block), folder=self.folder, environment=self.environment, filled=self._filled,
                     after=self.reader.after)  # fmt: skip

    def _filled(self, line):
        moment = (datetime.now(UTC) + timedelta(hours=3)).strftime("%Y-%m-%d %H:%M:%S")
        words = dict(self.reader.words) | {"someone@clinic.example": "doctor@moeen.example",
                                           "noor@clinic.example": "doctor@moeen.example",
                                           "2026-11-24 09:30": moment}  # fmt: skip
        for prefix, table in (("pat_", "patients"), ("apt_", "appointments")):
            if f"{prefix}..." in line:
                words[f"{prefix}..."] = self.psql("moeen", f"SELECT min(public_id) FROM {table}")
        code = line.partition("#")[0]
        for old, new in words.items():
            code = code.replace(old, new)
        code = re.sub(r"\b(\w+_)?NAME\b", lambda found: f"moeen_{found[0].lower()}", code)
        return re.sub(r"\bID\b", "\"$(manage.py list_backups 2>/dev/null | awk '/^[0-9]/ {print $1; exit}')\"", code)


@pytest.mark.long
@pytest.mark.parametrize("page", READERS)
def test_page__its_commands__run_as_written(page):
    reader = READERS[page]
    with Clinic(reader) as clinic:
        (clinic.folder / "key.txt").write_text(str(pyrage.x25519.Identity.generate()), encoding="ascii")
        if page == "docs/fleet.md":
            set_up_fleet(clinic)
        if page == "docs/import.md":
            clinic.psql("old", (generations.SCRIPTS / "hospital.sql").read_text(encoding="utf-8"))
        wrong = []
        for block in blocks(page)[0]:
            for line, code, said in clinic.run(block):
                expected = next((code for words, code in reader.ends.items() if line.startswith(words)), 0)
                if code != expected:
                    wrong.append(f"{line}: exit code {code}\n{said[-2000:]}")
        assert not wrong, "\n\n".join(wrong)


def set_up_fleet(clinic):
    """The file as the page has it."""
    (text,) = [text for language, text in PAGES["docs/fleet.md"] if language == "toml"]
    (clinic.folder / "fleet.toml").write_text(text, encoding="utf-8")
    clinic.environment["OLAYA_DATABASE_URL"] = URL.format("olaya").replace("$PGHOST", clinic.environment["PGHOST"])
    secret = clinic.folder / "secrets" / "jeddah"
    secret.parent.mkdir()
    secret.write_text(URL.format("jeddah").replace("$PGHOST", clinic.environment["PGHOST"]), encoding="ascii")
    secret.chmod(0o600)

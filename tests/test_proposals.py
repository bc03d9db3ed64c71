"""A first mapping that the machine writes: how much of it is right, and what it leaves to decide."""

import json

import pytest

from moeen.db import importing
from moeen.db.errors import FINDINGS, USAGE
from tests import generations

UNSEEN = sorted(path.stem for path in (generations.SCRIPTS / "unseen").glob("*.sql"))


@pytest.fixture(scope="module")
def target(new_database):
    return new_database.migrated()


@pytest.mark.parametrize(
    ("name", "least"), [*((name, 0.9) for name in generations.NAMES), *((f"unseen/{name}", 0.75) for name in UNSEEN)]
)
def test_propose__a_generation__places_most_columns_as_people_would(new_database, target, capsys, name, least):
    source = generations.source(new_database, name)
    reviewed = generations.SCRIPTS / f"{name}.toml" if "/" in name else generations.mapping_of(name)
    proposed = generations.propose(source, target)
    right, wrong = generations.score(source, target, proposed, reviewed.read_text(encoding="utf-8"))
    share = len(right) / len(right + wrong)
    with capsys.disabled():
        print(f"\n{name}: {len(right)} of {len(right + wrong)} columns right, {share:.1%}; not: {', '.join(wrong)}")
    assert share >= least
    # Words of lists are written down, and nothing else of a row.
    assert not any(text in proposed for text in ("نورة", "@example.test", "شارع", "05000000", "ريم", "لمى", "جواهر"))
    new_database.drop(source)


def test_propose__by_the_command__is_a_file_to_decide_on(new_database, target, manage, tmp_path):
    source = generations.source(new_database, "integer_keys")
    with source.connect() as connection:
        connection.execute("CREATE TABLE wards (id int, name text); INSERT INTO wards VALUES (1, 'سر الجناح')")
        connection.execute("ALTER TABLE doctors ADD shoe_size int, ADD empty int; UPDATE doctors SET shoe_size = 40")
    written = tmp_path / "clinic.toml"
    words = ("import_database", "--from", "env:OLD_URL", "--map", str(written))
    variables = {"DATABASE_URL": target.url, "OLD_URL": source.url}
    done = manage(*words, "--propose", "--json", **variables)
    assert (done.returncode, done.stderr) == (0, "")
    text = written.read_text(encoding="utf-8")
    assert json.loads(done.stdout)["open"] == text.count('"?"') - 1  # the head of the file tells of it
    assert '"shoe_size" = "?"  # to decide: integer, 10 values' in text
    assert '"wards" = "?"  # to decide: 1 rows' in text
    assert "empty" not in text
    assert "سر الجناح" not in text
    assert 'email = "email"  # 99%, the same name' in text
    again = manage(*words, "--propose", **variables)
    assert again.returncode == USAGE
    assert f"{written} is there already." in again.stderr
    line = 1 + next(number for number, one in enumerate(text.splitlines()) if one.startswith('"shoe_size"'))
    checked = generations.check(source, target, written)
    assert f'found "?" in line {line}' in "\n".join(finding.pretty() for finding in checked.findings)
    with pytest.raises(importing.Refused, match="lines undecided") as refusal:
        generations.run(source, target, written, tmp_path)
    assert refusal.value.exit_code == FINDINGS
    with target.connect(options="-c row_security=off") as connection:
        assert connection.execute("SELECT count(*) FROM users").fetchone() == (0,)
    new_database.drop(source)

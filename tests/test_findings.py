"""Findings as people read them."""

import json
import re
from pathlib import Path

from moeen.db.actions import Drop, Revoke
from moeen.db.errors import MoeenError
from moeen.db.findings import LONG, Finding, Fix
from moeen.db.kinds import Kind
from moeen.db.names import ObjectName
from moeen.db.schema import fix_script
from tests.test_drift import BETWEEN, CASES

#: Not raised by any test, and why.
UNTRIED = {}


def test_kinds__each__is_raised_by_a_test():
    """Those of comparing catalogs by the drifts; the others stand by name, or by their words, in the test of theirs."""
    here = Path(__file__).parent
    texts = [path.read_text(encoding="utf-8") for path in (*here.glob("test_*.py"), *here.glob("strange/*.toml"))]
    tried = BETWEEN | {kind for case in CASES.values() for _, _, kind in case.found}
    for kind in Kind:
        words = f'|"{re.escape(kind)}"' if " " in kind else ""
        named = any(re.search(rf"\bKind\.{kind.name}\b{words}", text) for text in texts)
        assert (kind in tried or named) != (kind in UNTRIED), kind


def test_kinds__each__has_words_of_its_own_and_is_found_by_them():
    assert len({str(kind) for kind in Kind}) == len(Kind.__members__)
    assert all(Kind(str(kind)) is kind for kind in Kind)
    assert json.loads(json.dumps(Finding("x", Kind.COLUMN_TYPE, "a", "b").as_dict()))["kind"] == "column type"


def pretty(expected, found):
    return Finding("app.f()", Kind.FUNCTION_BODY, expected, found).pretty()


def test_finding__short_values__are_shown_whole():
    assert pretty("one", "other") == "app.f(): function body: expected one, found other"


def test_finding_and_error__names_that_would_steer_a_terminal__are_shown_without():
    """Names come from files and manifests of anybody's, too: clearing the screen is one of the harmless things."""
    name = "x\x1b[2J\x9b31m\r\x07سارة"
    for said in (Finding(name, Kind.FILE_UNEXPECTED, name, name).pretty(), str(MoeenError(name, next_step=name))):
        assert "x?[2J?31m??سارة" in said
        assert not any(character in said for character in "\x1b\x9b\r\x07")
    assert str(MoeenError("one\n\ttwo")) == "one\n\ttwo"


def test_finding__long_body_that_differs_in_a_line__shows_that_line():
    body = "\n".join(f"    line {number} of the body;" for number in range(1, 60))
    text = pretty(body, body.replace("line 40 of", "line 40 off"))
    assert "from line 40 on" in text
    assert "line 40 of the body" in text
    assert "line 40 off the body" in text
    assert len(text) < 2 * LONG


def test_finding__long_line_that_differs_far_on__shows_where():
    line = "x" * 900
    text = pretty(f"{line} AND true", f"{line} OR true")
    assert " AND true" in text
    assert " OR true" in text
    assert len(text) < 2 * LONG


def test_finding__long_value_that_is_missing__says_so():
    text = pretty("x" * 900, "nothing")
    assert text.endswith("found nothing")
    assert len(text) < 2 * LONG


DROP = Drop(ObjectName("public", 'x\n; DROP TABLE "y"; --'), "VIEW")


def test_fix__actions_and_words__are_sql_a_comment_that_holds_it_or_words():
    revoke = Revoke(ObjectName("public", "notes"), "SELECT", "TABLE notes", ("public",))
    dropped = 'DROP VIEW "x\n; DROP TABLE ""y""; --"'
    assert Fix.by(revoke, DROP).pretty() == f"REVOKE SELECT ON TABLE notes FROM PUBLIC;\n{dropped}"
    assert Fix.by(DROP, advice="as a superuser").pretty().startswith('-- as a superuser: DROP VIEW "x\n-- ; DROP TABLE')
    assert Fix(advice="manage.py migrate").pretty() == "manage.py migrate"
    assert not Fix()
    assert not Fix.by(DROP).is_advice
    assert all(fix.is_advice for fix in (Fix.by(DROP, advice="x"), Fix(advice="x"), Fix()))


def test_script__words_for_a_person__stand_as_comments():
    """Whatever the words are: they were taken for SQL where they began with none of those that were known."""
    fixes = (Fix(advice="restore the file from version control"), Fix.by(DROP, advice="as a superuser"), Fix())
    script = fix_script.script(Finding("a", Kind.MIGRATION_EDITED, "x", "y", fix=fix) for fix in fixes)
    said = [line for line in script.splitlines() if line and not line.startswith(("--", "SET "))]
    assert said == []
    assert "-- restore the file from version control" in script
    assert "-- nothing can be said in SQL" in script

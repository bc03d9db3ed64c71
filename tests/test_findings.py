"""Findings as people read them."""

from moeen.db.findings import LONG, Finding


def pretty(expected, found):
    return Finding("app.f()", "function definition", expected, found).pretty()


def test_finding__short_values__are_shown_whole():
    assert pretty("one", "other") == "app.f(): function definition: expected one, found other"


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

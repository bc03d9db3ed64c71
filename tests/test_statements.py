"""SQL text taken apart."""

from moeen.db.statements import split, split_deep, without_brackets


def test_split__quotes_comments_and_bodies__hide_what_stands_in_them():
    text = """
        SELECT 'a;b', E'it\\'s; c', "d;e", $$f;g$$, $x$h;$$;i$x$ /* j; /* k; */ l; */; -- m; n
        CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC
            SELECT CASE WHEN true THEN 1 END; SELECT 2; END;
        SELECT a$b$c, 1
    """
    found = list(split(text))
    assert [statement.words.split(" ")[0] for statement in found] == ["SELECT", "CREATE", "SELECT"]
    assert found[0].literals == ("a;b", "it's; c", "f;g", "h;$$;i")
    assert found[0].words == """SELECT '...', '...', "d;e", $...$, $...$"""
    assert found[0].shape == """SELECT '...', '...', "...", $...$, $...$"""


def test_without_brackets__nested__leaves_a_mark_for_each():
    assert without_brackets("CHECK (a AND (b)) NO (c) X") == "CHECK (...) NO (...) X"


def test_split_deep__case_expression_in_a_block__is_one_statement():
    block = """DO $$ BEGIN
        UPDATE patients SET gender = CASE WHEN id > 1 THEN 'a' ELSE 'b' END WHERE id > 0;
        CASE WHEN true THEN DELETE FROM patients; ELSE EXECUTE 'DROP TABLE patients; SELECT 1'; END CASE;
    END $$"""
    words = [statement.words for statement in split_deep(block)]
    assert "UPDATE patients SET gender = CASE WHEN id > 1 THEN '...' ELSE '...' END WHERE id > 0" in words
    assert "DELETE FROM patients" in words
    assert {"DROP TABLE patients", "SELECT 1"} <= set(words)

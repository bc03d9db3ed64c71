"""Why somebody may see or change a row, or why not: what stands in their way is named, and proven by the database."""

import io
import json
import random
from contextlib import contextmanager

import pytest
from django.core.management import call_command
from django.db import connections

from moeen.db.errors import MoeenError
from moeen.db.security import access, barriers, identity, why
from tests.access import world as rows
from tests.access.matrix import ACTORS, KEPT, MATRIX, MOVES, STAMPS
from tests.access.roads import parse

COMMANDS = {"S": "SELECT", "U": "UPDATE", "D": "DELETE"}
#: Columns that a trigger speaks of before a policy does.
STAMPED = {"is_system", "name", "user_id"}


@pytest.fixture(scope="module")
def clinic(new_database):
    """The rows that the matrix speaks of."""
    made = new_database.migrated()
    with made.connect() as owner:
        world = rows.make(owner)
    return made, world


def asked(clinic, role, table, label, **words):
    database, world = clinic
    who = world.keys["users"][ACTORS[role]] if role in ACTORS else role
    connection, question = connections[database.alias], why.Question(table=table, row=world.keys[table][label], **words)
    with identity.acting_as_operator():
        return why.explain(connection, access.subject(connection, who, None), question)


def cells():
    """(role, table, command letter, the matrix's cell or None), of tables that have rows."""
    for table, by_role in MATRIX.items():
        for role in (*ACTORS, "anon", "service"):
            cell = parse(by_role.get(role, ""))
            yield from ((role, table, letter, cell.get(letter)) for letter in COMMANDS)


def denials(world):
    """The kind of reason -> cases, as the matrix has them: (role, table, label, command letter, column)."""
    found = {"grant": [], "column": [], "policy": []}
    for role, table, letter, cell in cells():
        labels = sorted(world.keys.get(table, ()))
        if not labels:
            continue
        if cell is None:
            found["grant"].append((role, table, labels[0], letter, ""))
            continue
        columns, inverted, seen = cell
        if columns and letter != "D":
            beyond = sorted(columns)[0] if inverted else "id"
            if beyond not in columns or inverted:
                found["column"].append((role, table, labels[0], letter, beyond))
        for label in labels:
            if seen is not None and label not in seen:
                found["policy"].append((role, table, label, letter, ""))
    return found


def test_denials__fifty_of_the_matrix__are_explained_rightly(clinic):
    chance = random.Random(16)
    every = denials(clinic[1])
    told, wrong = 0, []
    for reason, count in (("grant", 14), ("column", 14), ("policy", 22)):
        for role, table, label, letter, column in chance.sample(every[reason], count):
            found = asked(clinic, role, table, label, command=COMMANDS[letter], column=column)
            told += 1
            name = f"{table}_{COMMANDS[letter].lower()}_{role}" if reason == "policy" else COMMANDS[letter]
            named = found.decisive and found.decisive.name
            if (found.allowed, found.reason) != ("no", reason) or name not in named or found.contradicted:
                wrong.append((role, table, label, letter, column, reason, found.reason, named))
            if reason == "policy" and found.decisive.parts[0].value not in ("false", "null"):
                wrong.append((role, table, label, letter, found.decisive.parts))
    assert (told, wrong) == (50, [])


def test_rights__thirty_of_the_matrix__are_told_with_the_policy_and_proven(clinic):
    chance = random.Random(61)
    _, world = clinic
    given = [
        (role, table, label, letter)
        for role, table, letter, cell in cells()
        if cell
        for label in sorted(world.keys.get(table, ()))
        if cell[2] is None or label in cell[2]
    ]
    for role, table, label, letter in chance.sample(given, 30):
        found = asked(clinic, role, table, label, command=COMMANDS[letter])
        policy = f"{table}_{COMMANDS[letter].lower()}_{role}"
        assert (found.allowed, found.reason) == ("yes", ""), (role, table, label, letter, list(found.lines()))
        assert policy in {hurdle.name for hurdle in found.hurdles if hurdle.kind == "policy"}, policy
        if letter == "S":
            assert [hurdle.passed for hurdle in found.hurdles if hurdle.kind == "answer"] == ["yes"]


def test_changes__that_would_move_a_row__are_refused_by_what_refuses_them(clinic):
    """Each of MOVES, tried for real: a privilege first, then a policy over the row as it is to be, then a trigger."""
    database, world = clinic
    wrong = []
    for role, table, label, column, value in (move for move in MOVES if move[0] in ACTORS):
        if isinstance(value, tuple):
            value = world.keys[value[0]][value[1]]
        text = value if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        found = asked(clinic, role, table, label, command="UPDATE", changes={column: text}, attempt=True)
        columns, inverted, _ = parse(MATRIX[table][role]).get("U", (frozenset(), False, None))
        granted = columns is None or (column in columns) != inverted
        if "U" not in parse(MATRIX[table][role]):
            likely = {"grant"}
        elif not granted:
            likely = {"column"}
        else:
            stamped = column in KEPT or (column in STAMPED and table in STAMPS)
            likely = {"trigger"} if stamped else {"new row"}
            likely |= {"new row"} if column == "created_by" else set()  # the policy says so as well
        if found.allowed != "no" or found.reason not in likely:
            wrong.append((role, table, label, column, likely, found.reason, found.decisive))
    assert wrong == []
    with database.connect() as owner:  # nothing of it stayed
        assert owner.execute("SELECT role FROM users WHERE name = 'p1'").fetchone() == ("patient",)


def test_trigger__that_refuses__is_named_with_what_it_says(clinic):
    changes = {"created_at": "2020-01-01"}
    found = asked(clinic, "staff", "appointments", "p1-d1", command="UPDATE", changes=changes)
    assert (found.allowed, found.tried) == ("yes", False)
    assert "appointments_identity_keep" in dict(found.triggers)
    tried = asked(clinic, "staff", "appointments", "p1-d1", command="UPDATE", changes=changes, attempt=True)
    assert (tried.reason, tried.decisive.name) == ("trigger", "appointments_identity_keep")
    assert "created_at of appointments" in tried.decisive.says


@pytest.mark.parametrize(
    ("role", "table", "label", "command", "allowed", "reason", "name"),
    [
        ("staff", "chatbot_flows", "pub", "INSERT", "no", "policy", "chatbot_flows_insert_staff"),
        ("staff", "chatbot_flows", "s1", "INSERT", "yes", "", None),
        ("patient", "chatbot_flows", "s1", "INSERT", "no", "grant", "INSERT on chatbot_flows"),
        ("admin", "users", "a1", "DELETE", "no", "trigger", "users_administrator_keep"),
        ("admin", "patients", "p1", "DELETE", "no", "constraint", "appointments_patient_id"),
        ("admin", "crm_leads", "nobody", "DELETE", "yes", "", None),
        ("staff", "crm_leads", "s1", "UPDATE", "yes", "", None),
    ],
)
def test_attempt__of_what_policies_let_through__tells_what_the_database_does(
    clinic, role, table, label, command, allowed, reason, name
):
    found = asked(clinic, role, table, label, command=command, attempt=True)
    assert (found.allowed, found.reason) == (allowed, reason)
    assert name is None or found.decisive.name.startswith(name)
    with clinic[0].connect() as owner:
        key = clinic[1].keys[table][label]
        assert owner.execute(f"SELECT count(*) FROM {table} WHERE id = %s", [key]).fetchone() == (1,)


def test_values__that_a_policy_asks_for__stand_beside_it(clinic):
    _, world = clinic
    found = asked(clinic, "doctor", "appointments", "p2-d2")
    assert dict(found.decisive.values) == {
        "doctor_id": world.keys["doctors"]["d2"],
        "app.my_doctor_id()": world.keys["doctors"]["d1"],
        "patient_id": world.keys["patients"]["p2"],
        "app.opened_patient_ids()": "no rows",  # those whose record they opened in an emergency
    }
    many = asked(clinic, "staff", "chatbot_flows", "s2")
    assert [part.value for part in many.decisive.parts] == ["false", "false", "false"]
    assert "'published'" in many.decisive.parts[1].text


@contextmanager
def seeded(clinic, doing, undoing):
    with clinic[0].connect() as owner:
        owner.execute(doing)
        try:
            yield
        finally:
            owner.execute(undoing)


@pytest.mark.parametrize(
    ("doing", "undoing", "role", "reason", "name"),
    [
        (
            "CREATE POLICY closed ON patients AS RESTRICTIVE FOR SELECT TO moeen_staff USING (false)",
            "DROP POLICY closed ON patients", "staff", "restrictive", "closed",
        ),
        (
            "CREATE POLICY broken ON patients AS RESTRICTIVE TO moeen_staff USING (1 / (length(last_name) - 1) > 0)",
            "DROP POLICY broken ON patients", "staff", "restrictive", "broken",
        ),
        (
            "ALTER POLICY patients_select_staff ON patients TO moeen_service",
            "ALTER POLICY patients_select_staff ON patients TO moeen_staff", "staff", "policy", "none for SELECT",
        ),
        (
            "REVOKE USAGE ON SCHEMA public FROM moeen_staff, PUBLIC",
            "GRANT USAGE ON SCHEMA public TO moeen_staff", "staff", "schema", "public",
        ),
        (
            "UPDATE users SET is_active = false WHERE name = 's1'",
            "UPDATE users SET is_active = true WHERE name = 's1'", "staff", "account", "User usr_",
        ),
    ],
    ids=["restrictive", "failing", "no policy", "schema", "deactivated"],
)  # fmt: skip
def test_denials__of_what_somebody_changed__are_told_for_what_they_are(clinic, doing, undoing, role, reason, name):
    if "REVOKE" in doing:
        with clinic[0].connect() as owner:
            undoing += (
                "; GRANT USAGE ON SCHEMA public TO PUBLIC"
                if owner.execute("SELECT has_schema_privilege('public', 'public', 'USAGE')").fetchone()[0]
                else ""
            )
    assert asked(clinic, role, "patients", "walk-in").allowed == "yes"
    with seeded(clinic, doing, undoing):
        found = asked(clinic, role, "patients", "walk-in")
        assert (found.allowed, found.reason, found.contradicted) == ("no", reason, False)
        assert found.decisive.name.startswith(name)
        if "broken" in doing:
            assert found.decisive.parts[0].value == "fails: division by zero"
    assert asked(clinic, role, "patients", "walk-in").allowed == "yes"


def test_further_role__that_is_held__answers_for_itself(clinic):
    _, world = clinic
    person, connection = world.keys["users"]["d2"], connections[clinic[0].alias]
    question = why.Question(table="appointments", row=world.keys["appointments"]["p1-d1"])
    with identity.acting_as_operator():
        for role, allowed in (None, "no"), ("staff", "yes"):
            assert why.explain(connection, access.subject(connection, person, role), question).allowed == allowed
        with pytest.raises(identity.RoleNotHeld):
            access.subject(connection, person, "admin")


@pytest.mark.parametrize(
    ("condition", "parts"),
    [
        ("(a = 1)", ()),
        ("((a = 1) AND (b = ' OR '))", ("(a = 1)", "(b = ' OR ')")),
        ("(((a = 1) AND b) OR c)", ("((a = 1) AND b)", "c")),
        ('((a = 1) OR ("x AND y" IS NULL))', ("(a = 1)", '("x AND y" IS NULL)')),
        ("(a = 1) AND (b = 2)", ()),
        ("CASE WHEN (a AND b) THEN c ELSE d END", ()),
        ("is_active", ()),
    ],
)
def test_parts__of_a_condition__are_those_at_its_top(condition, parts):
    assert barriers.parts_of(condition) == parts


def run(clinic, *words):
    out, errors = io.StringIO(), io.StringIO()
    with identity.acting_as_operator():
        call_command("check_access", *words, database=clinic[0].alias, stdout=out, stderr=errors)
    return out.getvalue()


def test_command__why__says_it_in_lines_and_in_json(clinic):
    database, world = clinic
    with database.connect() as owner:
        key = world.keys["patients"]["p2"]
        (row,) = owner.execute("SELECT public_id FROM patients WHERE id = %s", [key]).fetchone()
    text = run(clinic, "--as", "d1@example.test", "--why", row)
    assert text.splitlines()[0].endswith(f"acts as moeen_doctor. May they SELECT {row} of patients? No.")
    assert "no      a policy lets the row through: patients_select_doctor" in text
    assert "false   (id = ANY (" in text
    assert f"where   id is {key}" in text
    said = json.loads(run(clinic, "--as", "a1@example.test", "--why", row, "--column", "phone", "--to", "1", "--json"))
    assert (said["allowed"], said["reason"], said["command"]) == ("yes", "", "UPDATE")
    former = json.loads(run(clinic, "--as", "anon", "--why", rows.ALIAS.format(2), "--json"))
    assert (former["reason"], former["table"]) == ("grant", "patients")


@pytest.mark.parametrize(
    "words",
    [
        ("--as", "staff"),
        ("--as", "staff", "--table", "patients", "--command", "UPDATE"),
        ("--as", "staff", "--why", "pat_aaaaaaaaaaaaaaaaaaaaaaaa"),
        ("--as", "staff", "--why", "nothing", "--table", "patients"),
        ("--as", "staff", "--why", "x", "--to", "1"),
        ("--as", "staff", "--why", "x", "--table", "no_such"),
        ("--as", "nobody@example.test", "--why", "x", "--table", "patients"),
    ],
)
def test_command__what_cannot_be_asked__is_wrong_usage(clinic, words):
    with pytest.raises(MoeenError) as refused:
        run(clinic, *words)
    assert refused.value.exit_code == 2

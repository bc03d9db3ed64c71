"""`make test-mutation`: is every policy and grant held by the proof? Each is dropped or widened in turn.

A mutation that the matrix does not notice survives, and is listed. Each is made in a transaction that is rolled back.
"""

import sys
from collections import Counter

from psycopg import sql

from tests import servers

#: Functions made to say too much: definition, and the roles that have to notice.
FUNCTIONS = {
    "app.my_patient_id()": ("uuid", "SELECT id FROM public.patients WHERE first_name = 'p2'", ("patient",)),
    "app.my_doctor_id()": ("uuid", "SELECT id FROM public.doctors WHERE first_name = 'd2'", ("doctor",)),
    "app.my_patient_ids()": ("SETOF uuid", "SELECT id FROM public.patients", ("doctor",)),
    "app.my_message_ids()": ("SETOF uuid", "SELECT id FROM public.internal_messages", ()),
    "app.published_flow_ids()": ("SETOF uuid", "SELECT id FROM public.chatbot_flows", ("patient", "doctor", "staff")),
    "app.my_flow_ids()": ("SETOF uuid", "SELECT id FROM public.chatbot_flows", ("staff",)),
    "app.my_conversation_ids()": ("SETOF uuid", "SELECT id FROM public.conversations", ("patient",)),
    "app.my_patients_conversation_ids()": ("SETOF uuid", "SELECT id FROM public.conversations", ("doctor",)),
}
COMMANDS = {"SELECT": "S", "INSERT": "I", "UPDATE": "U", "DELETE": "D"}


def mutations(owner):
    """(kind, statement, table, role, command) of every mutation; table None: all of them."""
    policies = owner.execute(
        """SELECT tablename, policyname, substr(roles[1], 7), cmd, qual, with_check FROM pg_policies
           WHERE schemaname = 'public' ORDER BY 1, 2"""
    ).fetchall()
    for table, name, role, command, using, check in policies:
        on = sql.SQL("{} ON {}").format(sql.Identifier(name), sql.Identifier(table))
        yield "policy dropped", sql.SQL("DROP POLICY {}").format(on), table, role, COMMANDS[command]
        if command == "UPDATE" and using != "true":
            both = sql.SQL("ALTER POLICY {} USING (true) WITH CHECK (true)").format(on)
            yield "policy wholly widened", both, table, role, "U"
        for clause, expression in (("USING", using), ("WITH CHECK", check)):
            if expression not in (None, "true"):
                widened = sql.SQL("ALTER POLICY {} {} (true)").format(on, sql.SQL(clause))
                yield f"policy's {clause} widened", widened, table, role, COMMANDS[command]
    grants = owner.execute(
        """
        SELECT c.relname, r.rolname, a.privilege_type, NULL FROM pg_class c CROSS JOIN aclexplode(c.relacl) a
        JOIN pg_roles r ON r.oid = a.grantee
        WHERE c.relnamespace = 'public'::regnamespace AND r.rolname LIKE 'moeen\\_%'
        UNION ALL
        SELECT c.relname, r.rolname, a.privilege_type, t.attname FROM pg_class c
        JOIN pg_attribute t ON t.attrelid = c.oid CROSS JOIN aclexplode(t.attacl) a JOIN pg_roles r ON r.oid = a.grantee
        WHERE c.relnamespace = 'public'::regnamespace AND r.rolname LIKE 'moeen\\_%' ORDER BY 1, 2, 3, 4
        """
    ).fetchall()
    limited = {}
    for table, role, privilege, column in grants:
        what = sql.SQL(privilege) + (sql.SQL(" ({})").format(sql.Identifier(column)) if column else sql.SQL(""))
        revoke = sql.SQL("REVOKE {} ON {} FROM {}").format(what, sql.Identifier(table), sql.Identifier(role))
        yield "grant revoked", revoke, table, role[6:], COMMANDS[privilege]
        limited.setdefault((table, role, privilege), column)
    tables = [
        name for (name,) in owner.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    ]
    roles = [
        name for (name,) in owner.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE 'moeen\\_%'").fetchall()
    ]
    for table in sorted(tables):
        for role in sorted(roles):
            for privilege, command in COMMANDS.items():
                if limited.get((table, role, privilege), "none") is not None:  # not granted, or some columns only
                    grant = sql.SQL("GRANT {} ON {} TO {}").format(
                        sql.SQL(privilege), sql.Identifier(table), sql.Identifier(role)
                    )
                    yield "grant widened", grant, table, role[6:], command
        off = sql.SQL("ALTER TABLE {} DISABLE ROW LEVEL SECURITY").format(sql.Identifier(table))
        yield "row security disabled", off, table, None, "S"
    for name, (result, body, noticing) in FUNCTIONS.items():
        statement = sql.SQL(
            "CREATE OR REPLACE FUNCTION {} RETURNS {} LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS {}"
        ).format(sql.SQL(name), sql.SQL(result), sql.Literal(body))
        for role in noticing:
            yield "helper widened", statement, None, role, "S"


def notices(probe, road, owner, table, role, command):
    """Whether the proof sees a difference."""
    if probe.catalog_differences(owner):
        return True
    if role is None:
        return False
    return bool(probe.differences(road, role, [table] if table else None, command))


def main():
    server = servers.start()
    target = servers.target_of(server)
    servers.set_up_project(server)
    from tests.access import roads, world

    with target.connect(server.database, user=server.role) as owner:

        class Database:
            connect = staticmethod(lambda: target.connect(server.database, user=server.role))

        made = world.make(owner)
        probe, road = roads.Probe(Database, made), roads.OwnerRoad(owner, made)
        with owner.transaction():
            clean = probe.catalog_differences(owner) + [
                line for role in road.roles for line in probe.differences(road, role)
            ]
        if clean:
            sys.exit("The proof fails before anything is mutated:\n" + "\n".join(clean))
        tried, killed, survivors = Counter(), Counter(), []
        for kind, statement, table, role, command in list(mutations(owner)):
            with owner.transaction(force_rollback=True):
                owner.execute(statement)
                tried[kind] += 1
                if notices(probe, road, owner, table, role, command):
                    killed[kind] += 1
                else:
                    survivors.append(f"{kind}: {statement.as_string(None)}")
    for kind in tried:
        print(f"{kind:28} {killed[kind]:5} of {tried[kind]:5} noticed")
    total, noticed = sum(tried.values()), sum(killed.values())
    print(f"{'score':28} {noticed:5} of {total:5} = {100 * noticed / total:.1f} %")
    for line in survivors:
        print(f"survived: {line}", file=sys.stderr)
    return 3 if survivors else 0


if __name__ == "__main__":
    try:
        code = main()
    finally:
        servers.stop_all()
    sys.exit(code)

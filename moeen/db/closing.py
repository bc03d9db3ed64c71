"""SQL that closes a table to everybody but its owner, to be run in the transaction that makes the table."""

from __future__ import annotations

from psycopg import sql

# Default privileges, a hosting platform's or anybody's, give rights on every new table and on its sequences. TRUNCATE
# and the rights on a sequence are asked of no policy, so row security alone would not do.
_REVOKE = """DO $do$
DECLARE
    statement text;
BEGIN
    FOR statement IN
        SELECT DISTINCT format('REVOKE ALL ON %s %s FROM %s', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
                               c.oid::pg_catalog.regclass,
                               CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END)
        FROM pg_catalog.pg_class AS c CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) AS a
        WHERE a.grantee <> c.relowner AND (c.oid = {table}::regclass OR c.relkind = 'S' AND c.oid IN (
            SELECT d.objid FROM pg_catalog.pg_depend AS d
            WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = d.classid
              AND d.refobjid = {table}::regclass AND d.deptype IN ('a', 'i')))
    LOOP
        EXECUTE statement;
    END LOOP;
END
$do$"""


def statements(table: str) -> tuple[str, str]:
    """Row security, under which nobody but the owner sees a row, and every grant taken away."""
    name = sql.Identifier(table)
    return (
        sql.SQL("ALTER TABLE {} ENABLE ROW LEVEL SECURITY").format(name).as_string(None),
        sql.SQL(_REVOKE).format(table=sql.Literal(name.as_string(None))).as_string(None),
    )

"""What stands in a database, in parts that can be compared: the rows of every table, and the catalog."""

#: Part of the catalog -> rows with all of it. Temporary objects are their session's own, and not in it.
CATALOG = {
    "functions": """SELECT proname, prosrc, prosecdef, proconfig, proacl, proowner
                    FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname NOT LIKE 'pg\\_%'""",
    "tables": """SELECT relname, relacl, relrowsecurity, relforcerowsecurity, relowner, relkind, relhasrules
                 FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname NOT LIKE 'pg\\_%'""",
    "columns": "SELECT attrelid, attname, attacl FROM pg_attribute WHERE attacl IS NOT NULL",
    "schemas": "SELECT nspname, nspacl, nspowner FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp_'",
    "policies": "SELECT * FROM pg_policies",
    "triggers": """SELECT tgrelid, tgname, tgenabled, tgfoid FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid
                   WHERE relpersistence <> 't'""",
    "roles": """SELECT rolname, rolsuper, rolinherit, rolcanlogin, rolbypassrls, rolcreaterole, rolcreatedb
                FROM pg_roles""",
    "memberships": "SELECT roleid, member, admin_option FROM pg_auth_members",
    "settings": "SELECT * FROM pg_db_role_setting",
    "databases": "SELECT datname, datacl, datdba FROM pg_database",
    "default privileges": "SELECT defaclrole, defaclnamespace, defaclobjtype, defaclacl FROM pg_default_acl",
    "large objects": "SELECT oid FROM pg_largeobject_metadata",
    "publications": "SELECT pubname FROM pg_publication",
    "extensions": "SELECT extname FROM pg_extension",
    "keys": "SELECT id FROM app.identity_keys",
    "comments": "SELECT objoid, description FROM pg_shdescription",
}


def read(owner, tables):
    """part -> digest, of the catalog's parts and the tables' rows; updated_at follows changes that change nothing."""
    parts = {name: f"SELECT to_jsonb(x) AS row FROM ({query}) AS x" for name, query in CATALOG.items()}
    parts |= {table: f"""SELECT to_jsonb(x) - 'updated_at' AS row FROM public."{table}" AS x""" for table in tables}
    query = " UNION ALL ".join(
        f"SELECT '{name}', md5(coalesce(string_agg(row::text, ' ' ORDER BY row::text), '')) FROM ({rows}) AS rows"
        for name, rows in parts.items()
    )
    return dict(owner.execute(query).fetchall())

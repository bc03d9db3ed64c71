"""The questions to pg_catalog; `reading` asks them with an empty search path.

What PostgreSQL keeps as letters is answered in the words of SQL, and as "" where it is the ordinary one.
"""

from __future__ import annotations

from moeen.db.catalog import neighbours


def _granted(acl: str, kind: str, owner: str) -> str:
    """SQL for the array of ``role=PRIVILEGE`` words of an access list; no list means PostgreSQL's default for it."""
    return f"""
        ARRAY(SELECT CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee)::text END || '='
                     || x.privilege_type || CASE WHEN x.is_grantable AND x.grantee <> {owner} THEN '*' ELSE '' END
              FROM aclexplode(coalesce({acl}, acldefault('{kind}', {owner}))) AS x)
    """  # noqa: S608 - our own words


TABLES = """
    SELECT c.oid, n.nspname, c.relname, c.relkind::text, pg_get_userbyid(c.relowner),
           c.relrowsecurity, c.relforcerowsecurity, coalesce(obj_description(c.oid, 'pg_class'), ''),
           coalesce(c.reloptions, '{}')
           || ARRAY(SELECT 'toast.' || o FROM pg_class x, unnest(x.reloptions) o WHERE x.oid = c.reltoastrelid),
           c.relpersistence = 'u',
           CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) ELSE '' END,
           replace(c.relreplident::text, 'd', ''),
           ARRAY(SELECT ARRAY[pn.nspname::text, p.relname::text]
                 FROM pg_inherits i
                 JOIN pg_class p ON p.oid = i.inhparent
                 JOIN pg_namespace pn ON pn.oid = p.relnamespace
                 WHERE i.inhrelid = c.oid ORDER BY i.inhseqno)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = ANY (%s) ORDER BY n.nspname, c.relname
"""

COLUMNS = """
    SELECT a.attrelid, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
           CASE WHEN a.attgenerated = '' THEN coalesce(pg_get_expr(d.adbin, d.adrelid), '') ELSE '' END,
           CASE WHEN a.attcollation <> t.typcollation THEN coalesce(l.collname, '') ELSE '' END,
           CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) ELSE '' END,
           CASE a.attidentity WHEN 'a' THEN 'ALWAYS' WHEN 'd' THEN 'BY DEFAULT' ELSE '' END,
           coalesce(col_description(a.attrelid, a.attnum), ''),
           CASE WHEN a.attstorage <> t.typstorage THEN CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL'
                                                                         WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END
                ELSE '' END,
           CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' ELSE '' END,
           -- No target of its own is -1 before PostgreSQL 17, and NULL since.
           CASE WHEN a.attstattarget >= 0 THEN a.attstattarget::text ELSE '' END,
           -- Late minor releases keep a mark of their own there, pg_attver, which pg_dump leaves out as well.
           ARRAY(SELECT o FROM unnest(a.attoptions) AS o WHERE o !~ '^pg_')
    FROM pg_attribute a
    JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    LEFT JOIN pg_collation l ON l.oid = a.attcollation
    WHERE a.attrelid = ANY (%s) AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attrelid, a.attnum
"""
# PostgreSQL 18 lists NOT NULL as constraints of kind n; attnotnull says the same on every version.
CONSTRAINTS = """
    SELECT c.conrelid, c.conname, c.contype::text,
           ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY k(num, ord)
                 JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.num ORDER BY k.ord),
           regexp_replace(pg_get_constraintdef(c.oid), ' NOT VALID$', ''), c.convalidated, c.condeferrable,
           coalesce(f.relname, ''),
           ARRAY(SELECT a.attname::text FROM unnest(c.confkey) WITH ORDINALITY k(num, ord)
                 JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.num ORDER BY k.ord),
           CASE c.confdeltype WHEN 'a' THEN 'NO ACTION' WHEN 'r' THEN 'RESTRICT' WHEN 'c' THEN 'CASCADE'
                              WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' ELSE '' END,
           coalesce(obj_description(c.oid, 'pg_constraint'), ''),
           c.contype = 'f' AND EXISTS (SELECT FROM pg_trigger t WHERE t.tgconstraint = c.oid AND t.tgenabled <> 'O')
    FROM pg_constraint c LEFT JOIN pg_class f ON f.oid = c.confrelid
    WHERE c.conrelid = ANY (%s) AND c.contype IN ('p', 'u', 'f', 'c', 'x')
    ORDER BY c.conrelid, c.conname
"""

INDEXES = """
    SELECT i.indrelid, c.relname, i.indisunique, regexp_replace(pg_get_indexdef(i.indexrelid), '^.*? USING ', ''),
           i.indisvalid AND i.indisready, coalesce(k.conname, ''),
           coalesce(obj_description(i.indexrelid, 'pg_class'), '')
    FROM pg_index i
    JOIN pg_class c ON c.oid = i.indexrelid
    LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')
    WHERE i.indrelid = ANY (%s) ORDER BY i.indrelid, c.relname
"""

TRIGGERS = """
    SELECT t.tgrelid, t.tgname, pg_get_triggerdef(t.oid), n.nspname || '.' || p.proname,
           CASE t.tgenabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'replica' WHEN 'A' THEN 'always' ELSE '' END,
           coalesce(obj_description(t.oid, 'pg_trigger'), '')
    FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE t.tgrelid = ANY (%s) AND NOT t.tgisinternal ORDER BY t.tgrelid, t.tgname
"""

POLICIES = """
    SELECT p.polrelid, p.polname,
           CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                         WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
           NOT p.polpermissive,
           ARRAY(SELECT CASE WHEN r = 0 THEN 'public' ELSE pg_get_userbyid(r)::text END FROM unnest(p.polroles) r
                 ORDER BY 1),
           coalesce(pg_get_expr(p.polqual, p.polrelid), ''), coalesce(pg_get_expr(p.polwithcheck, p.polrelid), ''),
           coalesce(obj_description(p.oid, 'pg_policy'), '')
    FROM pg_policy p WHERE p.polrelid = ANY (%s) ORDER BY p.polrelid, p.polname
"""

FUNCTIONS = f"""
    SELECT n.nspname, p.proname, pg_get_function_identity_arguments(p.oid), coalesce(pg_get_function_result(p.oid), ''),
           l.lanname,
           CASE p.provolatile WHEN 's' THEN 'STABLE' WHEN 'i' THEN 'IMMUTABLE' ELSE '' END,
           p.prosecdef, coalesce(p.proconfig, '{{}}'),
           coalesce(pg_get_function_sqlbody(p.oid), p.prosrc), coalesce(obj_description(p.oid, 'pg_proc'), ''),
           pg_get_function_arguments(p.oid),
           CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' WHEN 'w' THEN 'window' ELSE '' END,
           p.proisstrict, p.proleakproof,
           CASE p.proparallel WHEN 's' THEN 'SAFE' WHEN 'r' THEN 'RESTRICTED' ELSE '' END,
           pg_get_userbyid(p.proowner)::text, {_granted("p.proacl", "f", "p.proowner")}
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
    WHERE n.nspname = ANY (%s)
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                      AND d.deptype = 'e')
    ORDER BY 1, 2, 3
"""  # noqa: S608 - our own words

RULES = """
    SELECT r.ev_class, r.rulename, pg_get_ruledef(r.oid) FROM pg_rewrite r
    WHERE r.ev_class = ANY (%s) AND r.rulename <> '_RETURN'
"""

TABLE_GRANTS = f"""
    SELECT c.oid, {_granted("c.relacl", "r", "c.relowner")} FROM pg_class c WHERE c.oid = ANY (%s)
"""  # noqa: S608 - our own words

COLUMN_GRANTS = f"""
    SELECT a.attrelid, a.attname, {_granted("a.attacl", "c", "c.relowner")}
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE a.attrelid = ANY (%s) AND a.attnum > 0 AND a.attacl IS NOT NULL
"""  # noqa: S608 - our own words

NAMESPACES = f"""
    SELECT n.nspname, pg_get_userbyid(n.nspowner)::text, coalesce(obj_description(n.oid, 'pg_namespace'), ''),
           {_granted("n.nspacl", "n", "n.nspowner")}
    FROM pg_namespace n WHERE n.nspname = ANY (%s)
"""  # noqa: S608 - our own words

SEQUENCES = f"""
    SELECT n.nspname, c.relname,
           format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle,
           c.relpersistence = 'u',
           coalesce((SELECT ARRAY[tn.nspname::text, t.relname::text, a.attname::text]
                     FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                     JOIN pg_class t ON t.oid = d.refobjid JOIN pg_namespace tn ON tn.oid = t.relnamespace
                     WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')
                       AND d.refclassid = 'pg_class'::regclass), '{{}}'),
           pg_get_userbyid(c.relowner)::text, {_granted("c.relacl", "s", "c.relowner")}
    FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY (%s)
    ORDER BY 1, 2
"""  # noqa: S608 - our own words

TYPES = f"""
    SELECT n.nspname, t.typname,
           CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'r' THEN 'range' ELSE 'composite' END,
           CASE t.typtype
               WHEN 'e' THEN (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
                              FROM pg_enum e WHERE e.enumtypid = t.oid)
               WHEN 'd' THEN concat_ws(' ', format_type(t.typbasetype, t.typtypmod), 'DEFAULT ' || t.typdefault,
                                       CASE WHEN t.typnotnull THEN 'NOT NULL' END,
                                       (SELECT string_agg(pg_get_constraintdef(k.oid), ' ' ORDER BY k.conname)
                                        FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'))
               ELSE '' END,
           pg_get_userbyid(t.typowner)::text, coalesce(obj_description(t.oid, 'pg_type'), ''),
           {_granted("t.typacl", "T", "t.typowner")}
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    WHERE n.nspname = ANY (%s)
      AND (t.typtype IN ('e', 'd', 'r')
           OR t.typtype = 'c' AND EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'))
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid
                      AND d.deptype = 'e')
    ORDER BY 1, 2
"""  # noqa: S608 - our own words
# Whether a member holds the role's rights without SET ROLE: its own setting before 16, the membership's since. A member
# whose logins all belong to neighbours, or cannot connect here, is none as far as this database goes.
ROLES = f"""
    SELECT r.rolname,
           ARRAY(SELECT a FROM (VALUES ('LOGIN', r.rolcanlogin), ('SUPERUSER', r.rolsuper),
                                       ('BYPASSRLS', r.rolbypassrls), ('CREATEDB', r.rolcreatedb),
                                       ('CREATEROLE', r.rolcreaterole), ('REPLICATION', r.rolreplication)) AS v (a, yes)
                 WHERE yes),
           ARRAY(SELECT u.rolname || CASE WHEN bool_or(coalesce((to_jsonb(m) ->> 'inherit_option')::boolean,
                                                                u.rolinherit)) THEN '*' ELSE '' END
                 FROM pg_auth_members m JOIN pg_roles u ON u.oid = m.member
                 WHERE m.roleid = r.oid AND coalesce((to_jsonb(m) ->> 'set_option')::boolean
                                                     OR (to_jsonb(m) ->> 'inherit_option')::boolean, true)
                   AND NOT EXISTS (SELECT FROM pg_roles l
                                   WHERE l.rolcanlogin AND NOT l.rolsuper AND pg_has_role(l.oid, u.oid, 'MEMBER')
                                   HAVING count(*) > 0 AND NOT bool_or({neighbours.reaches("l.oid")}
                                                                       AND NOT {neighbours.is_neighbours("l.oid")}))
                 GROUP BY u.rolname ORDER BY u.rolname),
           ARRAY(SELECT pg_get_userbyid(m.roleid)::text FROM pg_auth_members m WHERE m.member = r.oid ORDER BY 1)
    FROM pg_roles r WHERE r.rolname = ANY (%s) ORDER BY 1
"""  # noqa: S608 - our own words
DEFAULTS = """
    SELECT pg_get_userbyid(d.defaclrole)::text, coalesce(n.nspname, ''),
           CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS'
                                WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' ELSE d.defaclobjtype::text END,
           ARRAY(SELECT CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee)::text END || '='
                        || x.privilege_type FROM aclexplode(d.defaclacl) AS x)
    FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
    WHERE n.nspname IS NULL OR n.nspname = ANY (%s)
"""
# What else depends on a schema of ours: operators, collations, statistics, text search, ...
REST = """
    SELECT ARRAY(SELECT e.extname || ' in ' || n.nspname
                 FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
                 WHERE n.nspname = ANY (%(schemas)s) ORDER BY 1),
           ARRAY(SELECT ARRAY[i.type, i.identity]
                 FROM pg_depend d, pg_identify_object(d.classid, d.objid, 0) AS i
                 WHERE d.refclassid = 'pg_namespace'::regclass AND d.deptype = 'n'
                   AND d.refobjid IN (SELECT oid FROM pg_namespace WHERE nspname = ANY (%(schemas)s))
                   AND d.classid NOT IN ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_type'::regclass,
                                         'pg_extension'::regclass, 'pg_default_acl'::regclass)
                 ORDER BY 1),
           ARRAY(SELECT rolname::text FROM pg_roles WHERE rolsuper),
           ARRAY(SELECT rolname::text FROM pg_roles WHERE rolname = ANY (%(platform)s)),
           coalesce(obj_description(to_regnamespace('auth'), 'pg_namespace') LIKE '%%made by moeen', false),
           (SELECT pg_get_userbyid(c.relowner)::text FROM pg_class c
            WHERE c.relnamespace = to_regnamespace('public') AND c.relkind = 'r'
            GROUP BY c.relowner ORDER BY count(*) DESC, c.relowner LIMIT 1),
           current_setting('server_version'),
           ARRAY(SELECT e.evtname::text FROM pg_event_trigger e JOIN pg_proc p ON p.oid = e.evtfoid
                 WHERE p.pronamespace IN (SELECT oid FROM pg_namespace WHERE nspname = ANY (%(schemas)s)) ORDER BY 1)
"""

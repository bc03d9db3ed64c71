"""What is known of the cluster by name, and why: roles of a hosting platform, what PostgreSQL itself withholds."""

from __future__ import annotations

#: The roles that a hosting platform's requests come as.
PLATFORM_ROLES = ("anon", "authenticated", "service_role")
#: PostgREST's login.
AUTHENTICATOR = "authenticator"
#: The roles that own what a platform brings (its schemas, functions, settings); the project's owner is none of them.
#: As Supabase's own initial scripts make them; its `supabase_admin` is a superuser.
PLATFORM_OWNERS = (
    "supabase_admin", "supabase_auth_admin", "supabase_storage_admin", "supabase_realtime_admin",
    "supabase_functions_admin", "supabase_replication_admin", "supabase_read_only_user", "supabase_etl_admin",
    "dashboard_user", "pgbouncer", "pgsodium_keyholder", "pgsodium_keyiduser", "pgsodium_keymaker", "pgtle_admin",
)  # fmt: skip
#: The administrators of a platform's projects, who are no superusers there.
PLATFORM_ADMINISTRATORS = ("postgres",)
#: Those that may own the schema which tells who is asking.
AUTH_OWNERS = ("supabase_auth_admin", "supabase_admin")
#: Functions of PostgreSQL's that lead to files of the server, by a pattern of their names.
FILE_FUNCTIONS = "^(pg_read_|pg_ls_|pg_stat_file|pg_file_|lo_)"
#: Its tables that show passwords, or values of columns whatever their policies say.
SECRET_CATALOGS = ("pg_authid", "pg_statistic", "pg_statistic_ext_data", "pg_user_mapping", "pg_largeobject")

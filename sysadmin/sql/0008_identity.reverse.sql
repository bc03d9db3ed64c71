-- Before it, the functions of 0007_identity.sql are put back as they were.
DROP FUNCTION IF EXISTS app.sign_request();
DROP FUNCTION IF EXISTS app.held_role(uuid, text);
DROP FUNCTION IF EXISTS app.is_own_path(text);
DROP FUNCTION IF EXISTS app.keep_identity();
DROP FUNCTION IF EXISTS app.unguard(text);
DROP FUNCTION IF EXISTS app.guard(text, text, text, text);
DROP FUNCTION IF EXISTS app.bound_roles();
DROP FUNCTION IF EXISTS app.user_id();
DROP FUNCTION IF EXISTS app.require_bound();
DROP FUNCTION IF EXISTS app.is_bound();
DROP FUNCTION IF EXISTS app.add_identity_key(text, bytea);
DROP TABLE IF EXISTS app.identity_keys;

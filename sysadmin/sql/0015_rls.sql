-- The operator's own: no role of a person reads a mapping, or whose key was which.

BEGIN; -- import_runs
SELECT app.lock_away('import_runs');
SELECT app.signed_only('import_runs');
COMMIT;

BEGIN; -- legacy_keys
SELECT app.lock_away('legacy_keys');
SELECT app.signed_only('legacy_keys');
COMMIT;

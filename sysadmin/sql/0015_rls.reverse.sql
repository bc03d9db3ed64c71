BEGIN; -- import_runs
SELECT app.lock_away('import_runs');
COMMIT;

BEGIN; -- legacy_keys
SELECT app.lock_away('legacy_keys');
COMMIT;

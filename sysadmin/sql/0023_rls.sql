-- The operator's own: an administrator reads them.

BEGIN; -- fleet_runs
SELECT app.lock_away('fleet_runs');
SELECT app.signed_only('fleet_runs');
SELECT app.allow('fleet_runs', 'admin', 'S', 'true');
COMMIT;

BEGIN; -- fleet_turns
SELECT app.lock_away('fleet_turns');
SELECT app.signed_only('fleet_turns');
SELECT app.allow('fleet_turns', 'admin', 'S', 'true');
COMMIT;

BEGIN; -- fleet_runs
SELECT app.lock_away('fleet_runs');
COMMIT;

BEGIN; -- fleet_turns
SELECT app.lock_away('fleet_turns');
COMMIT;

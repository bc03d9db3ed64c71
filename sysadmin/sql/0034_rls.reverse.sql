BEGIN; -- operator_requests
SELECT app.lock_away('operator_requests');
SELECT app.unaudit('operator_requests');
COMMIT;

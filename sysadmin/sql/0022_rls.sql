-- Who may see and do what: S select, I insert, U update, D delete. What no line allows is refused. Commands write it.
BEGIN; -- operator_reports
SELECT app.lock_away('operator_reports');
SELECT app.signed_only('operator_reports');
SELECT app.allow('operator_reports', 'admin', 'S', 'true');
COMMIT;

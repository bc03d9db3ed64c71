SELECT app.lock_away('operator_reports');

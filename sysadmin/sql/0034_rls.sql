-- Who may see and do what: S select, I insert, U update, D delete. What no line allows is refused. An administrator asks, in
-- their own name, and takes back what nobody has taken up yet; an operator's worker writes what came of it.

BEGIN; -- operator_requests
SELECT app.lock_away('operator_requests');
SELECT app.signed_only('operator_requests');
SELECT app.allow('operator_requests', 'admin', 'S', 'true');
SELECT app.allow('operator_requests', 'admin', 'I (kind, subject, asked_by)', '', 'asked_by = (SELECT app.user_id())');
SELECT app.allow('operator_requests', 'admin', 'D', 'taken_at IS NULL');
SELECT app.audit('operator_requests');
COMMIT;

CREATE INDEX CONCURRENTLY audit_logs_action_created_at_idx ON audit_logs (action, created_at)
    WHERE NOT (action IN ('INSERT', 'UPDATE', 'DELETE', 'READ'));

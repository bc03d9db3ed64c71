DROP INDEX CONCURRENTLY IF EXISTS audit_logs_action_created_at_idx;

DROP INDEX CONCURRENTLY IF EXISTS audit_logs_created_at_idx;
DROP INDEX CONCURRENTLY IF EXISTS audit_logs_user_id_created_at_idx;

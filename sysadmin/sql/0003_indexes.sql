CREATE INDEX CONCURRENTLY audit_logs_user_id_created_at_idx ON audit_logs (user_id, created_at);
CREATE INDEX CONCURRENTLY audit_logs_created_at_idx ON audit_logs (created_at);

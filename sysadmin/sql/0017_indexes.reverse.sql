DROP INDEX CONCURRENTLY IF EXISTS audit_logs_transaction_id_brin;

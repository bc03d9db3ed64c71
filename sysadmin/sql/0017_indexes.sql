CREATE INDEX CONCURRENTLY audit_logs_transaction_id_brin ON audit_logs USING brin (transaction_id) WITH (autosummarize = on);

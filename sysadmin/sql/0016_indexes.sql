CREATE INDEX CONCURRENTLY audit_logs_record_id_created_at_idx ON audit_logs (record_id, created_at);

CREATE INDEX CONCURRENTLY audit_logs_patient_id_created_at_idx ON audit_logs (patient_id, created_at) WHERE patient_id IS NOT NULL;

CREATE INDEX CONCURRENTLY audit_logs_table_name_created_at_idx ON audit_logs (table_name, created_at);

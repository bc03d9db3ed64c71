CREATE INDEX CONCURRENTLY doctors_is_active_idx ON doctors (is_active);

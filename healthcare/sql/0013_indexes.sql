CREATE INDEX CONCURRENTLY appointments_created_at_idx ON appointments (created_at);
CREATE INDEX CONCURRENTLY appointments_appointment_date_idx ON appointments (appointment_date);

CREATE INDEX CONCURRENTLY sessions_created_at_idx ON sessions (created_at);
CREATE INDEX CONCURRENTLY sessions_session_date_idx ON sessions (session_date);

CREATE INDEX CONCURRENTLY insurance_claims_created_at_idx ON insurance_claims (created_at);

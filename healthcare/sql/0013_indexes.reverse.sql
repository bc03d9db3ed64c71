DROP INDEX CONCURRENTLY IF EXISTS insurance_claims_created_at_idx;
DROP INDEX CONCURRENTLY IF EXISTS sessions_session_date_idx;
DROP INDEX CONCURRENTLY IF EXISTS sessions_created_at_idx;
DROP INDEX CONCURRENTLY IF EXISTS appointments_appointment_date_idx;
DROP INDEX CONCURRENTLY IF EXISTS appointments_created_at_idx;

-- As a platform's users write them: to whoever is a doctor, by the request's claims; and of rows that are not there yet.
ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;
CREATE POLICY clinic_doctors_read ON sessions FOR SELECT
    USING (current_setting('request.jwt.claims', true)::json ->> 'sub' IN (SELECT user_id::text FROM doctors));
ALTER TABLE insurance_claims ENABLE ROW LEVEL SECURITY;
CREATE POLICY clinic_archived ON insurance_claims FOR SELECT USING (status = 'archived');

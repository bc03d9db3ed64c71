-- The condition goes with the column it looks at.

BEGIN; -- patients
CREATE OR REPLACE TRIGGER patients_updated_at_set BEFORE UPDATE ON patients FOR EACH ROW
    EXECUTE FUNCTION app.set_updated_at();
COMMIT;

BEGIN; -- doctors
CREATE OR REPLACE TRIGGER doctors_updated_at_set BEFORE UPDATE ON doctors FOR EACH ROW
    EXECUTE FUNCTION app.set_updated_at();
COMMIT;

BEGIN; -- appointments
CREATE OR REPLACE TRIGGER appointments_updated_at_set BEFORE UPDATE ON appointments FOR EACH ROW
    EXECUTE FUNCTION app.set_updated_at();
COMMIT;

BEGIN; -- sessions
CREATE OR REPLACE TRIGGER sessions_updated_at_set BEFORE UPDATE ON sessions FOR EACH ROW
    EXECUTE FUNCTION app.set_updated_at();
COMMIT;

BEGIN; -- insurance_claims
CREATE OR REPLACE TRIGGER insurance_claims_updated_at_set BEFORE UPDATE ON insurance_claims FOR EACH ROW
    EXECUTE FUNCTION app.set_updated_at();
COMMIT;

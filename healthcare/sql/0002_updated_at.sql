-- updated_at is kept here, for every writer; filling in a public id is no change of the row.

BEGIN; -- patients
CREATE OR REPLACE TRIGGER patients_updated_at_set BEFORE UPDATE ON patients FOR EACH ROW
    WHEN (OLD.public_id IS NOT DISTINCT FROM NEW.public_id) EXECUTE FUNCTION app.set_updated_at();
COMMIT;

BEGIN; -- doctors
CREATE OR REPLACE TRIGGER doctors_updated_at_set BEFORE UPDATE ON doctors FOR EACH ROW
    WHEN (OLD.public_id IS NOT DISTINCT FROM NEW.public_id) EXECUTE FUNCTION app.set_updated_at();
COMMIT;

BEGIN; -- appointments
CREATE OR REPLACE TRIGGER appointments_updated_at_set BEFORE UPDATE ON appointments FOR EACH ROW
    WHEN (OLD.public_id IS NOT DISTINCT FROM NEW.public_id) EXECUTE FUNCTION app.set_updated_at();
COMMIT;

BEGIN; -- sessions
CREATE OR REPLACE TRIGGER sessions_updated_at_set BEFORE UPDATE ON sessions FOR EACH ROW
    WHEN (OLD.public_id IS NOT DISTINCT FROM NEW.public_id) EXECUTE FUNCTION app.set_updated_at();
COMMIT;

BEGIN; -- insurance_claims
CREATE OR REPLACE TRIGGER insurance_claims_updated_at_set BEFORE UPDATE ON insurance_claims FOR EACH ROW
    WHEN (OLD.public_id IS NOT DISTINCT FROM NEW.public_id) EXECUTE FUNCTION app.set_updated_at();
COMMIT;

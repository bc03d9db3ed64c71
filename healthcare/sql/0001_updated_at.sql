-- updated_at is kept here, for every writer. A trigger that stands already may be a later migration's: it stays.

BEGIN; -- patients
DO $do$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'public.patients'::regclass AND tgname = 'patients_updated_at_set') THEN
        CREATE TRIGGER patients_updated_at_set BEFORE UPDATE ON patients FOR EACH ROW EXECUTE FUNCTION app.set_updated_at();
    END IF;
END
$do$;
COMMIT;

BEGIN; -- doctors
DO $do$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'public.doctors'::regclass AND tgname = 'doctors_updated_at_set') THEN
        CREATE TRIGGER doctors_updated_at_set BEFORE UPDATE ON doctors FOR EACH ROW EXECUTE FUNCTION app.set_updated_at();
    END IF;
END
$do$;
COMMIT;

BEGIN; -- appointments
DO $do$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'public.appointments'::regclass AND tgname = 'appointments_updated_at_set') THEN
        CREATE TRIGGER appointments_updated_at_set BEFORE UPDATE ON appointments FOR EACH ROW EXECUTE FUNCTION app.set_updated_at();
    END IF;
END
$do$;
COMMIT;

BEGIN; -- sessions
DO $do$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'public.sessions'::regclass AND tgname = 'sessions_updated_at_set') THEN
        CREATE TRIGGER sessions_updated_at_set BEFORE UPDATE ON sessions FOR EACH ROW EXECUTE FUNCTION app.set_updated_at();
    END IF;
END
$do$;
COMMIT;

BEGIN; -- insurance_claims
DO $do$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'public.insurance_claims'::regclass AND tgname = 'insurance_claims_updated_at_set') THEN
        CREATE TRIGGER insurance_claims_updated_at_set BEFORE UPDATE ON insurance_claims FOR EACH ROW EXECUTE FUNCTION app.set_updated_at();
    END IF;
END
$do$;
COMMIT;

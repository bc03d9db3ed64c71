-- updated_at is kept here, for every writer. A trigger that stands already may be a later migration's: it stays.
DO $do$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['patients', 'doctors', 'appointments', 'sessions', 'insurance_claims'] LOOP
        IF NOT EXISTS (
            SELECT FROM pg_trigger
            WHERE tgrelid = to_regclass('public.' || name) AND tgname = name || '_updated_at_set'
        ) THEN
            EXECUTE format(
                'CREATE TRIGGER %1$s_updated_at_set BEFORE UPDATE ON %1$s'
                ' FOR EACH ROW EXECUTE FUNCTION app.set_updated_at()', name
            );
        END IF;
    END LOOP;
END
$do$;

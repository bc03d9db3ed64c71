-- A view on a view on a materialized view, with options, comments and an index.
CREATE MATERIALIZED VIEW clinic_days AS SELECT created_at::date AS day, count(*) AS visits FROM appointments GROUP BY 1;
CREATE UNIQUE INDEX clinic_days_once ON clinic_days (day);
CREATE VIEW clinic_weeks WITH (security_invoker = true) AS
    SELECT date_trunc('week', day) AS week, sum(visits) AS visits FROM clinic_days GROUP BY 1;
CREATE VIEW clinic_busy AS SELECT week FROM clinic_weeks WHERE visits > 1;
COMMENT ON VIEW clinic_busy IS 'more than one';
COMMENT ON COLUMN clinic_busy.week IS 'its Monday';
-- A long chain of them.
CREATE VIEW clinic_chain_0 AS SELECT id, created_at FROM patients;
DO $$BEGIN
    FOR i IN 1..30 LOOP
        EXECUTE format('CREATE VIEW clinic_chain_%s AS SELECT id, created_at, %s AS link FROM clinic_chain_%s', i, i, i - 1);
    END LOOP;
END$$;

-- A role for reports reads one table. Run by an administrator.
DO $$BEGIN IF to_regrole('clinic_report') IS NULL THEN CREATE ROLE clinic_report; END IF; END$$;
GRANT SELECT ON sessions TO clinic_report;

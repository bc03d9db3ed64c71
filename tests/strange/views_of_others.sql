-- A report of an administrator's, which the owner of the tables may neither read nor give back. Run by an administrator.
CREATE VIEW clinic_named AS SELECT id, created_at FROM patients;
CREATE VIEW clinic_days AS SELECT created_at::date AS day, count(*) FROM clinic_named GROUP BY 1;

CREATE UNIQUE INDEX CONCURRENTLY clinic_name_once ON patients (gender);

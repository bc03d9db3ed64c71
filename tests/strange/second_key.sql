-- A key of the clinic's own beside the older one, to the same table: with it goes what that one would not let go.
ALTER TABLE appointments ADD CONSTRAINT clinic_patient FOREIGN KEY (patient_id) REFERENCES patients ON DELETE CASCADE;

-- A table of branches with row security, patients refer to it; files refer to patients; a view and a sequence.
CREATE TABLE clinic_branches (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text);
ALTER TABLE clinic_branches ENABLE ROW LEVEL SECURITY;
ALTER TABLE patients ADD COLUMN clinic_branch uuid REFERENCES clinic_branches (id);
CREATE TABLE clinic_papers (id serial PRIMARY KEY, patient uuid NOT NULL REFERENCES patients (id) ON DELETE CASCADE);
CREATE VIEW clinic_counts AS
    SELECT p.id, p.first_name, count(a.id) FROM patients AS p LEFT JOIN appointments AS a ON a.patient_id = p.id
    GROUP BY p.id;

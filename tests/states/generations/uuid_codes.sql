-- An older generation: public ids of the uuid's first eight letters, histories as jsonb, what is read stands in views.

CREATE TABLE accounts (
  account_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  email varchar(320) NOT NULL UNIQUE,
  password_digest varchar(100),
  display_name text,
  user_type text NOT NULL,
  mobile text,
  status text NOT NULL DEFAULT 'active',
  user_code text GENERATED ALWAYS AS ('USR-' || upper(left(account_id::text, 8))) STORED,
  created_on timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE people (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  account_id uuid UNIQUE REFERENCES accounts (account_id),
  patient_code text GENERATED ALWAYS AS ('PAT-' || upper(left(id::text, 8))) STORED,
  given_name text NOT NULL,
  family_name text NOT NULL DEFAULT '',
  contact jsonb NOT NULL DEFAULT '{}',
  born date,
  gender text,
  history jsonb,
  allergy_list jsonb,
  created_on timestamptz NOT NULL DEFAULT now(),
  changed_on timestamptz NOT NULL DEFAULT now()
);
CREATE VIEW patients AS
SELECT id, account_id, patient_code, given_name, family_name, contact ->> 'email' AS email, contact ->> 'phone' AS phone,
       contact #>> '{emergency,name}' AS emergency_contact_name, contact #>> '{emergency,phone}' AS emergency_contact_phone,
       contact ->> 'address' AS address, born AS dob, gender, history AS medical_history, allergy_list AS allergies,
       created_on, changed_on
FROM people;
CREATE TABLE providers (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  account_id uuid UNIQUE REFERENCES accounts (account_id),
  doctor_code text GENERATED ALWAYS AS ('DOC-' || upper(left(id::text, 8))) STORED,
  given_name text NOT NULL,
  family_name text NOT NULL,
  speciality text,
  scfhs_number text,
  fee_halalas bigint,
  enabled boolean NOT NULL DEFAULT true
);
CREATE TABLE bookings (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  booking_code text GENERATED ALWAYS AS ('APT-' || upper(left(id::text, 8))) STORED,
  person_id uuid NOT NULL REFERENCES people (id),
  provider_id uuid NOT NULL REFERENCES providers (id),
  slot tstzrange NOT NULL,
  status text NOT NULL DEFAULT 'pending',
  comment text,
  created_on timestamptz NOT NULL DEFAULT now()
);
CREATE VIEW appointments AS
SELECT id, booking_code, person_id AS patient_id, provider_id AS doctor_id, lower(slot) AS starts_at,
       extract(epoch FROM upper(slot) - lower(slot))::integer / 60 AS duration_minutes, status, comment, created_on
FROM bookings;
CREATE TABLE encounters (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  booking_id uuid REFERENCES bookings (id),
  person_id uuid NOT NULL REFERENCES people (id),
  provider_id uuid NOT NULL REFERENCES providers (id),
  happened_at timestamptz NOT NULL,
  minutes integer NOT NULL,
  state text NOT NULL,
  findings jsonb,
  plan text
);
CREATE TABLE app_settings (
  name text PRIMARY KEY,
  value jsonb,
  description text,
  updated_on timestamptz
);

INSERT INTO accounts (account_id, email, password_digest, display_name, user_type, mobile, status, created_on)
SELECT md5('account' || n)::uuid, 'Account.' || n || '@example.test', '$2a$08$UUUv6vvpgFfYAF75zgYct..nTSdJ4SFrBvMpmVojHRxC.cN2yxIbm',
       CASE WHEN n % 7 <> 0 THEN 'عبد الرحمن ' || n END, (ARRAY['ADMIN', 'DOCTOR', 'PATIENT', 'FRONT_DESK'])[1 + n % 4],
       '05' || lpad(n::text, 8, '0'), CASE WHEN n % 9 = 0 THEN 'disabled' ELSE 'active' END,
       timestamptz '2023-01-01 21:00+00' + n * interval '1 hour'
FROM generate_series(1, 48) AS n;
INSERT INTO people (id, account_id, given_name, family_name, contact, born, gender, history, allergy_list, created_on, changed_on)
SELECT md5('person' || n)::uuid, CASE WHEN n <= 10 THEN md5('account' || n * 4 + 2)::uuid END, 'لمى', CASE WHEN n % 6 = 0 THEN '' ELSE 'الحربي ' || n END,
       jsonb_build_object('phone', '05' || n, 'address', 'الدمام', 'emergency', jsonb_build_object('name', 'أخ', 'phone', '1' || n)),
       date '1960-02-29' + n * 91, (ARRAY['male', 'female', NULL])[1 + n % 3],
       CASE WHEN n % 4 <> 0 THEN jsonb_build_array(jsonb_build_object('year', 2010 + n % 10, 'what', 'ربو "خفيف"')) END,
       CASE WHEN n % 5 = 0 THEN jsonb_build_array('penicillin', 'فول سوداني') END,
       timestamptz '2023-02-01 21:00+00' + n * interval '1 hour', timestamptz '2024-02-01 21:00+00' + n * interval '1 hour'
FROM generate_series(1, 150) AS n;
INSERT INTO providers (id, account_id, given_name, family_name, speciality, scfhs_number, fee_halalas, enabled)
SELECT md5('provider' || n)::uuid, md5('account' || n * 4 + 1)::uuid, 'د. سلمان', 'الشهري ' || n, 'أطفال', 'S' || n, 15050 + n, n % 4 <> 0
FROM generate_series(1, 8) AS n;
INSERT INTO bookings (id, person_id, provider_id, slot, status, comment, created_on)
SELECT md5('booking' || n)::uuid, md5('person' || 1 + n % 150)::uuid, md5('provider' || 1 + n % 8)::uuid,
       tstzrange(t, t + (20 + n % 3 * 10) * interval '1 minute'), (ARRAY['pending', 'booked', 'checked_out', 'canceled', 'missed'])[1 + n % 5],
       CASE WHEN n % 2 = 0 THEN E'تعليق\ttab' END, t - interval '9 days'
FROM (SELECT n, timestamptz '2024-03-01 06:00+00' + n * interval '3 hours' AS t FROM generate_series(1, 400) AS n) AS every;
INSERT INTO encounters (booking_id, person_id, provider_id, happened_at, minutes, state, findings, plan)
SELECT id, person_id, provider_id, lower(slot), 20, 'closed', '{"diagnosis": "سليم", "icd": ["Z00.0"]}', 'متابعة'
FROM bookings WHERE status = 'checked_out';
INSERT INTO app_settings (name, value, description, updated_on) VALUES
  ('clinic.name', '"عيادة النخيل"', 'What is printed', '2024-01-01 09:00+00'), ('clinic.open', '{"from": 8, "to": 21}', NULL, NULL);

-- An older generation: a person's key is that of the platform's auth.users, enums with words of its own, arrays, one name.

CREATE SCHEMA auth;
CREATE TABLE auth.users (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  aud varchar(255) DEFAULT 'authenticated',
  role varchar(255) DEFAULT 'authenticated',
  email varchar(255) UNIQUE,
  encrypted_password varchar(255),
  email_confirmed_at timestamptz,
  last_sign_in_at timestamptz,
  raw_app_meta_data jsonb,
  raw_user_meta_data jsonb,
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz DEFAULT now(),
  phone text,
  banned_until timestamptz
);

CREATE TYPE app_role AS ENUM ('admin', 'therapist', 'receptionist', 'patient', 'family_member');
CREATE TYPE sex AS ENUM ('male', 'female', 'other');
CREATE TYPE visit_state AS ENUM ('scheduled', 'confirmed', 'in_progress', 'completed', 'cancelled', 'no_show');
CREATE TYPE claim_state AS ENUM ('draft', 'submitted', 'approved', 'denied', 'paid');

CREATE TABLE profiles (
  id uuid PRIMARY KEY REFERENCES auth.users (id) ON DELETE CASCADE,
  full_name text NOT NULL,
  user_role app_role NOT NULL DEFAULT 'patient',
  phone_number text,
  locale text DEFAULT 'ar',
  is_active boolean DEFAULT true,
  avatar_url text,
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz DEFAULT now()
);
CREATE TABLE patients (
  id uuid PRIMARY KEY REFERENCES profiles (id) ON DELETE CASCADE,
  full_name text NOT NULL,
  birth_date timestamptz,
  sex sex,
  allergies text[] NOT NULL DEFAULT '{}',
  chronic_conditions text[],
  address text,
  emergency_name text,
  emergency_phone text,
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz DEFAULT now()
);
CREATE TABLE therapists (
  id uuid PRIMARY KEY REFERENCES profiles (id) ON DELETE CASCADE,
  full_name text NOT NULL,
  specialty text,
  license_no text,
  session_fee numeric(12, 3),
  is_available boolean DEFAULT true,
  created_at timestamptz DEFAULT now()
);
CREATE TABLE appointments (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  patient_id uuid NOT NULL REFERENCES patients (id),
  therapist_id uuid NOT NULL REFERENCES therapists (id),
  scheduled_at timestamptz NOT NULL,
  duration_minutes integer NOT NULL DEFAULT 45,
  status visit_state NOT NULL DEFAULT 'scheduled',
  notes text,
  created_at timestamptz DEFAULT now()
);
CREATE TABLE therapy_sessions (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  appointment_id uuid REFERENCES appointments (id),
  patient_id uuid NOT NULL REFERENCES patients (id),
  therapist_id uuid NOT NULL REFERENCES therapists (id),
  started_at timestamptz NOT NULL,
  duration_minutes integer NOT NULL DEFAULT 45,
  status visit_state NOT NULL DEFAULT 'completed',
  diagnosis text,
  treatment_plan text,
  therapist_notes text
);
CREATE TABLE claims (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  patient_id uuid NOT NULL REFERENCES patients (id),
  appointment_id uuid REFERENCES appointments (id),
  claim_number text,
  insurance_company text,
  amount numeric,
  amount_approved numeric,
  status claim_state NOT NULL DEFAULT 'draft',
  submitted_at timestamptz
);
CREATE TABLE notifications (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id uuid NOT NULL REFERENCES profiles (id),
  title text NOT NULL,
  body text NOT NULL,
  read boolean NOT NULL DEFAULT false,
  link text,
  created_at timestamptz DEFAULT now()
);

-- The password of all of them: old-password-2019
INSERT INTO auth.users (id, email, encrypted_password, email_confirmed_at, last_sign_in_at, created_at)
SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'person' || n || '@example.test',
       CASE WHEN n % 8 <> 0 THEN '$2a$08$UUUv6vvpgFfYAF75zgYct..nTSdJ4SFrBvMpmVojHRxC.cN2yxIbm' END, timestamptz '2022-01-01 00:00+00',
       CASE WHEN n % 3 = 0 THEN timestamptz '2024-02-01 08:00+00' + n * interval '1 hour' END,
       timestamptz '2022-01-01 20:00+00' + n * interval '1 hour'
FROM generate_series(1, 60) AS n;
INSERT INTO profiles (id, full_name, user_role, phone_number, locale, is_active, created_at, updated_at)
SELECT id, CASE WHEN n % 6 = 0 THEN 'منيرة' ELSE 'ريم بنت سعد القحطاني ' || n END,
       (ARRAY['patient', 'patient', 'family_member', 'therapist', 'receptionist', 'admin'])[1 + n % 6]::app_role,
       '+9665' || lpad(n::text, 8, '0'), CASE WHEN n % 2 = 0 THEN 'ar' ELSE 'en' END, n % 10 <> 0, created_at, created_at
FROM (SELECT id, created_at, right(id::text, 12)::int AS n FROM auth.users) AS u;
INSERT INTO patients (id, full_name, birth_date, sex, allergies, chronic_conditions, address, emergency_name, emergency_phone, created_at, updated_at)
SELECT id, full_name, CASE WHEN n % 9 <> 0 THEN timestamptz '1970-03-03 21:00+00' + n * interval '100 days' END,
       (ARRAY['male', 'female', NULL])[1 + n % 3]::sex,
       CASE n % 4 WHEN 0 THEN '{}' WHEN 1 THEN '{penicillin}' ELSE ARRAY['بنسلين', 'لاتكس "حاد"'] END,
       CASE WHEN n % 5 = 0 THEN ARRAY['asthma', 'سكري'] END, E'حي النخيل\nجدة', 'أم ' || full_name, '0500000000', created_at, updated_at
FROM (SELECT *, right(id::text, 12)::int AS n FROM profiles WHERE user_role IN ('patient', 'family_member')) AS p;
INSERT INTO therapists (id, full_name, specialty, license_no, session_fee, is_available, created_at)
SELECT id, full_name, 'نفسي', 'SCFHS-' || right(id::text, 4), 250.500, is_active, created_at FROM profiles WHERE user_role = 'therapist';
INSERT INTO appointments (patient_id, therapist_id, scheduled_at, duration_minutes, status, notes)
SELECT p.id, t.id, timestamptz '2024-01-07 05:00+00' + n * interval '5 hours', 30 + 15 * (n % 3),
       (enum_range(NULL::visit_state))[1 + n % 6], CASE WHEN n % 2 = 0 THEN 'أول زيارة; "x"' END
FROM generate_series(1, 300) AS n
JOIN (SELECT id, row_number() OVER (ORDER BY id) AS r, count(*) OVER () AS c FROM patients) AS p ON p.r = 1 + n % p.c
JOIN (SELECT id, row_number() OVER (ORDER BY id) AS r, count(*) OVER () AS c FROM therapists) AS t ON t.r = 1 + n % t.c;
INSERT INTO therapy_sessions (appointment_id, patient_id, therapist_id, started_at, duration_minutes, status, diagnosis, treatment_plan, therapist_notes)
SELECT id, patient_id, therapist_id, scheduled_at, duration_minutes, status, 'قلق', 'CBT', notes
FROM appointments WHERE status IN ('completed', 'in_progress');
INSERT INTO claims (patient_id, appointment_id, claim_number, insurance_company, amount, amount_approved, status, submitted_at)
SELECT patient_id, id, 'T-' || left(id::text, 13), 'بوبا', 250.5, CASE WHEN status = 'completed' THEN 200 END,
       (enum_range(NULL::claim_state))[1 + duration_minutes / 15 % 5], scheduled_at + interval '1 day'
FROM appointments WHERE status IN ('completed', 'no_show');
INSERT INTO notifications (user_id, title, body, read, link, created_at)
SELECT id, 'تذكير', 'موعدك غدا', is_active, '/appointments', created_at FROM profiles;

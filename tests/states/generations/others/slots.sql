-- The older platform's keys: a profile's user_id is that of auth.users; roles in a table of their own; slots apart.
CREATE SCHEMA auth;
CREATE TABLE auth.users (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), email varchar(255), encrypted_password varchar(255),
  phone text UNIQUE, email_confirmed_at timestamptz, last_sign_in_at timestamptz, raw_user_meta_data jsonb,
  is_anonymous boolean DEFAULT false, deleted_at timestamptz, created_at timestamptz DEFAULT now());
INSERT INTO auth.users (id, email, encrypted_password, phone, raw_user_meta_data, last_sign_in_at)
 SELECT ('00000000-0000-4000-8000-'||lpad(to_hex(n),12,'0'))::uuid,
  CASE WHEN n%20=0 THEN NULL ELSE 'person'||n||'@mail.example' END,
  '$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy', '9665000'||lpad(n::text,5,'0'),
  jsonb_build_object('full_name','منى العتيبي '||n), '2024-05-05' FROM generate_series(1,120) n;
CREATE TYPE app_role AS ENUM ('super_admin','clinic_admin','therapist','patient');
CREATE TABLE profiles (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id uuid UNIQUE NOT NULL REFERENCES auth.users ON DELETE CASCADE, full_name text, avatar_url text,
  preferred_language text DEFAULT 'ar', national_id text, created_at timestamptz DEFAULT now());
INSERT INTO profiles (user_id, full_name, national_id) SELECT id, raw_user_meta_data->>'full_name',
  '10'||right(phone,8) FROM auth.users;
CREATE TABLE user_roles (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE,
  role app_role NOT NULL, UNIQUE (user_id, role));
INSERT INTO user_roles (user_id, role) SELECT id,
  (CASE WHEN right(phone,2)='01' THEN 'super_admin' WHEN right(phone,1)='2' THEN 'therapist' ELSE 'patient' END)::app_role FROM auth.users;
INSERT INTO user_roles (user_id, role) SELECT id, 'clinic_admin' FROM auth.users WHERE right(phone,2)='12';
CREATE TABLE patients (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), profile_id uuid REFERENCES profiles,
  guardian_profile_id uuid REFERENCES profiles, dob date, gender text, conditions jsonb,
  created_at timestamptz DEFAULT now());
INSERT INTO patients (profile_id, dob, gender, conditions) SELECT p.id, date '1990-01-01', 'Female',
  '["asthma"]' FROM profiles p JOIN user_roles r USING (user_id) WHERE r.role='patient';
CREATE TABLE therapists (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), profile_id uuid REFERENCES profiles, bio text, specialties text[],
  scfhs_no text, hourly_rate numeric);
INSERT INTO therapists (profile_id, bio, specialties, scfhs_no, hourly_rate) SELECT p.id, NULL, '{PT,OT}', 'S1',
  200 FROM profiles p JOIN user_roles r USING (user_id) WHERE r.role='therapist';
CREATE TABLE availability_slots (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), therapist_id uuid REFERENCES therapists, starts_at timestamptz,
  ends_at timestamptz);
INSERT INTO availability_slots (therapist_id, starts_at, ends_at) SELECT id, t, t+interval '45 min'
  FROM therapists, generate_series(timestamptz '2024-01-01 05:00+00', timestamptz '2024-01-03 05:00+00',
  interval '3 hours') t;
CREATE TABLE bookings (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), slot_id uuid UNIQUE REFERENCES availability_slots,
  patient_id uuid REFERENCES patients, status text, reason text, price numeric);
INSERT INTO bookings (slot_id, patient_id, status, reason, price) SELECT s.id, p.id,
  (ARRAY['pending','confirmed','done','no_show'])[1+s.n%4], NULL, 200 FROM (SELECT id,
  row_number() OVER (ORDER BY id) n FROM availability_slots) s JOIN (SELECT id,
  row_number() OVER (ORDER BY id) m FROM patients) p ON p.m = 1+s.n%60;

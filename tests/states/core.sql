-- Start state "core": the clinic's database before public ids.
-- What the first Node server ran at every start, over a Supabase client; idempotent in the usual way.

CREATE TABLE IF NOT EXISTS users (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  email varchar(255) UNIQUE NOT NULL,
  password_hash varchar(255),
  name varchar(255),
  role varchar(50) DEFAULT 'user',
  created_at timestamp DEFAULT now(),
  updated_at timestamp DEFAULT now()
);

CREATE TABLE IF NOT EXISTS patients (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  first_name varchar(255) NOT NULL,
  last_name varchar(255) NOT NULL,
  email varchar(255) UNIQUE,
  phone varchar(50),
  date_of_birth date,
  gender varchar(20),
  address text,
  emergency_contact_name varchar(255),
  emergency_contact_phone varchar(50),
  medical_history text,
  allergies text,
  created_at timestamp DEFAULT now(),
  updated_at timestamp DEFAULT now()
);

CREATE TABLE IF NOT EXISTS doctors (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id uuid UNIQUE REFERENCES users(id),
  first_name varchar(255) NOT NULL,
  last_name varchar(255) NOT NULL,
  specialization varchar(255),
  license_number varchar(100),
  phone varchar(50),
  email varchar(255),
  consultation_fee numeric(10,2),
  is_active boolean DEFAULT true,
  created_at timestamp DEFAULT now(),
  updated_at timestamp DEFAULT now()
);

CREATE TABLE IF NOT EXISTS appointments (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  patient_id uuid NOT NULL REFERENCES patients(id),
  doctor_id uuid NOT NULL REFERENCES doctors(id),
  appointment_date date NOT NULL,
  appointment_time time NOT NULL,
  duration integer DEFAULT 30,
  status varchar(50) DEFAULT 'scheduled',
  notes text,
  created_at timestamp DEFAULT now(),
  updated_at timestamp DEFAULT now()
);

CREATE TABLE IF NOT EXISTS sessions (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  appointment_id uuid REFERENCES appointments(id),
  patient_id uuid NOT NULL REFERENCES patients(id),
  doctor_id uuid NOT NULL REFERENCES doctors(id),
  session_date date NOT NULL,
  session_time time NOT NULL,
  duration integer DEFAULT 30,
  status varchar(50) DEFAULT 'scheduled',
  diagnosis text,
  treatment_plan text,
  notes text,
  created_at timestamp DEFAULT now(),
  updated_at timestamp DEFAULT now()
);

CREATE TABLE IF NOT EXISTS insurance_claims (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  patient_id uuid NOT NULL REFERENCES patients(id),
  appointment_id uuid REFERENCES appointments(id),
  claim_number varchar(100) UNIQUE,
  insurance_provider varchar(255),
  claim_amount numeric(10,2),
  approved_amount numeric(10,2),
  status varchar(50) DEFAULT 'pending',
  submitted_date date,
  processed_date date,
  notes text,
  created_at timestamp DEFAULT now(),
  updated_at timestamp DEFAULT now()
);

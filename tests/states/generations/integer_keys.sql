-- An older generation: integer keys everywhere, names in one column, amounts as double precision, times without a zone.

CREATE TABLE roles (
  id serial PRIMARY KEY,
  role_name varchar(50) NOT NULL UNIQUE,
  permissions jsonb
);
CREATE TABLE users (
  id bigserial PRIMARY KEY,
  email varchar(200) UNIQUE NOT NULL,
  full_name varchar(200),
  passwd varchar(100),
  role_id integer REFERENCES roles (id),
  mobile varchar(30),
  active smallint DEFAULT 1,
  created timestamp DEFAULT now()
);
CREATE TABLE patients (
  id serial PRIMARY KEY,
  user_id bigint UNIQUE REFERENCES users (id),
  full_name text NOT NULL,
  mobile varchar(30),
  email varchar(200),
  dob date,
  sex char(1),
  street text,
  history text,
  allergy text,
  created timestamp DEFAULT now(),
  modified timestamp DEFAULT now()
);
CREATE TABLE doctors (
  id serial PRIMARY KEY,
  user_id bigint UNIQUE REFERENCES users (id),
  full_name text NOT NULL,
  specialty varchar(100),
  licence_no varchar(50),
  fee double precision,
  is_available boolean DEFAULT true,
  created timestamp DEFAULT now()
);
CREATE TABLE appointments (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  patient_id integer NOT NULL REFERENCES patients (id),
  doctor_id integer NOT NULL REFERENCES doctors (id),
  starts_at timestamp NOT NULL,
  duration_minutes smallint DEFAULT 30,
  state varchar(20) DEFAULT 'booked',
  remarks text,
  created timestamp DEFAULT now()
);
CREATE TABLE consultations (
  id serial PRIMARY KEY,
  appointment_id integer REFERENCES appointments (id),
  patient_id integer NOT NULL REFERENCES patients (id),
  doctor_id integer NOT NULL REFERENCES doctors (id),
  session_date date NOT NULL,
  session_time time NOT NULL,
  duration_minutes smallint DEFAULT 30,
  status varchar(20) DEFAULT 'completed',
  diagnosis text,
  plan text,
  notes text
);
CREATE TABLE claims (
  id serial PRIMARY KEY,
  patient_id integer NOT NULL REFERENCES patients (id),
  appointment_id integer REFERENCES appointments (id),
  claim_no varchar(50),
  insurer varchar(100),
  amount double precision,
  approved double precision,
  status varchar(20),
  submitted_on timestamptz
);
CREATE TABLE inbox (
  id bigserial PRIMARY KEY,
  sender_id bigint REFERENCES users (id),
  recipient_id bigint REFERENCES users (id),
  reply_to bigint REFERENCES inbox (id),
  subject varchar(200),
  body text NOT NULL,
  seen boolean DEFAULT false,
  sent_at timestamp DEFAULT now()
);
CREATE TABLE schema_version (version integer);

INSERT INTO roles (role_name, permissions) VALUES
  ('admin', '{"all": true}'), ('doctor', '{"patients": ["read"]}'), ('patient', NULL), ('receptionist', '{}');
INSERT INTO users (email, full_name, passwd, role_id, mobile, active, created)
SELECT 'User' || n || '@Example.test', CASE WHEN n % 7 = 0 THEN NULL ELSE 'سارة بنت محمد ' || n END,
       '$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy', 1 + n % 4, '05' || lpad(n::text, 8, '0'),
       CASE WHEN n % 11 = 0 THEN 0 ELSE 1 END, timestamp '2021-03-01 23:30' + n * interval '1 hour'
FROM generate_series(1, 60) AS n;
INSERT INTO patients (user_id, full_name, mobile, email, dob, sex, street, history, allergy, created, modified)
SELECT CASE WHEN n <= 20 THEN n END, CASE WHEN n % 5 = 0 THEN 'نورة' ELSE 'نورة عبد الله ' || n END, '', NULL,
       CASE WHEN n % 9 = 0 THEN NULL ELSE date '1950-01-01' + n * 137 END, CASE n % 3 WHEN 0 THEN 'F' WHEN 1 THEN 'M' END,
       E'شارع الملك فهد\nالرياض', repeat('تاريخ ', n % 40), CASE WHEN n % 4 = 0 THEN 'penicillin' END,
       timestamp '2021-03-01 21:30' + n * interval '1 hour', timestamp '2022-03-01 21:30' + n * interval '1 hour'
FROM generate_series(1, 200) AS n;
INSERT INTO doctors (user_id, full_name, specialty, licence_no, fee, is_available)
SELECT 20 + n, 'د. خالد العتيبي ' || n, 'قلب', 'L' || n, 150.1 * n, n % 3 <> 0 FROM generate_series(1, 10) AS n;
INSERT INTO appointments (patient_id, doctor_id, starts_at, duration_minutes, state, remarks)
SELECT 1 + n % 200, 1 + n % 10, timestamp '2023-01-01 08:00' + n * interval '7 hours', 15 + n % 4 * 15,
       (ARRAY['booked', 'done', 'cancelled', 'noshow'])[1 + n % 4], CASE WHEN n % 2 = 0 THEN 'ملاحظة; "quoted" \ back' END
FROM generate_series(1, 500) AS n;
INSERT INTO consultations (appointment_id, patient_id, doctor_id, session_date, session_time, diagnosis, plan)
SELECT a.id, a.patient_id, a.doctor_id, a.starts_at::date, a.starts_at::time, 'تشخيص ' || a.id, NULL
FROM appointments AS a WHERE a.state = 'done';
INSERT INTO claims (patient_id, appointment_id, claim_no, insurer, amount, approved, status, submitted_on)
SELECT a.patient_id, a.id, 'C-' || a.id, 'التعاونية', 0.1 + a.id, CASE WHEN a.id % 2 = 0 THEN 0.2 + a.id END,
       (ARRAY['new', 'ok', 'refused'])[1 + a.id % 3], timestamptz '2023-05-01 22:00+00' + a.id * interval '1 day'
FROM appointments AS a WHERE a.id % 5 = 0;
INSERT INTO inbox (sender_id, recipient_id, reply_to, subject, body, seen)
SELECT 1 + n % 60, 1 + (n + 1) % 60, CASE WHEN n % 3 = 0 THEN n - 1 END, 'Re', 'مرحبا ' || n, n % 2 = 0
FROM generate_series(1, 90) AS n;
INSERT INTO schema_version VALUES (41);

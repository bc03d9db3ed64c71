-- A dental clinic's own system, which the synonyms were not made for: two names for each language, hours apart, states as numbers.

CREATE TABLE users (
  id bigserial PRIMARY KEY,
  name varchar(191) NOT NULL,
  email varchar(191) NOT NULL UNIQUE,
  email_verified_at timestamp,
  password varchar(191) NOT NULL,
  remember_token varchar(100),
  kind varchar(20) NOT NULL,
  created_at timestamp,
  updated_at timestamp
);
CREATE TABLE insurance_companies (id serial PRIMARY KEY, title varchar(100) NOT NULL);
CREATE TABLE specialties (id serial PRIMARY KEY, title varchar(100) NOT NULL);
CREATE TABLE clients (
  id bigserial PRIMARY KEY,
  file_no varchar(20) NOT NULL UNIQUE,
  first_name_ar varchar(100) NOT NULL,
  last_name_ar varchar(100),
  national_id varchar(10),
  mobile_1 varchar(20),
  mobile_2 varchar(20),
  birth_date date,
  gender smallint,
  chronic_diseases text,
  drug_allergies text,
  insurance_company_id integer REFERENCES insurance_companies (id),
  created_at timestamp,
  updated_at timestamp,
  deleted_at timestamp
);
CREATE TABLE dentists (
  id bigserial PRIMARY KEY,
  user_id bigint NOT NULL REFERENCES users (id),
  name varchar(191) NOT NULL,
  specialty_id integer REFERENCES specialties (id),
  visit_price numeric(8, 2),
  is_active boolean NOT NULL DEFAULT true
);
CREATE TABLE reservations (
  id bigserial PRIMARY KEY,
  client_id bigint NOT NULL REFERENCES clients (id),
  dentist_id bigint NOT NULL REFERENCES dentists (id),
  day date NOT NULL,
  from_time time NOT NULL,
  to_time time NOT NULL,
  state varchar(20) NOT NULL,
  remark varchar(255),
  created_at timestamp
);
CREATE TABLE treatments (
  id bigserial PRIMARY KEY,
  reservation_id bigint NOT NULL REFERENCES reservations (id),
  tooth smallint,
  procedure_name varchar(100) NOT NULL,
  price numeric(8, 2),
  doctor_note text,
  performed_at timestamp NOT NULL
);

INSERT INTO insurance_companies (title) VALUES ('بوبا'), ('التعاونية');
INSERT INTO specialties (title) VALUES ('تقويم'), ('لثة');
INSERT INTO users (name, email, password, kind, created_at, updated_at)
SELECT 'موظف ' || n, 'u' || n || '@example.test', '$2y$08$UUUv6vvpgFfYAF75zgYct..nTSdJ4SFrBvMpmVojHRxC.cN2yxIbm',
       (ARRAY['admin', 'dentist', 'secretary'])[1 + n % 3], '2020-01-01', '2020-01-02' FROM generate_series(1, 12) AS n;
INSERT INTO clients (file_no, first_name_ar, last_name_ar, national_id, mobile_1, mobile_2, birth_date, gender, chronic_diseases, drug_allergies, insurance_company_id, created_at, updated_at)
SELECT 'F' || n, 'سعاد', 'العمري ' || n, lpad(n::text, 10, '1'), '05' || n, CASE WHEN n % 5 = 0 THEN '055' || n END,
       date '1980-01-01' + n, 1 + n % 2, 'سكري', CASE WHEN n % 4 = 0 THEN 'بنسلين' END, 1 + n % 2, '2021-01-01', '2021-02-01' FROM generate_series(1, 60) AS n;
INSERT INTO dentists (user_id, name, specialty_id, visit_price) SELECT n * 3 + 1, 'د. هدى ' || n, 1 + n % 2, 120 FROM generate_series(0, 3) AS n;
INSERT INTO reservations (client_id, dentist_id, day, from_time, to_time, state, remark, created_at)
SELECT 1 + n % 60, 1 + n % 4, date '2023-01-01' + n, '09:00', '09:30', (ARRAY['new', 'attended', 'absent', 'canceled'])[1 + n % 4], 'ملاحظة', '2022-12-01'
FROM generate_series(1, 100) AS n;
INSERT INTO treatments (reservation_id, tooth, procedure_name, price, doctor_note, performed_at)
SELECT id, 11, 'حشو', 300, 'جيد', day + from_time FROM reservations WHERE state = 'attended';

-- Several schemas, soft deletes, history beside; what is shown stands in views of "api".
CREATE SCHEMA core; CREATE SCHEMA booking; CREATE SCHEMA billing; CREATE SCHEMA audit; CREATE SCHEMA api;
CREATE TABLE core.persons (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, given text, family text, mail text, mobile text, dob date,
  sex text, deleted_at timestamptz, created_at timestamptz DEFAULT now());
INSERT INTO core.persons (given, family, mail, mobile, dob, sex, deleted_at) SELECT 'Sara','Al-Otaibi '||n,
  's'||n||'@m.example', '05'||n, date '1970-01-01'+n, (ARRAY['male','female','other'])[1+n%3],
  CASE WHEN n%10=0 THEN now() END FROM generate_series(1,220) n;
CREATE TABLE core.logins (
  person_id bigint PRIMARY KEY REFERENCES core.persons, username text UNIQUE, pw_hash text, kind text,
  disabled_at timestamptz);
INSERT INTO core.logins SELECT n, 'login'||n, '$2b$10$abcdefghijklmnopqrstuuN1u8Fv0Yk0R1Q1b3r9v6s2p8m5n4o3e',
  (ARRAY['patient','clinician','frontdesk','owner'])[1+n%4], NULL FROM generate_series(1,100) n;
CREATE TABLE core.clinicians (
  person_id bigint PRIMARY KEY REFERENCES core.persons, licence text, area text, fee_halalas int);
INSERT INTO core.clinicians SELECT n, 'L'||n, 'PT', 15000 FROM generate_series(1,97,4) n;
CREATE TABLE booking.bookings (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), patient bigint REFERENCES core.persons,
  clinician bigint REFERENCES core.clinicians, during tstzrange NOT NULL, status smallint NOT NULL, note text,
  deleted_at timestamptz);
INSERT INTO booking.bookings (patient, clinician, during, status, deleted_at) SELECT 101+n%100, 1+4*(n%25),
  tstzrange(timestamptz '2024-01-01 06:00+00'+n*interval '40 min',
  timestamptz '2024-01-01 06:30+00'+n*interval '40 min'), n%5, CASE WHEN n%20=0 THEN now() END
  FROM generate_series(1,500) n;
CREATE TABLE billing.invoices (
  no text PRIMARY KEY, booking uuid REFERENCES booking.bookings, payer text, gross numeric, covered numeric,
  state text, issued timestamptz, deleted_at timestamptz);
INSERT INTO billing.invoices SELECT 'INV'||row_number() OVER (), id, 'Bupa', 150, 100,
  (ARRAY['open','ok','denied'])[1+status%3], lower(during), NULL FROM booking.bookings WHERE status=2;
CREATE TABLE audit.log (
  id bigserial, at timestamptz DEFAULT now(), what text); INSERT INTO audit.log (what) SELECT 'x'
  FROM generate_series(1,1000);
CREATE VIEW api.patients AS SELECT id, given, family, mail, mobile, dob, sex, created_at
  FROM core.persons WHERE deleted_at IS NULL AND id > 100;

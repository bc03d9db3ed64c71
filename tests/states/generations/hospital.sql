-- A stock hospital schema: serial keys named after their table, references by code, doctors among the staff, one table
-- for an appointment and what came of it.

CREATE TABLE hospitals (
  hospital_id serial PRIMARY KEY,
  hospital_name varchar(100) NOT NULL,
  city varchar(50)
);
CREATE TABLE departments (
  department_id serial PRIMARY KEY,
  hospital_id integer NOT NULL REFERENCES hospitals (hospital_id),
  department_name varchar(100) NOT NULL
);
CREATE TABLE staff (
  staff_id serial PRIMARY KEY,
  staff_code varchar(20) NOT NULL UNIQUE,
  hospital_id integer NOT NULL REFERENCES hospitals (hospital_id),
  department_id integer REFERENCES departments (department_id),
  fname varchar(50) NOT NULL,
  lname varchar(50) NOT NULL,
  position varchar(30) NOT NULL,
  speciality varchar(100),
  license varchar(50),
  email_address varchar(100) NOT NULL,
  tel varchar(30),
  consultation_charge numeric(8, 2),
  employment_status char(1) DEFAULT 'A',
  hired date
);
CREATE TABLE patients (
  patient_id serial PRIMARY KEY,
  mrn varchar(20) NOT NULL UNIQUE,
  hospital_id integer NOT NULL REFERENCES hospitals (hospital_id),
  surname varchar(100),
  forename varchar(100),
  dob varchar(10),
  sex char(1),
  tel varchar(30),
  email_address varchar(100),
  address_line varchar(200),
  city varchar(50),
  next_of_kin varchar(100),
  next_of_kin_tel varchar(30),
  registered_on timestamp
);
CREATE TABLE patient_allergies (
  patient_id integer NOT NULL REFERENCES patients (patient_id),
  allergen varchar(100) NOT NULL,
  PRIMARY KEY (patient_id, allergen)
);
CREATE TABLE visits (
  visit_id serial PRIMARY KEY,
  mrn varchar(20) NOT NULL REFERENCES patients (mrn),
  doctor_code varchar(20) NOT NULL REFERENCES staff (staff_code),
  visit_date date NOT NULL,
  visit_time time NOT NULL,
  length_min smallint DEFAULT 20,
  visit_status varchar(20) NOT NULL,
  reason text,
  diagnosis text,
  prescription text,
  booked_on timestamp
);
CREATE TABLE invoices (
  invoice_id serial PRIMARY KEY,
  invoice_no varchar(30) UNIQUE,
  visit_id integer NOT NULL REFERENCES visits (visit_id),
  insurance_company varchar(100),
  total money,
  covered money,
  invoice_status varchar(20),
  invoice_date date,
  paid_date date
);

INSERT INTO hospitals (hospital_name, city) VALUES ('مستشفى الأمل', 'الرياض');
INSERT INTO departments (hospital_id, department_name) VALUES (1, 'الباطنية'), (1, 'الأسنان');
INSERT INTO staff (staff_code, hospital_id, department_id, fname, lname, position, speciality, license, email_address, tel, consultation_charge, employment_status, hired)
SELECT 'ST' || lpad(n::text, 4, '0'), 1, 1 + n % 2, 'ماجد', 'الدوسري ' || n, (ARRAY['Doctor', 'Nurse', 'Clerk', 'Manager'])[1 + n % 4],
       CASE WHEN n % 4 = 0 THEN 'باطنية' END, CASE WHEN n % 4 = 0 THEN 'LIC' || n END, 'staff' || n || '@example.test', '011' || n,
       CASE WHEN n % 4 = 0 THEN 200 + n END, CASE WHEN n % 10 = 0 THEN 'L' ELSE 'A' END, date '2015-01-01' + n
FROM generate_series(1, 40) AS n;
INSERT INTO patients (mrn, hospital_id, surname, forename, dob, sex, tel, email_address, address_line, city, next_of_kin, next_of_kin_tel, registered_on)
SELECT 'MRN' || lpad((n * 7)::text, 6, '0'), 1, 'الزهراني ' || n, 'جواهر', CASE WHEN n % 8 <> 0 THEN to_char(date '1950-01-01' + n * 80, 'DD/MM/YYYY') END,
       (ARRAY['M', 'F', 'U'])[1 + n % 3], '050' || n, CASE WHEN n % 3 = 0 THEN 'p' || n || '@example.test' END, 'شارع ' || n, 'الرياض',
       'عم', '055' || n, timestamp '2018-01-01 00:30' + n * interval '1 day'
FROM generate_series(1, 200) AS n;
INSERT INTO patient_allergies
SELECT n, a FROM generate_series(1, 200, 9) AS n CROSS JOIN unnest(ARRAY['لاتكس', 'penicillin']) AS a WHERE n % 2 = 0 OR a <> 'لاتكس';
INSERT INTO visits (mrn, doctor_code, visit_date, visit_time, length_min, visit_status, reason, diagnosis, prescription, booked_on)
SELECT 'MRN' || lpad(((1 + n % 200) * 7)::text, 6, '0'), 'ST' || lpad((4 * (1 + n % 10))::text, 4, '0'), date '2023-06-01' + n % 200,
       time '08:00' + n % 40 * interval '15 minutes', 10 + n % 3 * 10, s, 'صداع', CASE WHEN s = 'Completed' THEN 'شقيقة ' || n END,
       CASE WHEN s = 'Completed' THEN 'مسكن' END, timestamp '2023-05-01 10:00' + n * interval '1 hour'
FROM (SELECT n, (ARRAY['Open', 'Completed', 'Cancelled', 'DNA'])[1 + n % 4] AS s FROM generate_series(1, 400) AS n) AS every;
INSERT INTO invoices (invoice_no, visit_id, insurance_company, total, covered, invoice_status, invoice_date, paid_date)
SELECT 'INV-' || visit_id, visit_id, 'ميدغلف', 230.75::numeric::money, CASE WHEN visit_id % 3 = 0 THEN 200.10::numeric::money END,
       (ARRAY['Sent', 'Accepted', 'Denied', 'Paid'])[1 + visit_id / 4 % 4], visit_date + 1, CASE WHEN visit_id / 4 % 4 = 3 THEN visit_date + 30 END
FROM visits WHERE visit_status = 'Completed';

-- A physiotherapy centre's system, which neither the synonyms nor the guesses were made for: prefixes, codes, moments as numbers.

CREATE TABLE tbl_employee (
  emp_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  emp_fullname varchar(150) NOT NULL,
  emp_role varchar(20) NOT NULL,
  emp_mail varchar(120) NOT NULL,
  emp_pass varchar(100),
  emp_phone varchar(20),
  is_blocked boolean NOT NULL DEFAULT false,
  added_on timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE tbl_beneficiary (
  ben_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  ben_file_number varchar(20) UNIQUE,
  ben_first varchar(60) NOT NULL,
  ben_family varchar(60) NOT NULL,
  ben_birth date,
  ben_sex varchar(10),
  ben_mobile varchar(20),
  ben_address text,
  ben_notes text,
  added_on timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE tbl_therapist (
  ther_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  emp_id integer REFERENCES tbl_employee (emp_id),
  ther_fullname varchar(150) NOT NULL,
  ther_specialty varchar(100),
  hour_rate numeric(8, 2)
);
CREATE TABLE tbl_booking (
  book_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  ben_id integer NOT NULL REFERENCES tbl_beneficiary (ben_id),
  ther_id integer NOT NULL REFERENCES tbl_therapist (ther_id),
  book_date date NOT NULL,
  book_time time NOT NULL,
  book_minutes smallint NOT NULL DEFAULT 45,
  book_status varchar(20) NOT NULL,
  book_comment text
);
CREATE TABLE tbl_insurance_claim (
  claim_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  ben_id integer NOT NULL REFERENCES tbl_beneficiary (ben_id),
  book_id integer REFERENCES tbl_booking (book_id),
  claim_ref varchar(40),
  insurer_name varchar(100),
  claimed_sar numeric(10, 2),
  granted_sar numeric(10, 2),
  claim_state varchar(20) NOT NULL,
  sent_on date
);

INSERT INTO tbl_employee (emp_fullname, emp_role, emp_mail, emp_phone, added_on)
SELECT 'موظفة ' || n, (ARRAY['Admin', 'Therapist', 'Receptionist'])[1 + n % 3], 'e' || n || '@example.test', '05' || n, '2020-01-01'
FROM generate_series(1, 12) AS n;
INSERT INTO tbl_beneficiary (ben_file_number, ben_first, ben_family, ben_birth, ben_sex, ben_mobile, ben_address, ben_notes, added_on)
SELECT 'B' || n, 'عهود', 'المطيري ' || n, date '1990-01-01' + n, (ARRAY['Male', 'Female'])[1 + n % 2], '05' || n, 'حي', 'ألم ظهر', '2021-01-01'
FROM generate_series(1, 50) AS n;
INSERT INTO tbl_therapist (emp_id, ther_fullname, ther_specialty, hour_rate) SELECT n * 3 + 1, 'أمل ' || n, 'ظهر', 150 FROM generate_series(0, 3) AS n;
INSERT INTO tbl_booking (ben_id, ther_id, book_date, book_time, book_status, book_comment)
SELECT 1 + n % 50, 1 + n % 4, date '2024-01-01' + n, '10:00', (ARRAY['Booked', 'Finished', 'Cancelled', 'Missed'])[1 + n % 4], 'x' || n
FROM generate_series(1, 90) AS n;
INSERT INTO tbl_insurance_claim (ben_id, book_id, claim_ref, insurer_name, claimed_sar, granted_sar, claim_state, sent_on)
SELECT ben_id, book_id, 'C' || book_id, 'ميدغلف', 150, 100, (ARRAY['Sent', 'Granted', 'Refused'])[1 + book_id % 3], book_date + 1
FROM tbl_booking WHERE book_status = 'Finished';

-- A dental clinic out of Access: names with spaces and capitals, keys as text, yes and no as text.
CREATE TABLE "User Accounts" (
  "User ID" varchar(20) PRIMARY KEY, "Full Name" varchar(100), "E-Mail" varchar(100), "Pass Word" varchar(100),
  "User Level" varchar(20), "Active?" char(1), "Last Login" timestamp);
INSERT INTO "User Accounts" SELECT 'usr '||n, 'مستخدم رقم '||n, 'U'||n||'@Dental.example', md5(n::text),
  (ARRAY['Admin','Dentist','Reception','Assistant'])[1+n%4], CASE WHEN n%9=0 THEN 'N' ELSE 'Y' END, now()
  FROM generate_series(1,24) n;
CREATE TABLE "Dentist List" (
  "Dentist Code" varchar(10) PRIMARY KEY, "User ID" varchar(20) REFERENCES "User Accounts",
  "Dentist Name" varchar(100) NOT NULL, "Speciality" varchar(50), "Lic. No." varchar(30), "Fee (SAR)" money,
  "On Duty" char(1));
INSERT INTO "Dentist List" SELECT 'D/'||n, 'usr '||(4*n+1), 'د. سامي '||n, (ARRAY['Ortho','Endo'])[1+n%2],
  'SCFHS-'||n, (100+n)::numeric::money, 'Y' FROM generate_series(1,5) n;
CREATE TABLE "Patient Master" (
  "File No" varchar(15) PRIMARY KEY, "Patient Name" varchar(120) NOT NULL, "Sex" char(1), "Birth Date" varchar(10),
  "Mobile No." varchar(20), "Email" varchar(100), "Address" varchar(200), "Medical Alert" text,
  "Drug Allergy" text, "Reg Date" date, "Deleted" char(1) DEFAULT 'N');
INSERT INTO "Patient Master" SELECT 'F-'||lpad(n::text,5,'0'), 'ليلى محمد الحربي '||n, (ARRAY['M','F'])[1+n%2],
  to_char(date '1950-01-15'+n*31,'DD/MM/YYYY'), '+9665'||n, NULL, 'حي '||n, NULL,
  CASE WHEN n%6=0 THEN 'Penicillin' END, date '2015-01-01'+n, CASE WHEN n%40=0 THEN 'Y' ELSE 'N' END
  FROM generate_series(1,250) n;
CREATE TABLE "Appt Book" (
  "Appt No" varchar(20) PRIMARY KEY, "File No" varchar(15), "Dentist Code" varchar(10), "Appt Date" date,
  "Appt Time" varchar(8), "Mins" smallint, "Status" varchar(20), "Remark" text);
INSERT INTO "Appt Book" SELECT 'A'||n, 'F-'||lpad((1+n%250)::text,5,'0'), 'D/'||(1+n%5), date '2023-01-01'+n/10,
  (8+n%9)||':'||lpad((15*(n%4))::text,2,'0'), 20,
  (ARRAY['Booked','Done','Cancelled','No Show','Confirmed'])[1+n%5], NULL FROM generate_series(1,700) n;
CREATE TABLE "Treatment Done" (
  "Appt No" varchar(20), "Tooth No" smallint, "Procedure" varchar(80), "Diagnosis" text, "Price" numeric(9,2),
  "Done On" timestamp);
INSERT INTO "Treatment Done" SELECT "Appt No", t, 'Filling', 'Caries', 150, "Appt Date"+interval '1 hour'
  FROM "Appt Book", generate_series(11,12) t WHERE "Status"='Done';

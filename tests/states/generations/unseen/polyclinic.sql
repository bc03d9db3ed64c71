-- A polyclinic's system, which the synonyms were not made for: names in mixed case, lists of words in tables of their own.

CREATE TABLE "Logins" (
  "LoginID" integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  "UserName" varchar(50) NOT NULL,
  "Email" varchar(100) NOT NULL,
  "PasswordHash" varchar(200),
  "RoleName" varchar(30) NOT NULL,
  "LastLogin" timestamptz,
  "Active" boolean NOT NULL DEFAULT true
);
CREATE TABLE "Patients" (
  "PatientID" integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  "FirstName" varchar(50) NOT NULL,
  "LastName" varchar(50) NOT NULL,
  "DateOfBirth" timestamp,
  "GenderCode" char(1),
  "CellPhone" varchar(20),
  "EmailAddress" varchar(100),
  "StreetAddress" varchar(200),
  "EmergencyContact" varchar(100),
  "EmergencyPhone" varchar(20),
  "IsDeleted" boolean NOT NULL DEFAULT false,
  "CreatedDate" timestamp NOT NULL DEFAULT now()
);
CREATE TABLE "Practitioners" (
  "PractitionerID" integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  "LoginID" integer REFERENCES "Logins" ("LoginID"),
  "FirstName" varchar(50) NOT NULL,
  "LastName" varchar(50) NOT NULL,
  "SpecialtyName" varchar(100),
  "RegistrationNumber" varchar(30),
  "ConsultationFee" money,
  "Active" boolean NOT NULL DEFAULT true
);
CREATE TABLE "AppointmentStatuses" ("StatusID" integer PRIMARY KEY, "StatusName" varchar(30) NOT NULL);
CREATE TABLE "Appointments" (
  "AppointmentID" integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  "PatientID" integer NOT NULL REFERENCES "Patients" ("PatientID"),
  "PractitionerID" integer NOT NULL REFERENCES "Practitioners" ("PractitionerID"),
  "StartTime" timestamp NOT NULL,
  "DurationMinutes" integer NOT NULL DEFAULT 15,
  "StatusID" integer NOT NULL REFERENCES "AppointmentStatuses" ("StatusID"),
  "ReasonForVisit" varchar(500)
);
CREATE TABLE "Encounters" (
  "EncounterID" integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  "AppointmentID" integer REFERENCES "Appointments" ("AppointmentID"),
  "PatientID" integer NOT NULL REFERENCES "Patients" ("PatientID"),
  "PractitionerID" integer NOT NULL REFERENCES "Practitioners" ("PractitionerID"),
  "EncounterDateTime" timestamp NOT NULL,
  "PrimaryDiagnosis" text,
  "TreatmentPlan" text,
  "ClinicalNotes" text
);

INSERT INTO "Logins" ("UserName", "Email", "PasswordHash", "RoleName", "LastLogin")
SELECT 'user' || n, 'user' || n || '@example.test', NULL, (ARRAY['Administrator', 'Physician', 'Reception'])[1 + n % 3], now()
FROM generate_series(1, 15) AS n;
INSERT INTO "Patients" ("FirstName", "LastName", "DateOfBirth", "GenderCode", "CellPhone", "EmailAddress", "StreetAddress", "EmergencyContact", "EmergencyPhone", "CreatedDate")
SELECT 'نوف', 'السبيعي ' || n, timestamp '1985-01-01' + n * interval '1 day', (ARRAY['M', 'F'])[1 + n % 2], '05' || n,
       'p' || n || '@example.test', 'حي ' || n, 'أب', '05', '2020-05-05' FROM generate_series(1, 80) AS n;
INSERT INTO "Practitioners" ("LoginID", "FirstName", "LastName", "SpecialtyName", "RegistrationNumber", "ConsultationFee")
SELECT n * 3 + 1, 'د.', 'بندر ' || n, 'جلدية', 'R' || n, 180::numeric::money FROM generate_series(0, 4) AS n;
INSERT INTO "AppointmentStatuses" VALUES (1, 'Booked'), (2, 'Arrived'), (3, 'Completed'), (4, 'Cancelled'), (5, 'Did not attend');
INSERT INTO "Appointments" ("PatientID", "PractitionerID", "StartTime", "StatusID", "ReasonForVisit")
SELECT 1 + n % 80, 1 + n % 5, timestamp '2024-01-01 08:00' + n * interval '1 hour', 1 + n % 5, 'طفح' FROM generate_series(1, 120) AS n;
INSERT INTO "Encounters" ("AppointmentID", "PatientID", "PractitionerID", "EncounterDateTime", "PrimaryDiagnosis", "TreatmentPlan", "ClinicalNotes")
SELECT "AppointmentID", "PatientID", "PractitionerID", "StartTime", 'إكزيما', 'مرهم', 'لا شيء' FROM "Appointments" WHERE "StatusID" = 3;

-- A chain of clinics: every key has the branch before it; references are of several columns.
CREATE TABLE branch (branch_no smallint PRIMARY KEY, branch_name text);
INSERT INTO branch VALUES (1,'Riyadh'),(2,'Jeddah'),(3,'Dammam');
CREATE TABLE employee (
  branch_no smallint REFERENCES branch, emp_no integer, email text, emp_name text, job char(3), pwd text,
  phone text, left_on date, PRIMARY KEY (branch_no, emp_no));
INSERT INTO employee SELECT b, n, 'e'||b||'_'||n||'@chain.example', 'Employee '||n,
  (ARRAY['DOC','NUR','ADM','REC'])[1+n%4], NULL, '0'||n, NULL FROM generate_series(1,3) b, generate_series(1,20) n;
CREATE TABLE patient (
  branch_no smallint REFERENCES branch, patient_no integer, first_nm text, family_nm text, birth_dt date,
  sex integer, mobile text, mail text, PRIMARY KEY (branch_no, patient_no));
INSERT INTO patient SELECT b, n, 'عبدالله', 'القحطاني '||n, date '1960-01-01'+n*20, n%3, '05'||n,
  CASE WHEN n%2=0 THEN 'p'||b||n||'@c.example' END FROM generate_series(1,3) b, generate_series(1,200) n;
CREATE TABLE visit (
  branch_no smallint, visit_dt date, slot_no smallint, patient_no integer NOT NULL, doctor_no integer NOT NULL,
  visit_tm time, state char(1) NOT NULL, len smallint, remark text,
 PRIMARY KEY (branch_no, visit_dt, slot_no), FOREIGN KEY (branch_no, patient_no) REFERENCES patient,
  FOREIGN KEY (branch_no, doctor_no) REFERENCES employee (branch_no, emp_no));
INSERT INTO visit SELECT b, date '2024-01-01'+n/12, n%12, 1+n%200, 4*(1+n%4),
  time '09:00'+(n%12)*interval '30 min', (ARRAY['B','D','X','N'])[1+n%4], 30, NULL FROM generate_series(1,3) b,
  generate_series(1,600) n;
CREATE TABLE claim (
  branch_no smallint, claim_no integer, visit_dt date, slot_no smallint, insurer text, amt numeric(10,2),
  appr numeric(10,2), st char(1), PRIMARY KEY (branch_no, claim_no), FOREIGN KEY (branch_no, visit_dt,
  slot_no) REFERENCES visit);
INSERT INTO claim SELECT branch_no, row_number() OVER (PARTITION BY branch_no), visit_dt, slot_no, 'Tawuniya', 300,
  250, (ARRAY['P','A','R'])[1+slot_no%3] FROM visit WHERE state='D';

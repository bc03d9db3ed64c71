-- Rows of the state integer_keys that cannot all be imported; which of them, and why, test_importing.py counts.

ALTER TABLE users DROP CONSTRAINT users_role_id_fkey;
INSERT INTO users (id, email, full_name, role_id) VALUES
  (901, 'A@x.test', 'a', 3), (902, 'a@X.TEST', 'b', 3), (903, 'c@x.test', 'c', 77), (904, 'd@x.test', '', NULL);
ALTER TABLE doctors ALTER specialty TYPE text;
INSERT INTO doctors (id, user_id, full_name, fee, specialty) VALUES
  (901, NULL, 'd', 'NaN', ''), (902, NULL, 'd', 'Infinity', ''), (903, NULL, 'd', 1.005, ''), (904, NULL, 'd', 1e9, ''),
  (905, NULL, '', 0, ''), (906, 901, 'd', 1, ''), (907, NULL, 'd', 1, repeat('ق', 256)),
  (908, NULL, 'd', 1, repeat('ق', 255));
INSERT INTO patients (id, full_name, dob, history) VALUES
  (901, 'p', 'infinity', ''), (902, 'p', '0044-03-15 BC', ''), (903, 'p', '9999-12-31', repeat('س', 300000)),
  (904, E'\t\n', '0001-01-01', E'\\N'), (905, 'p', '10000-01-01', '');
INSERT INTO appointments (id, patient_id, doctor_id, starts_at, duration_minutes) OVERRIDING SYSTEM VALUE VALUES
  (901, 901, 1, '2024-01-01', 30), (902, 1, 906, '2024-01-01', 30), (903, 1, 1, '2024-01-01', 0),
  (904, 1, 1, '2024-01-01', NULL), (905, 903, 908, '2024-02-29 23:59:59.999999', 1);
ALTER TABLE consultations DROP CONSTRAINT consultations_patient_id_fkey;
INSERT INTO consultations (id, patient_id, doctor_id, session_date, session_time)
VALUES (901, 4711, 1, '2024-01-01', '23:59'), (902, 1, 1, '2024-01-01', '24:00');
INSERT INTO inbox (id, sender_id, reply_to, body) VALUES (901, 901, NULL, 'x'), (902, 1, 901, 'y'), (903, 1, 902, 'z');

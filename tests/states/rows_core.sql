-- Rows for the state "core". All of it is invented; every key and value follows from a counter and md5, so that two
-- runs give the same bytes. Odd values that an adoption has to carry over stand among the plain ones.

INSERT INTO users (id, email, password_hash, name, role, created_at, updated_at)
SELECT md5('users' || n)::uuid,
       CASE n % 4
         WHEN 0 THEN 'User.' || n || '@Clinic-Example.test'
         WHEN 1 THEN 'user' || n || '@example.test'
         WHEN 2 THEN 'o''neil+' || n || '@example.test'
         ELSE 'مستخدم' || n || '@example.test'
       END,
       CASE WHEN n % 9 <> 0 THEN '$2b$12$' || md5('password' || n) || substr(md5('salt' || n), 1, 21) END,
       CASE n % 7
         WHEN 0 THEN NULL
         WHEN 1 THEN ''
         ELSE (ARRAY['ليلى', 'عمر', 'Nadia', 'D''Arcy', 'سلمى'])[1 + n % 5] || ' '
              || (ARRAY['الاختبار', 'Sample', 'النموذجي', 'Van der Test'])[1 + n % 4]
       END,
       (ARRAY['user', 'user', 'user', 'patient', 'doctor', 'staff', 'supervisor', 'admin', NULL])[1 + n % 9],
       timestamp '2023-01-01 00:00:00.000001' + n * interval '17 hours 3 minutes 0.007 seconds',
       timestamp '2024-02-29 23:59:59.999999' + n * interval '11 hours 0.5 seconds'
FROM generate_series(1, 180) AS n
ON CONFLICT DO NOTHING;

-- Local times that do not exist, or exist twice, in some zone: they count as UTC and stay what they are.
UPDATE users SET created_at = timestamp '2024-03-10 02:30:00.123456' WHERE id = md5('users1')::uuid;   -- New York
UPDATE users SET created_at = timestamp '2024-03-31 02:15:00' WHERE id = md5('users2')::uuid;          -- Berlin
UPDATE users SET created_at = timestamp '2024-10-27 02:45:00.5' WHERE id = md5('users3')::uuid;        -- twice
UPDATE users SET created_at = timestamp '1969-12-31 23:59:59.999999' WHERE id = md5('users4')::uuid;
UPDATE users SET created_at = timestamp '2022-03-26 23:30:00' WHERE id = md5('users5')::uuid;          -- Beirut

INSERT INTO patients (id, first_name, last_name, email, phone, date_of_birth, gender, address, emergency_contact_name,
                      emergency_contact_phone, medical_history, allergies, created_at, updated_at)
SELECT md5('patients' || n)::uuid,
       (ARRAY['مريض', 'Patient', 'ريم', 'زيد', 'Zoë', 'Seán', 'مُحَمَّد'])[1 + n % 7],
       (ARRAY['تجريبي', 'O''Example', 'الافتراضي', 'St. Test-Case', 'آل نموذج'])[1 + n % 5] || ' ' || n,
       CASE WHEN n % 3 <> 0 THEN 'patient' || n || '@example.test' END,
       CASE n % 4 WHEN 0 THEN '+966 50 000 ' || lpad(n::text, 4, '0') WHEN 1 THEN '٠٥٠٠٠٠' || n WHEN 2 THEN '' END,
       CASE WHEN n % 5 <> 0 THEN date '1931-01-31' + n * 97 END,
       (ARRAY['male', 'female', 'ذكر', 'أنثى', NULL, ''])[1 + n % 6],
       CASE WHEN n % 6 <> 0 THEN 'شارع الاختبار ' || n || E'\nBuilding "B" \\ flat ' || n || E'\t' END,
       CASE WHEN n % 4 = 0 THEN 'جهة اتصال ' || n END,
       CASE WHEN n % 4 = 0 THEN '+966550000' || n END,
       CASE
         WHEN n % 50 = 0 THEN repeat('سجل طبي مطوّل — long history; ', 300)
         WHEN n % 8 = 0 THEN 'Patient''s note 😀🩺 100 % %s {} $1 ' || chr(8207) || ' نهاية  '
         WHEN n % 8 = 1 THEN ''
         WHEN n % 2 = 0 THEN 'لا يوجد'
       END,
       CASE WHEN n % 3 = 0 THEN 'penicillin; فول سوداني' END,
       timestamp '2022-06-15 08:00:00' + n * interval '1 day 1 hour 0.123456 seconds',
       timestamp '2025-03-30 02:59:59.000009' + n * interval '1 minute'
FROM generate_series(1, 320) AS n
ON CONFLICT DO NOTHING;

INSERT INTO doctors (id, user_id, first_name, last_name, specialization, license_number, phone, email,
                     consultation_fee, is_active, created_at, updated_at)
SELECT md5('doctors' || n)::uuid,
       CASE WHEN n % 3 <> 0 THEN md5('users' || n)::uuid END,
       (ARRAY['طبيب', 'Doctor', 'د. هناء'])[1 + n % 3], 'Example ' || n,
       (ARRAY['أطفال', 'Cardiology', NULL])[1 + n % 3], 'LIC-' || n, '+96611000' || n, 'doctor' || n || '@example.test',
       CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN 0.00 WHEN 2 THEN 99999999.99 ELSE 150.5 END,
       (ARRAY[true, true, false, NULL])[1 + n % 4],
       timestamp '2022-01-01' + n * interval '3 hours', timestamp '2025-01-01 12:00:00.1' + n * interval '1 hour'
FROM generate_series(1, 40) AS n
ON CONFLICT DO NOTHING;

INSERT INTO appointments (id, patient_id, doctor_id, appointment_date, appointment_time, duration, status, notes,
                          created_at, updated_at)
SELECT md5('appointments' || n)::uuid, md5('patients' || 1 + n % 320)::uuid, md5('doctors' || 1 + n % 40)::uuid,
       date '2024-01-01' + n, time '00:00:00.000001' + n * interval '13 minutes',
       (ARRAY[15, 30, 45, NULL, 1])[1 + n % 5],
       (ARRAY['scheduled', 'confirmed', 'completed', 'cancelled', 'no_show', NULL])[1 + n % 6],
       CASE WHEN n % 4 = 0 THEN 'ملاحظة: it''s ' || n END,
       timestamp '2023-12-01 09:00:00.25' + n * interval '1 hour', timestamp '2023-12-02' + n * interval '1 hour'
FROM generate_series(1, 400) AS n
ON CONFLICT DO NOTHING;

INSERT INTO sessions (id, appointment_id, patient_id, doctor_id, session_date, session_time, duration, status,
                      diagnosis, treatment_plan, notes, created_at, updated_at)
SELECT md5('sessions' || n)::uuid, CASE WHEN n % 5 <> 0 THEN md5('appointments' || n)::uuid END,
       md5('patients' || 1 + n % 320)::uuid, md5('doctors' || 1 + n % 40)::uuid,
       date '2024-01-01' + n, time '23:59:59.999999' - n * interval '7 minutes',
       CASE WHEN n % 7 <> 0 THEN 5 + n % 90 END,
       (ARRAY['scheduled', 'in_progress', 'completed', 'cancelled', NULL])[1 + n % 5],
       CASE WHEN n % 3 = 0 THEN 'تشخيص تجريبي ' || n END,
       CASE WHEN n % 60 = 0 THEN repeat('خطة علاج / plan. ', 700) END,
       CASE WHEN n % 4 = 0 THEN E'line 1\r\nline 2' END,
       timestamp '2024-01-02' + n * interval '5 hours', timestamp '2024-01-03' + n * interval '5 hours'
FROM generate_series(1, 260) AS n
ON CONFLICT DO NOTHING;

INSERT INTO insurance_claims (id, patient_id, appointment_id, claim_number, insurance_provider, claim_amount,
                              approved_amount, status, submitted_date, processed_date, notes, created_at, updated_at)
SELECT md5('insurance_claims' || n)::uuid, md5('patients' || 1 + n % 320)::uuid,
       CASE WHEN n % 4 <> 0 THEN md5('appointments' || n)::uuid END,
       CASE WHEN n % 6 <> 0 THEN 'CLM/' || n END, (ARRAY['تأمين المثال', 'Example Mutual', NULL])[1 + n % 3],
       (ARRAY[0.00, 10.10, 99999999.99, NULL])[1 + n % 4], CASE WHEN n % 3 = 0 THEN n + 0.05 END,
       (ARRAY['pending', 'approved', 'rejected', 'paid', NULL])[1 + n % 5],
       CASE WHEN n % 2 = 0 THEN date '2024-02-01' + n END, CASE WHEN n % 4 = 0 THEN date '2024-03-01' + n END,
       CASE WHEN n % 9 = 0 THEN 'مرفوض سابقًا' END,
       timestamp '2024-02-01' + n * interval '2 hours', timestamp '2024-02-02' + n * interval '2 hours'
FROM generate_series(1, 210) AS n
ON CONFLICT DO NOTHING;

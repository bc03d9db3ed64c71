-- Rows for the state "full", on top of those of "core": public ids in the three older forms for two thirds of the
-- healthcare rows, and rows in all the later tables.

-- Six in ten are cuid2, two in ten the hand-made legacy cuid (14 to 31 characters after the c), two in ten dated.
CREATE FUNCTION pg_temp.pid(prefix text, n bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT prefix || CASE
    WHEN n % 10 < 6 THEN chr(97 + (n % 26)::int) || substr(digits, 1, 23)
    WHEN n % 10 < 8 THEN 'c' || substr(digits, 1, 14 + (n % 18)::int)
    WHEN n % 20 = 19 THEN '20251017_' || 1000000 + n -- the counter outgrew its six digits
    ELSE '20251017_' || lpad(n::text, 6, '0')
  END
  FROM (SELECT translate(md5(prefix || n) || md5(n || prefix), '0123456789abcdef', 'kz3q9mw7xjt5vhpb')) AS d(digits)
$$;

-- Script 031 broke every write to these tables; the ids had been filled before it came.
ALTER TABLE users DISABLE TRIGGER USER;
ALTER TABLE patients DISABLE TRIGGER USER;
ALTER TABLE appointments DISABLE TRIGGER USER;

UPDATE patients SET public_id = pg_temp.pid('pat_', n)
FROM generate_series(1, 320) AS n WHERE n % 3 <> 0 AND id = md5('patients' || n)::uuid;
UPDATE doctors SET public_id = pg_temp.pid('doc_', n)
FROM generate_series(1, 40) AS n WHERE n % 3 <> 0 AND id = md5('doctors' || n)::uuid;
UPDATE appointments SET public_id = pg_temp.pid('apt_', n)
FROM generate_series(1, 400) AS n WHERE n % 3 <> 0 AND id = md5('appointments' || n)::uuid;
UPDATE sessions SET public_id = pg_temp.pid('ses_', n)
FROM generate_series(1, 260) AS n WHERE n % 3 <> 0 AND id = md5('sessions' || n)::uuid;
UPDATE insurance_claims SET public_id = pg_temp.pid('clm_', n)
FROM generate_series(1, 210) AS n WHERE n % 3 <> 0 AND id = md5('insurance_claims' || n)::uuid;

-- Only in the variant in which users has a public id.
DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM information_schema.columns
             WHERE table_schema = 'public' AND table_name = 'users' AND column_name = 'public_id') THEN
    EXECUTE 'UPDATE users SET public_id = pg_temp.pid(''usr_'', n) FROM generate_series(1, 180) AS n '
            'WHERE n % 3 <> 0 AND id = md5(''users'' || n)::uuid';
  END IF;
END
$$;

ALTER TABLE users ENABLE TRIGGER USER;
ALTER TABLE patients ENABLE TRIGGER USER;
ALTER TABLE appointments ENABLE TRIGGER USER;

INSERT INTO user_preferences (id, public_id, user_id, theme, language, timezone, notifications_enabled,
                              sidebar_collapsed, dashboard_layout, created_at, updated_at)
SELECT md5('user_preferences' || n)::uuid, pg_temp.pid('prf_', n), md5('users' || n)::uuid,
       (ARRAY['system', 'light', 'dark', NULL])[1 + n % 4], (ARRAY['ar', 'en', NULL])[1 + n % 3],
       (ARRAY['Asia/Riyadh', 'Africa/Cairo', NULL])[1 + n % 3], (ARRAY[true, false, NULL])[1 + n % 3],
       (ARRAY[NULL, true, false])[1 + n % 3], (ARRAY['grid', 'list', NULL])[1 + n % 3],
       timestamp '2024-05-01 01:02:03.456789' + n * interval '1 hour', timestamp '2024-06-01' + n * interval '1 hour'
FROM generate_series(1, 120) AS n;

INSERT INTO notifications (id, public_id, user_id, title, message, type, is_read, action_url, metadata, created_at,
                           read_at)
SELECT md5('notifications' || n)::uuid, pg_temp.pid('ntf_', n), md5('users' || 1 + n % 180)::uuid,
       'تذكير ' || n, CASE WHEN n % 40 = 0 THEN repeat('رسالة طويلة 🔔 ', 800) ELSE 'It''s time ' || n END,
       (ARRAY['info', 'success', 'warning', 'error', NULL])[1 + n % 5], (ARRAY[true, false, NULL])[1 + n % 3],
       CASE WHEN n % 2 = 0 THEN '/appointments/' || n || '?a=%20&b=''' END,
       CASE WHEN n % 3 = 0 THEN jsonb_build_object('n', n, 'نص', 'قيمة', 'emoji', '😀', 'x', 1.10, 'nil', NULL) END,
       timestamp '2024-07-01 00:00:00.9' + n * interval '1 hour',
       CASE WHEN n % 3 = 0 THEN timestamp '2024-08-01' + n * interval '1 hour' END
FROM generate_series(1, 300) AS n;

INSERT INTO internal_messages (id, public_id, sender_id, recipient_id, subject, content, is_read, parent_message_id,
                               created_at, read_at)
SELECT md5('internal_messages' || n)::uuid, pg_temp.pid('inm_', n),
       CASE WHEN n % 11 <> 0 THEN md5('users' || 1 + n % 180)::uuid END,
       CASE WHEN n % 13 <> 0 THEN md5('users' || 1 + (n * 7) % 180)::uuid END,
       CASE WHEN n % 3 <> 0 THEN 'Re: موضوع ' || n END, 'محتوى ' || n || E' \\ " '' \n end',
       (ARRAY[true, false, NULL])[1 + n % 3], CASE WHEN n % 4 = 0 THEN md5('internal_messages' || n - 1)::uuid END,
       timestamp '2024-09-01' + n * interval '37 minutes 0.000003 seconds',
       CASE WHEN n % 3 = 0 THEN timestamp '2024-10-06 02:30:00' + n * interval '1 second' END
FROM generate_series(1, 200) AS n;

INSERT INTO audit_logs (id, public_id, user_id, action, table_name, record_id, old_values, new_values, ip_address,
                        user_agent, created_at)
SELECT md5('audit_logs' || n)::uuid, pg_temp.pid('aud_', n),
       CASE WHEN n % 5 <> 0 THEN md5('users' || 1 + n % 180)::uuid END,
       (ARRAY['INSERT', 'UPDATE', 'DELETE', 'login', 'export_report'])[1 + n % 5],
       (ARRAY['patients', 'appointments', 'users', 'a table long gone'])[1 + n % 4],
       CASE WHEN n % 6 <> 0 THEN md5('patients' || n)::uuid END,
       CASE WHEN n % 2 = 0 THEN jsonb_build_object('status', 'old', 'n', n) END,
       CASE WHEN n % 3 = 0 THEN jsonb_build_object('الاسم', 'جديد', 'list', jsonb_build_array(1, 'ب', NULL)) END,
       (ARRAY['10.0.0.1', '192.168.1.0/24', '2001:db8::7/64', '::1', NULL]::inet[])[1 + n % 5],
       CASE WHEN n % 2 = 0 THEN 'Mozilla/5.0 (X11; نسخة) "quoted"' END,
       timestamp '2024-11-03 01:30:00.000777' + n * interval '1 minute'
FROM generate_series(1, 350) AS n;

INSERT INTO roles (id, public_id, name, description, permissions, is_system, created_at, updated_at)
SELECT md5('roles' || n)::uuid, pg_temp.pid('rol_', n),
       (ARRAY['receptionist', 'billing', 'مشرف المناوبة', 'auditor', 'trainee', 'it-support', 'nurse'])[n],
       CASE WHEN n % 2 = 0 THEN 'وصف الدور ' || n END,
       (ARRAY['[]', '["patients:read", "claims:*"]', '["عرض"]', NULL]::jsonb[])[1 + n % 4],
       (ARRAY[false, NULL])[1 + n % 2], timestamp '2024-01-01 10:00:00' + n * interval '1 day',
       timestamp '2024-02-01' + n * interval '1 day'
FROM generate_series(1, 7) AS n;

INSERT INTO user_roles (id, public_id, user_id, role_id, assigned_by, assigned_at)
SELECT md5('user_roles' || n)::uuid, pg_temp.pid('uro_', n), md5('users' || n)::uuid, md5('roles' || 1 + n % 7)::uuid,
       CASE WHEN n % 2 = 0 THEN md5('users7')::uuid END, timestamp '2024-03-01 07:00:00.7' + n * interval '3 hours'
FROM generate_series(1, 110) AS n;

INSERT INTO settings (id, public_id, key, value, description, category, is_public, updated_by, created_at, updated_at)
SELECT md5('settings' || n)::uuid, pg_temp.pid('set_', n), 'clinic.option_' || n,
       (ARRAY['"نص"', '12.50', 'true', 'null', '{"a": {"b": ["😀", 1e3]}}', '[]']::jsonb[])[1 + n % 6],
       CASE WHEN n % 2 = 0 THEN 'إعداد ' || n END,
       (ARRAY['general', 'api', 'integrations', 'notifications', NULL])[1 + n % 5], (ARRAY[true, false, NULL])[1 + n % 3],
       CASE WHEN n % 3 = 0 THEN md5('users7')::uuid END,
       timestamp '2024-04-01' + n * interval '1 day', timestamp '2024-04-02' + n * interval '1 day'
FROM generate_series(1, 45) AS n;

INSERT INTO chatbot_flows (id, public_id, name, description, status, version, created_by, published_at, created_at,
                           updated_at)
SELECT md5('chatbot_flows' || n)::uuid, pg_temp.pid('flw_', n), 'مسار ' || n, CASE WHEN n % 2 = 0 THEN 'Flow ' || n END,
       (ARRAY['draft', 'published', 'archived', NULL])[1 + n % 4], (ARRAY[1, 2, NULL])[1 + n % 3],
       CASE WHEN n % 4 <> 0 THEN md5('users' || n)::uuid END,
       CASE WHEN n % 4 = 1 THEN timestamp '2024-05-05 05:05:05.05' END,
       timestamp '2024-05-01' + n * interval '1 day', timestamp '2024-05-02' + n * interval '1 day'
FROM generate_series(1, 15) AS n;

INSERT INTO chatbot_nodes (id, public_id, flow_id, node_type, name, config, position_x, position_y, created_at,
                           updated_at)
SELECT md5('chatbot_nodes' || n)::uuid, pg_temp.pid('nod_', n), md5('chatbot_flows' || 1 + n % 15)::uuid,
       (ARRAY['start', 'message', 'condition', 'action', 'end'])[1 + n % 5], 'عقدة ' || n,
       (ARRAY['{}', '{"text": "أهلًا 👋", "delay": 1.50}', NULL]::jsonb[])[1 + n % 3],
       (ARRAY[0, -40, 2147483647, NULL])[1 + n % 4], CASE WHEN n % 5 <> 0 THEN n END,
       timestamp '2024-05-03' + n * interval '1 minute', timestamp '2024-05-04' + n * interval '1 minute'
FROM generate_series(1, 210) AS n;

INSERT INTO chatbot_edges (id, public_id, flow_id, source_node_id, target_node_id, condition, created_at)
SELECT md5('chatbot_edges' || n)::uuid, pg_temp.pid('edg_', n), md5('chatbot_flows' || 1 + n % 15)::uuid,
       md5('chatbot_nodes' || n)::uuid, md5('chatbot_nodes' || n + 15)::uuid,
       CASE WHEN n % 3 = 0 THEN jsonb_build_object('equals', 'نعم', 'n', n) END,
       timestamp '2024-05-05' + n * interval '1 minute'
FROM generate_series(1, 195) AS n;

INSERT INTO chatbot_templates (id, public_id, name, category, language, content, variables, is_approved, created_by,
                               approved_by, created_at, updated_at)
SELECT md5('chatbot_templates' || n)::uuid, pg_temp.pid('tpl_', n), 'قالب ' || n,
       (ARRAY['greeting', 'appointment', 'information', 'support', NULL])[1 + n % 5],
       (ARRAY['ar', 'en', NULL])[1 + n % 3], 'مرحبًا {{name}}، it''s ' || n,
       CASE WHEN n % 2 = 0 THEN '["name", "التاريخ"]'::jsonb END, (ARRAY[true, false, NULL])[1 + n % 3],
       CASE WHEN n % 4 <> 0 THEN md5('users' || n)::uuid END, CASE WHEN n % 3 = 1 THEN md5('users7')::uuid END,
       timestamp '2024-05-06' + n * interval '1 day', timestamp '2024-05-07' + n * interval '1 day'
FROM generate_series(1, 60) AS n;

INSERT INTO chatbot_integrations (id, public_id, provider, name, config, status, webhook_url, webhook_secret,
                                  last_health_check, health_status, created_by, created_at, updated_at)
SELECT md5('chatbot_integrations' || n)::uuid, pg_temp.pid('int_', n),
       (ARRAY['whatsapp', 'web', 'telegram', 'facebook'])[1 + n % 4], 'قناة ' || n,
       jsonb_build_object('phone', '+96650000' || n, 'retries', n),
       (ARRAY['inactive', 'active', 'error', NULL])[1 + n % 4], CASE WHEN n % 2 = 0 THEN 'https://hooks.example.test/' || n END,
       CASE WHEN n % 2 = 0 THEN md5('secret' || n) END,
       CASE WHEN n % 3 = 0 THEN timestamp '2025-03-09 02:30:00' END,
       (ARRAY['unknown', 'healthy', 'unhealthy', NULL])[1 + n % 4], CASE WHEN n % 2 = 0 THEN md5('users7')::uuid END,
       timestamp '2024-05-08' + n * interval '1 day', timestamp '2024-05-09' + n * interval '1 day'
FROM generate_series(1, 12) AS n;

INSERT INTO conversations (id, public_id, integration_id, patient_id, external_id, status, channel, started_at,
                           ended_at, metadata, created_at, updated_at)
SELECT md5('conversations' || n)::uuid, pg_temp.pid('cnv_', n),
       CASE WHEN n % 5 <> 0 THEN md5('chatbot_integrations' || 1 + n % 12)::uuid END,
       CASE WHEN n % 4 <> 0 THEN md5('patients' || 1 + n % 320)::uuid END,
       CASE WHEN n % 3 <> 0 THEN 'wa:+96650000' || n END, (ARRAY['active', 'closed', 'archived', NULL])[1 + n % 4],
       (ARRAY['whatsapp', 'web', 'telegram', 'facebook'])[1 + n % 4],
       timestamp '2024-06-01 03:00:00.33' + n * interval '1 hour',
       CASE WHEN n % 2 = 0 THEN timestamp '2024-06-02' + n * interval '1 hour' END,
       CASE WHEN n % 3 = 0 THEN '{"lang": "ar", "tags": ["حجز", "😀"]}'::jsonb END,
       timestamp '2024-06-01' + n * interval '1 hour', timestamp '2024-06-03' + n * interval '1 hour'
FROM generate_series(1, 220) AS n;

INSERT INTO messages (id, public_id, conversation_id, sender_type, content, message_type, metadata, sent_at, read_at)
SELECT md5('messages' || n)::uuid, pg_temp.pid('msg_', n), md5('conversations' || 1 + n % 220)::uuid,
       (ARRAY['user', 'bot', 'system'])[1 + n % 3],
       CASE WHEN n % 100 = 0 THEN repeat('سطر طويل — line ', 700) WHEN n % 7 = 0 THEN '' ELSE 'أهلًا ' || n || ' 🙏🏽' END,
       (ARRAY['text', 'image', 'file', 'button', NULL])[1 + n % 5],
       CASE WHEN n % 6 = 0 THEN jsonb_build_object('size', n * 1.5, 'name', 'صورة.png') END,
       timestamp '2024-06-01 03:00:00.000001' + n * interval '11 minutes',
       CASE WHEN n % 2 = 0 THEN timestamp '2024-06-09' + n * interval '11 minutes' END
FROM generate_series(1, 600) AS n;

INSERT INTO crm_leads (id, public_id, name, email, phone, company, source, status, score, notes, owner_id,
                       assigned_at, created_at, updated_at)
SELECT md5('crm_leads' || n)::uuid, pg_temp.pid('led_', n), 'عميل محتمل ' || n,
       CASE WHEN n % 3 <> 0 THEN 'Lead' || n % 50 || '@example.test' END, CASE WHEN n % 2 = 0 THEN '05' || n END,
       CASE WHEN n % 4 = 0 THEN 'شركة "المثال" & Co' END,
       (ARRAY['website', 'referral', 'social', 'cold_call', NULL])[1 + n % 5],
       (ARRAY['new', 'contacted', 'qualified', 'unqualified', 'converted', NULL])[1 + n % 6],
       (ARRAY[0, 55, -3, NULL])[1 + n % 4], CASE WHEN n % 5 = 0 THEN 'ملاحظات ' || n END,
       CASE WHEN n % 3 <> 0 THEN md5('users' || n)::uuid END,
       timestamp '2024-07-01' + n * interval '1 hour', timestamp '2024-07-01 00:00:01' + n * interval '1 hour',
       timestamp '2024-07-02' + n * interval '1 hour'
FROM generate_series(1, 170) AS n;

INSERT INTO crm_deals (id, public_id, title, description, value, currency, stage, probability, expected_close_date,
                       actual_close_date, owner_id, contact_id, lead_id, created_at, updated_at)
SELECT md5('crm_deals' || n)::uuid, pg_temp.pid('del_', n), 'صفقة ' || n, CASE WHEN n % 3 = 0 THEN 'it''s ' || n END,
       (ARRAY[0.00, 9999999999.99, 1234.5, NULL])[1 + n % 4], (ARRAY['SAR', 'USD', NULL])[1 + n % 3],
       (ARRAY['prospecting', 'qualification', 'proposal', 'negotiation', 'closed_won', 'closed_lost', NULL])[1 + n % 7],
       (ARRAY[0, 50, 100, NULL])[1 + n % 4], CASE WHEN n % 2 = 0 THEN date '2025-01-01' + n END,
       CASE WHEN n % 6 = 0 THEN date '2025-02-01' + n END, CASE WHEN n % 3 <> 0 THEN md5('users' || n)::uuid END,
       CASE WHEN n % 4 <> 0 THEN md5('patients' || n)::uuid END, CASE WHEN n % 5 <> 0 THEN md5('crm_leads' || n)::uuid END,
       timestamp '2024-08-01' + n * interval '1 hour', timestamp '2024-08-02' + n * interval '1 hour'
FROM generate_series(1, 140) AS n;

INSERT INTO crm_activities (id, public_id, type, subject, description, due_date, due_time, status, priority, owner_id,
                            contact_id, deal_id, completed_at, created_at, updated_at)
SELECT md5('crm_activities' || n)::uuid, pg_temp.pid('act_', n),
       (ARRAY['call', 'email', 'meeting', 'task', 'note'])[1 + n % 5], 'متابعة ' || n,
       CASE WHEN n % 90 = 0 THEN repeat('وصف ', 2600) END, CASE WHEN n % 2 = 0 THEN date '2025-03-01' + n END,
       CASE WHEN n % 3 = 0 THEN time '12:00' + n * interval '1 second' END,
       (ARRAY['pending', 'completed', 'cancelled', NULL])[1 + n % 4], (ARRAY['medium', 'low', 'high', NULL])[1 + n % 4],
       CASE WHEN n % 3 <> 0 THEN md5('users' || 1 + n % 180)::uuid END,
       CASE WHEN n % 4 = 0 THEN md5('patients' || n)::uuid END, CASE WHEN n % 2 = 0 THEN md5('crm_deals' || 1 + n % 140)::uuid END,
       CASE WHEN n % 4 = 1 THEN timestamp '2024-09-09 09:09:09.090909' END,
       timestamp '2024-09-01' + n * interval '1 hour', timestamp '2024-09-02' + n * interval '1 hour'
FROM generate_series(1, 260) AS n;

DROP FUNCTION pg_temp.pid(text, bigint);

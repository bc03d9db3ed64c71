-- On top of "full" with rows: values that nobody can map by a rule, in old tables and in later ones.

ALTER TABLE users DISABLE TRIGGER USER;
ALTER TABLE patients DISABLE TRIGGER USER;
ALTER TABLE appointments DISABLE TRIGGER USER;

UPDATE users SET role = 'nurse' WHERE id IN (md5('users10')::uuid, md5('users20')::uuid, md5('users30')::uuid);
UPDATE users SET email = 'Twice@example.test' WHERE id = md5('users40')::uuid;
UPDATE users SET email = 'twice@EXAMPLE.test' WHERE id = md5('users41')::uuid;

-- Malformed; of another table; of upper case; with a line break at the end.
UPDATE patients SET public_id = 'pat_?' WHERE id = md5('patients3')::uuid;
UPDATE patients SET public_id = 'apt_' || substr(md5('x'), 1, 24) WHERE id = md5('patients6')::uuid;
UPDATE patients SET public_id = 'pat_A' || substr(md5('x'), 1, 23) WHERE id = md5('patients9')::uuid;
UPDATE patients SET public_id = E'pat_20251017_000777\n' WHERE id = md5('patients12')::uuid;
UPDATE messages SET public_id = '42' WHERE id = md5('messages1')::uuid;

UPDATE appointments SET status = 'no-idea' WHERE id IN (md5('appointments5')::uuid, md5('appointments6')::uuid);

ALTER TABLE users ENABLE TRIGGER USER;
ALTER TABLE patients ENABLE TRIGGER USER;
ALTER TABLE appointments ENABLE TRIGGER USER;

UPDATE crm_deals SET probability = 150 WHERE id = md5('crm_deals1')::uuid;
UPDATE crm_deals SET value = -1 WHERE id IN (md5('crm_deals2')::uuid, md5('crm_deals3')::uuid);
UPDATE notifications SET type = 'alarm' WHERE id = md5('notifications1')::uuid;
UPDATE settings SET category = 'مجهول' WHERE id IN (md5('settings1')::uuid, md5('settings2')::uuid);
UPDATE conversations SET channel = 'sms' WHERE id = md5('conversations1')::uuid;
UPDATE roles SET permissions = '{"all": true}' WHERE id = md5('roles1')::uuid;

-- Edges whose nodes belong to other flows.
UPDATE chatbot_edges SET target_node_id = md5('chatbot_nodes2')::uuid
WHERE id IN (md5('chatbot_edges1')::uuid, md5('chatbot_edges16')::uuid);

-- The same role given twice, once the unique constraint had been lost.
ALTER TABLE user_roles DROP CONSTRAINT user_roles_user_id_role_id_key;
INSERT INTO user_roles (public_id, user_id, role_id)
SELECT 'uro_' || substr('z' || md5('twice'), 1, 24), user_id, role_id FROM user_roles WHERE id = md5('user_roles1')::uuid;

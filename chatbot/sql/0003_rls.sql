-- Who may see and do what in chatbot. S select, I insert, U update, D delete.
-- A transaction for each table, so that no two are locked at a time. A line each: roles, commands, the rows.

CREATE OR REPLACE FUNCTION app.published_flow_ids() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$ SELECT id FROM public.chatbot_flows WHERE status = 'published' $$;
COMMENT ON FUNCTION app.published_flow_ids() IS 'Flows that everyone signed in may see';

CREATE OR REPLACE FUNCTION app.my_flow_ids() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$ SELECT id FROM public.chatbot_flows WHERE created_by = auth.uid() $$;
COMMENT ON FUNCTION app.my_flow_ids() IS 'Flows that the caller created';

CREATE OR REPLACE FUNCTION app.my_conversation_ids() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT c.id FROM public.patients AS p JOIN public.conversations AS c ON c.patient_id = p.id WHERE p.user_id = auth.uid()
$$;
COMMENT ON FUNCTION app.my_conversation_ids() IS 'Conversations of the caller, a patient';

CREATE OR REPLACE FUNCTION app.my_patients_conversation_ids() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$ SELECT id FROM public.conversations WHERE patient_id = ANY (ARRAY(SELECT app.my_patient_ids())) $$;
COMMENT ON FUNCTION app.my_patients_conversation_ids() IS 'Conversations of the patients of the caller, a doctor';

REVOKE EXECUTE ON FUNCTION app.published_flow_ids(), app.my_flow_ids(), app.my_conversation_ids(),
    app.my_patients_conversation_ids() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.published_flow_ids() TO moeen_patient, moeen_doctor, moeen_staff;
GRANT EXECUTE ON FUNCTION app.my_flow_ids() TO moeen_staff;
GRANT EXECUTE ON FUNCTION app.my_conversation_ids() TO moeen_patient;
GRANT EXECUTE ON FUNCTION app.my_patients_conversation_ids() TO moeen_doctor;

BEGIN; -- chatbot_flows
SELECT app.lock_away('chatbot_flows');
SELECT app.allow('chatbot_flows', 'patient doctor', 'S', $$status = 'published'$$);
SELECT app.allow('chatbot_flows', 'staff', 'S', $$status = 'published' OR created_by = (SELECT auth.uid())$$);
SELECT app.allow('chatbot_flows', 'staff', 'IUD', 'created_by = (SELECT auth.uid())');
SELECT app.allow('chatbot_flows', 'supervisor admin', 'SIUD', 'true');
COMMIT;

BEGIN; -- chatbot_nodes
SELECT app.lock_away('chatbot_nodes');
SELECT app.allow('chatbot_nodes', 'patient doctor', 'S', 'flow_id = ANY (ARRAY(SELECT app.published_flow_ids()))');
SELECT app.allow('chatbot_nodes', 'staff', 'S',
                 'flow_id = ANY (ARRAY(SELECT app.published_flow_ids())) OR flow_id = ANY (ARRAY(SELECT app.my_flow_ids()))');
SELECT app.allow('chatbot_nodes', 'staff', 'IUD', 'flow_id = ANY (ARRAY(SELECT app.my_flow_ids()))');
SELECT app.allow('chatbot_nodes', 'supervisor admin', 'SIUD', 'true');
COMMIT;

BEGIN; -- chatbot_edges
SELECT app.lock_away('chatbot_edges');
SELECT app.allow('chatbot_edges', 'patient doctor', 'S', 'flow_id = ANY (ARRAY(SELECT app.published_flow_ids()))');
SELECT app.allow('chatbot_edges', 'staff', 'S',
                 'flow_id = ANY (ARRAY(SELECT app.published_flow_ids())) OR flow_id = ANY (ARRAY(SELECT app.my_flow_ids()))');
SELECT app.allow('chatbot_edges', 'staff', 'IUD', 'flow_id = ANY (ARRAY(SELECT app.my_flow_ids()))');
SELECT app.allow('chatbot_edges', 'supervisor admin', 'SIUD', 'true');
COMMIT;

BEGIN; -- chatbot_templates
SELECT app.lock_away('chatbot_templates');
SELECT app.allow('chatbot_templates', 'patient doctor', 'S', 'is_approved');
SELECT app.allow('chatbot_templates', 'staff', 'S', 'is_approved OR created_by = (SELECT auth.uid())');
SELECT app.allow('chatbot_templates', 'staff', 'IUD', 'created_by = (SELECT auth.uid())');
SELECT app.allow('chatbot_templates', 'supervisor admin', 'SIUD', 'true');
COMMIT;

BEGIN; -- chatbot_integrations
SELECT app.lock_away('chatbot_integrations');
SELECT app.allow('chatbot_integrations', 'admin', 'SIUD', 'true');
SELECT app.allow('chatbot_integrations', 'service', 'S', 'true');
COMMIT;

BEGIN; -- conversations
SELECT app.lock_away('conversations');
SELECT app.allow('conversations', 'patient', 'S', 'patient_id = (SELECT app.my_patient_id())');
SELECT app.allow('conversations', 'doctor', 'S', 'patient_id = ANY (ARRAY(SELECT app.my_patient_ids()))');
SELECT app.allow('conversations', 'supervisor', 'U', 'true');
SELECT app.allow('conversations', 'staff supervisor', 'S', 'true');
SELECT app.allow('conversations', 'service', 'SIU', 'true');
SELECT app.allow('conversations', 'admin', 'SIUD', 'true');
COMMIT;

BEGIN; -- messages
SELECT app.lock_away('messages');
SELECT app.allow('messages', 'patient', 'S', 'conversation_id = ANY (ARRAY(SELECT app.my_conversation_ids()))');
SELECT app.allow('messages', 'doctor', 'S', 'conversation_id = ANY (ARRAY(SELECT app.my_patients_conversation_ids()))');
SELECT app.allow('messages', 'staff supervisor', 'S', 'true');
SELECT app.allow('messages', 'service', 'SIU', 'true');
SELECT app.allow('messages', 'admin', 'SIUD', 'true');
COMMIT;

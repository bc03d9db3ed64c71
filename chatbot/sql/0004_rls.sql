-- Who may see and do what in chatbot. S select, I insert, U update, D delete.
-- A transaction for each table, so that no two are locked at a time. A line each: roles, commands, the rows (and what a
-- written row must be, where that is not the same). Nothing is let through but for signed identities (signed_only), and
-- no role writes id, public_id and the time of making (guard), nor what a function stamp_... sets.

CREATE OR REPLACE FUNCTION app.published_flow_ids() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT f.id FROM public.chatbot_flows AS f WHERE f.status = 'published' AND (SELECT app.user_id()) IS NOT NULL $$;
COMMENT ON FUNCTION app.published_flow_ids() IS 'Flows that everyone signed in may see';

CREATE OR REPLACE FUNCTION app.my_flow_ids() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT f.id FROM public.chatbot_flows AS f WHERE f.created_by = (SELECT app.user_id()) $$;
COMMENT ON FUNCTION app.my_flow_ids() IS 'Flows that the caller created';

-- What is published was looked at by a supervisor: its parts are not changed behind their back.
CREATE OR REPLACE FUNCTION app.my_unpublished_flow_ids() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT f.id FROM public.chatbot_flows AS f WHERE f.created_by = (SELECT app.user_id()) AND f.status <> 'published'
$$;
COMMENT ON FUNCTION app.my_unpublished_flow_ids() IS 'Flows that the caller created and that are not published';

CREATE OR REPLACE FUNCTION app.my_conversation_ids() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT c.id FROM public.patients AS p JOIN public.conversations AS c ON c.patient_id = p.id
    WHERE p.user_id = (SELECT app.user_id())
$$;
COMMENT ON FUNCTION app.my_conversation_ids() IS 'Conversations of the caller, a patient';

CREATE OR REPLACE FUNCTION app.my_patients_conversation_ids() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT c.id FROM public.conversations AS c WHERE c.patient_id = ANY (ARRAY(SELECT app.my_patient_ids())) $$;
COMMENT ON FUNCTION app.my_patients_conversation_ids() IS 'Conversations of the patients of the caller, a doctor';

CREATE OR REPLACE FUNCTION app.stamp_author() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.created_by := app.user_id();
    ELSIF NEW.created_by IS DISTINCT FROM OLD.created_by THEN
        RAISE EXCEPTION 'the author of % is not to be changed', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION app.stamp_author() IS 'Trigger: the author is the person who acts, and stays';

CREATE OR REPLACE FUNCTION app.stamp_flow() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.created_by := app.user_id();
        NEW.published_at := CASE WHEN NEW.status = 'published' THEN now() END;
        RETURN NEW;
    END IF;
    IF NEW.created_by IS DISTINCT FROM OLD.created_by THEN
        RAISE EXCEPTION 'the author of a flow is not to be changed' USING ERRCODE = 'insufficient_privilege';
    END IF;
    NEW.published_at := CASE WHEN NEW.status = 'published' AND OLD.status <> 'published' THEN now()
                             ELSE OLD.published_at END;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION app.stamp_flow() IS 'Trigger: the author is the person who acts, and stays; published_at is the server''s';

-- Approved is what another person looked at: not the author.
CREATE OR REPLACE FUNCTION app.stamp_template() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.created_by := app.user_id();
    ELSIF NEW.created_by IS DISTINCT FROM OLD.created_by THEN
        RAISE EXCEPTION 'the author of a template is not to be changed' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF NEW.is_approved AND (TG_OP = 'INSERT' OR NOT OLD.is_approved) THEN
        IF NEW.created_by = app.user_id() THEN
            RAISE EXCEPTION 'nobody approves a template of their own' USING ERRCODE = 'insufficient_privilege';
        END IF;
        NEW.approved_by := app.user_id();
    ELSIF NEW.is_approved THEN
        NEW.approved_by := OLD.approved_by;
        -- An author who is a supervisor could otherwise rewrite what somebody else approved.
        IF NEW.created_by = app.user_id() AND (NEW.content, NEW.variables, NEW.language) IS DISTINCT FROM
                                              (OLD.content, OLD.variables, OLD.language) THEN
            NEW.is_approved := false;
            NEW.approved_by := NULL;
        END IF;
    ELSE
        NEW.approved_by := NULL;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION app.stamp_template() IS 'Trigger: the author is the person who acts; approval is another''s, and named';

CREATE OR REPLACE FUNCTION app.stamp_message() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NEW.read_at IS NOT NULL THEN
        NEW.read_at := CASE WHEN TG_OP = 'UPDATE' AND OLD.read_at IS NOT NULL THEN OLD.read_at ELSE now() END;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION app.stamp_message() IS 'Trigger: when a message was read is the server''s';

-- The one way to an integration's webhook secret, for the bot; the audit log keeps that it was asked for.
CREATE OR REPLACE FUNCTION app.integration_secret(integration uuid) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    secret text;
BEGIN
    PERFORM app.require_bound('app.integration_secret(uuid)');
    SELECT i.webhook_secret INTO secret FROM public.chatbot_integrations AS i WHERE i.id = integration;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no such integration' USING ERRCODE = 'no_data_found';
    END IF;
    INSERT INTO public.audit_logs (user_id, action, table_name, record_id)
    VALUES (app.user_id(), 'READ_SECRET', 'chatbot_integrations', integration);
    RETURN secret;
END
$$;
COMMENT ON FUNCTION app.integration_secret(uuid) IS 'The webhook secret of an integration, for moeen_service; recorded';

CREATE OR REPLACE FUNCTION app.has_integration_secret(integration uuid) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM app.require_bound('app.has_integration_secret(uuid)');
    RETURN EXISTS (SELECT FROM public.chatbot_integrations AS i WHERE i.id = integration AND i.webhook_secret IS NOT NULL);
END
$$;
COMMENT ON FUNCTION app.has_integration_secret(uuid) IS 'Whether an integration has a webhook secret, for administrators';

REVOKE EXECUTE ON FUNCTION app.has_integration_secret(uuid), app.stamp_author(), app.stamp_flow(), app.stamp_template(), app.stamp_message(),
    app.integration_secret(uuid), app.my_unpublished_flow_ids() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.integration_secret(uuid) TO moeen_service;
GRANT EXECUTE ON FUNCTION app.has_integration_secret(uuid) TO moeen_admin;
GRANT EXECUTE ON FUNCTION app.my_unpublished_flow_ids() TO moeen_staff;
REVOKE EXECUTE ON FUNCTION app.published_flow_ids(), app.my_flow_ids(), app.my_conversation_ids(),
    app.my_patients_conversation_ids() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.published_flow_ids() TO moeen_patient, moeen_doctor, moeen_staff;
GRANT EXECUTE ON FUNCTION app.my_flow_ids() TO moeen_staff;
GRANT EXECUTE ON FUNCTION app.my_conversation_ids() TO moeen_patient;
GRANT EXECUTE ON FUNCTION app.my_patients_conversation_ids() TO moeen_doctor;

BEGIN; -- chatbot_flows
SELECT app.lock_away('chatbot_flows');
SELECT app.signed_only('chatbot_flows');
SELECT app.allow('chatbot_flows', 'patient doctor', 'S', $$status = 'published'$$);
SELECT app.allow('chatbot_flows', 'staff', 'S', $$status = 'published' OR created_by = (SELECT app.user_id())$$);
SELECT app.allow('chatbot_flows', 'staff', 'IUD', 'created_by = (SELECT app.user_id())',
                 $$created_by = (SELECT app.user_id()) AND status <> 'published'$$);
SELECT app.allow('chatbot_flows', 'supervisor admin', 'SIUD', 'true');
SELECT app.guard('chatbot_flows', 'flw_', stamp => 'stamp_flow');
COMMIT;

BEGIN; -- chatbot_nodes
SELECT app.lock_away('chatbot_nodes');
SELECT app.signed_only('chatbot_nodes');
SELECT app.allow('chatbot_nodes', 'patient doctor', 'S', 'flow_id = ANY (ARRAY(SELECT app.published_flow_ids()))');
SELECT app.allow('chatbot_nodes', 'staff', 'S',
                 'flow_id = ANY (ARRAY(SELECT app.published_flow_ids())) OR flow_id = ANY (ARRAY(SELECT app.my_flow_ids()))');
SELECT app.allow('chatbot_nodes', 'staff', 'IUD', 'flow_id = ANY (ARRAY(SELECT app.my_unpublished_flow_ids()))');
SELECT app.allow('chatbot_nodes', 'supervisor admin', 'SIUD', 'true');
SELECT app.guard('chatbot_nodes', 'nod_');
COMMIT;

BEGIN; -- chatbot_edges
SELECT app.lock_away('chatbot_edges');
SELECT app.signed_only('chatbot_edges');
SELECT app.allow('chatbot_edges', 'patient doctor', 'S', 'flow_id = ANY (ARRAY(SELECT app.published_flow_ids()))');
SELECT app.allow('chatbot_edges', 'staff', 'S',
                 'flow_id = ANY (ARRAY(SELECT app.published_flow_ids())) OR flow_id = ANY (ARRAY(SELECT app.my_flow_ids()))');
SELECT app.allow('chatbot_edges', 'staff', 'IUD', 'flow_id = ANY (ARRAY(SELECT app.my_unpublished_flow_ids()))');
SELECT app.allow('chatbot_edges', 'supervisor admin', 'SIUD', 'true');
SELECT app.guard('chatbot_edges', 'edg_');
COMMIT;

BEGIN; -- chatbot_templates
SELECT app.lock_away('chatbot_templates');
SELECT app.signed_only('chatbot_templates');
SELECT app.allow('chatbot_templates', 'patient doctor', 'S', 'is_approved');
SELECT app.allow('chatbot_templates', 'staff', 'S', 'is_approved OR created_by = (SELECT app.user_id())');
SELECT app.allow('chatbot_templates', 'staff', 'IUD', 'created_by = (SELECT app.user_id())',
                 'created_by = (SELECT app.user_id()) AND NOT is_approved');
SELECT app.allow('chatbot_templates', 'supervisor admin', 'SIUD', 'true');
SELECT app.guard('chatbot_templates', 'tpl_', stamp => 'stamp_template');
COMMIT;

BEGIN; -- chatbot_integrations
SELECT app.lock_away('chatbot_integrations');
SELECT app.signed_only('chatbot_integrations');
-- The secret is written by administrators and read by nobody: see app.integration_secret().
SELECT app.allow('chatbot_integrations', 'admin', 'S (all but webhook_secret) IUD', 'true');
SELECT app.allow('chatbot_integrations', 'service', 'S (all but webhook_secret)', 'true');
SELECT app.guard('chatbot_integrations', 'int_', stamp => 'stamp_author');
COMMIT;

BEGIN; -- conversations
SELECT app.lock_away('conversations');
SELECT app.signed_only('conversations');
SELECT app.allow('conversations', 'patient', 'S', 'patient_id = (SELECT app.my_patient_id())');
SELECT app.allow('conversations', 'doctor', 'S', 'patient_id = ANY (ARRAY(SELECT app.my_patient_ids()))');
SELECT app.allow('conversations', 'supervisor', 'U', 'true');
SELECT app.allow('conversations', 'staff supervisor', 'S', 'true');
SELECT app.allow('conversations', 'service', 'SIU', 'true');
SELECT app.allow('conversations', 'admin', 'SIUD', 'true');
SELECT app.guard('conversations', 'cnv_');
COMMIT;

BEGIN; -- messages
SELECT app.lock_away('messages');
SELECT app.signed_only('messages');
SELECT app.allow('messages', 'patient', 'S', 'conversation_id = ANY (ARRAY(SELECT app.my_conversation_ids()))');
SELECT app.allow('messages', 'doctor', 'S', 'conversation_id = ANY (ARRAY(SELECT app.my_patients_conversation_ids()))');
SELECT app.allow('messages', 'staff supervisor', 'S', 'true');
SELECT app.allow('messages', 'service', 'SIU', 'true');
SELECT app.allow('messages', 'admin', 'SIUD', 'true');
SELECT app.guard('messages', 'msg_', 'sent_at', stamp => 'stamp_message');
COMMIT;

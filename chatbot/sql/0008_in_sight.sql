-- A flow is published as a supervisor looked at it, and a conversation comes by an integration that one sees.

-- The policies of nodes and edges ask as a statement begins. Whoever publishes in the meantime waits for this lock, or has
-- published by the time that it is given. Who is bound is asked, not CURRENT_USER: a statement can give its role back.
CREATE OR REPLACE FUNCTION app.keep_published() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    state text;
BEGIN
    FOR state IN SELECT f.status FROM public.chatbot_flows AS f WHERE f.id IN (OLD.flow_id, NEW.flow_id) FOR SHARE LOOP
        IF state = 'published' AND NOT app.is_bound('moeen_supervisor') AND NOT app.is_bound('moeen_admin')
            AND NOT pg_has_role(coalesce(nullif(current_setting('role'), 'none'), session_user)::name, current_user, 'USAGE')
        THEN
            RAISE EXCEPTION 'the flow is published' USING ERRCODE = 'insufficient_privilege',
                HINT = 'A supervisor changes what is published.';
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION app.keep_published() IS
    'Trigger: parts of a flow do not change while it is published, but by supervisors and administrators';
REVOKE EXECUTE ON FUNCTION app.keep_published() FROM PUBLIC;
-- What a platform's default privileges give of each new function.
DO $do$
DECLARE
    platform name;
BEGIN
    FOR platform IN SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role') LOOP
        EXECUTE pg_catalog.format('REVOKE EXECUTE ON FUNCTION app.keep_published() FROM %I', platform);
    END LOOP;
END
$do$;

BEGIN; -- chatbot_nodes
CREATE OR REPLACE TRIGGER chatbot_nodes_published_keep AFTER INSERT OR UPDATE OR DELETE ON public.chatbot_nodes
    FOR EACH ROW EXECUTE FUNCTION app.keep_published();
COMMIT;

BEGIN; -- chatbot_edges
CREATE OR REPLACE TRIGGER chatbot_edges_published_keep AFTER INSERT OR UPDATE OR DELETE ON public.chatbot_edges
    FOR EACH ROW EXECUTE FUNCTION app.keep_published();
COMMIT;

BEGIN; -- conversations
SELECT app.guard_reference('conversations', 'integration_id', 'chatbot_integrations');
COMMIT;

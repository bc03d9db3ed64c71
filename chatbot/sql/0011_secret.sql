-- That a webhook secret was asked for is entered for good before it is given: the entry of a transaction that is rolled
-- back goes with it, and what it gave would stay.

-- The first call enters that it is asked for, and gives NULL. For a minute from then on the same caller gets it, in other
-- transactions than that one.
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
    IF EXISTS (SELECT FROM public.audit_logs AS a
               WHERE a.record_id = integration AND a.created_at > clock_timestamp() - interval '60 seconds'
                 AND a.action = 'READ_SECRET' AND a.user_id IS NOT DISTINCT FROM app.user_id()
                 AND a.transaction_id IS DISTINCT FROM pg_current_xact_id_if_assigned()::text::bigint) THEN
        RETURN secret;
    END IF;
    INSERT INTO public.audit_logs (user_id, action, table_name, record_id)
    VALUES (app.user_id(), 'READ_SECRET', 'chatbot_integrations', integration);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION app.integration_secret(uuid) IS
    'The webhook secret of an integration, for moeen_service: NULL at first, which enters that it is asked for; once that is committed, the secret';

-- As before; said here for whoever reads this alone.
REVOKE EXECUTE ON FUNCTION app.integration_secret(uuid) FROM PUBLIC;

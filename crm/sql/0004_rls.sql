-- Who may see and do what in crm. S select, I insert, U update, D delete.
-- A transaction for each table, so that no two are locked at a time. A line each: roles, commands, the rows (and what a
-- written row must be, where that is not the same). Nothing is let through but for signed identities (signed_only), and
-- no role writes id, public_id and created_at (guard).

CREATE OR REPLACE FUNCTION app.stamp_lead() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    NEW.assigned_at := CASE WHEN TG_OP = 'UPDATE' AND NEW.owner_id IS NOT DISTINCT FROM OLD.owner_id THEN OLD.assigned_at
                            ELSE now() END;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION app.stamp_lead() IS 'Trigger: when a lead was given to its owner is the server''s';
REVOKE EXECUTE ON FUNCTION app.stamp_lead() FROM PUBLIC;

BEGIN; -- crm_leads
SELECT app.lock_away('crm_leads');
SELECT app.signed_only('crm_leads');
SELECT app.allow('crm_leads', 'staff', 'SIUD', 'owner_id = (SELECT app.user_id())');
SELECT app.allow('crm_leads', 'supervisor admin', 'SIUD', 'true');
SELECT app.guard('crm_leads', 'led_', stamp => 'stamp_lead');
COMMIT;

BEGIN; -- crm_deals
SELECT app.lock_away('crm_deals');
SELECT app.signed_only('crm_deals');
SELECT app.allow('crm_deals', 'staff', 'SUD', 'owner_id = (SELECT app.user_id())');
-- A new row hangs on what its owner may see: foreign keys answer for every row there is.
SELECT app.allow('crm_deals', 'staff', 'I', '',
                 'owner_id = (SELECT app.user_id()) AND (lead_id IS NULL '
                 'OR EXISTS (SELECT FROM public.crm_leads AS l WHERE l.id = lead_id))');
SELECT app.allow('crm_deals', 'supervisor admin', 'SIUD', 'true');
SELECT app.guard('crm_deals', 'del_');
COMMIT;

BEGIN; -- crm_activities
SELECT app.lock_away('crm_activities');
SELECT app.signed_only('crm_activities');
SELECT app.allow('crm_activities', 'staff', 'SUD', 'owner_id = (SELECT app.user_id())');
SELECT app.allow('crm_activities', 'staff', 'I', '',
                 'owner_id = (SELECT app.user_id()) AND (deal_id IS NULL '
                 'OR EXISTS (SELECT FROM public.crm_deals AS d WHERE d.id = deal_id))');
SELECT app.allow('crm_activities', 'supervisor admin', 'SIUD', 'true');
SELECT app.guard('crm_activities', 'act_');
COMMIT;

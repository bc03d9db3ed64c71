-- Who may see and do what in crm. S select, I insert, U update, D delete.
-- A transaction for each table, so that no two are locked at a time. A line each: roles, commands, the rows (and what a
-- written row must be, where that is not the same).

BEGIN; -- crm_leads
SELECT app.lock_away('crm_leads');
SELECT app.allow('crm_leads', 'staff', 'SIUD', 'owner_id = (SELECT auth.uid())');
SELECT app.allow('crm_leads', 'supervisor admin', 'SIUD', 'true');
COMMIT;

BEGIN; -- crm_deals
SELECT app.lock_away('crm_deals');
SELECT app.allow('crm_deals', 'staff', 'SUD', 'owner_id = (SELECT auth.uid())');
-- A new row hangs on what its owner may see: foreign keys answer for every row there is.
SELECT app.allow('crm_deals', 'staff', 'I', '',
                 'owner_id = (SELECT auth.uid()) AND (lead_id IS NULL '
                 'OR EXISTS (SELECT FROM public.crm_leads AS l WHERE l.id = lead_id))');
SELECT app.allow('crm_deals', 'supervisor admin', 'SIUD', 'true');
COMMIT;

BEGIN; -- crm_activities
SELECT app.lock_away('crm_activities');
SELECT app.allow('crm_activities', 'staff', 'SUD', 'owner_id = (SELECT auth.uid())');
SELECT app.allow('crm_activities', 'staff', 'I', '',
                 'owner_id = (SELECT auth.uid()) AND (deal_id IS NULL '
                 'OR EXISTS (SELECT FROM public.crm_deals AS d WHERE d.id = deal_id))');
SELECT app.allow('crm_activities', 'supervisor admin', 'SIUD', 'true');
COMMIT;

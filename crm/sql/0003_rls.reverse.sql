BEGIN; -- crm_leads
SELECT app.lock_away('crm_leads');
COMMIT;
BEGIN; -- crm_deals
SELECT app.lock_away('crm_deals');
COMMIT;
BEGIN; -- crm_activities
SELECT app.lock_away('crm_activities');
COMMIT;

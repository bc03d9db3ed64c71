-- Before it, 0003_rls.sql says again who may see and do what.
SELECT app.unguard('crm_leads crm_deals crm_activities');
DROP FUNCTION IF EXISTS app.stamp_lead();

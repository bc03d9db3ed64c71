BEGIN; -- crm_leads
DROP TRIGGER IF EXISTS crm_leads_updated_at_set ON crm_leads;
COMMIT;

BEGIN; -- crm_deals
DROP TRIGGER IF EXISTS crm_deals_updated_at_set ON crm_deals;
COMMIT;

BEGIN; -- crm_activities
DROP TRIGGER IF EXISTS crm_activities_updated_at_set ON crm_activities;
COMMIT;

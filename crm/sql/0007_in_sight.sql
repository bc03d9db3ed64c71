-- Deals and activities hang on what their owner sees, also where that is changed: a policy asks when they are made.

BEGIN; -- crm_deals
SELECT app.guard_reference('crm_deals', 'lead_id', 'crm_leads');
COMMIT;

BEGIN; -- crm_activities
SELECT app.guard_reference('crm_activities', 'deal_id', 'crm_deals');
COMMIT;

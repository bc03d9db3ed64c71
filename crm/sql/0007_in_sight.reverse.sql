BEGIN; -- crm_activities
DROP TRIGGER IF EXISTS crm_activities_deal_id_in_sight ON public.crm_activities;
COMMIT;

BEGIN; -- crm_deals
DROP TRIGGER IF EXISTS crm_deals_lead_id_in_sight ON public.crm_deals;
COMMIT;

-- updated_at is kept here, for every writer; filling in a public id is no change of the row.

BEGIN; -- crm_leads
CREATE OR REPLACE TRIGGER crm_leads_updated_at_set BEFORE UPDATE ON crm_leads FOR EACH ROW
    WHEN (OLD.public_id IS NOT DISTINCT FROM NEW.public_id) EXECUTE FUNCTION app.set_updated_at();
COMMIT;

BEGIN; -- crm_deals
CREATE OR REPLACE TRIGGER crm_deals_updated_at_set BEFORE UPDATE ON crm_deals FOR EACH ROW
    WHEN (OLD.public_id IS NOT DISTINCT FROM NEW.public_id) EXECUTE FUNCTION app.set_updated_at();
COMMIT;

BEGIN; -- crm_activities
CREATE OR REPLACE TRIGGER crm_activities_updated_at_set BEFORE UPDATE ON crm_activities FOR EACH ROW
    WHEN (OLD.public_id IS NOT DISTINCT FROM NEW.public_id) EXECUTE FUNCTION app.set_updated_at();
COMMIT;

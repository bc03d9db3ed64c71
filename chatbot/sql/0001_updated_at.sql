-- updated_at is kept here, for every writer; filling in a public id is no change of the row.

BEGIN; -- chatbot_flows
CREATE OR REPLACE TRIGGER chatbot_flows_updated_at_set BEFORE UPDATE ON chatbot_flows FOR EACH ROW
    WHEN (OLD.public_id IS NOT DISTINCT FROM NEW.public_id) EXECUTE FUNCTION app.set_updated_at();
COMMIT;

BEGIN; -- chatbot_nodes
CREATE OR REPLACE TRIGGER chatbot_nodes_updated_at_set BEFORE UPDATE ON chatbot_nodes FOR EACH ROW
    WHEN (OLD.public_id IS NOT DISTINCT FROM NEW.public_id) EXECUTE FUNCTION app.set_updated_at();
COMMIT;

BEGIN; -- chatbot_templates
CREATE OR REPLACE TRIGGER chatbot_templates_updated_at_set BEFORE UPDATE ON chatbot_templates FOR EACH ROW
    WHEN (OLD.public_id IS NOT DISTINCT FROM NEW.public_id) EXECUTE FUNCTION app.set_updated_at();
COMMIT;

BEGIN; -- chatbot_integrations
CREATE OR REPLACE TRIGGER chatbot_integrations_updated_at_set BEFORE UPDATE ON chatbot_integrations FOR EACH ROW
    WHEN (OLD.public_id IS NOT DISTINCT FROM NEW.public_id) EXECUTE FUNCTION app.set_updated_at();
COMMIT;

BEGIN; -- conversations
CREATE OR REPLACE TRIGGER conversations_updated_at_set BEFORE UPDATE ON conversations FOR EACH ROW
    WHEN (OLD.public_id IS NOT DISTINCT FROM NEW.public_id) EXECUTE FUNCTION app.set_updated_at();
COMMIT;

BEGIN; -- chatbot_flows
DROP TRIGGER IF EXISTS chatbot_flows_updated_at_set ON chatbot_flows;
COMMIT;

BEGIN; -- chatbot_nodes
DROP TRIGGER IF EXISTS chatbot_nodes_updated_at_set ON chatbot_nodes;
COMMIT;

BEGIN; -- chatbot_templates
DROP TRIGGER IF EXISTS chatbot_templates_updated_at_set ON chatbot_templates;
COMMIT;

BEGIN; -- chatbot_integrations
DROP TRIGGER IF EXISTS chatbot_integrations_updated_at_set ON chatbot_integrations;
COMMIT;

BEGIN; -- conversations
DROP TRIGGER IF EXISTS conversations_updated_at_set ON conversations;
COMMIT;

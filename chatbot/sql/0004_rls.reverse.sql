-- Before it, 0003_rls.sql says again who may see and do what.
SELECT app.unguard('chatbot_flows chatbot_nodes chatbot_edges chatbot_templates chatbot_integrations conversations messages');
DROP FUNCTION IF EXISTS app.has_integration_secret(uuid);
DROP FUNCTION IF EXISTS app.integration_secret(uuid);
DROP FUNCTION IF EXISTS app.my_unpublished_flow_ids();
DROP FUNCTION IF EXISTS app.stamp_author();
DROP FUNCTION IF EXISTS app.stamp_flow();
DROP FUNCTION IF EXISTS app.stamp_template();
DROP FUNCTION IF EXISTS app.stamp_message();

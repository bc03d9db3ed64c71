BEGIN; -- chatbot_flows
SELECT app.lock_away('chatbot_flows');
COMMIT;
BEGIN; -- chatbot_nodes
SELECT app.lock_away('chatbot_nodes');
COMMIT;
BEGIN; -- chatbot_edges
SELECT app.lock_away('chatbot_edges');
COMMIT;
BEGIN; -- chatbot_templates
SELECT app.lock_away('chatbot_templates');
COMMIT;
BEGIN; -- chatbot_integrations
SELECT app.lock_away('chatbot_integrations');
COMMIT;
BEGIN; -- conversations
SELECT app.lock_away('conversations');
COMMIT;
BEGIN; -- messages
SELECT app.lock_away('messages');
COMMIT;
DROP FUNCTION IF EXISTS app.my_patients_conversation_ids();
DROP FUNCTION IF EXISTS app.my_conversation_ids();
DROP FUNCTION IF EXISTS app.my_flow_ids();
DROP FUNCTION IF EXISTS app.published_flow_ids();

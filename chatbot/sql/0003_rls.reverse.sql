SELECT app.lock_away('chatbot_flows chatbot_nodes chatbot_edges chatbot_templates chatbot_integrations conversations messages');
DROP FUNCTION IF EXISTS app.my_patients_conversation_ids();
DROP FUNCTION IF EXISTS app.my_conversation_ids();
DROP FUNCTION IF EXISTS app.my_flow_ids();
DROP FUNCTION IF EXISTS app.published_flow_ids();

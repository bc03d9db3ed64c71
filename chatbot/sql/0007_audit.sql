-- The changes of these tables are recorded (sysadmin/sql/0016_audit.sql). Of messages, which come by the million and stay
-- as they are sent, only that one was removed.

BEGIN; -- chatbot_flows
SELECT app.audit('chatbot_flows');
COMMIT;

-- Its configuration holds the provider's tokens.
BEGIN; -- chatbot_integrations
SELECT app.audit('chatbot_integrations', hidden => 'webhook_secret config');
COMMIT;

BEGIN; -- conversations
SELECT app.audit('conversations', patient => 'patient_id');
COMMIT;

BEGIN; -- messages
SELECT app.audit('messages', events => 'delete truncate');
COMMIT;

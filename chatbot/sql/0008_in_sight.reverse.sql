BEGIN; -- conversations
DROP TRIGGER IF EXISTS conversations_integration_id_in_sight ON public.conversations;
COMMIT;

BEGIN; -- chatbot_edges
DROP TRIGGER IF EXISTS chatbot_edges_published_keep ON public.chatbot_edges;
COMMIT;

BEGIN; -- chatbot_nodes
DROP TRIGGER IF EXISTS chatbot_nodes_published_keep ON public.chatbot_nodes;
COMMIT;

-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS app.keep_published();

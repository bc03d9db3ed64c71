-- Indexes beyond keys and foreign keys (older: 011).

CREATE INDEX CONCURRENTLY chatbot_flows_created_by_status_idx ON chatbot_flows (created_by, status);
CREATE INDEX CONCURRENTLY chatbot_flows_status_idx ON chatbot_flows (status);

CREATE INDEX CONCURRENTLY chatbot_nodes_node_type_idx ON chatbot_nodes (node_type);

CREATE INDEX CONCURRENTLY chatbot_edges_source_node_id_flow_id_idx ON chatbot_edges (source_node_id, flow_id);
CREATE INDEX CONCURRENTLY chatbot_edges_target_node_id_flow_id_idx ON chatbot_edges (target_node_id, flow_id);

CREATE INDEX CONCURRENTLY chatbot_templates_category_idx ON chatbot_templates (category);
CREATE INDEX CONCURRENTLY chatbot_templates_language_idx ON chatbot_templates (language);
CREATE INDEX CONCURRENTLY chatbot_templates_is_approved_idx ON chatbot_templates (is_approved);

CREATE INDEX CONCURRENTLY chatbot_integrations_provider_idx ON chatbot_integrations (provider);
CREATE INDEX CONCURRENTLY chatbot_integrations_status_idx ON chatbot_integrations (status);
CREATE INDEX CONCURRENTLY chatbot_integrations_health_status_idx ON chatbot_integrations (health_status);

CREATE INDEX CONCURRENTLY conversations_patient_id_status_idx ON conversations (patient_id, status);
CREATE INDEX CONCURRENTLY conversations_status_idx ON conversations (status);
CREATE INDEX CONCURRENTLY conversations_channel_idx ON conversations (channel);
CREATE INDEX CONCURRENTLY conversations_external_id_idx ON conversations (external_id);

CREATE INDEX CONCURRENTLY messages_conversation_id_sent_at_idx ON messages (conversation_id, sent_at);
CREATE INDEX CONCURRENTLY messages_sender_type_idx ON messages (sender_type);
CREATE INDEX CONCURRENTLY messages_message_type_idx ON messages (message_type);
CREATE INDEX CONCURRENTLY messages_sent_at_idx ON messages (sent_at);

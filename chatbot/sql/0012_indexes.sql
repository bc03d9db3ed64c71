CREATE INDEX CONCURRENTLY conversations_created_at_idx ON conversations (created_at);

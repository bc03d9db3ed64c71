DROP INDEX CONCURRENTLY IF EXISTS conversations_created_at_idx;

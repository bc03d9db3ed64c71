DROP INDEX CONCURRENTLY IF EXISTS crm_leads_created_at_idx;
DROP INDEX CONCURRENTLY IF EXISTS crm_activities_created_at_idx;

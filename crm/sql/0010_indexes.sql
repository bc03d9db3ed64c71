CREATE INDEX CONCURRENTLY crm_activities_created_at_idx ON crm_activities (created_at);
CREATE INDEX CONCURRENTLY crm_leads_created_at_idx ON crm_leads (created_at);

-- Indexes beyond keys and foreign keys (older: 021).

CREATE INDEX CONCURRENTLY crm_leads_owner_id_status_idx ON crm_leads (owner_id, status);
CREATE INDEX CONCURRENTLY crm_leads_status_idx ON crm_leads (status);
CREATE INDEX CONCURRENTLY crm_leads_source_idx ON crm_leads (source);
CREATE INDEX CONCURRENTLY crm_leads_email_idx ON crm_leads (email);

CREATE INDEX CONCURRENTLY crm_deals_owner_id_stage_idx ON crm_deals (owner_id, stage);
CREATE INDEX CONCURRENTLY crm_deals_stage_idx ON crm_deals (stage);
CREATE INDEX CONCURRENTLY crm_deals_value_idx ON crm_deals (value);
CREATE INDEX CONCURRENTLY crm_deals_expected_close_date_idx ON crm_deals (expected_close_date);

CREATE INDEX CONCURRENTLY crm_activities_owner_id_status_idx ON crm_activities (owner_id, status);
CREATE INDEX CONCURRENTLY crm_activities_due_date_status_idx ON crm_activities (due_date, status);
CREATE INDEX CONCURRENTLY crm_activities_type_idx ON crm_activities (type);
CREATE INDEX CONCURRENTLY crm_activities_status_idx ON crm_activities (status);
CREATE INDEX CONCURRENTLY crm_activities_priority_idx ON crm_activities (priority);

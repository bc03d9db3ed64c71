CREATE INDEX CONCURRENTLY crm_leads_search_idx ON crm_leads USING gin ((app.search_words(name, company, email, phone)));

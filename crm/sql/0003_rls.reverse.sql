SELECT app.lock_away('crm_leads crm_deals crm_activities');

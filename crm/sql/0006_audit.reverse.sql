SELECT app.unaudit('crm_leads crm_deals crm_activities');

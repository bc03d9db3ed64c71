DROP FUNCTION IF EXISTS app.search_leads(text, integer);

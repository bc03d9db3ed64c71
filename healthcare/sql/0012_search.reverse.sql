DROP FUNCTION IF EXISTS app.search_patients(text, integer);

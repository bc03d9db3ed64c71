DROP FUNCTION IF EXISTS app.row_of_alias(text);

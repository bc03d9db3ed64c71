DROP FUNCTION IF EXISTS app.bearer_of_alias(text);

DROP FUNCTION IF EXISTS app.search_users(text, integer);
DROP FUNCTION IF EXISTS app.sees_all(regclass, text[]);
DROP FUNCTION IF EXISTS app.search_query(text);
DROP FUNCTION IF EXISTS app.search_words(text, text, text, text);
